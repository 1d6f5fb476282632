"""Files behind any other URI, through fsspec: `https://`, `gs://`, `memory://`.

Method: a file is known by its ETag, or else by its size and the times that the store keeps,
hashed; where a listing has no ETag (its times differ from those of the file itself), one
request a file finds out. A worker asks again when it opens a file, since nothing pins it.
Ranges are fetched by `cat_file`, without fsspec's read-ahead. Over HTTP every connection is
judged by the address it goes to (`ingest.transport.addresses` has the rule), so that no redirect
leads to one that is not public, nor out of https.
Cost: a request a range, and one to open. Limits: credentials are those that the package of the
scheme finds by itself; counted requests are our calls, which that package may repeat.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import fsspec  # type: ignore[import-untyped]

from ingest.errors import ChangedInput, SourceError, TransientFault
from ingest.files import UNREADABLE, publishable
from ingest.storage.entry import Entry
from ingest.storage.ranged_file import RangedFile
from ingest.transport import ReadLimits, RedirectRefused, addresses_of, bucket, may_lead, meter
from xtrove.core import GaveUp, PassingFault, RetryPolicy, may_pass, retry_call

_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "sha256")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherPlace:
    """A folder or file of a file system; see `ingest.storage.locate.Place`."""

    uri: str
    limits: ReadLimits
    revision: str = ""
    single: Entry | None = None

    def files(self, folder: str = "", *, recursive: bool = True) -> tuple[Entry, ...]:
        """The files in a folder, sorted by name."""
        if self.single is not None:
            return () if folder else (self.single,)
        system, root = _system(self.uri, self.limits)
        start = f"{root.rstrip('/')}/{folder.strip('/')}".rstrip("/") if folder else root
        depth = None if recursive else 1

        def find() -> dict[str, Any]:
            return dict(system.find(start, maxdepth=depth, detail=True))

        try:
            listing = _tried(self.uri, self.limits, find)
        except FileNotFoundError:
            return ()
        entries = (
            _entry(self.uri, root, {**facts, "name": path}) for path, facts in listing.items()
        )
        return tuple(sorted((entry for entry in entries if entry), key=lambda entry: entry.name))

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """The folders in a folder, sorted by name."""
        if self.single is not None:
            return ()
        system, root = _system(self.uri, self.limits)
        start = f"{root.rstrip('/')}/{folder.strip('/')}".rstrip("/")

        def ls() -> list[Mapping[str, Any]]:
            return list(system.ls(start, detail=True))

        try:
            listing = _tried(self.uri, self.limits, ls)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        names = [str(item["name"]) for item in listing if item.get("type") == "directory"]
        return tuple(sorted(name.rstrip("/").rpartition("/")[2] for name in names))


def pin(uri: str, limits: ReadLimits) -> OtherPlace:
    """A place of a URI; see `ingest.storage.locate.pin`."""
    system, root = _system(uri, limits)
    try:
        facts = _tried(uri, limits, lambda: dict(system.info(root)))
    except FileNotFoundError as error:
        raise SourceError("nothing is there", value=_shown(uri), remedy="Check the URI.") from error
    # Over HTTP everything is a file, and a listing of one would download it for its links.
    folder = uri.endswith("/") if _is_http(uri) else facts.get("type") == "directory"
    return OtherPlace(uri=uri, limits=limits, single=None if folder else _entry(uri, root, facts))


def identified(entry: Entry, limits: ReadLimits) -> Entry:
    """The entry with its size and digest; one request. Listings of some stores have neither."""
    system, path = _system(entry.uri, limits)
    try:
        facts = _tried(entry.uri, limits, lambda: dict(system.info(path)))
    except FileNotFoundError as error:
        raise ChangedInput(entry.name) from error
    size = facts.get("size")
    if not isinstance(size, int):
        return replace(entry, problem=UNREADABLE)
    return replace(entry, size=size, digest=_digest(facts))


def open_file(uri: str, name: str, size: int, digest: str, limits: ReadLimits) -> RangedFile:
    """A file, compared with what was planned; one request."""
    system, path = _system(uri, limits)
    try:
        facts = _tried(uri, limits, lambda: dict(system.info(path)))
    except FileNotFoundError as error:
        raise ChangedInput(name) from error
    if facts.get("size") != size or _digest(facts) != digest:
        raise ChangedInput(name)

    def fetch(start: int, stop: int) -> bytes:
        data = _tried(uri, limits, lambda: _cat(system, path, start, stop, size))
        meter().add(_host(uri), 0, len(data))
        return data

    return RangedFile(name, size, fetch)


def _cat(system: Any, path: str, start: int, stop: int, size: int) -> bytes:
    data = bytes(system.cat_file(path, start=start, end=stop))
    if len(data) == size and size > stop - start:
        # A server without ranges answers with everything.
        return data[start:stop]
    if len(data) != stop - start:
        raise ConnectionError(f"{len(data)} bytes of {stop - start}")
    return data


def _system(uri: str, limits: ReadLimits) -> tuple[Any, str]:
    options: dict[str, Any] = {}
    if _is_http(uri):
        import aiohttp

        wait = limits.timeout_s
        timeout = aiohttp.ClientTimeout(total=limits.patience_s, sock_connect=wait, sock_read=wait)
        parts = urlsplit(uri)
        client = _client(parts.hostname or "", parts.scheme)
        options = {"client_kwargs": {"timeout": timeout}, "get_client": client}
    try:
        system, path = fsspec.url_to_fs(uri, **options)
    except (ImportError, ValueError) as error:
        raise SourceError(
            "no way to read such a URI", value=_shown(uri), remedy=f"{str(error)[:200]}"
        ) from error
    return system, str(path)


@lru_cache(maxsize=1024)
def _client(host: str, scheme: str) -> Callable[..., Awaitable[Any]]:
    """Makes the HTTP client for a host; fsspec keeps one file system for each such function."""

    async def client(**options: Any) -> Any:
        import aiohttp

        home = addresses_of(host)

        def guarded(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, address = info
            if not may_lead(home, [str(address[0])]):
                raise RedirectRefused
            return socket.socket(family=family, type=kind, proto=protocol)

        async def redirected(_: Any, __: Any, facts: Any) -> None:
            to = urljoin(str(facts.url), facts.response.headers.get("Location", ""))
            if scheme == "https" and urlsplit(to).scheme != "https":
                raise RedirectRefused

        traced = aiohttp.TraceConfig()
        traced.on_request_redirect.append(redirected)
        connector = aiohttp.TCPConnector(socket_factory=guarded)
        return aiohttp.ClientSession(connector=connector, trace_configs=[traced], **options)

    return client


def _tried(uri: str, limits: ReadLimits, call: Callable[[], T]) -> T:
    """Call, and again after faults that may pass. `FileNotFoundError` goes through."""

    def attempt() -> T:
        bucket(limits.requests_per_second).take()
        meter().add(_host(uri), 1, 0)
        try:
            return call()
        except Exception as error:
            fault = _meant(error)
            cause = f"{type(fault).__name__}: {fault}"[:200]
            if isinstance(fault, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
                raise
            if not _may_pass(fault):
                raise SourceError("reading failed", value=_shown(uri), remedy=cause) from error
            raise PassingFault(cause) from error

    try:
        return retry_call(attempt, RetryPolicy(deadline_s=limits.patience_s))
    except GaveUp as error:
        raise TransientFault(_shown(uri), str(error)) from error


def _is_http(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _meant(error: Exception) -> Exception:
    """What happened: over HTTP, fsspec calls every failure a file that was not found."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RedirectRefused):
            return cause
        cause = cause.__cause__
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return error
    return cause if _is_networked(cause) and _status(cause) not in (404, 410) else error


def _may_pass(error: Exception) -> bool:
    """Errors of the network; not what a server means, a lack of rights or a wrong address."""
    if _status(error) >= 400 and not may_pass(_status(error)):
        return False
    return not isinstance(error, (PermissionError, ValueError)) and (
        _is_networked(error) or isinstance(error, (OSError, asyncio.TimeoutError))
    )


def _is_networked(error: Exception) -> bool:
    """The classes of each package are known by their module only."""
    module = type(error).__module__.split(".", 1)[0]
    return module in ("aiohttp", "botocore", "aiobotocore", "httpx", "httpx2", "requests")


def _status(error: Exception) -> int:
    status = getattr(error, "status", 0)
    return status if isinstance(status, int) else 0


def _entry(uri: str, root: str, facts: Mapping[str, Any]) -> Entry | None:
    path = str(facts.get("name", root))
    if facts.get("type") != "file":
        return None
    size = facts.get("size")
    if path.rstrip("/") == root.rstrip("/"):
        # What follows a `?` can be a signature, and is no part of a name.
        plain = re.split(r"[?#]", path, maxsplit=1)[0] if _is_http(uri) else path
        name, address = plain.rstrip("/").rpartition("/")[2], uri
    else:
        name = path.removeprefix(root.rstrip("/")).lstrip("/")
        address = f"{uri.rstrip('/')}/{name}"
    if not publishable(name) or any(step in ("", ".", "..") for step in name.split("/")):
        return None
    known = isinstance(size, int) and _tag(facts)
    return Entry(
        name=name,
        size=size if isinstance(size, int) else -1,
        digest=_digest(facts) if known else "",
        uri=address,
    )


def _tag(facts: Mapping[str, Any]) -> str:
    tags = (str(facts[key]).removeprefix("W/").strip('"') for key in _TAGS if facts.get(key))
    return next(tags, "")[:128]


def _digest(facts: Mapping[str, Any]) -> str:
    tag = _tag(facts)
    if tag:
        return f"etag:{tag}"
    known = {key: str(facts[key]) for key in _TIMES if facts.get(key) is not None}
    text = f"{facts.get('size')} {sorted(known.items())}"
    return f"etag:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _host(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _shown(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300]
