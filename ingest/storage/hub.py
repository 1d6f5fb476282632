"""Data sets on the Hugging Face Hub: a branch becomes a commit once, files are read by range.

Method: `pin` asks for the commit of a revision; listings are of that commit and follow the
`Link` header; a file is opened by its commit and path. The first range of a file goes to the
resolver, which redirects to a CDN; later ranges go to the CDN, and back to the resolver only
when the signed address has expired, so that a file costs one resolver request.
Cost: see `ingest.storage.locate`. Limits: data sets only (no models, spaces or buckets); names that
cannot be published or lead out are left out of listings.
Source: https://huggingface.co/docs/hub/api, and `ingest.transport.http` for the transport.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import quote, unquote

import huggingface_hub
from huggingface_hub import constants

from ingest.errors import ChangedInput, SourceError
from ingest.files import publishable
from ingest.storage.entry import Entry
from ingest.storage.ranged_file import RangedFile
from ingest.transport import (
    HttpError,
    ReadLimits,
    Request,
    Response,
    bearer,
    origin,
    send,
    stated_next,
)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_URI = re.compile(
    r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)"
    r"(?:@(?P<revision>refs/convert/[^/@]+|refs/pr/\d+|[^/@]+))?"
    r"(?:/(?P<path>.*))?",
    re.ASCII | re.DOTALL,
)
MAX_PAGES = 10_000
_TOKEN_HELP = (
    "then set HF_TOKEN (or HF_TOKEN_PATH, or run `hf auth login`) to a read token of the account"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """An `hf://` path, taken apart."""

    repo: str
    revision: str
    """"" for the default branch."""
    path: str

    def __str__(self) -> str:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return f"hf://datasets/{self.repo}{revision}" + (f"/{self.path}" if self.path else "")


def parse(uri: str) -> Address:
    """Raises `ValueError` (which pydantic reports) for anything but a path in a data set."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(
            f"{uri!r} is no data set on the Hub: write hf://datasets/OWNER/NAME[@REVISION][/PATH]"
        )
    path = (match["path"] or "").strip("/")
    if path and any(step in ("", ".", "..") for step in path.split("/")):
        raise ValueError(f"{uri!r}: a path in a data set has no empty, `.` or `..` steps")
    return Address(repo=match["repo"], revision=unquote(match["revision"] or ""), path=path)


def pin(uri: str, limits: ReadLimits) -> HubPlace:
    """The place at the commit its revision has now; see `ingest.storage.locate.pin`."""
    address = parse(uri)
    revision = quote(address.revision or constants.DEFAULT_REVISION, safe="")
    url = f"{_endpoint()}/api/datasets/{address.repo}/revision/{revision}?expand=sha&expand=gated"
    facts = _json(_sent_to(address, Request(url=url, limits=limits, home=_endpoint())), url)
    facts = facts if isinstance(facts, dict) else {}
    commit = facts.get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise SourceError("the Hub names no commit", value=uri, remedy="Check HF_ENDPOINT.")
    pinned = replace(address, revision=commit)
    # What the Hub does not say is not open.
    gated = facts.get("gated", True) is not False
    pinned_place = HubPlace(uri=uri, revision=commit, address=pinned, limits=limits, gated=gated)
    return (
        replace(pinned_place, single=pinned_place.whether_file()) if address.path else pinned_place
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class HubPlace:
    """A data set, or a folder or file in it; see `ingest.storage.locate.Place`."""

    uri: str
    revision: str
    address: Address
    limits: ReadLimits
    gated: bool
    """Whether readers have to agree to terms first."""
    single: Entry | None = None
    trees: dict[tuple[str, bool], list[Mapping[str, object]]] = field(default_factory=dict)
    """Listings so far: a commit does not change."""

    def files(self, folder: str = "", *, recursive: bool = True) -> tuple[Entry, ...]:
        """The files in a folder, sorted by name."""
        if self.single is not None:
            return () if folder else (self.single,)
        entries = (self._entry(record) for record in self._tree(folder, recursive))
        return tuple(
            sorted((record for record in entries if record), key=lambda record: record.name)
        )

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """The folders in a folder, sorted by name."""
        if self.single is not None:
            return ()
        paths = [
            str(record.get("path"))
            for record in self._tree(folder, False)
            if record["type"] == "directory"
        ]
        return tuple(sorted(path.rpartition("/")[2] for path in paths))

    def whether_file(self) -> Entry | None:
        """The entry of the address itself if it is a file; raises if nothing is there."""
        url = f"{self._api()}/paths-info/{self.revision}"
        form = {"paths": self.address.path, "expand": "false"}
        request = Request(url=url, limits=self.limits, home=_endpoint(), method="POST", form=form)
        records = list(_objects(_json(_sent_to(self.address, request), url)))
        if not records:
            raise SourceError(
                "nothing of this name in the data set",
                value=str(self.address),
                remedy=f"See {_page(self.address)}/tree/{self.revision}.",
            )
        above = self.address.path.rpartition("/")[0]
        parent = replace(self, address=replace(self.address, path=above))
        return parent._entry(records[0])

    def _api(self) -> str:
        return f"{_endpoint()}/api/datasets/{self.address.repo}"

    def _tree(self, folder: str, recursive: bool) -> list[Mapping[str, object]]:
        key = (folder.strip("/"), recursive)
        if key not in self.trees:
            self.trees[key] = list(self._pages(*key))
        return self.trees[key]

    def _pages(self, folder: str, recursive: bool) -> Iterator[Mapping[str, object]]:
        path = "/".join(part for part in (self.address.path, folder) if part)
        inner = f"/{quote(path, safe='')}" if path else ""
        url = f"{self._api()}/tree/{self.revision}{inner}?recursive={str(recursive).lower()}"
        for _ in range(MAX_PAGES):
            request = Request(url=f"{url}", limits=self.limits, home=_endpoint())
            try:
                response = send(_authorized(request))
            except HttpError as error:
                if error.status == 404 and error.code == "EntryNotFound":
                    return
                raise _fault(self.address, error) from error
            yield from _objects(_json(response, url))
            following = stated_next(response)
            if following is None:
                return
            if origin(following) != origin(url):
                raise SourceError("a listing leads elsewhere", value=url, remedy="Check proxies.")
            url = following
        raise SourceError("a listing without end", value=url, remedy="Name a folder in the path.")

    def _entry(self, facts: Mapping[str, object]) -> Entry | None:
        path, size = facts.get("path"), facts.get("size")
        prefix = f"{self.address.path}/" if self.address.path else ""
        usable = isinstance(path, str) and publishable(path) and path.startswith(prefix)
        if facts.get("type") != "file" or not usable or not isinstance(size, int) or size < 0:
            return None
        name = str(path).removeprefix(prefix)
        if any(step in ("", ".", "..") for step in name.split("/")):
            return None
        return Entry(
            name=name,
            size=size,
            digest=_digest(facts),
            uri=str(replace(self.address, path=str(path))),
        )


@cache
def token_state(limits: ReadLimits) -> tuple[str, str]:
    """What is known of the token, and what to do about it ("" where it is as it should be).

    The token is shown to `whoami` (once a process), so that a wrong one is not mistaken for a
    missing permission. A mirror without `whoami` cannot say whose it is. Raises `TransientFault`.
    """
    token = bearer(_endpoint())
    if not token:
        return "none found: enough for open data sets, not for gated or private ones", ""
    where = "HF_TOKEN" if os.environ.get("HF_TOKEN") else "the login of this machine"
    url = f"{_endpoint()}/api/whoami-v2"
    try:
        facts = _json(send(_authorized(Request(url=url, limits=limits, home=_endpoint()))), url)
    except HttpError as error:
        if error.status in (401, 403):
            remedy = (
                f"Make a read token at {_endpoint()}/settings/tokens and set HF_TOKEN to it (or "
                "run `hf auth login`), on every machine that builds."
            )
            return f"the one from {where} is not accepted (HTTP {error.status})", remedy
        return f"found in {where}; {_endpoint()} cannot say whose it is", ""
    name = facts.get("name") if isinstance(facts, dict) else None
    account = f"the account {name[:100]}" if isinstance(name, str) else "an account"
    return f"found in {where}, accepted for {account}", ""


def open_file(uri: str, name: str, size: int, digest: str, limits: ReadLimits) -> RangedFile:
    """A file at its commit; asks for nothing yet."""
    address = parse(uri)
    url = f"{_endpoint()}/datasets/{address.repo}/resolve/{quote(address.revision, safe='')}"
    fetcher = _Fetcher(address, f"{url}/{quote(address.path)}", name, size, digest, limits)
    return RangedFile(name, size, fetcher.fetch)


class _Fetcher:
    """Ranges of one file; remembers where the resolver pointed."""

    def __init__(
        self, address: Address, url: str, name: str, size: int, digest: str, limits: ReadLimits
    ) -> None:
        self._address = address
        self._url = url
        self._name = name
        self._size = size
        self._digest = digest
        self._limits = limits
        self._direct = ""

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes of a range."""
        if self._direct:
            try:
                return self._get(self._direct, start, stop).body
            except HttpError as error:
                if error.status not in (400, 401, 403, 404, 410):
                    raise _fault(self._address, error) from error
                # The signed address has expired.
                self._direct = ""
        try:
            response = self._get(self._url, start, stop)
        except HttpError as error:
            if error.status == 416:
                raise ChangedInput(self._name) from error
            raise _fault(self._address, error) from error
        self._compare(response)
        self._direct = "" if origin(response.url) == origin(self._url) else response.url
        return response.body

    def _get(self, url: str, start: int, stop: int) -> Response:
        home = _endpoint()
        request = Request(url=url, limits=self._limits, home=home, start=start, stop=stop)
        return send(_authorized(request))

    def _compare(self, response: Response) -> None:
        """What the resolver says of the file must be what the listing said."""
        etag = response.resolved.get("x-linked-etag", "").removeprefix("W/").strip('"')
        size = response.resolved.get("x-linked-size", "")
        _, _, oid = self._digest.rpartition(":")
        if (oid and _OID.fullmatch(etag) and etag != oid) or (
            size.isdigit() and int(size) != self._size
        ):
            raise ChangedInput(self._name)


def _endpoint() -> str:
    return constants.ENDPOINT.rstrip("/")


def _page(address: Address) -> str:
    return f"{_endpoint()}/datasets/{address.repo}"


def _authorized(request: Request) -> Request:
    agent = {"User-Agent": f"xtrove; huggingface_hub/{huggingface_hub.__version__}"}
    return replace(request, headers=bearer(_endpoint()) | agent)


def _sent_to(address: Address, request: Request) -> Response:
    try:
        return send(_authorized(request))
    except HttpError as error:
        raise _fault(address, error) from error


def _json(response: Response, url: str) -> object:
    try:
        value: object = json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise SourceError(
            "the Hub's answer is no JSON", value=url, remedy="Check HF_ENDPOINT and proxies."
        ) from error
    return value


def _objects(value: object) -> Iterator[dict[str, object]]:
    for record in value if isinstance(value, list) else ():
        if isinstance(record, dict) and isinstance(record.get("type"), str):
            yield record


def _digest(facts: Mapping[str, object]) -> str:
    large, oid = facts.get("lfs"), facts.get("oid")
    if isinstance(large, dict) and _OID.fullmatch(str(large.get("oid"))):
        return f"sha256:{large['oid']}"
    return f"git:{oid}" if _OID.fullmatch(str(oid)) else ""


def _fault(address: Address, error: HttpError) -> SourceError:
    """The error of a definite no, with what to do about it."""
    page, where = _page(address), str(address)
    if error.code == "GatedRepo":
        return SourceError(
            f"this data set is gated, and access was not granted (HTTP {error.status})",
            value=where,
            remedy=f"Accept its terms at {page} {_TOKEN_HELP} that accepted them.",
        )
    if error.status in (401, 403):
        return SourceError(
            f"the Hub refuses access (HTTP {error.status} {error.code}".rstrip() + ")",
            value=where,
            remedy=f"See {page}: check the name, accept its terms if it has any, {_TOKEN_HELP}.",
        )
    if error.status == 404:
        missing = {
            "RepoNotFound": "no such data set (or it is private)",
            "RevisionNotFound": "no such revision of the data set",
            "EntryNotFound": "no such file in the data set",
        }.get(error.code, "not found on the Hub")
        return SourceError(missing, value=where, remedy=f"See {page}; {_TOKEN_HELP[5:]}.")
    return SourceError(
        f"the Hub refuses a request (HTTP {error.status} {error.code}".rstrip() + ")",
        value=where,
        remedy=f"{error.said[:200] or 'See https://status.huggingface.co'} ({error.url})",
    )
