"""Shards of other machines, kept here in a `xtrove.core.DiskCache`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from xtrove.core import CacheItem, DamagedData, DiskCache, Lease, WrongDigest, cache_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheOptions:
    """Where shards of other machines are kept, how much of them, and how they are fetched."""

    folder: Path | None = None
    """None for `xtrove.core.cache_folder()`."""
    max_bytes: int = 20_000_000_000
    """For all processes that share the folder."""
    downloads: int = 2
    """Shards fetched at the same time by one reader, ahead of their use."""

    def __post_init__(self) -> None:
        if self.max_bytes < 0 or self.downloads < 1:
            raise ValueError(
                f"a cache of {self.max_bytes} bytes with {self.downloads} downloads: "
                "max_bytes starts at 0, downloads at 1"
            )


class ShardCache(DiskCache):
    """The folder `shards` of a cache."""

    def __init__(self, options: CacheOptions) -> None:
        super().__init__((options.folder or cache_folder()) / "shards", options.max_bytes)

    def hold(self, item: CacheItem, stopped: Callable[[], bool] = lambda: False) -> Lease:
        """As `DiskCache.hold`, with `DamagedData` for a wrong digest."""
        try:
            return super().hold(item, stopped)
        except WrongDigest as error:
            raise DamagedData(str(error)) from None

    @contextmanager
    def beside(self, item: CacheItem) -> Iterator[IO[bytes]]:
        """As `DiskCache.beside`, with `DamagedData` for a wrong digest."""
        try:
            with super().beside(item) as stream:
                yield stream
        except WrongDigest as error:
            raise DamagedData(str(error)) from None
