"""Datasets on other machines: which files are there, and how their bytes are fetched.

Method: the requests are those of `ingest` (`ingest.storage.hub`, `ingest.transport.http`,
`ingest.storage.fsspec_store`): its budgets, deadlines, waits and repetitions, ranges that go on
where they broke off, tokens that go to their endpoint alone. A Hub revision is pinned to its commit
when the place is opened. Cost: to open, the manifest and SHA256SUMS: 2 requests over HTTP, 4 at the
Hub. Every file is fetched in pieces of 4 MiB. Limits: a server without ranges serves files of at
most 64 MiB; an index over HTTP whose server does not state its length is refused.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol, cast
from urllib.parse import quote, urlsplit

from ingest import SourceError
from ingest.storage import Entry, RangedFile, hub
from ingest.storage import locate as places
from ingest.transport import (
    HttpError,
    ReadLimits,
    Request,
    Response,
    names_user,
    send,
    without_user,
)
from shards.format import NotADataset
from xtrove.core import DamagedData

MAX_SMALL_BYTES = 64 << 20
WEB_REQUESTS_A_SECOND = 100.0
"""Of one process; the Hub's own, lower budget is `ReadLimits`' default."""


class Store(Protocol):
    """The files of a dataset elsewhere."""

    @property
    def place(self) -> str:
        """The URI that finds these files again: of the Hub, at the commit that was pinned."""

    def small(self, path: str) -> bytes | None:
        """A file of at most 64 MiB, whole; None where there is none."""

    def size(self, path: str) -> int:
        """The length of a file. `SourceError` where there is none."""

    def open(self, path: str, size: int, sha256: str) -> RangedFile:
        """A file of that length, read by range; asks for nothing yet."""


def is_remote(location: str) -> bool:
    """Whether a place is a URI."""
    return "://" in location


def store_of(uri: str, limits: ReadLimits | None = None) -> Store:
    """The files of a URI. `SourceError` where nothing is there or access is refused, and for an
    address with a password, which messages, logs and caches would keep."""
    if names_user(uri):
        raise SourceError(
            "the address of a dataset holds a user or a password",
            value=without_user(uri),
            remedy="Take it out: fsspec reads FSSPEC_<SCHEME>_USERNAME and "
            "FSSPEC_<SCHEME>_PASSWORD, the Hub HF_TOKEN, and S3 what the AWS tools read.",
        )
    if uri.startswith(("http://", "https://")):
        return WebStore(uri, limits or ReadLimits(requests_per_second=WEB_REQUESTS_A_SECOND))
    return ListedStore(uri, limits or ReadLimits())


class WebStore:
    """Files below an address of a web server; a query (a signature) is kept for every file."""

    def __init__(self, base: str, limits: ReadLimits) -> None:
        self.place = base
        self._parts = urlsplit(base)
        self._limits = limits

    def small(self, path: str) -> bytes | None:
        """See `Store`."""
        try:
            return self._ask(path).body
        except HttpError as error:
            if error.status in (404, 410):
                return None
            raise self._fault(path, error) from error

    def size(self, path: str) -> int:
        """See `Store`."""
        try:
            stated = self._ask(path, method="HEAD").headers.get("content-length", "")
        except HttpError as error:
            raise self._fault(path, error) from error
        if not stated.isdecimal():
            raise SourceError(
                "the server does not state how long a file is",
                value=self._url(path, shown=True),
                remedy="Serve the dataset by a server that answers HEAD with Content-Length.",
            )
        return int(stated[:18])

    def open(self, path: str, size: int, sha256: str) -> RangedFile:
        """See `Store`."""

        def fetch(start: int, stop: int) -> bytes:
            try:
                return self._ask(path, start=start, stop=stop).body
            except HttpError as error:
                raise self._fault(path, error) from error

        return RangedFile(path, size, fetch)

    def _ask(
        self, path: str, *, method: str = "GET", start: int = 0, stop: int | None = None
    ) -> Response:
        url = self._url(path)
        return send(
            Request(url=url, limits=self._limits, home=url, method=method, start=start, stop=stop)
        )

    def _url(self, path: str, *, shown: bool = False) -> str:
        inner = f"{self._parts.path.rstrip('/')}/{quote(path)}"
        if shown:
            host = self._parts.netloc.rpartition("@")[2]
            return f"{self._parts.scheme}://{host}{inner}"
        return self._parts._replace(path=inner, fragment="").geturl()

    def _fault(self, path: str, error: HttpError) -> SourceError:
        return SourceError(
            f"the server refuses a file (HTTP {error.status})",
            value=self._url(path, shown=True),
            remedy="Check the address, and whether the dataset is complete there.",
        )


class ListedStore:
    """Files of the Hub or of any other file system that `ingest.storage.locate` can list."""

    def __init__(self, uri: str, limits: ReadLimits) -> None:
        self._limits = limits
        self._place = places.pin(uri, limits)
        self.place = uri
        if isinstance(self._place, hub.HubPlace):
            self.place = str(self._place.address)
        self._entries: dict[str, dict[str, Entry]] = {}

    def small(self, path: str) -> bytes | None:
        """See `Store`."""
        entry = self._entry(path)
        if entry is None:
            return None
        if entry.size > MAX_SMALL_BYTES:
            raise SourceError(
                f"a file of over {MAX_SMALL_BYTES} bytes",
                value=entry.uri,
                remedy="This is no dataset of ours.",
            )
        with places.open_entry(entry, self._limits) as stream:
            return stream.read(entry.size)

    def size(self, path: str) -> int:
        """See `Store`."""
        return self._there(path).size

    def open(self, path: str, size: int, sha256: str) -> RangedFile:
        """See `Store`."""
        entry = self._there(path)
        other = entry.digest.startswith("sha256:") and entry.digest != f"sha256:{sha256}"
        if other or entry.size != size:
            raise DamagedData(
                f"{path} has {entry.size} bytes and digest {entry.digest} at {self._place.uri}, "
                f"its manifest says {size} and sha256:{sha256}: it was changed there"
            )
        return cast(RangedFile, places.open_entry(entry, self._limits))

    def _there(self, path: str) -> Entry:
        entry = self._entry(path)
        if entry is None:
            raise SourceError(
                "the dataset has no such file",
                value=f"{self._place.uri}: {path}",
                remedy="It is incomplete there: publish it again.",
            )
        return entry

    def _entry(self, path: str) -> Entry | None:
        """The entry of a file; one listing a folder."""
        folder = str(PurePosixPath(path).parent).removeprefix(".")
        if folder not in self._entries:
            entries = self._place.files(folder, recursive=False)
            self._entries[folder] = {entry.name: entry for entry in entries}
        entry = self._entries[folder].get(path)
        if entry is not None and not entry.digest:
            # Listings of some stores know neither length nor ETag.
            entry = places.digested([entry], limits=self._limits)[0]
            self._entries[folder][path] = entry
        return entry


def required(store: Store, uri: str, path: str) -> bytes:
    """A small file that a dataset has. `NotADataset` where it is missing."""
    data = store.small(path)
    if data is None:
        raise NotADataset(f"{_shown(uri)} is not a dataset: it has no {path}")
    return data


def opener(store: Store, path: str, size: int, sha256: str) -> Callable[[], BinaryIO]:
    """What `CacheItem.open` needs."""
    return lambda: cast(BinaryIO, cast(io.RawIOBase, store.open(path, size, sha256)))


def _shown(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
