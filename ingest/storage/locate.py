"""Where the files of a source lie, behind one interface: this machine, the Hub, or any fsspec URI.

How to use it. On the driver, once a source:

    place = pin(options.path, limits)          # resolves a branch to its commit, asks access
    entries = place.files("data")              # sorted by name; one listing, pages followed
    chosen = digested(entries, progress)       # SHA-256 of local files, ETag elsewhere, Hub: free
    revision = revision_of(place, chosen)      # the commit, or a digest of names and digests
    Part(path=entry.uri, name=entry.name, digest=entry.digest, size=entry.size, ...)

On a worker, from the part alone: `open_part(part, limits)` is a seekable binary file. A remote
one is a `RangedFile`: a read costs what it reads (nothing is read ahead; wrap it in
`io.BufferedReader(file, 8 << 20)` to read lines), and `prefetch(ranges)` fetches many ranges in
few requests. Retries, waits and deadlines happen inside.

Paths: a local file or folder; `hf://datasets/OWNER/NAME[@REVISION][/folder or file]`, where a
revision may hold slashes only as `refs/convert/parquet`, `refs/pr/N` or percent-encoded;
`s3://BUCKET[/PATH]` with the settings that the AWS tools read (`ingest.storage.s3`); any other `scheme://`
goes to fsspec, whose package for it must be installed.
Digests: SHA-256 in bare hex for local files, `sha256:` (LFS) or `git:` (others) on the Hub,
`etag:` elsewhere. The URI of a Hub file holds the commit, so that what a branch does later is
not seen; elsewhere a worker compares the `etag:` again.
Faults: `SourceError` (no access, nothing there, with the page and the remedy), `ChangedInput`,
`TransientFault` (after the retries). Reading a local file raises `OSError` as before.
Cost: pinning is 1 or 2 requests, listing 1 per 1,000 entries, an opened Hub file 1 resolver
request in all: its ranges then go to the CDN. Limits: links in local folders are not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Annotated, BinaryIO, Protocol, cast

from pydantic import AfterValidator

from ingest.errors import ChangedInput
from ingest.files import FileDigest, Progress, Wish, digest_files, open_regular
from ingest.records import Part
from ingest.slicing import content_revision
from ingest.storage.entry import Entry
from ingest.storage.local import LocalPlace, is_local
from ingest.storage.ranged_file import RangedFile
from ingest.terms import GATED, OPEN
from ingest.transport import ReadLimits, names_user

__all__ = [
    "Entry",
    "Place",
    "PlacePath",
    "RangedFile",
    "digested",
    "is_local",
    "open_entry",
    "open_part",
    "pin",
    "revision_of",
    "terms_at",
]


UNREAD = "unread:"
"""The digest of a local file that is only looked at."""


class Place(Protocol):
    """The files of one source at one revision."""

    @property
    def uri(self) -> str:
        """The path as the config has it (absolute, if it is local)."""

    @property
    def revision(self) -> str:
        """The commit that was pinned; "" where a place has none (see `revision_of`)."""

    def files(self, folder: str = "", *, recursive: bool = True) -> tuple[Entry, ...]:
        """The files in a folder, relative to the place, sorted by name; () if it is not there.

        A place that is one file holds that file, under its own name.
        """

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """The names of the folders directly in a folder, sorted; () if it is not there."""


class _Store(Protocol):
    """What opens places of one kind."""

    def pin(self, uri: str, limits: ReadLimits, /) -> Place:
        """See `pin`."""

    def open_file(
        self, uri: str, name: str, size: int, digest: str, limits: ReadLimits, /
    ) -> RangedFile:
        """See `open_part`."""


def _store(uri: str) -> _Store:
    """What opens an address that is not local. Each takes 0.1 s and more to import (the Hub's
    client, botocore, fsspec), which a build from local files should not wait for."""
    if uri.startswith("hf://"):
        from ingest.storage import hub

        return hub
    if uri.startswith("s3://"):
        from ingest.storage import s3

        return s3
    from ingest.storage import fsspec_store

    return fsspec_store


def _valid(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError(f"{value!r} is no path: name a local path or a URI (hf://datasets/...)")
    if names_user(value):
        raise ValueError(
            "the path holds a password (or a user, which can be a token), which work files would "
            "keep: take it out, and give it to fsspec as FSSPEC_<SCHEME>_USERNAME and "
            "FSSPEC_<SCHEME>_PASSWORD"
        )
    if "::" in value and not is_local(value):
        raise ValueError(f"{value!r} is a chain of file systems (`::`): name the file itself")
    if value.startswith("hf://"):
        from ingest.storage import hub

        hub.parse(value)
    if value.startswith("s3://"):
        from ingest.storage import s3

        s3.parse(value)
    return value


PlacePath = Annotated[str, AfterValidator(_valid)]
"""A path in the config: local, `hf://` or another URI; made absolute by `absolute`."""


def pin(path: str, limits: ReadLimits | None = None) -> Place:
    """The place a path names, at the revision found now.

    Raises `SourceError` when it is not there or must not be read, `TransientFault` when it
    could not be asked.
    """
    if is_local(path):
        return LocalPlace.at(path)
    return _store(path).pin(path, limits or ReadLimits())


def terms_at(place: Place) -> str:
    """The terms of what is read from a place, as far as the place makes any."""
    if not place.uri.startswith("hf://"):
        return OPEN
    from ingest.storage.hub import HubPlace

    return GATED if isinstance(place, HubPlace) and place.gated else OPEN


def digested(
    entries: Sequence[Entry],
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    *,
    unread: bool = False,
) -> tuple[Entry, ...]:
    """The entries with a digest each; one that cannot be read has a `problem` instead.

    Local files are read as a whole, whatever their size, or get the digest `UNREAD`, which fits any
    bytes, with `unread`; of files elsewhere the size and the ETag are asked for where the listing
    had none. Same order.
    """
    if unread:
        local = (is_local(entry.uri) and not entry.problem for entry in entries)
        entries = [
            replace(entry, digest=UNREAD) if near else entry
            for entry, near in zip(entries, local, strict=True)
        ]
    todo = [entry for entry in entries if not entry.digest and not entry.problem]
    near = [entry for entry in todo if is_local(entry.uri)]
    answers = digest_files([Wish(path=entry.uri) for entry in near], progress)
    identified = {
        entry.uri: _with(entry, answer) for entry, answer in zip(near, answers, strict=True)
    }
    if far := [entry for entry in todo if not is_local(entry.uri)]:
        from ingest.storage.fsspec_store import identified as identified_far

        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="place") as pool:
            answers_far = pool.map(lambda entry: identified_far(entry, limits or ReadLimits()), far)
            identified.update((entry.uri, entry) for entry in answers_far)
    return tuple(identified.get(entry.uri, entry) for entry in entries)


def revision_of(place: Place, entries: Sequence[Entry]) -> str:
    """The commit that was pinned, or else 16 hex digits over the names and digests."""
    return place.revision or content_revision((entry.name, entry.digest) for entry in entries)


def open_part(part: Part, limits: ReadLimits | None = None) -> BinaryIO:
    """The file of a part, for reading; close it. Works on any machine that reaches the place.

    Raises `ChangedInput` for what is no longer a file, `OSError` as local files do.
    """
    try:
        return _open(part.path, part.name, part.size, part.digest, limits or ReadLimits())
    except ValueError as error:
        raise ChangedInput(part.name) from error


def open_entry(entry: Entry, limits: ReadLimits | None = None) -> BinaryIO:
    """The file of an entry, for reading; close it."""
    return _open(entry.uri, entry.name, entry.size, entry.digest, limits or ReadLimits())


def _open(uri: str, name: str, size: int, digest: str, limits: ReadLimits) -> BinaryIO:
    if is_local(uri):
        return open_regular(uri)
    return cast(BinaryIO, _store(uri).open_file(uri, name, size, digest, limits))


def _with(entry: Entry, answer: FileDigest | str) -> Entry:
    if isinstance(answer, str):
        return replace(entry, problem=answer)
    return replace(entry, size=answer.size, digest=answer.sha256)
