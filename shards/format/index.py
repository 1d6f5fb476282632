"""The index of a shard: where each sample stands in the tar, and what a trainer plans by.

An Arrow IPC file beside the tar, memory-mapped by readers. `offset` is the byte offset of the
payload (not of its header), so that `tar[offset : offset + size]` is the sample's JSON.
Columns have fixed widths in bytes (32, 16 and 64 hex digits), so that `keys` is a
NumPy view of them without a copy. About 170 bytes a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shards.format.arrow_ipc import INDEX_SCHEMA, index_batches
from xtrove.core import DamagedData

__all__ = ["BATCH_ROWS", "INDEX_SCHEMA", "DamagedData", "Entry", "Index", "open_index"]

BATCH_ROWS: Final = 65_536
_WIDTHS: Final = {"key": 32, "query_group": 16, "code_sha256": 64}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row of an index."""

    key: str
    offset: int
    size: int
    tokens: int
    query_group: str
    quality: int
    license_class: str
    code_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """A memory-mapped index; pages are read as they are touched."""

    table: Any
    """The pyarrow.Table over the map."""
    keys: NDArray[np.bytes_]
    """The ids, shape (n,), dtype S32."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def entry(self, row: int) -> Entry:
        """One row. `DamagedData` where its text is not UTF-8."""
        try:
            return Entry(**self.table.slice(row, 1).to_pylist()[0])
        except UnicodeDecodeError as error:
            raise DamagedData(f"row {row} of an index is not UTF-8: {error}") from error

    def numbers(self, name: str) -> NDArray[np.int64]:
        """An integer column, shape (n,)."""
        column: NDArray[np.int64] = self.table.column(name).to_numpy()
        return column

    def first(self) -> str:
        """The first id; "" where there is none."""
        return bytes(self.keys[0]).decode("ascii", "replace") if len(self.keys) else ""

    def find(self, key: str) -> int | None:
        """The row of a key by binary search, or None."""
        key_bytes = key.encode("ascii", "replace")
        row = int(np.searchsorted(self.keys, key_bytes))
        return row if row < len(self.keys) and self.keys[row] == key_bytes else None


def _fixed_width(table: Any, name: str) -> NDArray[np.bytes_]:
    pieces = [_fixed(chunk, _WIDTHS[name], name) for chunk in table.column(name).chunks]
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate([*pieces, np.empty(0, dtype=f"S{_WIDTHS[name]}")])


def _fixed(chunk: Any, width: int, name: str) -> NDArray[np.bytes_]:
    count, start = len(chunk), chunk.offset
    _, offsets, data = chunk.buffers()
    if not count:
        return np.empty(0, dtype=f"S{width}")
    starts = np.frombuffer(offsets, dtype=np.int32)[start : start + count + 1]
    even = np.arange(count + 1, dtype=np.int64) * width + int(starts[0])
    if not np.array_equal(starts, even):
        raise DamagedData(f"column {name} has values that are not {width} characters long")
    view: NDArray[np.bytes_] = np.frombuffer(
        data, dtype=f"S{width}", count=count, offset=int(starts[0])
    )
    return view


def open_index(path: Path, *, full: bool = False) -> Index:
    """Maps the index at a path; `full` reads it whole to check every value.

    `DamagedData` where it is no Arrow file, of another schema, or its ids are not 32 characters.
    """
    try:
        with pa.memory_map(str(path)) as source:
            batches = index_batches(source.read_buffer(), path.name)
        table = pa.Table.from_batches(batches, schema=INDEX_SCHEMA)
        table.validate(full=full)
        nulls = any(column.null_count for column in table.columns)
    except DamagedData:
        raise
    except (pa.ArrowException, ValueError, OSError, EOFError) as error:
        raise DamagedData(f"{path.name} is no readable Arrow file: {error}") from error
    if nulls:
        raise DamagedData(f"{path.name} holds nulls")
    return Index(table=table, keys=_fixed_width(table, "key"))
