"""Indexes as a reader uses them: mapped, asked for a few rows at a time, and let go again.

Method: a Python memory map under Arrow's IPC reader, so that columns are NumPy views of the file
and nothing is read before it is asked for; `release` gives the pages back to the system, and
`Indexes` keeps a bounded number of maps open. Every row that is handed out was checked: its
text columns have their width, its span lies inside the tar.
Cost: 0.3 ms to open; about 60 bytes of pages a row that is planned or read.
Limits: `shards.format.index` checks a whole index, this module only the rows that are used.
"""

from __future__ import annotations

import mmap
import os
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shards.format import MAX_PAYLOAD_BYTES, index_batches
from xtrove.core import DamagedData

Rows = NDArray[np.int64]
_Number = TypeVar("_Number", np.int64, np.uint8)
_NUMBERS: Final = ("offset", "size", "tokens", "quality")
_WIDTHS: Final = {"key": 32, "query_group": 16, "code_sha256": 64}
_MIN_ROW_BYTES: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """One record batch as NumPy views."""

    rows: int
    numbers: dict[str, NDArray[np.int64]]
    texts: dict[str, tuple[NDArray[np.int32], NDArray[np.bytes_], int]]
    """Offsets, fixed-width values, and the offset the first value must have."""
    classes: Any


class MappedIndex:
    """One index; `DamagedData` where it is not what the manifest says, named by `name`."""

    def __init__(self, name: str, maps: mmap.mmap, blocks: Sequence[_Block], tar: int) -> None:
        self._name = name
        self._map: mmap.mmap | None = maps
        self._blocks = tuple(blocks)
        self._ends = np.cumsum([0, *(block.rows for block in blocks)]).astype(np.int64)
        self._tar_bytes = tar

    @classmethod
    def open(cls, path: Path, name: str, *, samples: int, tar_bytes: int) -> MappedIndex:
        """Maps the index of a shard of so many samples and bytes."""
        try:
            with path.open("rb") as stream:
                return cls.of(stream, name, samples=samples, tar_bytes=tar_bytes)
        except OSError as error:
            raise DamagedData(f"{name} cannot be read: {error}") from error

    @classmethod
    def of(cls, stream: IO[bytes], name: str, *, samples: int, tar_bytes: int) -> MappedIndex:
        """Maps an open file, which may be closed then."""
        size = os.fstat(stream.fileno()).st_size
        if size < samples * _MIN_ROW_BYTES or not size:
            raise DamagedData(f"{name}: {size} bytes cannot hold {samples} rows")
        try:
            maps = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            blocks = _blocks(maps, name)
        except DamagedData:
            raise
        except (pa.ArrowException, ValueError, OSError, EOFError, MemoryError) as error:
            raise DamagedData(f"{name} is no readable index: {error}") from error
        rows = sum(block.rows for block in blocks)
        if rows != samples:
            raise DamagedData(f"{name} has {rows} rows, the manifest says {samples}")
        return cls(name, maps, blocks, tar_bytes)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def numbers(self, column: str, rows: Rows) -> NDArray[np.int64]:
        """`tokens`, `quality`, `offset` or `size` of these rows, shape (n,)."""
        values = np.empty(len(rows), dtype=np.int64)
        for block, where, local in self._split(rows):
            values[where] = block.numbers[column][local]
        return values

    def texts(self, column: str, rows: Rows) -> NDArray[np.bytes_]:
        """`key`, `query_group` or `code_sha256` of these rows, shape (n,), fixed width."""
        width = _WIDTHS[column]
        texts = np.empty(len(rows), dtype=f"S{width}")
        for block, where, local in self._split(rows):
            offsets, block_texts, first = block.texts[column]
            if not np.array_equal(offsets[local].astype(np.int64), first + local * width):
                raise DamagedData(f"{self._name}: a {column} is not {width} characters long")
            texts[where] = block_texts[local]
        return texts

    def hashes(self, column: str, rows: Rows) -> NDArray[np.uint64]:
        """The first 16 hex digits of `query_group` or `code_sha256` as numbers, shape (n,)."""
        return _numbers_of(self.texts(column, rows), f"{self._name}: {column}")

    def spans(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Offsets and sizes of these rows' payloads; every one lies inside the tar."""
        offsets, sizes = self.numbers("offset", rows), self.numbers("size", rows)
        wrong = (sizes < 0) | (sizes > MAX_PAYLOAD_BYTES) | (offsets < 0)
        wrong |= offsets > self._tar_bytes - np.where(wrong, 0, sizes)
        if wrong.any():
            bad_row = int(np.flatnonzero(wrong)[0])
            raise DamagedData(
                f"{self._name}: row {int(rows[bad_row])} spans {int(sizes[bad_row])} bytes at "
                f"{int(offsets[bad_row])}, outside a tar of {self._tar_bytes}"
            )
        return offsets, sizes

    def chosen(self, min_quality: int, classes: Sequence[str] | None) -> NDArray[np.bool_]:
        """Which rows have that quality and one of the licence classes, shape (rows,)."""
        parts = [np.empty(0, dtype=bool)]
        for block in self._blocks:
            try:
                # Offsets that lead out of the file would be followed.
                block.classes.validate(full=True)
            except pa.ArrowException as error:
                raise DamagedData(f"{self._name}: license_class: {error}") from error
            fits = block.numbers["quality"] >= min_quality
            if classes is not None:
                accepted = pa.array(list(classes), type=pa.string())
                is_accepted = pc.is_in(block.classes, value_set=accepted).cast(pa.uint8())
                fits &= _fixed_numbers(is_accepted, np.uint8) != 0
            parts.append(fits)
        return np.concatenate(parts)

    def release(self) -> None:
        """Gives the pages that were touched back; they are read again when needed."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Lets the map go; it ends when the last view of it does."""
        self._blocks, self._map = (), None

    def _split(self, rows: Rows) -> list[tuple[_Block, Any, Rows]]:
        """The rows by block: the block, where in the answer, and the rows in the block."""
        if len(self._blocks) == 1:
            return [(self._blocks[0], slice(None), rows)]
        block = np.searchsorted(self._ends, rows, side="right") - 1
        split = []
        for number in np.unique(block).tolist():
            where = np.flatnonzero(block == number)
            split.append((self._blocks[number], where, rows[where] - self._ends[number]))
        return split


def _numbers_of(texts: NDArray[np.bytes_], what: str) -> NDArray[np.uint64]:
    width = texts.dtype.itemsize
    digits = np.ascontiguousarray(texts).view(np.uint8).reshape(-1, width)[:, :16]
    values = _HEX[digits]
    if (values > 15).any():
        raise DamagedData(f"{what} is not hexadecimal")
    pairs = np.ascontiguousarray((values[:, 0::2] << 4) | values[:, 1::2])
    numbers: NDArray[np.uint64] = pairs.view(">u8").reshape(-1).astype(np.uint64)
    return numbers


def _hex_table() -> NDArray[np.uint8]:
    table = np.full(256, 255, dtype=np.uint8)
    for value, digit in enumerate(b"0123456789abcdef"):
        table[digit] = value
    return table


_HEX: Final = _hex_table()


def _blocks(maps: mmap.mmap, name: str) -> list[_Block]:
    return [_block(batch, name) for batch in index_batches(pa.py_buffer(maps), name)]


def _block(batch: Any, name: str) -> _Block:
    batch.validate()
    if any(column.null_count for column in batch.columns):
        raise DamagedData(f"{name} holds nulls")
    return _Block(
        rows=batch.num_rows,
        numbers={name: _fixed_numbers(batch.column(name), np.int64) for name in _NUMBERS},
        texts={column: _fixed(batch.column(column), column, name) for column in _WIDTHS},
        classes=batch.column("license_class"),
    )


def _fixed_numbers(column: Any, kind: type[_Number]) -> NDArray[_Number]:
    """A view of a column without nulls. Arrow's own `to_numpy` would import pandas (0.3 s)."""
    _, data = column.buffers()
    if not len(column):
        return np.empty(0, dtype=kind)
    start = column.offset * np.dtype(kind).itemsize
    view: NDArray[_Number] = np.frombuffer(data, dtype=kind, count=len(column), offset=start)
    return view


def _fixed(column: Any, label: str, name: str) -> tuple[NDArray[np.int32], NDArray[np.bytes_], int]:
    width, count = _WIDTHS[label], len(column)
    _, offsets, data = column.buffers()
    if not count:
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=f"S{width}"), 0
    starts = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + count + 1]
    first = int(starts[0])
    if first < 0 or data is None or data.size < first + count * width:
        raise DamagedData(f"{name}: column {label} is shorter than its rows")
    return starts, np.frombuffer(data, dtype=f"S{width}", count=count, offset=first), first


def open_files() -> int:
    """How many indexes (and as many tars) may be open: each holds a file descriptor."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, min(512, soft // 4)) if soft > 0 else 512


class Indexes:
    """The indexes of many shards, opened when asked for; the least used are let go."""

    def __init__(self, opener: Callable[[int], MappedIndex], most: int | None = None) -> None:
        self._opener = opener
        self._most = open_files() if most is None else most
        self._open: dict[int, MappedIndex] = {}

    def get(self, shard: int) -> MappedIndex:
        """The index of a shard, by its number."""
        index = self._open.pop(shard, None)
        if index is None:
            while len(self._open) >= self._most:
                self._open.pop(next(iter(self._open))).close()
            index = self._opener(shard)
        self._open[shard] = index
        return index

    def release(self) -> None:
        """Gives the pages of all open indexes back."""
        for index in self._open.values():
            index.release()

    def close(self) -> None:
        """Lets all maps go."""
        for index in self._open.values():
            index.close()
        self._open.clear()
