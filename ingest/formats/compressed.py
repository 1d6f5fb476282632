"""Lines out of gzip files and zip members, read in place, in bounded memory.

Method: one decompressor on top of another, streamed; nothing is written to disk and no name
inside an archive is ever used as a path. The bytes of a gzip file are hashed on the way and
compared with its digest at the end; a zip file is known by the digest of its central directory
(which holds the checksum of each member, verified by `zipfile` at the member's end).
Cost: 46 MB/s of unpacked JSON lines a core, parsing included. Memory: one line and a few buffers.
Limits: `MAX_UNPACKED` bytes out of one stream, `MAX_DIRECTORY` bytes of central directory,
members that are stored or deflated and not encrypted. Compressed files cannot be cut into byte
ranges. Source: RFC 1952 (gzip), the PKWARE APPNOTE (zip).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from ingest.errors import ChangedInput, TransientFault, is_transient
from ingest.fault_text import fault_of
from ingest.formats.jsonl import LineReader
from ingest.records import Part
from ingest.storage import open_part
from ingest.transport import ReadLimits
from xtrove.core import XtroveError

MAX_UNPACKED = 4_000_000_000
MAX_DIRECTORY = 16 * 1024 * 1024
READ_AHEAD = 8 << 20
"""Bytes a remote file is read in at a time."""
EXPANSION = 4
"""What gzipped JSON lines are taken to unpack to, in multiples, for the size of slices."""
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
FAULTS = (
    *(zlib.error, gzip.BadGzipFile, EOFError, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError),
)
"""What the decompressors of the standard library raise for damaged bytes."""


Unpacking = gzip.GzipFile | zipfile.ZipExtFile


class BrokenStream(XtroveError):
    """A compressed stream cannot be read to its end; the message is the reason."""


class _OneWay(io.RawIOBase):
    """A stream that is read from start to end; readers that ask where they are get an answer."""

    def __init__(self) -> None:
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        if (offset, whence) != (self._at, 0):
            raise io.UnsupportedOperation("this stream is read from start to end")
        return self._at


class Capped(_OneWay):
    """A stream that may give at most `limit` bytes. Raises `BrokenStream` beyond."""

    def __init__(self, source: Unpacking, limit: int) -> None:
        super().__init__()
        self._source = source
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        # What was unpacked before a fault comes out first: `read` would lose it.
        data = self._source.read1(size if size >= 0 else 1 << 20)
        self._at += len(data)
        if self._at > self._limit:
            raise BrokenStream(f"unpacks to more than {self._limit} bytes")
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Hashed(_OneWay):
    """The bytes of a file on their way, with their SHA-256."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self._hash = hashlib.sha256()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        self._hash.update(data)
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)

    def finish(self) -> str:
        """SHA-256 (hex) of the whole file: what was not read yet is read now."""
        while data := self._source.read(1 << 20):
            self._hash.update(data)
        return self._hash.hexdigest()


def gzip_lines(part: Part, limits: ReadLimits | None = None) -> Iterator[bytes | None]:
    """The lines of a gzip file (see `ingest.formats.jsonl`), all of its members.

    Raises `BrokenStream` after the last good line, `ChangedInput` when the bytes are not those
    that were planned, `TransientFault`.
    """
    with faults(part), open_part(part, limits) as file:
        hashed = Hashed(file)
        raw = io.BufferedReader(hashed, READ_AHEAD)
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield from _lines(stream, MAX_UNPACKED)
        except (*FAULTS, BrokenStream) as error:
            compare(part, hashed)
            raise BrokenStream(_brief(error)) from error
        compare(part, hashed)


def zip_lines(part: Part, member: str, limits: ReadLimits | None = None) -> Iterator[bytes | None]:
    """The lines of a gzip file, or of a plain one, in a zip file; as `gzip_lines`."""
    with faults(part), open_zip(part, limits) as archive:
        try:
            with archive.open(checked_member(archive, member)) as packed:
                member_file = cast(zipfile.ZipExtFile, packed)
                if member.lower().endswith(".gz"):
                    capped = io.BufferedReader(Capped(member_file, MAX_UNPACKED))
                    with gzip.GzipFile(fileobj=cast(BinaryIO, capped)) as stream:
                        yield from _lines(stream, MAX_UNPACKED)
                else:
                    yield from _lines(member_file, MAX_UNPACKED)
        except (*FAULTS, KeyError) as error:
            raise BrokenStream(_brief(error)) from error


@contextmanager
def open_zip(part: Part, limits: ReadLimits | None = None) -> Iterator[zipfile.ZipFile]:
    """A zip file that was planned, its central directory compared. Raises `ChangedInput`."""
    with open_part(part, limits) as file:
        try:
            archive, digest = open_archive(file)
        except BrokenStream as error:
            raise ChangedInput(part.name) from error
        with archive:
            if digest != dict(part.meta)["directory"]:
                raise ChangedInput(part.name)
            yield archive


def open_archive(file: BinaryIO) -> tuple[zipfile.ZipFile, str]:
    """A zip file and the SHA-256 (hex) of its central directory. Raises `BrokenStream`."""
    buffered = io.BufferedReader(_SmallReads(file), READ_AHEAD)
    try:
        archive = zipfile.ZipFile(cast(BinaryIO, buffered))
        end = buffered.seek(0, io.SEEK_END)
        start = archive.start_dir
        if not 0 <= end - start <= MAX_DIRECTORY:
            raise BrokenStream(f"a central directory of {end - start} bytes")
        buffered.seek(start)
        return archive, hashlib.sha256(buffered.read(end - start)).hexdigest()
    except FAULTS as error:
        raise BrokenStream(f"unreadable zip file: {_brief(error)}") from error


def checked_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """A member that can be read. Raises `BrokenStream`, or `KeyError` if it is not there."""
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise BrokenStream("encrypted")
    if info.compress_type not in _PLAIN:
        raise BrokenStream(f"compression method {info.compress_type}, not stored or deflated")
    return info


def read_member(archive: zipfile.ZipFile, name: str, cap: int) -> bytes:
    """A member of at most `cap` bytes. Raises `BrokenStream`."""
    try:
        info = checked_member(archive, name)
        if info.file_size > cap:
            raise BrokenStream(f"{info.file_size} bytes, at most {cap} are read")
        with archive.open(info) as packed:
            data = packed.read(cap + 1)
    except (*FAULTS, KeyError) as error:
        raise BrokenStream(_brief(error)) from error
    if len(data) > cap:
        raise BrokenStream(f"unpacks to more than {cap} bytes")
    return data


class _SmallReads(io.RawIOBase):
    """A file of which no single read may be large: `zipfile` believes the sizes it is told."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._source.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset < 0:
            # The system would call it an invalid argument, which says nothing about the file.
            raise BrokenStream(f"unreadable zip file: something lies at offset {offset}")
        return self._source.seek(offset, whence)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if len(buffer) > MAX_DIRECTORY:
            raise BrokenStream(f"a directory of {len(buffer)} bytes, at most {MAX_DIRECTORY}")
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _lines(stream: Unpacking, limit: int) -> Iterator[bytes | None]:
    capped = io.BufferedReader(Capped(stream, limit), 1 << 20)
    yield from LineReader(cast(BinaryIO, capped), 0, sys.maxsize).lines()


def compare(part: Part, hashed: Hashed) -> None:
    """Raises `ChangedInput` when a file that was read is not the planned one."""
    if not is_planned(part, hashed.finish()):
        raise ChangedInput(part.name)


def is_planned(part: Part, sha256: str) -> bool:
    """Whether the digest of a file is the planned one; yes where that is no SHA-256."""
    digest = part.digest.removeprefix("sha256:")
    return ":" in digest or digest == sha256


@contextmanager
def faults(part: Part) -> Iterator[None]:
    """Errors of reading a file that was planned, as `TransientFault` or `ChangedInput`."""
    try:
        yield
    except OSError as error:
        if is_transient(error):
            raise TransientFault(part.name, str(error)) from error
        raise ChangedInput(part.name) from error


def _brief(error: BaseException) -> str:
    return str(error) if isinstance(error, BrokenStream) else fault_of(error)
