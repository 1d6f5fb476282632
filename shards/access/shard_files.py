"""The files behind a reader: tars and indexes of a dataset in a folder.

Method: a tar is opened once a window, compared with the manifest's length, and read with
`pread`, so that processes and threads share no position and no page of it counts as this
process's memory. The system is told which stretches a window reads.
Cost: 2 us a payload that the system has cached. Limits: a quarter of the files that a process
may open; the content of a local tar is checked sample by sample (`shards.loader.fetch_samples`),
not by its digest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shards.access.index_map import MappedIndex, open_files
from shards.format import ShardFacts, layout
from xtrove.core import DamagedData

_GAP: Final = 64 << 10
Span = tuple[int, int]
"""A half-open range of bytes in a tar."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A shard that a window reads from, and where; arrays of shape (n,)."""

    shard: int
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def stretches(self) -> list[Span]:
        """Ranges that hold all payloads, ascending, with no gap over 64 KiB inside."""
        order = np.argsort(self.offsets, kind="stable")
        starts, stops = self.offsets[order], self.offsets[order] + self.sizes[order]
        reach = np.maximum.accumulate(stops)
        new = np.flatnonzero(starts[1:] > reach[:-1] + _GAP) + 1
        first = np.concatenate([[0], new])
        last = np.concatenate([new - 1, [len(starts) - 1]])
        return list(zip(starts[first].tolist(), reach[last].tolist(), strict=True))


class OpenTar(Protocol):
    """A tar that can be read at any offset."""

    def read(self, offset: int, size: int) -> bytes:
        """Exactly so many bytes, or an error that names the shard."""

    def close(self) -> None:
        """Lets the file go."""


class ShardFiles(Protocol):
    """Where the shards of a reader come from."""

    def open_index(self, shard: int) -> MappedIndex:
        """The index of a shard, by its number."""

    def open_tar(self, shard: int, release: Callable[[], None]) -> OpenTar:
        """The tar of a shard; `release` lets go of all others that are open."""

    def prefetch(self, window: Sequence[Need], following: Sequence[int]) -> None:
        """What is read from now on, in order, and which shards are needed after it."""

    def close(self) -> None:
        """Lets everything go."""


class LocalTar:
    """A tar on this machine, with the descriptor that reads it."""

    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, facts: ShardFacts) -> LocalTar:
        """Opens a tar. `DamagedData` where it has not the length of the manifest."""
        tar = cls(facts.path, os.open(path, os.O_RDONLY))
        size = os.fstat(tar._descriptor).st_size
        if size != facts.bytes:
            tar.close()
            raise DamagedData(
                f"{facts.path} has {size} bytes, the manifest says {facts.bytes}: it is truncated "
                "or was replaced; run `xtrove verify`"
            )
        return tar

    def read(self, offset: int, size: int) -> bytes:
        """See `OpenTar`."""
        data = os.pread(self._descriptor, size, offset)
        if len(data) != size:
            raise DamagedData(f"{self._name} ends inside the {size} bytes at offset {offset}")
        return data

    def will_need(self, spans: Sequence[Span]) -> None:
        """Tells the system what will be read, so that it reads ahead."""
        if hasattr(os, "posix_fadvise"):
            for start, stop in spans:
                os.posix_fadvise(self._descriptor, start, stop - start, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """See `OpenTar`."""
        os.close(self._descriptor)


class LocalShards:
    """The shards of a dataset in a folder; implements `ShardFiles`."""

    def __init__(self, base: Path, shards: Sequence[ShardFacts]) -> None:
        self._base = base
        self._shards = shards
        self._needs: dict[int, Need] = {}

    def open_index(self, shard: int) -> MappedIndex:
        """See `ShardFiles`; `DamagedData` where it is missing or a link."""
        facts = self._shards[shard]
        name = layout.index_path(facts.path)
        return MappedIndex.open(
            layout.safe_file(self._base, name),
            name,
            samples=facts.samples,
            tar_bytes=facts.bytes,
        )

    def open_tar(self, shard: int, release: Callable[[], None]) -> LocalTar:
        """See `ShardFiles`; `DamagedData` where it is missing or a link."""
        facts = self._shards[shard]
        tar = LocalTar.open(layout.safe_file(self._base, facts.path), facts)
        need = self._needs.pop(shard, None)
        if need is not None:
            tar.will_need(need.stretches())
        return tar

    def prefetch(self, window: Sequence[Need], following: Sequence[int]) -> None:
        """See `ShardFiles`."""
        self._needs = {need.shard: need for need in window}

    def close(self) -> None:
        """See `ShardFiles`."""


class OpenTars:
    """The tars in use, opened when asked for; the least used are closed."""

    def __init__(self, files: ShardFiles, most: int | None = None) -> None:
        self._files = files
        self._most = open_files() if most is None else most
        self._open: dict[int, OpenTar] = {}

    def get(self, shard: int) -> OpenTar:
        """The tar of a shard, by its number."""
        tar = self._open.get(shard)
        if tar is None:
            while len(self._open) >= self._most:
                self._open.pop(next(iter(self._open))).close()
            tar = self._open[shard] = self._files.open_tar(shard, self.close)
        return tar

    def close(self) -> None:
        """Closes all."""
        for tar in self._open.values():
            tar.close()
        self._open.clear()
