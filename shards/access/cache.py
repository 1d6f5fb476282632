"""Shards of other machines, kept here: a folder with a byte limit that processes share.

Method: a file is named by its SHA-256, so that datasets share it and a name says what it holds.
It is written under `<sha256>.part`, which is as long as the file will be (so that it counts),
checked, fsynced and renamed. Whoever reads a file holds a shared `flock` on it, whoever writes
one an exclusive lock on its part: a process that dies lets go of both. Room is made under one
lock of the folder, by removing what was used longest ago and nobody holds; a part nobody holds
was left by a process that died, and goes first.
Cost: a look through the folder for each file that is fetched. Limits: needs `flock` (Linux,
macOS; network file systems that have it); bytes are those of files, not blocks; other names
in the folder are neither counted nor touched.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, BinaryIO, Final

from shards.read import DamagedShard
from xtrove.core import private_folder, sync_path, take_lock

_NAME: Final = re.compile(r"[0-9a-f]{64}(\.part)?")
PIECE: Final = 4 << 20
_POLL_S: Final = 0.02
_SLOWEST: Final = 50_000
_PATIENCE_S: Final = 900.0
_TRIES: Final = 2


class CacheFull(Exception):
    """No room: every file that could go is in use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheOptions:
    """Where shards of other machines are kept, how much of them, and how they are fetched."""

    folder: Path | None = None
    """None for `$XDG_CACHE_HOME/xtrove` or `~/.cache/xtrove`."""
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

    def place(self) -> Path:
        """The folder."""
        if self.folder is not None:
            return self.folder
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xtrove"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A file to fetch."""

    name: str
    """For messages: the shard."""
    sha256: str
    size: int
    open: Callable[[], BinaryIO]
    """The file at its source, from its first byte."""


class Held:
    """A file of the cache that stays while this is open."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        _held().add(self)

    def close(self) -> None:
        """Lets it go; it may be removed then."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@cache
def _held() -> weakref.WeakSet[Held]:
    """What this process holds. A forked child closes its copies, or their locks would stay."""
    held: weakref.WeakSet[Held] = weakref.WeakSet()

    def close() -> None:
        for one in list(held):
            one.close()

    os.register_at_fork(after_in_child=close)
    return held


class ShardCache:
    """One cache folder; safe for threads and processes."""

    def __init__(self, options: CacheOptions) -> None:
        self._folder = options.place() / "shards"
        self._most = options.max_bytes

    def folder(self) -> Path:
        """Where the files lie; it is there."""
        return private_folder(self._folder)

    def hold(self, wanted: Wanted, stopped: Callable[[], bool] = lambda: False) -> Held:
        """The file, fetched if it is not there.

        `CacheFull` where there is no room for it, `DamagedShard` where what was fetched is not
        the file of that digest, whatever the source raises otherwise.
        """
        self.folder()
        deadline = time.monotonic() + _PATIENCE_S + wanted.size / _SLOWEST
        while True:
            held = self._there(wanted)
            if held is not None:
                return held
            part = self._locked_part(wanted)
            if part is not None:
                return self._fetched(wanted, part, stopped)
            if time.monotonic() > deadline or stopped():
                raise TimeoutError(f"{wanted.name}: another process is fetching it and never ends")
            time.sleep(_POLL_S)

    @contextmanager
    def beside(self, wanted: Wanted) -> Iterator[IO[bytes]]:
        """A file without a name, for what must be had although there is no room; not counted."""
        with tempfile.TemporaryFile(dir=self.folder()) as stream:
            _checked(wanted, stream.fileno(), lambda: False)
            yield stream

    def _there(self, wanted: Wanted) -> Held | None:
        path = self._folder / wanted.sha256
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        held = Held(descriptor, path)
        take_lock(descriptor, shared=True, wait=True)
        facts = os.fstat(descriptor)
        if facts.st_nlink == 0:
            held.close()
            return None
        if facts.st_size != wanted.size:
            held.close()
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        return held

    def _locked_part(self, wanted: Wanted) -> int | None:
        """The part, locked; None while another has it."""
        path = self._folder / f"{wanted.sha256}.part"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if take_lock(descriptor) and os.fstat(descriptor).st_nlink:
            # What another has just finished bears its final name by now, and this one is new.
            if not (self._folder / wanted.sha256).exists():
                return descriptor
            path.unlink(missing_ok=True)
        os.close(descriptor)
        return None

    def _fetched(self, wanted: Wanted, part: int, stopped: Callable[[], bool]) -> Held:
        held = Held(part, self._folder / f"{wanted.sha256}.part")
        try:
            with self._alone():
                self._make_room(wanted.size, keep=held.path.name)
                os.ftruncate(part, wanted.size)
            _checked(wanted, part, stopped)
            sync_path(held.path)
            held.path.rename(self._folder / wanted.sha256)
        except BaseException:
            held.path.unlink(missing_ok=True)
            held.close()
            raise
        held.path = self._folder / wanted.sha256
        take_lock(part, shared=True, wait=True)
        return held

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            take_lock(descriptor, wait=True)
            yield
        finally:
            os.close(descriptor)

    def _make_room(self, size: int, keep: str) -> None:
        """Removes files until one of this size fits; `CacheFull` where that cannot be."""
        files = self._files(keep)
        total = sum(length for _, _, _, length in files)
        for whole, _, name, _ in sorted(files):
            if whole and total + size <= self._most:
                break
            total -= _removed(self._folder / name)
        if total + size > self._most:
            raise CacheFull(f"{size} bytes do not fit beside {total} in use, of {self._most}")

    def _files(self, but: str) -> list[tuple[bool, int, str, int]]:
        """Each file: whether it is whole, when it was last used (ns), its name and length."""
        files = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not _NAME.fullmatch(entry.name) or entry.name == but:
                    continue
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    # It got its final name, or was given up, since it was listed.
                    continue
                whole = not entry.name.endswith(".part")
                files.append((whole, facts.st_mtime_ns, entry.name, facts.st_size))
        return files


def _removed(path: Path) -> int:
    """Bytes of the file that was removed; 0 where somebody holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        if not take_lock(descriptor, unsupported=False) or not os.fstat(descriptor).st_nlink:
            return 0
        path.unlink(missing_ok=True)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _checked(wanted: Wanted, target: int, stopped: Callable[[], bool]) -> None:
    """Fetches into a file; once more where it is not what it should be."""
    found = ""
    for _ in range(_TRIES):
        found = _copy(wanted, target, stopped)
        if found == wanted.sha256:
            return
    raise DamagedShard(
        f"{wanted.name} has SHA-256 {found}, the manifest says {wanted.sha256}: it is corrupt or "
        "was changed at its source"
    )


def _copy(wanted: Wanted, part: int, stopped: Callable[[], bool]) -> str:
    """Fetches into the part; the SHA-256 of what came."""
    digest, at = hashlib.sha256(), 0
    with wanted.open() as source:
        while at < wanted.size:
            if stopped():
                raise InterruptedError(f"{wanted.name}: fetching was stopped")
            data = source.read(min(PIECE, wanted.size - at))
            if not data:
                break
            digest.update(data)
            view = memoryview(data)
            while view:
                written = os.pwrite(part, view, at)
                view, at = view[written:], at + written
    return digest.hexdigest()
