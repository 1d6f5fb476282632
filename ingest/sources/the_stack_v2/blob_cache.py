"""Keep fetched blobs on a disk, up to a number of bytes, for many processes at once.

Method: a blob lies under `ab/cdef...`, named by its id and compressed as it came; it is written
beside its place and renamed into it, and whoever reads it verifies it, so that a torn file is
only a miss. The least recently used (by mtime, which a hit renews) go first. Nobody counts the
whole folder: ids are hashes, so the limit is split evenly over groups of ids by their first
digits (as many groups as leave `GROUP_BYTES` each, at most 256), and a writer looks through one
group about once in `1 / CHECKS` of its share, by chance, so that it holds for any number of
short-lived writers without a common count. Over 85% of its share a group is cut to 70%, under
a lock that no one waits for.
Cost: 30 microseconds a hit, 140 a put; a look lists one group (20,000 entries: 0.2 s), which is
0.3 ms a put in a full cache of 20 GB.
Limits: a group passes its share before a look in 1 of 120 cases, and by a tenth in 1 of 3,000;
entries are not synced; a full disk only means that nothing more is kept.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ingest.errors import SourceError
from ingest.files import open_regular, read_up_to
from xtrove.core import LockHeld, hold_lock, private_folder, write_file

GROUP_BYTES = 16_000_000
CHECKS = 32
TRIGGER, TARGET = 0.85, 0.7
_DIGITS = "0123456789abcdef"
_STALE_S = 3600
_TOUCH_S = 60


class BlobCache:
    """A folder of blobs. `open` makes it; ids must be checked before (40 hex digits)."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._digits = _group_digits(limit)
        self._share = limit // 16**self._digits

    @classmethod
    def open(cls, folder: str, limit: int) -> BlobCache:
        """The cache in a folder, made if it is not there. Raises `SourceError` if it cannot be."""
        root = Path(folder)
        try:
            private_folder(root)
            for name in (one + two for one in _DIGITS for two in _DIGITS):
                (root / name).mkdir(parents=True, exist_ok=True)
            if not os.access(root / "00", os.W_OK | os.X_OK):
                raise PermissionError("not writable")
        except OSError as error:
            raise SourceError(
                "the folder for fetched blobs cannot be used",
                value=f"{folder} ({error.strerror or error})",
                remedy="Name a folder that every worker may write under `blobs.cache`.",
            ) from error
        return cls(root, limit)

    def get(self, blob_id: str, cap: int) -> bytes | None:
        """What was kept for a blob, of at most `cap` bytes; None if there is nothing."""
        path = self._path(blob_id)
        try:
            with open_regular(str(path)) as file:
                data = read_up_to(file, cap + 1)
                if time.time() - os.fstat(file.fileno()).st_mtime > _TOUCH_S:
                    os.utime(file.fileno())
        except (OSError, ValueError):
            return None
        return data if len(data) <= cap else None

    def put(self, blob_id: str, data: bytes) -> None:
        """Keep a blob, if the disk lets us."""
        path = self._path(blob_id)
        try:
            write_file(path, data, durable=False)
        except OSError:
            return
        if random.random() * self._share < len(data) * CHECKS:
            self.trim(blob_id)

    def drop(self, blob_id: str) -> None:
        """Forget a blob that turned out to be damaged."""
        with suppress(OSError):
            self._path(blob_id).unlink()

    def trim(self, blob_id: str) -> None:
        """Bring the group of a blob back under its share, unless another process does."""
        group = blob_id[: self._digits]
        with suppress(OSError, LockHeld), hold_lock(self._folder / f".lock-{group or 'all'}"):
            entries = sorted(self._entries(group))
            filled = sum(size for _, _, size in entries)
            if filled <= TRIGGER * self._share:
                return
            for _, path, size in entries:
                if filled <= TARGET * self._share:
                    return
                with suppress(OSError):
                    Path(path).unlink()
                filled -= size

    def _entries(self, group: str) -> Iterator[tuple[int, str, int]]:
        """Time of last use, path and size of each entry; drafts left by the dead are removed."""
        now = time.time()
        for name in (one + two for one in _DIGITS for two in _DIGITS):
            if not name.startswith(group):
                continue
            with suppress(OSError), os.scandir(self._folder / name) as found:
                for entry in found:
                    with suppress(OSError):
                        facts = entry.stat(follow_symlinks=False)
                        if not entry.name.startswith("."):
                            yield facts.st_mtime_ns, entry.path, facts.st_size
                        elif now - facts.st_mtime > _STALE_S:
                            Path(entry.path).unlink()

    def _path(self, blob_id: str) -> Path:
        return self._folder / blob_id[:2] / blob_id[2:]


def _group_digits(limit: int) -> int:
    return max(digits for digits in (0, 1, 2) if not digits or limit // 16**digits >= GROUP_BYTES)
