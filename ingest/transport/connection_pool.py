"""Connections to object stores: one pool, the proxy of the environment, bodies with an end.

Method: urllib3 without its retries and redirects, so that whoever asks sees every status; a body
is read in pieces as they come, and given up at a deadline: a timeout between two pieces never
ends one that drips. Cost: none of its own. Limits: `NO_PROXY` as Python reads it.
"""

from __future__ import annotations

import time
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from xtrove.core import XtroveError

_CHUNK = 1 << 16


class SlowBody(XtroveError):
    """A body did not come in time."""


def connections(target: str, at_once: int, timeout_s: float) -> urllib3.PoolManager:
    """A pool for the host of a URL; `timeout_s` to connect, and between two pieces."""
    timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
    parsed = urlsplit(target)
    proxy = getproxies().get(parsed.scheme)
    if not proxy or proxy_bypass(parsed.hostname or ""):
        return urllib3.PoolManager(maxsize=at_once, timeout=timeout)
    parts = urlsplit(proxy)
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=pair) if parts.username else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, maxsize=at_once, timeout=timeout)


def asked(
    pool: urllib3.PoolManager, address: str, headers: dict[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    """A GET whose body is still to be read, as it is on the wire. Raises urllib3's errors."""
    return pool.request(
        "GET",
        address,
        preload_content=False,
        decode_content=False,
        redirect=False,
        retries=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "xtrove", **(headers or {})},
    )


def receive(answer: urllib3.BaseHTTPResponse, got: bytearray, enough: int, seconds: float) -> None:
    """Append the body to what was got, until there is `enough` or no more; the last piece may
    go beyond. Raises `SlowBody`."""
    deadline = time.monotonic() + seconds
    # `read` would wait for a full piece for as long as single bytes keep coming.
    while len(got) < enough and (piece := answer.read1(_CHUNK)):
        got += piece
        if time.monotonic() > deadline:
            raise SlowBody("the body did not come in time")
