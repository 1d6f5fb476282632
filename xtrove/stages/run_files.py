"""The run files of the extract stage: what one slice leaves for all later stages.

    items.npy      one RUN_ITEM a surviving pair, in rank order (row, start_byte)
    payload.bin    the encoded samples, one after the other; payload.npy their offsets (n + 1)
    shingles.npy   sorted 64-bit shingle hashes, one set after the other, for distinct codes only
    sets.npy       offsets of the sets (m + 1); RUN_ITEM.shingles says which set an item has
    bands.npy      BAND_ROW sorted by key; `item` is the position in items.npy
    drops.parquet  evidence of the documented functions that filters or decontamination refused,
                   sorted by id

Tables are memory-mapped by their readers; samples and shingles are read by offset.
Cost: about 130 bytes an item, plus its sample, 8 bytes a shingle and 24 bytes a band key.
"""

from __future__ import annotations

import functools
import json
import os
import struct
import weakref
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from xtrove.runtime import Workspace

U64 = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]

RUN_ITEM = np.dtype(
    [
        ("id", "<u8", (2,)),
        ("exact", "<u8", (2,)),
        ("query_group", "<u8"),
        ("repo", "<u8"),
        ("file", "<u8"),
        ("name", "<u8"),
        ("language", "u1"),
        ("split_repository", "u1"),
        ("split_path", "u1"),
        ("split_source", "u1"),
        ("size", "<u4"),
        ("tokens", "<u4"),
        ("shingles", "<u4"),
    ]
)
"""`id` and `exact` are big-endian halves as numbers, so that sorting them sorts the hex digits;
`name` is a number for the function's name (`dedupe.pair_rule`), `size` the length of the payload in
bytes, `tokens` those of the code."""
UNNAMED = 1 << 63
"""The bit of `repo` that marks a pair that names no repository: it is one by itself."""
PACKED_ITEM = struct.Struct("<8Q4B3I")
"""The fields of `RUN_ITEM` in their order: a slice collects its items as bytes, a seventh of the
memory of tuples, and nothing for the garbage collector to walk over."""


def halves(data: bytes) -> tuple[int, int]:
    """The two 64-bit halves of 16 bytes, most significant first."""
    return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:16], "big")


def hex_id(pair: npt.ArrayLike) -> str:
    """The 32 hex digits of an id stored as two halves."""
    high, low = (int(value) for value in np.asarray(pair))
    return f"{high:016x}{low:016x}"


def save(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Write one .npy file, never pickled."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def load(path: Path) -> npt.NDArray[np.generic]:
    """Memory-map one .npy file (an empty array cannot be mapped and is read)."""
    large = path.stat().st_size > 256
    array = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
    # A plain view: an element of np.memmap costs several times as much to look up.
    return np.asarray(array)


class Ragged:
    """Collects byte strings of different lengths into one file, and their offsets."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offsets = array("Q", (0,))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def append(self, data: bytes) -> int:
        """Append one string; returns its number."""
        self._file.write(data)
        self._offsets.append(self._offsets[-1] + len(data))
        return len(self) - 1

    def offsets(self) -> U64:
        """Offsets in bytes, one more than there are strings."""
        return np.array(self._offsets, dtype=np.uint64)


class Run:
    """One slice's run files. Tables are memory-mapped; samples and shingles are read where they
    stand, so that a reader's memory does not grow with what it has touched."""

    def __init__(self, folder: Path) -> None:
        self.items: Records = load(folder / "items.npy")  # type: ignore[assignment]
        self._payload = Reader(folder / "payload.bin", 0)
        self._shingles = Reader(folder / "shingles.npy", npy_start(folder / "shingles.npy"))
        self._payload_offsets = load(folder / "payload.npy")
        self._sets = load(folder / "sets.npy")

    def sample(self, index: int) -> bytes:
        """The encoded sample of an item."""
        start, stop = self._payload_offsets[index], self._payload_offsets[index + 1]
        return self._payload.read(int(start), int(stop) - int(start))

    def shingles_of(self, index: int) -> U64:
        """The sorted shingle hashes of an item."""
        number = int(self.items[index]["shingles"])
        start, stop = int(self._sets[number]), int(self._sets[number + 1])
        return np.frombuffer(self._shingles.read(8 * start, 8 * (stop - start)), dtype="<u8")


class Reader:
    """A file that is read at places; closed when nobody holds it any more."""

    def __init__(self, path: Path, start: int) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self._start = start
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset; `ValueError` where the file is shorter."""
        data = os.pread(self._descriptor, size, self._start + offset)
        if len(data) != size:
            raise ValueError(f"a run file ends before {self._start + offset + size} bytes")
        return data


def npy_start(path: Path) -> int:
    """Where the data of a .npy file starts."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        read(file)
        return file.tell()


@functools.lru_cache(maxsize=128)
def open_run(folder: str) -> Run:
    """The run files of one slice; the last 128 stay open (two descriptors each)."""
    return Run(Path(folder))


def hash_bounds(part: int, parts: int) -> tuple[int, int]:
    """The half-open range of 64-bit hashes of a part; the last ends at 2**64."""
    return (part << 64) // parts, ((part + 1) << 64) // parts


def rows_between(hashes: npt.NDArray[Any], low: int, high: int) -> slice:
    """Where the hashes of a half-open range stand in a sorted array."""
    start = int(np.searchsorted(hashes, np.uint64(low)))
    stop = int(np.searchsorted(hashes, np.uint64(high))) if high < 1 << 64 else len(hashes)
    return slice(start, stop)


def split_number(item: int) -> tuple[int, int]:
    """(ordinal of the slice in rank order, position in its run) of an item number: the ordinal
    stands in the high 32 bits, the position in the low ones."""
    return int(item) >> 32, int(item) & 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True, slots=True)
class RunName:
    """A run in rank order: its position in the list is the ordinal of its slice."""

    key: str
    source: str


class OpenRuns:
    """The run files of a round by the ordinal of their slice, opened when they are asked for."""

    def __init__(self, workspace: Workspace, runs: Sequence[RunName]) -> None:
        self._folders = [str(workspace.folder("extract", run.key)) for run in runs]

    def __getitem__(self, ordinal: int) -> Run:
        return open_run(self._folders[ordinal])


def read_runs(workspace: Workspace, name: str) -> list[RunName]:
    """The runs of a round, as the driver wrote them down, in rank order."""
    rows = json.loads(workspace.plan_path(name).read_bytes())
    return [RunName(key=key, source=source) for key, source in rows]


def open_items(workspace: Workspace, runs: list[RunName]) -> list[Records]:
    """The item tables of all runs, memory-mapped."""
    return [load(workspace.folder("extract", run.key) / "items.npy") for run in runs]  # type: ignore[misc]


def column(tables: list[Records], name: str) -> npt.NDArray[Any]:
    """One field of all items, in rank order."""
    return np.concatenate([np.ascontiguousarray(items[name]) for items in tables])
