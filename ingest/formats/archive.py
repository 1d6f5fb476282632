"""Source files out of `.zip`, `.tar` and `.tar.gz`, read in place.

Method: one pass lists the members and digests those that are wanted; a worker reads them again
from the archive, a zip by name, a tar by offset, a compressed tar from its start. Nothing is
written to disk, and no name is used as a path: one that is absolute or holds `..`, a link, a
device and a member that stands twice are counted and not read. A single folder that holds
everything (as in the archives of GitHub) is left out of the names.
Cost: reading the archive once; of a compressed tar once more a slice. Memory: one member of
1 MB and the licence files. Limits: `MAX_MEMBERS`, `MAX_NOTICES` bytes of licence files,
`MAX_UNPACKED` bytes out of a compressed tar, central directories of 16 MB, no encryption.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from posixpath import relpath
from typing import Any, BinaryIO, Literal, cast

from ingest.fault_text import digest_of, fault_of
from ingest.files import (
    INVALID_PATH,
    MAX_FILE_BYTES,
    NOT_A_FILE,
    SYMLINK,
    TOO_LARGE,
    UNREADABLE,
    Found,
    excluded,
    open_regular,
    printable,
    skipped_folder,
)
from ingest.formats.compressed import (
    FAULTS,
    MAX_UNPACKED,
    BrokenStream,
    Capped,
    open_archive,
    read_member,
)
from ingest.formats.forward_stream import Forward
from ingest.languages import language_of
from ingest.licenses import MAX_NOTICE_BYTES, is_dep5, is_notice

Kind = Literal["zip", "tar", "tar.gz"]
MAX_MEMBERS = 500_000
MAX_NOTICES = 64 * 1024 * 1024
OUTSIDE = "outside_archive"
DOUBLE = "duplicate_member"


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A wanted member: `found` has its name without the folder around everything."""

    found: Found
    stored: str
    """Its name in the archive."""
    start: int
    """Offset of its bytes in the (unpacked) tar; 0 in a zip."""
    digest: str
    """SHA-256 (hex) of its bytes; "" where it is not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What an archive holds of the wanted languages, in the order it is best read in."""

    members: tuple[Member, ...]
    notices: dict[str, bytes]
    """Path -> bytes of the licence files and manifests."""
    broken: str
    """Why nothing after the last member could be read; "" for a whole archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Raw:
    name: str
    size: int
    start: int
    problem: str
    link: str = ""
    """Where a link points, relative to its folder, if its bytes do not say it."""


def archive_kind(path: str) -> Kind | None:
    """What kind of archive a path names."""
    name = path.lower()
    if name.endswith(".zip"):
        return "zip"
    if name.endswith((".tar.gz", ".tgz")):
        return "tar.gz"
    return "tar" if name.endswith(".tar") else None


def scan(path: str, kind: Kind, wanted: frozenset[str], exclude: Sequence[str]) -> Contents:
    """List and digest an archive.

    Raises `BrokenStream` when it cannot be opened at all, `OSError`.
    """
    listing = _Listing(wanted)
    broken = ""
    with ExitStack() as stack:
        archive = _opened(stack, path, kind)
        try:
            for raw in archive.members():
                listing.add(archive, raw)
        except BrokenStream as error:
            broken = str(error)
    return listing.finished(exclude, broken)


class _Listing:
    """What was seen of an archive so far."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._members: dict[str, Member] = {}
        self._doubles: list[Member] = []
        self._notices: dict[str, bytes] = {}
        self._count = self._bytes = 0

    def add(self, archive: _Zip | _Tar, raw: _Raw) -> None:
        """One more member. Raises `BrokenStream` when it is one too many."""
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise BrokenStream(f"more than {MAX_MEMBERS} members")
        name, problem = _checked(raw)
        leaf = name.rpartition("/")[2]
        hidden = any(map(skipped_folder, name.split("/")[:-1]))
        if problem != OUTSIDE and hidden and not is_dep5(name):
            return
        if is_notice(name) and problem in ("", SYMLINK) and raw.size <= MAX_NOTICE_BYTES:
            self._bytes += raw.size
            if self._bytes > MAX_NOTICES:
                raise BrokenStream(f"licence files of more than {MAX_NOTICES} bytes")
            self._notices[name] = _read_or_nothing(archive, raw)
        elif language_of(leaf) in self._wanted:
            old = self._members.pop(name, None)
            if old is not None:
                found = replace(old.found, problem=old.found.problem or DOUBLE)
                self._doubles.append(replace(old, found=found, digest=""))
            self._members[name] = _member(archive, raw, name, problem)

    def finished(self, exclude: Sequence[str], broken: str) -> Contents:
        """All of it, under names without the one folder that everything is in."""
        members = [*self._members.values(), *self._doubles]
        prefix = _top([one.found for one in members], self._notices)
        kept = [
            replace(one, found=replace(one.found, name=printable(_inner(one.found.name, prefix))))
            for one in members
            if not excluded(_inner(one.found.name, prefix), exclude)
        ]
        kept.sort(key=lambda one: (one.start, one.found.name, one.digest))
        notices = {_inner(name, prefix): data for name, data in sorted(self._notices.items())}
        return Contents(members=tuple(kept), notices=notices, broken=broken)


class MemberReader:
    """Reads members of one archive after another; use it as a context."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._key: tuple[str, str] = ("", "")
        self._archive: _Zip | _Tar | None = None

    def __enter__(self) -> MemberReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, path: str, kind: str, stored: str, start: int, size: int) -> bytes:
        """The bytes of a planned member. Raises `BrokenStream`, `OSError`."""
        behind = isinstance(self._archive, _Tar) and self._archive.at > start and kind == "tar.gz"
        if self._archive is None or self._key != (path, kind) or behind:
            self._stack.close()
            self._archive = _opened(self._stack, path, cast(Kind, kind))
            self._key = (path, kind)
        return self._archive.read(_Raw(name=stored, size=size, start=start, problem=""))


def _opened(stack: ExitStack, path: str, kind: Kind) -> _Zip | _Tar:
    file = stack.enter_context(open_regular(path))
    if kind == "zip":
        return _Zip(stack.enter_context(open_archive(file)[0]))
    buffered = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file), 1 << 20))
    if kind == "tar":
        return _Tar(Forward(buffered, back=True))
    packed = stack.enter_context(gzip.GzipFile(fileobj=buffered))
    return _Tar(Forward(cast(BinaryIO, Capped(packed, MAX_UNPACKED))))


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def members(self) -> Iterator[_Raw]:
        for info in self._archive.infolist():
            if not info.is_dir():
                mode = stat.S_IFMT(info.external_attr >> 16)
                problem = SYMLINK if mode == stat.S_IFLNK else ""
                if mode not in (0, stat.S_IFREG, stat.S_IFLNK):
                    problem = NOT_A_FILE
                yield _Raw(name=info.filename, size=info.file_size, start=0, problem=problem)

    def read(self, raw: _Raw) -> bytes:
        return read_member(self._archive, raw.name, max(MAX_FILE_BYTES, MAX_NOTICE_BYTES))


class _Tar:
    def __init__(self, file: Forward) -> None:
        self._file = file

    @property
    def at(self) -> int:
        return self._file.tell()

    def members(self) -> Iterator[_Raw]:
        with _told():
            archive = tarfile.TarFile(fileobj=cast(BinaryIO, self._file))
        while True:
            with _told():
                info = archive.next()
            if info is None:
                # `tarfile` takes a damaged header for the end.
                if self._file.last.strip(b"\0"):
                    raise BrokenStream("unreadable archive: a damaged header")
                return
            # The list is for looking up names, which is never done here.
            cast(Any, archive).members = []
            if info.isdir():
                continue
            problem = SYMLINK if info.issym() or info.islnk() else ""
            if not problem and (not info.isfile() or info.issparse()):
                problem = NOT_A_FILE
            link = info.linkname if problem == SYMLINK else ""
            if info.islnk():
                # The target of a hard link is named from the top of the archive.
                link = relpath(link, info.name.rpartition("/")[0] or ".")
            yield _Raw(
                name=info.name,
                size=info.size,
                start=info.offset_data,
                problem=problem,
                link=link,
            )

    def read(self, raw: _Raw) -> bytes:
        with _told():
            self._file.seek(raw.start)
            data = self._file.read(raw.size)
        if len(data) != raw.size:
            raise BrokenStream(f"the archive ends inside a member, {digest_of(raw.name)}")
        return data


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (*FAULTS, tarfile.TarError) as error:
        raise BrokenStream(f"unreadable archive: {fault_of(error)}") from error


def _checked(raw: _Raw) -> tuple[str, str]:
    """The name without `./`, and why the member is not read."""
    steps = [step for step in raw.name.split("/") if step not in ("", ".")]
    name = "/".join(steps)
    if raw.name.startswith(("/", "\\")) or ".." in steps or "\\..\\" in f"\\{name}\\":
        return name, OUTSIDE
    if printable(name) != name:
        return name, INVALID_PATH
    return name, raw.problem or (TOO_LARGE if raw.size > MAX_FILE_BYTES else "")


def _member(archive: _Zip | _Tar, raw: _Raw, name: str, problem: str) -> Member:
    digest = ""
    if not problem:
        try:
            digest = hashlib.sha256(archive.read(raw)).hexdigest()
        except BrokenStream:
            # A tar that breaks here breaks everywhere after: its next header says so.
            problem = UNREADABLE
    found = Found(name=name, path="", size=raw.size, language=language_of(name), problem=problem)
    return Member(found=found, stored=raw.name, start=raw.start, digest=digest)


def _read_or_nothing(archive: _Zip | _Tar, raw: _Raw) -> bytes:
    """The bytes of a licence file; none, which is no licence, where they cannot be read."""
    if raw.link:
        return raw.link.encode("utf-8", "replace")
    try:
        return archive.read(raw)
    except BrokenStream:
        return b""


def _top(found: Sequence[Found], notices: dict[str, bytes]) -> str:
    """The one folder that everything is in, with its `/`; "" if there is none."""
    names = [one.name for one in found if one.problem != OUTSIDE] + list(notices)
    tops = {name.partition("/")[0] for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""


def _inner(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)
