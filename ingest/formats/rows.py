"""The rows of a part, whatever the format of its file: one place that knows the formats.

Method: the planned part says under `format` how it is stored; every reader yields plain
mappings and, for what cannot be read, a `BadRow`. A compressed or CSV file that breaks off gives
its rows up to there and one `corrupt_input` that sets the file aside by name. A column that a
file lacks is read from its folders (`ingest.formats.file_names`).
Cost and limits: those of `ingest.formats.jsonl`, `ingest.formats.compressed`,
`ingest.formats.csv_records`, `ingest.formats.parquet_rows`. Parquet parts are row groups, parts of
JSON lines byte ranges; any other file is one part.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO, cast

from ingest.errors import TransientFault, is_transient
from ingest.fault_text import digest_of
from ingest.files import UNREADABLE, read_up_to
from ingest.formats.bad_row import BadRow, Rows
from ingest.formats.compressed import (
    READ_AHEAD,
    BrokenStream,
    Hashed,
    compare,
    faults,
    gzip_lines,
    zip_lines,
)
from ingest.formats.csv_records import NoHeader, csv_rows, header_of
from ingest.formats.file_names import format_of, values_of
from ingest.formats.jsonl import MAX_LINE_BYTES, parse_object
from ingest.formats.line_ranges import plain_lines
from ingest.formats.parquet import BrokenFile, Column, ParquetReader
from ingest.formats.parquet_rows import table_rows
from ingest.records import Part
from ingest.storage import Entry, open_entry, open_part
from ingest.transport import ReadLimits

HEAD_BYTES = 1 << 16
"""Of a file called `.json`, to see whether it holds lines."""


def read_rows(part: Part, columns: Mapping[str, Column], limits: ReadLimits | None = None) -> Rows:
    """The rows of a part; `columns` are those wanted of a Parquet file.

    Raises `ChangedInput` when the file is not the one that was planned (for streams after the
    last row), `TransientFault` when reading may work later.
    """
    meta = dict(part.meta)
    values = values_of(meta)
    rows = _rows(part, meta, given(columns, values), limits)
    return _filled(rows, values) if values else rows


def given(columns: Mapping[str, Column], values: Mapping[str, str]) -> Mapping[str, Column]:
    """The columns that a file must have beside what its folders say."""
    return {
        name: replace(column, required=column.required and name not in values)
        for name, column in columns.items()
    }


def _filled(rows: Rows, values: Mapping[str, str]) -> Rows:
    """What a row says itself, even null, is not replaced."""
    for row in rows:
        yield row if isinstance(row, BadRow) else {**values, **row}


def _rows(
    part: Part, meta: Mapping[str, str], columns: Mapping[str, Column], limits: ReadLimits | None
) -> Rows:
    match meta["format"]:
        case "parquet":
            return table_rows(part, columns, limits)
        case "zip":
            return _json_rows(part, zip_lines(part, meta["member"], limits))
        case "jsonl.gz":
            return _json_rows(part, gzip_lines(part, limits))
        case "jsonl":
            return _json_rows(part, plain_lines(part, limits))
        case "csv":
            return _csv_rows(part, limits)
        case other:
            raise ValueError(f"{part.name}: no reader for {other!r}")


def _json_rows(part: Part, lines: Iterator[bytes | None]) -> Rows:
    try:
        for line in lines:
            yield json_row(line)
    except BrokenStream as error:
        yield BadRow(reason="corrupt_input", fact=str(error), quarantined=part.name)


def json_row(line: bytes | None) -> Mapping[str, object] | BadRow:
    """The object of a line."""
    if line is None:
        return BadRow(reason="line_too_long")
    values = parse_object(line)
    if isinstance(values, str):
        detail = line[:200].decode("utf-8", "backslashreplace")[:200]
        return BadRow(reason=values, detail=detail, fact=digest_of(line))
    return values


def _csv_rows(part: Part, limits: ReadLimits | None) -> Rows:
    with faults(part), open_part(part, limits) as file:
        hashed = Hashed(file)
        try:
            yield from csv_rows(_raw_lines(cast(BinaryIO, io.BufferedReader(hashed, READ_AHEAD))))
        except NoHeader as error:
            yield BadRow(reason="corrupt_input", fact=str(error), quarantined=part.name)
        compare(part, hashed)


def csv_header(entry: Entry, limits: ReadLimits | None) -> list[str] | str:
    """The names of the columns of a CSV file, or why it has none."""
    try:
        with _buffered(open_entry(entry, limits), 1 << 16) as file:
            return header_of(_raw_lines(file))
    except NoHeader as error:
        return str(error)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(entry.name, str(error)) from error
        return UNREADABLE


def column_names(entry: Entry, limits: ReadLimits | None) -> tuple[str, ...]:
    """The columns of a file of rows, or the keys of its first lines; () where it cannot say."""
    kind = format_of(entry.name)
    try:
        if kind == "csv":
            header = csv_header(entry, limits)
            return () if isinstance(header, str) else tuple(header)
        with open_entry(entry, limits) as file:
            if kind == "parquet":
                return tuple(ParquetReader.of(file).schema().names)
            head = read_up_to(file, HEAD_BYTES)
        if kind == "jsonl.gz":
            head = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except (BrokenFile, OSError, zlib.error):
        return ()
    rows = [row for row in map(parse_object, head.splitlines()) if not isinstance(row, str)]
    return tuple(sorted({name for row in rows for name in row}))


def json_problem(entry: Entry, needed: Sequence[str], limits: ReadLimits | None) -> str:
    """Why a file called `.json` holds no lines with these columns; "" if it seems to.

    Any JSON may be called so: only the beginning tells.
    """
    if not entry.name.lower().endswith(".json"):
        return ""
    try:
        with open_entry(entry, limits) as file:
            head = read_up_to(file, HEAD_BYTES)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(entry.name, str(error)) from error
        return UNREADABLE
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return "an array of JSON, not lines: `jq -c '.[]' FILE.json > FILE.jsonl` converts it"
    lines = head.splitlines() if len(head) < HEAD_BYTES else head.split(b"\n")[:-1]
    if not lines and head:
        # A first row longer than what was read.
        return ""
    rows = [values for values in map(parse_object, lines) if not isinstance(values, str)]
    if not rows and head.strip():
        return "JSON, but no object a line: `jq -c . FILE.json > FILE.jsonl` converts it"
    if rows and not any(name in row for row in rows for name in needed):
        return f"JSON lines without {' or '.join(needed)}: another kind of file, or map `columns`"
    return ""


def _buffered(file: BinaryIO, size: int) -> BinaryIO:
    """The file with a buffer, which is closed with it."""
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file), size))


def _raw_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Lines with their ends; None for one over the cap."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line
