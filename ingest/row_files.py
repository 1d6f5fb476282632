"""The rows of a part, whatever the format of its file: one place that knows the formats.

Method: the planned part says under `format` how it is stored; every reader yields plain
mappings and, for what cannot be read, a `BadRow`. A compressed or CSV file that breaks off gives
its rows up to there and one `corrupt_input` that sets the file aside by name.
Cost and limits: those of `ingest.jsonl`, `ingest.compressed`, `ingest.csv_rows`,
`ingest.tables`. Parquet parts are row groups, parts of JSON lines byte
ranges; any other file is one part.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

from ingest.budget import ReadLimits
from ingest.compressed import (
    READ_AHEAD,
    BrokenStream,
    Hashed,
    compare,
    faults,
    gzip_lines,
    zip_lines,
)
from ingest.csv_rows import NoHeader, csv_rows, header_of
from ingest.entries import Entry
from ingest.errors import TransientFault, is_transient
from ingest.jsonl import MAX_LINE_BYTES, parse_object
from ingest.line_ranges import plain_lines
from ingest.parquet import Column
from ingest.places import open_entry, open_part
from ingest.raw_rows import BadRow, Rows
from ingest.records import Part
from ingest.tables import table_rows
from ingest.walk import UNREADABLE
from ingest.wording import digest_of


def read_rows(part: Part, columns: Mapping[str, Column], limits: ReadLimits | None = None) -> Rows:
    """The rows of a part; `columns` are those wanted of a Parquet file.

    Raises `ChangedInput` when the file is not the one that was planned (for streams after the
    last row), `TransientFault` when reading may work later.
    """
    meta = dict(part.meta)
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
