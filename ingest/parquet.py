"""Read Parquet files that may be broken, by row group, in bounded memory.

Method: the driver opens each file once and keeps what a reader needs: the row groups, their
rows and the bytes of the wanted columns, and a digest of the footer, which changes with any
rewrite and is cheap to check again. The reader decodes one row group in small batches. A row
group of up to `HELD_BYTES` is decoded once and held; a larger one is decoded twice, first for
the fault and then for the rows, so that a fault never comes after half of its rows went out.
Cost: a footer a file; decoding at about 1 GB/s. Limits: footers up to 64 MB and row groups up
to 2 GB of wanted columns; page checksums are verified where the file has them, and without
them damage that still decompresses goes unseen. Source: the Parquet format (the file ends in
the footer, its length and `PAR1`).
pyarrow publishes no types: its objects do not leave this module except as `RecordBatch`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.errors import ChangedInput, TransientFault, is_transient
from ingest.walk import open_regular, read_up_to

MAX_FOOTER_BYTES = 64 * 1024 * 1024
MAX_GROUP_BYTES = 2_000_000_000
HELD_BYTES = 32 * 1024 * 1024
BATCH_BYTES = 2 * 1024 * 1024
_MAX_BATCH_ROWS = 1024
_BUFFER_BYTES = 1 << 20
_MAGIC = b"PAR1"


class BrokenFile(Exception):
    """A Parquet file cannot be used; the message is the reason, without a local path."""


class BrokenGroup(Exception):
    """A row group cannot be decoded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowGroup:
    """One row group: its rows and the uncompressed bytes of the wanted columns."""

    rows: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the contract."""

    kind: str
    """A key of `KINDS`."""
    required: bool = True


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _is_texts(kind: Any) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    # A file without a single licence has a list of nulls.
    return is_list and (_is_text(kind.value_type) or pa.types.is_null(kind.value_type))


def _is_count(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


KINDS: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {"text": _is_text, "list of text": _is_texts, "number": _is_count}
)


class ParquetReader:
    """One open Parquet file. Close it, or use it as a context.

    Raises `BrokenFile` from `open`; `OSError` when the file cannot be read at all.
    """

    def __init__(self, raw: BinaryIO, file: Any, footer: str) -> None:
        self._raw = raw
        self._file = file
        self.footer = footer
        """SHA-256 (hex) of the footer."""

    @classmethod
    def open(cls, path: str) -> ParquetReader:
        """Open a regular file."""
        raw = open_regular(path)
        try:
            footer = _footer_digest(raw)
            # The defaults hold the compressed bytes of whole column chunks: 160 MB more for a
            # row group of 180 MB.
            file = pq.ParquetFile(
                raw,
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                page_checksum_verification=True,
            )
            return cls(raw, file, footer)
        except (pa.ArrowException, OSError) as error:
            raw.close()
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BrokenFile(f"unreadable footer: {_brief(error)}") from error
        except BaseException:
            raw.close()
            raise

    def __enter__(self) -> ParquetReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()

    def size(self) -> int:
        """Bytes of the file."""
        return self._raw.seek(0, io.SEEK_END)

    def schema(self) -> Any:
        """The Arrow schema, for a contract that `check` cannot state."""
        return self._file.schema_arrow

    def check(self, columns: Mapping[str, Column]) -> tuple[str, ...]:
        """The wanted columns that the file has. Raises `BrokenFile` if one does not fit."""
        schema = self._file.schema_arrow
        present: list[str] = []
        for name, column in columns.items():
            places = schema.get_all_field_indices(name)
            if len(places) > 1:
                raise BrokenFile(f"column {name} stands {len(places)} times")
            if not places:
                if column.required:
                    raise BrokenFile(f"column {name} is missing (expected {column.kind})")
                continue
            kind = schema.field(places[0]).type
            if not KINDS[column.kind](kind):
                if column.required:
                    raise BrokenFile(f"column {name} is {kind} (expected {column.kind})")
                continue
            present.append(name)
        return tuple(present)

    def groups(self, columns: Sequence[str]) -> tuple[RowGroup, ...]:
        """The row groups. Raises `BrokenFile` when the footer contradicts itself."""
        facts = self._file.metadata
        return tuple(
            _group(facts.row_group(index), frozenset(columns))
            for index in range(facts.num_row_groups)
        )

    def batches(self, group: int, columns: Sequence[str], size: int, rows: int) -> Iterator[Any]:
        """The record batches of a row group. Raises `BrokenGroup` before the first of them."""
        if size > MAX_GROUP_BYTES:
            raise BrokenGroup(f"{size} bytes in one row group, at most {MAX_GROUP_BYTES}")
        if size <= HELD_BYTES:
            held = list(self._decode(group, columns, size, rows))
            yield from held
            return
        for _ in self._decode(group, columns, size, rows):
            pass
        yield from self._decode(group, columns, size, rows)

    def _decode(self, group: int, columns: Sequence[str], size: int, rows: int) -> Iterator[Any]:
        batch_rows = max(1, min(_MAX_BATCH_ROWS, BATCH_BYTES * rows // max(size, 1)))
        seen = 0
        try:
            for batch in self._file.iter_batches(
                batch_size=batch_rows, row_groups=[group], columns=list(columns), use_threads=False
            ):
                seen += batch.num_rows
                yield batch
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and is_transient(error):
                raise
            raise BrokenGroup(_brief(error)) from error
        if seen != rows:
            raise BrokenGroup(f"{seen} rows where the footer says {rows}")


def open_planned(path: str, name: str, size: int, footer: str) -> ParquetReader:
    """Open a file that was planned.

    Raises `ChangedInput` when it is not the same file, `TransientFault` when it may be later.
    """
    try:
        reader = ParquetReader.open(path)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(name, str(error)) from error
        raise ChangedInput(name) from error
    except (ValueError, BrokenFile) as error:
        raise ChangedInput(name) from error
    if reader.footer != footer or reader.size() != size:
        reader.__exit__()
        raise ChangedInput(name)
    return reader


def binary(column: Any) -> Any:
    """A text column as raw bytes, so that no decoding can fail."""
    large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    return column.cast(pa.large_binary() if large else pa.binary())


def _group(facts: Any, wanted: frozenset[str]) -> RowGroup:
    size = 0
    for index in range(facts.num_columns):
        column = facts.column(index)
        if column.path_in_schema.split(".", 1)[0] in wanted:
            size += column.total_uncompressed_size
    if facts.num_rows < 0 or size < 0:
        raise BrokenFile(f"impossible row group: {facts.num_rows} rows, {size} bytes")
    return RowGroup(rows=facts.num_rows, size=size)


def _footer_digest(raw: BinaryIO) -> str:
    end = raw.seek(0, io.SEEK_END)
    if end < 12:
        raise BrokenFile(f"unreadable footer: {end} bytes are too few for a Parquet file")
    raw.seek(end - 8)
    tail = read_up_to(raw, 8)
    if tail[4:] != _MAGIC:
        raise BrokenFile("unreadable footer: the file does not end in PAR1 (truncated?)")
    length = int.from_bytes(tail[:4], "little")
    if length > min(end - 12, MAX_FOOTER_BYTES):
        raise BrokenFile(f"unreadable footer: {length} bytes long in a file of {end}")
    raw.seek(end - 8 - length)
    digest = hashlib.sha256(read_up_to(raw, length)).hexdigest()
    raw.seek(0)
    return digest


def _brief(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:160]
