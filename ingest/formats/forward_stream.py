"""A stream that is read forward, with the seeks that `tarfile` makes on the way.

Method: a seek ahead reads and drops; a seek back is passed on where the stream can do it.
Cost: what lies between is read. Limits: one read of at most `MAX_READ` bytes, since the headers
of a tar state sizes that `tarfile` believes.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from ingest.formats.compressed import BrokenStream

MAX_READ = 16 * 1024 * 1024
_CHUNK = 1 << 20


class Forward:
    """Reads a stream forward. Raises `BrokenStream` for a read that is too large."""

    def __init__(self, source: BinaryIO, *, back: bool = False) -> None:
        self._source = source
        self._back = back
        self._at = 0
        self.last = b""
        """What the last read gave."""

    def tell(self) -> int:
        """Offset of the next byte."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, fewer only at the end."""
        if not 0 <= size <= MAX_READ:
            raise BrokenStream(f"a header asks for {size} bytes at once, at most {MAX_READ}")
        pieces: list[bytes] = []
        while size > 0:
            piece = self._source.read(min(size, _CHUNK))
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
            self._at += len(piece)
        self.last = b"".join(pieces)
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        """To an absolute offset; to the end of the stream if that comes first."""
        if whence != 0 or offset < 0 or (offset < self._at and not self._back):
            raise io.UnsupportedOperation("this stream is read forward only")
        if self._back:
            self._at = self._source.seek(offset)
        while self._at < offset:
            piece = self._source.read(min(offset - self._at, _CHUNK))
            if not piece:
                break
            self._at += len(piece)
        return self._at
