"""Read Parquet files that may be broken, by row group, in bounded memory.

Method: the driver opens each file once and keeps what a reader needs: the row groups, their
rows and the bytes of the wanted columns, and a digest of the footer, which changes with any
rewrite and is cheap to check again. The reader decodes one row group in small batches. A row
group of up to `HELD_BYTES` is decoded once and held; a larger one is decoded twice, first for
the fault and then for the rows, so that a fault never comes after half of its rows went out.
Cost: a footer a file (of a small remote one it is handed to the parts, so that no worker asks
for it again); decoding at about 1 GB/s. Limits: footers up to 64 MB and row groups up
to 2 GB of wanted columns; page checksums are verified where the file has them, and without
them damage that still decompresses goes unseen. Types are those of Parquet itself: what Arrow
writers note beside them (views, dictionaries, large texts) is not asked. Source: the Parquet
format (the file ends in the footer, its length and `PAR1`).
pyarrow publishes no types: its objects do not leave this module except as `RecordBatch`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.errors import ChangedInput, TransientFault, is_transient
from ingest.fault_text import fault_of
from ingest.files import open_regular, read_up_to
from ingest.records import Part
from ingest.storage import RangedFile, open_part
from ingest.transport import ReadLimits
from xtrove.core import XtroveError

MAX_FOOTER_BYTES = 64 * 1024 * 1024
MAX_GROUP_BYTES = 2_000_000_000
HELD_BYTES = 32 * 1024 * 1024
FOOTER_DATA = "footer_data"
"""The key of `Part.meta` for a footer that is handed on, as `handed_on` writes it."""
_NO_FOOTER = base64.b64encode(zlib.compress(b"")).decode("ascii")
BATCH_BYTES = 2 * 1024 * 1024
_MAX_BATCH_ROWS = 1024
_ROW_BYTES = 256
_BUFFER_BYTES = 1 << 20
_LEAST_TAIL_BYTES, _MOST_TAIL_BYTES, _TAIL_SHARE = 1 << 12, 1 << 16, 512
_MAGIC = b"PAR1"
_ARROW_SCHEMA, _NO_SCHEMA = b"ARROW:schema", b"ARROW_schema"
"""The key of the Arrow types in a footer, and one of the same length that no reader knows."""


class BrokenFile(XtroveError):
    """A Parquet file cannot be used; the message is the reason, without a local path."""


class BrokenGroup(XtroveError):
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
    {"text": _is_text, "list of text": _is_texts, "number": _is_count, "any": lambda kind: True}
)


class ParquetReader:
    """One open Parquet file. Close it, or use it as a context.

    Raises `BrokenFile` from `open`; `OSError` when the file cannot be read at all.
    """

    def __init__(self, raw: BinaryIO, file: Any, footer_data: bytes) -> None:
        self._raw = raw
        self._file = file
        self.footer_data = footer_data
        self._fetched = -1

    @classmethod
    def open(cls, path: str) -> ParquetReader:
        """Open a regular local file."""
        return cls.of(open_regular(path))

    @classmethod
    def of(cls, raw: BinaryIO, footer_bytes: int = 0, footer: bytes = b"") -> ParquetReader:
        """Read an open file, which is closed with the reader or when this fails.

        A known length of the footer saves bytes of a remote file, the footer itself all of them.
        """
        try:
            footer = footer or _footer(raw, footer_bytes)
            # The defaults hold the compressed bytes of whole column chunks: 160 MB more for a
            # row group of 180 MB.
            file = pq.ParquetFile(
                raw,
                metadata=_metadata(footer),
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                arrow_extensions_enabled=False,
                page_checksum_verification=True,
            )
            return cls(raw, file, footer)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            # The last is what the name of a column raises.
            raw.close()
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BrokenFile(f"unreadable footer: {fault_of(error)}") from error
        except BaseException:
            raw.close()
            raise

    def __enter__(self) -> ParquetReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()

    @property
    def footer(self) -> str:
        """SHA-256 (hex) of the footer."""
        return hashlib.sha256(self.footer_data).hexdigest()

    @property
    def footer_bytes(self) -> int:
        """Its length."""
        return len(self.footer_data)

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
                    raise BrokenFile(f"column {name} is {kind_name(kind)} (expected {column.kind})")
                continue
            present.append(name)
        return tuple(present)

    def groups(self, columns: Sequence[str]) -> tuple[RowGroup, ...]:
        """The row groups. Raises `BrokenFile` when the footer contradicts itself."""
        facts = self._file.metadata
        try:
            return tuple(
                _group(facts.row_group(index), frozenset(columns))
                for index in range(facts.num_row_groups)
            )
        except UnicodeDecodeError as error:
            raise BrokenFile(f"unreadable footer: {fault_of(error)}") from error

    def batches(self, group: int, columns: Sequence[str], size: int, rows: int) -> Iterator[Any]:
        """The record batches of a row group. Raises `BrokenGroup` before the first of them."""
        if size > MAX_GROUP_BYTES:
            raise BrokenGroup(f"{size} bytes in one row group, at most {MAX_GROUP_BYTES}")
        self._fetch(group, columns)
        try:
            yield from self._checked(group, columns, size, rows)
        except BrokenGroup:
            if not isinstance(self._raw, RangedFile):
                raise
            # What was damaged on the way is whole the second time.
            self._raw.drop_cache()
            self._fetch(group, columns)
            yield from self._checked(group, columns, size, rows)

    def _fetch(self, group: int, columns: Sequence[str]) -> None:
        """The chunks of these columns of a remote file, in few requests; of one group at a time."""
        if isinstance(self._raw, RangedFile):
            if group != self._fetched:
                self._raw.drop_cache()
            self._fetched = group
            facts = self._file.metadata.row_group(group)
            try:
                self._raw.prefetch(_chunks(facts, frozenset(columns)))
            except ValueError as error:
                raise BrokenGroup(str(error)) from error

    def _checked(self, group: int, columns: Sequence[str], size: int, rows: int) -> Iterator[Any]:
        """The batches, of which none comes before all were decoded once."""
        # Repetitive columns have few bytes for many rows, until they are decoded.
        if max(size, rows * _ROW_BYTES) <= HELD_BYTES:
            decoded = list(self._decode(group, columns, size, rows))
            yield from decoded
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
            raise BrokenGroup(fault_of(error)) from error
        if seen != rows:
            raise BrokenGroup(f"{seen} rows where the footer says {rows}")


def open_planned_part(part: Part, limits: ReadLimits | None = None) -> ParquetReader:
    """Open the file of a part, whose `meta` says what its footer was.

    Raises `ChangedInput` when it is not the same file, `TransientFault` when it may be later.
    """
    known = dict(part.meta)
    footer_bytes = int(known.get("footer_bytes", "0"))
    try:
        footer = zlib.decompress(base64.b64decode(known.get(FOOTER_DATA, _NO_FOOTER)))
        reader = ParquetReader.of(open_part(part, limits), footer_bytes, footer)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(part.name, str(error)) from error
        raise ChangedInput(part.name) from error
    except (ValueError, BrokenFile) as error:
        raise ChangedInput(part.name) from error
    if reader.footer != known["footer"] or reader.size() != part.size:
        reader.__exit__()
        raise ChangedInput(part.name)
    return reader


def kind_name(kind: Any) -> str:
    """An Arrow type without the names and words that a file may put into it."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{kind_name(kind.value_type)}>"
    return str(kind).partition("<")[0].partition("[")[0].partition("(")[0]


def handed_on(footer: bytes) -> str:
    """A footer as text."""
    return base64.b64encode(zlib.compress(footer, 9)).decode("ascii")


def binary(column: Any) -> Any:
    """A text column as raw bytes, so that no decoding can fail."""
    large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    return column.cast(pa.large_binary() if large else pa.binary())


def _group(facts: Any, columns: frozenset[str]) -> RowGroup:
    size = 0
    for index in range(facts.num_columns):
        column = facts.column(index)
        if column.path_in_schema.split(".", 1)[0] in columns:
            size += column.total_uncompressed_size
    if facts.num_rows < 0 or size < 0:
        raise BrokenFile(f"impossible row group: {facts.num_rows} rows, {size} bytes")
    return RowGroup(rows=facts.num_rows, size=size)


def _chunks(facts: Any, columns: frozenset[str]) -> list[tuple[int, int]]:
    """The byte ranges of the wanted columns of a row group."""
    ranges: list[tuple[int, int]] = []
    total = 0
    for index in range(facts.num_columns):
        column = facts.column(index)
        if column.path_in_schema.split(".", 1)[0] in columns:
            start = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset > 0:
                start = min(start, column.dictionary_page_offset)
            total += column.total_compressed_size
            ranges.append((start, start + column.total_compressed_size))
    if total > MAX_GROUP_BYTES:
        raise ValueError(f"{total} compressed bytes in one row group, at most {MAX_GROUP_BYTES}")
    return ranges


def _footer(raw: BinaryIO, expected: int) -> bytes:
    """The footer; of a remote file in one request, or two if it is longer than expected."""
    end = raw.seek(0, io.SEEK_END)
    if end < 12:
        raise BrokenFile(f"unreadable footer: {end} bytes are too few for a Parquet file")
    # A guess costs bytes where it is too long, and a request where it is too short.
    guess = min(max(end // _TAIL_SHARE, _LEAST_TAIL_BYTES), _MOST_TAIL_BYTES)
    wanted = expected + 8 if expected else guess if isinstance(raw, RangedFile) else 8
    tail = _at(raw, max(0, end - wanted), end)
    if tail[-4:] != _MAGIC:
        raise BrokenFile("unreadable footer: the file does not end in PAR1 (truncated?)")
    length = int.from_bytes(tail[-8:-4], "little")
    if length > min(end - 12, MAX_FOOTER_BYTES):
        raise BrokenFile(f"unreadable footer: {length} bytes long in a file of {end}")
    missing = length + 8 - len(tail)
    if missing > 0:
        tail = _at(raw, end - 8 - length, end - len(tail)) + tail
    raw.seek(0)
    return tail[-8 - length : -8]


def _at(raw: BinaryIO, start: int, stop: int) -> bytes:
    raw.seek(start)
    return read_up_to(raw, stop - start)


def _metadata(footer: bytes) -> Any:
    """The parsed footer: a file of nothing else is read like any.

    Without the Arrow types: one text is then one type, whoever wrote it, and a dictionary of
    texts that are not UTF-8 does not fail as a whole.
    """
    footer = footer.replace(_ARROW_SCHEMA, _NO_SCHEMA)
    whole = _MAGIC + footer + len(footer).to_bytes(4, "little") + _MAGIC
    return pq.read_metadata(pa.BufferReader(whole))
