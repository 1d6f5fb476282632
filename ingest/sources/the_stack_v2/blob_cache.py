"""Keep fetched blobs on a disk, up to a number of bytes, for many processes at once.

Method: a blob lies under `ab/cdef...`, named by its id and compressed as it came; whoever reads it
verifies it, so that a torn file is only a miss. Nobody counts the whole folder: ids are hashes,
so the limit is split evenly over groups of ids by their first digits (as many groups as leave
`GROUP_BYTES` each, at most 256), each a `xtrove.core.DiskCache` with `put` and `get`.
Cost: that of `DiskCache`; a look lists one group (20,000 entries: 0.2 s), which is 0.3 ms a put
in a full cache of 20 GB.
Limits: a group passes its share before a look in 1 of 120 cases, and by a tenth in 1 of 3,000.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

from ingest.errors import SourceError
from xtrove.core import DiskCache, private_folder

GROUP_BYTES = 16_000_000
_DIGITS = "0123456789abcdef"


class BlobCache:
    """A folder of blobs. `open` makes it; ids must be checked before (40 hex digits)."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._digits = max(n for n in (0, 1, 2) if not n or limit // 16**n >= GROUP_BYTES)
        share = limit // 16**self._digits
        names = map("".join, product(_DIGITS, repeat=self._digits))
        self._groups = {name: DiskCache(folder / name, share) for name in names}

    @classmethod
    def open(cls, folder: str, limit: int) -> BlobCache:
        """The cache in a folder, made if it is not there. Raises `SourceError` if it cannot be."""
        root = Path(folder)
        made = cls(root, limit)
        try:
            private_folder(root)
            for group in made._groups.values():
                group.folder()
            if not os.access(root, os.W_OK | os.X_OK):
                raise PermissionError("not writable")
        except OSError as error:
            raise SourceError(
                "the folder for fetched blobs cannot be used",
                value=f"{folder} ({error.strerror or error})",
                remedy="Name a folder that every worker may write under `blobs.cache`.",
            ) from error
        return made

    def get(self, blob_id: str, cap: int) -> bytes | None:
        """What was kept for a blob, of at most `cap` bytes; None if there is nothing."""
        return self._group(blob_id).get(blob_id[self._digits :], cap)

    def put(self, blob_id: str, data: bytes) -> None:
        """Keep a blob, if the disk lets us."""
        self._group(blob_id).put(blob_id[self._digits :], data)

    def drop(self, blob_id: str) -> None:
        """Forget a blob that turned out to be damaged."""
        self._group(blob_id).drop(blob_id[self._digits :])

    def _group(self, blob_id: str) -> DiskCache:
        return self._groups[blob_id[: self._digits]]
