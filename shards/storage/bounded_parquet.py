"""Parquet files of strangers, read in bounded memory: evidence and twins that were downloaded.

A file of some kilobytes can stand for terabytes: a text that a dictionary holds once and 20,000
rows name, a list whose elements are one run, a page of zeros. Method: texts are read as the
dictionaries they are stored as, so that a row costs an index until its true size is known; rows
are then decoded in pieces of at most 64 MiB. Before anything is read, the values and bytes that
the headers of the pages state (`shards.storage.parquet_headers`) are held against limits far above
what this package writes.
Cost: a footer read three times, and about a quarter more time than reading without limits.
Limits: a row of over 256 MiB, or a row group with a column of over 16.8 million values, or of
over 1 GiB, stored or spelled out, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shards.storage.parquet_headers import ColumnPages, read_pages
from xtrove.core import DamagedData

__all__ = ["DamagedData", "BoundedParquet", "open_parquet"]

BATCH_ROWS: Final = 1 << 14
"""As they are stored: each batch comes with a copy of its dictionaries."""
PIECE_ROWS: Final = 1 << 12
PIECE_BYTES: Final = 1 << 26
MOST_ROW_BYTES: Final = 1 << 28
MOST_VALUES: Final = 1 << 24
MOST_GROUP_BYTES: Final = 1 << 30


class BoundedParquet:
    """One open file; see `open_parquet`."""

    def __init__(
        self, name: str, file: Any, schema: pa.Schema, pages: Sequence[Sequence[ColumnPages]]
    ) -> None:
        self._name = name
        self._pages = pages
        self._file = file
        self._schema = schema

    @property
    def groups(self) -> int:
        """How many row groups there are."""
        return len(self._pages)

    def may_hold(self, group: int, column: int, value: str) -> bool:
        """Whether the statistics of a group leave room for a value in a column of text."""
        limits = self._pages[group][column]
        if limits.least is None or limits.most is None:
            return True
        return limits.least <= value <= limits.most

    def batches(
        self, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
    ) -> Iterator[Any]:
        """Record batches of plain columns (all without an argument), in order, all text UTF-8.

        `DamagedData` on a group or a row that is too large, or cannot be read.
        """
        names = self._schema.names if columns is None else list(columns)
        with _readable(self._name):
            for group in range(self.groups) if groups is None else groups:
                rows = 0
                for batch in self._file.iter_batches(
                    batch_size=BATCH_ROWS, row_groups=[group], columns=names
                ):
                    for part, size in _pieces(batch, self._schema, names):
                        rows += size
                        if rows > MOST_GROUP_BYTES:
                            raise DamagedData(
                                f"row group {group} spells out to more than {MOST_GROUP_BYTES} "
                                "bytes"
                            )
                        yield part


@contextmanager
def open_parquet(path: Path, *schemas: pa.Schema) -> Iterator[BoundedParquet]:
    """A file of one of these schemas.

    `DamagedData` where it has another, is no Parquet file, or has too much in a row group.
    """
    with _readable(path.name):
        pages = read_pages(path)
        for number, group in enumerate(pages):
            _require(number, group)
        with pq.ParquetFile(path, memory_map=True) as file:
            schema = next(
                (candidate for candidate in schemas if file.schema_arrow.equals(candidate)), None
            )
            if schema is None:
                raise DamagedData(f"it has another schema: {str(file.schema_arrow)[:500]}")
            if file.num_row_groups != len(pages):
                raise DamagedData(f"it has {file.num_row_groups} row groups or {len(pages)}")
            columns = [file.schema.column(number) for number in range(len(file.schema))]
            texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
        file = pq.ParquetFile(path, memory_map=True, read_dictionary=texts)
    with file:
        yield BoundedParquet(path.name, file, schema, pages)


def _require(number: int, group: Sequence[ColumnPages]) -> None:
    most, size = max((page.values for page in group), default=0), sum(page.bytes for page in group)
    if most > MOST_VALUES:
        raise DamagedData(f"row group {number} has a column of {most} values: over {MOST_VALUES}")
    if size > MOST_GROUP_BYTES:
        raise DamagedData(f"row group {number} has {size} bytes, more than {MOST_GROUP_BYTES}")


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns what pyarrow raises into `DamagedData`."""
    try:
        yield
    except DamagedData as error:
        raise DamagedData(f"{name}: {error}") from error
    except (pa.ArrowException, ValueError, OSError, MemoryError) as error:
        raise DamagedData(f"{name} is no readable Parquet file: {error}") from error


def _pieces(batch: Any, schema: pa.Schema, names: Sequence[str]) -> Iterator[tuple[Any, int]]:
    """The rows of a batch as plain columns, at most 64 MiB (or one row) at a time, with sizes."""
    if not batch.num_rows:
        return
    fields = pa.schema([schema.field(name) for name in names])
    columns = [batch.column(name) for name in names]
    sizes = np.sum([_row_bytes(column) for column in columns], axis=0)
    if int(sizes.max()) > MOST_ROW_BYTES:
        raise DamagedData(f"a row has {int(sizes.max())} bytes, more than {MOST_ROW_BYTES}")
    start = 0
    while start < len(sizes):
        reach = np.cumsum(sizes[start : start + PIECE_ROWS])
        count = max(1, int(np.searchsorted(reach, PIECE_BYTES, side="right")))
        arrays = [_plain(column.slice(start, count)) for column in columns]
        part = pa.RecordBatch.from_arrays(arrays, schema=fields)
        part.validate(full=True)
        yield part, int(reach[count - 1])
        start += count


def _row_bytes(column: Any) -> NDArray[np.int64]:
    """What each row takes once its texts are spelled out, shape (n,)."""
    if pa.types.is_dictionary(column.type):
        lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy()
        codes = pc.drop_null(column.indices).to_numpy()
        # Arrow checks this where it spells texts out, not where it hands out dictionaries.
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < len(lengths):
            raise DamagedData(f"a text names entry {int(codes.max())} of {len(lengths)}")
        sizes = np.zeros(len(column), dtype=np.int64)
        sizes[column.is_valid().to_numpy(zero_copy_only=False)] = lengths[codes]
        return sizes
    if pa.types.is_list(column.type):
        offsets = column.offsets.to_numpy()
        values = column.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
        reach = np.concatenate([[0], np.cumsum(_row_bytes(values))])
        return np.asarray(np.diff(reach[offsets - offsets[0]]), np.int64)
    return np.full(len(column), max(1, column.type.bit_width // 8), dtype=np.int64)


def _plain(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    if pa.types.is_list(column.type) and pa.types.is_dictionary(column.type.value_type):
        return column.cast(pa.list_(column.type.value_field.with_type(pa.string())))
    return column
