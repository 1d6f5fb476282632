"""One policy for every HTTP request of this package: budget, deadlines, retries.

Method: the client is huggingface_hub's session (proxies, offline mode, request ids), but not
its calls: `HfApi.list_repo_tree` has no deadline at all (the session's timeout is None), its
own repetitions can be neither counted nor bounded from outside, and `HfFileSystem` asks the
resolver for every range where one request a file is enough. Redirects are followed here, so
that the token goes to the endpoint alone, a range keeps its header, and none leads to an address
that is not public (`ingest.transport.addresses` has the rule). 408, 425, 429, 5xx, dropped
connections and slow answers are repeated (`xtrove.core.retry`) within `patience_s`; an answer
that broke off goes on where it stopped.
Cost: one request where nothing fails. Limits: tokens are never part of a message.
Source: RFC 9110 (ranges).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
from huggingface_hub import get_session
from huggingface_hub.errors import OfflineModeIsEnabled

from ingest.errors import SourceError, TransientFault
from ingest.transport.addresses import addresses_of, may_lead, without_user
from ingest.transport.rate_limit import ReadLimits, bucket
from ingest.transport.traffic import meter
from xtrove.core import (
    GaveUp,
    PassingFault,
    RetryPolicy,
    XtroveError,
    may_pass,
    retry_call,
    stated_wait,
)

MAX_HOPS = 5
MAX_BODY_BYTES = 64 << 20
SLOWEST_BYTES_A_SECOND = 50_000
_USUAL_BYTES = 1 << 20
_LINK = re.compile(r'<([^<>]{1,4096})>\s*;\s*rel="?(\w+)"?', re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request."""

    url: str
    limits: ReadLimits
    home: str
    """The endpoint: only requests to it carry the token and count for the budget."""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    form: Mapping[str, str] | None = None
    start: int = 0
    stop: int | None = None
    """The half-open range wanted; None for everything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """A complete answer of 200 or 206."""

    body: bytes
    headers: Mapping[str, str]
    """Of the last hop, names in lower case."""
    resolved: Mapping[str, str]
    """Of the first hop."""
    url: str
    """Where the last hop led."""


class HttpError(XtroveError):
    """A server's definite no: a status that repeating does not change."""

    def __init__(self, status: int, code: str, message: str, url: str) -> None:
        super().__init__(f"HTTP {status} {code}".strip())
        self.status = status
        self.code = code
        """The Hub's `X-Error-Code`."""
        self.said = message
        self.url = url


def send(request: Request) -> Response:
    """The whole answer.

    Raises `HttpError`, `TransientFault` when patience is over, `SourceError` for what is neither.
    """
    got = bytearray()

    def call() -> Response:
        headers, resolved, url = _try(request, got)
        return Response(body=bytes(got), headers=headers, resolved=resolved, url=url)

    policy = RetryPolicy(deadline_s=request.limits.patience_s)
    try:
        return retry_call(call, policy, progress=lambda: len(got))
    except GaveUp as error:
        raise TransientFault(_shown(request.url), str(error)) from error


def origin(url: str) -> str:
    """Scheme, host and port."""
    parsed = httpx2.URL(url)
    return f"{parsed.scheme}://{parsed.host}:{parsed.port or parsed.scheme}"


def stated_next(response: Response) -> str | None:
    """The URL of the next page, if there is one (RFC 8288)."""
    for target, relation in _LINK.findall(response.headers.get("link", "")):
        if relation == "next":
            return str(httpx2.URL(response.url).join(target))
    return None


def _try(request: Request, got: bytearray) -> tuple[Mapping[str, str], Mapping[str, str], str]:
    """One try, from the first hop to the last; appends to what was got."""
    url, resolved = request.url, None
    for _ in range(MAX_HOPS):
        with _streamed(request, url, len(got)) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            resolved = headers if resolved is None else resolved
            if response.is_redirect:
                url = _next(request, url, headers.get("location", ""))
                continue
            _check(response, headers, url)
            _receive(request, response, headers, got)
            return headers, resolved, url
    raise SourceError("too many redirects", value=_shown(request.url), remedy="Ask its keeper.")


@contextmanager
def _streamed(request: Request, url: str, done: int) -> Iterator[httpx2.Response]:
    at_home = origin(url) == origin(request.home)
    headers = {"Accept-Encoding": "identity", **request.headers}
    if not at_home:
        headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
    if request.stop is not None:
        headers["Range"] = f"bytes={request.start + done}-{request.stop - 1}"
    if at_home:
        bucket(request.limits.requests_per_second).take()
    meter().add(_host(url), 1, 0)
    try:
        with get_session().stream(
            request.method,
            url,
            headers=headers,
            data=request.form,
            timeout=request.limits.timeout_s,
            follow_redirects=False,
        ) as response:
            yield response
    except OfflineModeIsEnabled as error:
        raise SourceError(
            "offline mode forbids this request",
            value=_shown(url),
            remedy="Unset HF_HUB_OFFLINE, or name a local copy under `path`.",
        ) from error
    except httpx2.TransportError as error:
        raise PassingFault(f"{type(error).__name__}: {error}"[:200]) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SourceError("a request failed", value=_shown(url), remedy=str(error)[:200]) from error


def _check(response: httpx2.Response, headers: Mapping[str, str], url: str) -> None:
    status = response.status_code
    if may_pass(status):
        raise PassingFault(f"HTTP {status}", stated_wait(headers))
    if status not in (200, 206):
        raise HttpError(
            status, headers.get("x-error-code", ""), headers.get("x-error-message", ""), _shown(url)
        )
    if headers.get("content-encoding", "identity") != "identity":
        raise SourceError(
            "an answer is compressed, though that was not asked for",
            value=_shown(url),
            remedy="Check any proxy on the way.",
        )


def _receive(
    request: Request,
    response: httpx2.Response,
    headers: Mapping[str, str],
    got: bytearray,
) -> None:
    """Append the body; raises `PassingFault` when it is too short or too slow."""
    if request.stop is None:
        got.clear()
        want, skip = _USUAL_BYTES, 0
    else:
        want = request.stop - request.start
        first = headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if response.status_code == 206 and first != str(request.start + len(got)):
            raise PassingFault("another range than was asked for")
        # A server without ranges sends the file from its first byte.
        skip = request.start + len(got) if response.status_code == 200 else 0
        if skip > MAX_BODY_BYTES:
            raise SourceError(
                "the server does not serve ranges",
                value=_shown(str(response.url)),
                remedy="Download the file and name the local copy under `path`.",
            )
    deadline = time.monotonic() + 2 * request.limits.timeout_s + want / SLOWEST_BYTES_A_SECOND
    host = _host(str(response.url))
    for chunk in response.iter_raw():
        meter().add(host, 0, len(chunk))
        got += chunk[skip:] if request.stop is None else chunk[skip : skip + want - len(got)]
        skip = max(skip - len(chunk), 0)
        if time.monotonic() > deadline:
            raise PassingFault("the answer is too slow")
        if request.stop is not None and len(got) >= want:
            return
        if request.stop is None and len(got) >= MAX_BODY_BYTES:
            raise SourceError(
                f"an answer of over {MAX_BODY_BYTES} bytes",
                value=_shown(request.url),
                remedy="This is no answer of a Hub: check HF_ENDPOINT.",
            )
    # Of a whole answer, the client itself notices that it broke off.
    if request.stop is not None:
        raise PassingFault(f"{len(got)} bytes of {want}")


def _next(request: Request, url: str, location: str) -> str:
    """Where a redirect leads; raises `SourceError` where it must not."""
    target = httpx2.URL(url).join(location) if location else None
    home = httpx2.URL(request.home)
    allowed = ("https",) if home.scheme == "https" else ("https", "http")
    if (
        target is None
        or target.scheme not in allowed
        or not (
            target.host == home.host or may_lead(addresses_of(home.host), addresses_of(target.host))
        )
    ):
        raise SourceError(
            "a redirect that is not followed",
            value=_shown(str(target)),
            remedy="It leads out of https or to an address that is not public: check "
            "HF_ENDPOINT and any proxy.",
        )
    return str(target)


def _host(url: str) -> str:
    return httpx2.URL(url).netloc.decode("ascii", "replace")


def _shown(url: str) -> str:
    """A URL without user, query and fragment: signatures are secrets."""
    return without_user(url.split("?", 1)[0].split("#", 1)[0])[:300]
