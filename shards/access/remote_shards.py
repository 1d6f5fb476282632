"""The shards of a dataset elsewhere: whole in the cache, or by range where they do not fit.

Method: for each window, shards are taken whole as far as they fit into the cache together, and
then those of the next window; threads fetch them in that order while the trainer reads. A shard
that does not fit (or that other processes leave no room for) is read by range: the stretches of
the window are fetched in few joined requests and kept in an unnamed temporary file until the
window ends. Indexes go through the cache too; once mapped they may be removed from it, and
where the cache is full they are mapped from a nameless file beside it.
Cost: each byte is fetched once per stay in the cache and checked by SHA-256; by range, 5% more
than is used. Limits: what comes by range is checked sample by sample, by id and code digest.
"""

from __future__ import annotations

import os
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.storage import RangedFile
from shards.access.cache import CacheOptions, ShardCache
from shards.access.index_map import MappedIndex
from shards.access.remote_store import Store, opener
from shards.access.shard_files import LocalTar, Need, OpenTar, Span
from shards.format import ShardFacts, layout
from xtrove.core import CacheFull, CacheItem, DamagedData, Lease


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A dataset elsewhere, once its manifest was read."""

    store: Store
    sums: Mapping[str, str]
    """SHA-256 by path, from SHA256SUMS."""


_PIECE: Final = 4 << 20
_MOST_ROW_BYTES: Final = 1024
_MOST_HEAD_BYTES: Final = 1 << 20
"""A row of an index takes about 170 bytes. Past the cache's limit indexes are fetched all the
same, so that they must be bounded by what they can hold."""


class RangedTar:
    """A tar that is read by range; a window's stretches are fetched once, into a nameless file."""

    def __init__(self, file: RangedFile, name: str, spans: Sequence[Span], folder: Path) -> None:
        self._file = file
        self._name = name
        # It lives as long as this tar: `close` closes it.
        self._kept = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._starts: list[int] = []
        self._spans: list[tuple[int, int]] = []
        """Where each stretch ends, and where it lies in the file."""
        try:
            for start, stop in spans:
                self._keep(start, stop)
        except BaseException:
            self.close()
            raise

    def read(self, offset: int, size: int) -> bytes:
        """See `shard_files.OpenTar`."""
        stretch = bisect_right(self._starts, offset) - 1
        if stretch >= 0 and offset + size <= self._spans[stretch][0]:
            at = self._spans[stretch][1] + offset - self._starts[stretch]
            data: bytes | None = os.pread(self._kept.fileno(), size, at)
        else:
            self._file.seek(offset)
            data = self._file.read(size)
        if data is None or len(data) != size:
            raise DamagedData(f"{self._name} ends inside the {size} bytes at offset {offset}")
        return data

    def close(self) -> None:
        """See `shard_files.OpenTar`."""
        self._file.close()
        self._kept.close()

    def _keep(self, start: int, stop: int) -> None:
        self._file.seek(start)
        file_start = file_end = self._kept.seek(0, os.SEEK_END)
        while file_end - file_start < stop - start:
            file_end += self._kept.write(
                self._file.read(min(_PIECE, stop - start - file_end + file_start)) or b""
            )
        self._kept.flush()
        self._starts.append(start)
        self._spans.append((stop, file_start))


class RemoteShards:
    """Implements `shard_files.ShardFiles`."""

    def __init__(self, remote: Remote, shards: Sequence[ShardFacts], options: CacheOptions) -> None:
        self._remote = remote
        self._shards = shards
        self._options = options
        self._cache = ShardCache(options)
        self._whole: frozenset[int] | None = None
        self._needs: dict[int, Need] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[None]] = {}
        self._stop = threading.Event()

    def open_index(self, shard: int) -> MappedIndex:
        """See `ShardFiles`."""
        facts = self._shards[shard]
        path = layout.index_path(facts.path)
        request = self._index(facts)
        try:
            lease = self._cache.hold(request)
        except CacheFull:
            with self._cache.beside(request) as stream:
                return MappedIndex.of(stream, path, samples=facts.samples, tar_bytes=facts.bytes)
        try:
            return MappedIndex.open(lease.path, path, samples=facts.samples, tar_bytes=facts.bytes)
        finally:
            lease.close()

    def open_tar(self, shard: int, release: Callable[[], None]) -> OpenTar:
        """See `ShardFiles`."""
        facts = self._shards[shard]
        if self._whole is not None and shard not in self._whole:
            return self._by_range(shard)
        try:
            return CachedTar(self._cache.hold(self._tar(facts)), facts)
        except CacheFull:
            if self._whole is not None:
                return self._by_range(shard)
        # Out of any plan, what this reader holds itself is in its way.
        release()
        try:
            return CachedTar(self._cache.hold(self._tar(facts)), facts)
        except CacheFull:
            return self._by_range(shard)

    def prefetch(self, window: Sequence[Need], following: Sequence[int]) -> None:
        """See `ShardFiles`."""
        # The cache as the reader sees it while it reads window w:
        #
        #   |<----------------------- max_bytes ---------------------->|
        #   | shards of w, whole         | shards of w+1, fetched ahead |  rest of w: by range
        #
        # Window w is decided first, so that a shard of w+1 never pushes out one still in use.
        queue, left = [], self._options.max_bytes
        for shard in [need.shard for need in window]:
            if self._shards[shard].bytes <= left:
                queue.append(shard)
                left -= self._shards[shard].bytes
        self._whole = frozenset(queue)
        self._needs = {need.shard: need for need in window}
        for shard in following:
            if shard not in self._whole and self._shards[shard].bytes <= left:
                queue.append(shard)
                left -= self._shards[shard].bytes
        for shard, future in list(self._ahead.items()):
            if future.done() or (shard not in queue and future.cancel()):
                del self._ahead[shard]
        for shard in queue:
            if shard not in self._ahead:
                self._ahead[shard] = self._threads().submit(self._fetch_ahead, shard)

    def close(self) -> None:
        """See `ShardFiles`."""
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(
                max_workers=self._options.downloads, thread_name_prefix="shards"
            )
        return self._pool

    def _fetch_ahead(self, shard: int) -> None:
        # What fails here fails again, with its reason, when the shard is opened.
        facts = self._shards[shard]
        self._cache.hold(self._index(facts), self._stop.is_set).close()
        self._cache.hold(self._tar(facts), self._stop.is_set).close()

    def _by_range(self, shard: int) -> RangedTar:
        facts = self._shards[shard]
        file = self._remote.store.open(facts.path, facts.bytes, facts.sha256)
        need = self._needs.get(shard)
        spans = need.stretches() if need else ()
        return RangedTar(file, facts.path, spans, self._cache.folder())

    def _tar(self, facts: ShardFacts) -> CacheItem:
        return self._wanted(facts.path, facts.sha256, facts.bytes)

    def _index(self, facts: ShardFacts) -> CacheItem:
        path = layout.index_path(facts.path)
        size = self._remote.store.size(path)
        if size > facts.samples * _MOST_ROW_BYTES + _MOST_HEAD_BYTES:
            raise DamagedData(
                f"{path} has {size} bytes, too many for the index of {facts.samples} samples: it "
                "was not fetched"
            )
        return self._wanted(path, self._digest(path), size)

    def _wanted(self, path: str, sha256: str, size: int) -> CacheItem:
        return CacheItem(
            name=path,
            sha256=sha256,
            size=size,
            open=opener(self._remote.store, path, size, sha256),
        )

    def _digest(self, path: str) -> str:
        sha256 = self._remote.sums.get(path)
        if sha256 is None:
            raise DamagedData(f"{path} is not in {layout.CHECKSUMS}: publish the dataset again")
        return sha256


class CachedTar(LocalTar):
    """A tar of the cache, which keeps it from being removed."""

    def __init__(self, lease: Lease, facts: ShardFacts) -> None:
        super().__init__(facts.path, lease.descriptor)
        self._lease = lease

    def close(self) -> None:
        """See `shard_files.OpenTar`."""
        self._lease.close()
