"""The files behind a reader: tars and indexes of a dataset in a folder.

Method: a tar is opened once, compared with the manifest's length, and read with `pread`, so that
processes and threads share no position and no page of it counts as this process's memory.
Cost: 2 us a payload that the system has cached. Limits: at most `MAX_OPEN` tars stay open; the
content of a local tar is checked sample by sample (`shards.reader`), not by its digest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from shards import layout
from shards.dataset import DamagedShard
from shards.manifest import ShardFacts

MAX_OPEN: Final = 64
Span = tuple[int, int]
"""A half-open range of bytes in a tar."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A shard that a window reads from, and the stretches it reads."""

    shard: int
    spans: Sequence[Span]


class OpenTar(Protocol):
    """A tar that can be read at any offset."""

    def read(self, offset: int, size: int) -> bytes:
        """Exactly so many bytes, or an error that names the shard."""

    def close(self) -> None:
        """Lets the file go."""


class ShardFiles(Protocol):
    """Where the shards of a reader come from."""

    def index_path(self, shard: int) -> Path:
        """The index of a shard, as a file on this machine that stays until `close`."""

    def open_tar(self, shard: int) -> OpenTar:
        """The tar of a shard."""

    def expect(self, window: Sequence[Need], following: Sequence[int]) -> None:
        """What is read from now on, and which shards the window after it needs."""

    def close(self) -> None:
        """Lets everything go."""


class LocalTar:
    """A tar on this machine."""

    def __init__(self, path: Path, facts: ShardFacts) -> None:
        self._name = facts.path
        self._descriptor = os.open(path, os.O_RDONLY)
        size = os.fstat(self._descriptor).st_size
        if size != facts.bytes:
            self.close()
            raise DamagedShard(
                f"{self._name} has {size} bytes, the manifest says {facts.bytes}: it is truncated "
                "or was replaced; run `xtrove verify`"
            )

    def read(self, offset: int, size: int) -> bytes:
        """See `OpenTar`."""
        data = os.pread(self._descriptor, size, offset)
        if len(data) != size:
            raise DamagedShard(f"{self._name} ends inside the {size} bytes at offset {offset}")
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
    """The shards of a dataset in a folder."""

    def __init__(self, base: Path, shards: Sequence[ShardFacts]) -> None:
        self._base = base
        self._shards = shards

    def index_path(self, shard: int) -> Path:
        """See `ShardFiles`; `UnsafePath` where it is missing or a link."""
        return layout.safe_file(self._base, layout.index_path(self._shards[shard].path))

    def open_tar(self, shard: int) -> LocalTar:
        """See `ShardFiles`; `UnsafePath` where it is missing or a link."""
        facts = self._shards[shard]
        return LocalTar(layout.safe_file(self._base, facts.path), facts)

    def expect(self, window: Sequence[Need], following: Sequence[int]) -> None:
        """See `ShardFiles`: the system reads ahead by itself."""

    def close(self) -> None:
        """See `ShardFiles`."""


class OpenTars:
    """The tars in use, opened when asked for; the least used are closed."""

    def __init__(self, opener: Callable[[int], OpenTar], most: int = MAX_OPEN) -> None:
        self._opener = opener
        self._most = most
        self._open: dict[int, OpenTar] = {}

    def get(self, shard: int) -> OpenTar:
        """The tar of a shard, by its number."""
        held = self._open.pop(shard, None)
        if held is None:
            while len(self._open) >= self._most:
                self._open.pop(next(iter(self._open))).close()
            held = self._opener(shard)
        self._open[shard] = held
        return held

    def close(self) -> None:
        """Closes all."""
        for tar in self._open.values():
            tar.close()
        self._open.clear()
