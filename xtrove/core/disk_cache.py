"""Caches on a disk: a folder with a byte limit that threads and processes share.

Method: an entry is a file or a folder named by 32 to 64 hex digits, whole or not there. Its time
of last use is its mtime; when there is too much, what was used longest ago goes, under one lock of
the folder, unless somebody holds it: a `Lease` (a shared lock on the file), or a lock file
`<key>.lock` beside a folder that changes. Other names are neither counted nor touched.
- `hold` fetches a file whose SHA-256 is known into `<key>.part`, which is as long as the file will
  be (so that it counts), checks, syncs and renames it. A part that nobody holds was left by a
  process that died, and goes first.
- `new_folder` makes a folder (`xtrove.core.atomic`), with a lock on the temporary one.
- `put` and `get` are for small files that the reader verifies: they are not synced, a full disk
  only means that nothing more is kept, and a writer looks through the folder by chance, about
  once in `1 / CHECKS` of the limit, from 85% down to 70% of it.
Temporary names of the dead are removed an hour later.

Cost: 30 microseconds a `get`, 140 a `put`; a look through the folder for each file that is fetched
or folder that is made. Limits: `flock` keeps what is held (Linux, macOS, network file systems
that have it); bytes are those of files, not blocks.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import re
import shutil
import stat
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, BinaryIO, Final, Literal

from xtrove.core.atomic import new_folder, sync_path, write_file
from xtrove.core.errors import XtroveError
from xtrove.core.folders import private_folder
from xtrove.core.lock import LockHeld, hold_lock, take_lock

CHECKS: Final = 32
STALE_S: Final = 3600.0
_PIECE: Final = 4 << 20
_TRIGGER: Final = 0.85
_TARGET: Final = 0.7
_TOUCH_S: Final = 60
_POLL_S: Final = 0.02
_SLOWEST: Final = 50_000
_PATIENCE_S: Final = 900.0
_TRIES: Final = 2
_ENTRY: Final = re.compile(r"[0-9a-f]{32,64}(\.part)?")
_DRAFT: Final = re.compile(r"\.[0-9a-f]{32,64}\.[0-9a-f]{32}")
_LOCK: Final = "lock"


def cache_folder(*names: str) -> Path:
    """A folder below `$XTROVE_CACHE`, `$XDG_CACHE_HOME/xtrove` or `~/.cache/xtrove`; not made."""
    given = os.environ.get("XTROVE_CACHE")
    if given:
        return Path(given).expanduser().absolute().joinpath(*names)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "xtrove", *names).absolute()


class CacheFull(XtroveError):
    """No room: every entry that could go is in use."""


class WrongDigest(XtroveError):
    """What was fetched is not the file of that SHA-256."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheItem:
    """A file to fetch."""

    name: str
    """For messages."""
    sha256: str
    size: int
    open: Callable[[], BinaryIO]
    """The file at its source, from its first byte."""


class Lease:
    """A file of a cache that stays while this is open."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        _leases().add(self)

    def close(self) -> None:
        """Lets it go; it may be removed then."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@cache
def _leases() -> weakref.WeakSet[Lease]:
    """Those of this process. A forked child closes its copies, or their locks would stay."""
    leases: weakref.WeakSet[Lease] = weakref.WeakSet()

    def close() -> None:
        for lease in list(leases):
            lease.close()

    os.register_at_fork(after_in_child=close)
    return leases


class DiskCache:
    """One folder of entries and its limit in bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def folder(self) -> Path:
        """Where the entries lie; it is there, and closed to other users."""
        return private_folder(self._folder)

    def get(self, key: str, most_bytes: int) -> bytes | None:
        """A file of at most so many bytes; None if there is none that can be read."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self._folder / key, flags), "rb") as file:
                facts = os.fstat(file.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    return None
                data = file.read(most_bytes + 1)
                if time.time() - facts.st_mtime > _TOUCH_S:
                    os.utime(file.fileno())
        except OSError:
            return None
        return data if len(data) <= most_bytes else None

    def put(self, key: str, data: bytes) -> None:
        """Keeps a small file, if the disk lets us."""
        try:
            write_file(self._folder / key, data, durable=False)
        except OSError:
            return
        if random.random() * self._limit < len(data) * CHECKS:
            self.trim()

    def trim(self) -> None:
        """Makes room for many files to come, unless another process does."""
        with suppress(OSError, LockHeld), hold_lock(self._folder / _LOCK):
            self._cut(int(_TARGET * self._limit), "", unless=int(_TRIGGER * self._limit))

    def drop(self, key: str) -> None:
        """Forgets a file that turned out to be damaged."""
        with suppress(OSError):
            (self._folder / key).unlink()

    @contextmanager
    def new_folder(self, key: str) -> Iterator[Path]:
        """A folder to fill, an entry when the block ends well; one of another process stays."""
        self.folder()
        with new_folder(self._folder / key, existing="keep") as draft, ExitStack() as stack:
            descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            take_lock(descriptor)
            yield draft
        self.cut(keep=key)

    def cut(self, *, keep: str) -> None:
        """Removes what was used longest ago until the limit holds; `keep` always stays."""
        with hold_lock(self._folder / _LOCK, wait_s=math.inf):
            self._cut(self._limit, keep)

    def hold(self, item: CacheItem, stopped: Callable[[], bool] = lambda: False) -> Lease:
        """The file, fetched if it is not there.

        `CacheFull` where there is no room for it, `WrongDigest` where what was fetched twice is
        another file, `TimeoutError` where another process fetches it and never ends, `OSError`.
        """
        self.folder()
        deadline = time.monotonic() + _PATIENCE_S + item.size / _SLOWEST
        while True:
            lease = self._lease(item)
            if lease is not None:
                return lease
            part = self._locked_part(item)
            if part is not None:
                return self._fetched(item, part, stopped)
            if time.monotonic() > deadline or stopped():
                raise TimeoutError(f"{item.name}: another process is fetching it and never ends")
            time.sleep(_POLL_S)

    @contextmanager
    def beside(self, item: CacheItem) -> Iterator[IO[bytes]]:
        """A file without a name, for what must be had although there is no room; not counted."""
        with tempfile.TemporaryFile(dir=self.folder()) as stream:
            _checked(item, stream.fileno(), lambda: False)
            yield stream

    def _lease(self, item: CacheItem) -> Lease | None:
        path = self._folder / item.sha256
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        lease = Lease(descriptor, path)
        take_lock(descriptor, shared=True, wait=True)
        facts = os.fstat(descriptor)
        if facts.st_nlink == 0:
            lease.close()
            return None
        if facts.st_size != item.size:
            lease.close()
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        return lease

    def _locked_part(self, item: CacheItem) -> int | None:
        """The part, locked; None while another has it."""
        path = self._folder / f"{item.sha256}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        if take_lock(descriptor) and os.fstat(descriptor).st_nlink:
            # What another has just finished bears its final name by now, and this one is new.
            if not (self._folder / item.sha256).exists():
                return descriptor
            path.unlink(missing_ok=True)
        os.close(descriptor)
        return None

    def _fetched(self, item: CacheItem, part: int, stopped: Callable[[], bool]) -> Lease:
        lease = Lease(part, self._folder / f"{item.sha256}.part")
        try:
            with hold_lock(self._folder / _LOCK, wait_s=math.inf):
                os.ftruncate(part, 0)
                used = self._cut(self._limit - item.size, lease.path.name)
                if used + item.size > self._limit:
                    raise CacheFull(
                        f"{item.size} bytes do not fit beside {used} in use, of {self._limit}"
                    )
                os.ftruncate(part, item.size)
            _checked(item, part, stopped)
            sync_path(lease.path)
            lease.path.rename(self._folder / item.sha256)
        except BaseException:
            lease.path.unlink(missing_ok=True)
            lease.close()
            raise
        lease.path = self._folder / item.sha256
        take_lock(part, shared=True, wait=True)
        return lease

    def _cut(self, most: int, keep: str, *, unless: int = 0) -> int:
        """Removes the rests of the dead, and entries until there are at most so many bytes.

        Where all have no more than `unless`, none goes. Returns the bytes that are left.
        """
        entries = sorted(self._entries())
        total = sum(size for _, _, _, size in entries)
        for kind, used_ns, name, size in entries:
            if kind == "whole" and total <= max(most, unless):
                break
            unless = 0 if kind == "whole" else unless
            is_old = kind != "draft" or time.time() - used_ns / 1e9 > STALE_S
            if name != keep and is_old and self._removed(name, is_whole=kind == "whole"):
                total -= size
        return total

    def _entries(self) -> Iterator[tuple[Literal["draft", "part", "whole"], int, str, int]]:
        """Kind (in the order of removal), time of last use (ns), name and bytes of each."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                is_draft = _DRAFT.fullmatch(entry.name) is not None
                if not is_draft and not _ENTRY.fullmatch(entry.name):
                    continue
                with suppress(FileNotFoundError):
                    # It may have got its final name, or been given up, since it was listed.
                    facts = entry.stat(follow_symlinks=False)
                    size = 0 if is_draft else facts.st_size
                    if entry.is_dir(follow_symlinks=False) and not is_draft:
                        size = _folder_bytes(Path(entry.path))
                    is_part = entry.name.endswith(".part")
                    kind: Literal["draft", "part", "whole"] = "part" if is_part else "whole"
                    yield "draft" if is_draft else kind, facts.st_mtime_ns, entry.name, size

    def _removed(self, name: str, *, is_whole: bool) -> bool:
        """Whether the entry is gone now; it stays where somebody holds it."""
        path = self._folder / name
        side = self._folder / f"{name}.lock"
        try:
            with ExitStack() as stack:
                if side.exists():
                    stack.enter_context(hold_lock(side))
                descriptor = _opened(path)
                stack.callback(os.close, descriptor)
                if not take_lock(descriptor, unsupported=is_whole):
                    return False
                facts = os.fstat(descriptor)
                if facts.st_nlink and stat.S_ISDIR(facts.st_mode):
                    # No half of it is seen under its name.
                    doomed = path.with_name(f".{uuid.uuid4().hex}.{uuid.uuid4().hex}")
                    path.rename(doomed)
                    shutil.rmtree(doomed, ignore_errors=True)
                elif facts.st_nlink:
                    path.unlink()
        except (OSError, LockHeld):
            return False
        return True


def _opened(path: Path) -> int:
    # Over NFS a lock of its own needs a file that is open for writing.
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags)
    except (IsADirectoryError, PermissionError):
        return os.open(path, os.O_RDONLY | flags)


def _folder_bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


def _checked(item: CacheItem, target: int, stopped: Callable[[], bool]) -> None:
    """Fetches into a file; once more where it is not what it should be."""
    digest = ""
    for _ in range(_TRIES):
        digest = _copied(item, target, stopped)
        if digest == item.sha256:
            return
    raise WrongDigest(
        f"{item.name} has SHA-256 {digest}, the manifest says {item.sha256}: it is corrupt or was "
        "changed at its source"
    )


def _copied(item: CacheItem, target: int, stopped: Callable[[], bool]) -> str:
    """Fetches into a file; the SHA-256 of what came."""
    digest, offset = hashlib.sha256(), 0
    with item.open() as source:
        while offset < item.size:
            if stopped():
                raise InterruptedError(f"{item.name}: fetching was stopped")
            data = source.read(min(_PIECE, item.size - offset))
            if not data:
                break
            digest.update(data)
            view = memoryview(data)
            while view:
                written = os.pwrite(target, view, offset)
                view, offset = view[written:], offset + written
    return digest.hexdigest()
