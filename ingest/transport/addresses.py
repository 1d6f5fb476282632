"""Where requests may be led, who may hear a token, and addresses without their user.

Method: a redirect stays on its host or leads to a public address. To a private one (RFC 1918,
unique local, carrier-grade) it may lead only where the configured address is itself private or
loopback, to loopback only where that is loopback, and never to a link-local (the metadata
services of clouds), multicast, unspecified or reserved one. IPv4 inside of IPv6 (mapped, 6to4,
Teredo, NAT64) counts as the IPv4 address. The configured address itself is trusted.
Cost: a look-up of each host, kept for the process. Limits: behind a proxy, which looks names up
itself, only what this machine can look up is judged.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import warnings
from collections.abc import Collection
from functools import cache, lru_cache
from urllib.parse import urlsplit

from ingest.errors import SourceError
from xtrove.core import XtroveError

PUBLIC, PRIVATE, LOOPBACK, OTHER = "public", "private", "loopback", "other"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_USER = re.compile(r"(?<=://)[^/\s]*@")
_PLAIN_USER_SCHEMES = frozenset({"http", "https", "ftp", "ws", "wss"})


class RedirectRefused(XtroveError, PermissionError):
    """A redirect leads where it must not."""

    def __init__(self) -> None:
        super().__init__("a redirect to an address that is not public, or out of https")


def addresses_of(host: str) -> frozenset[str]:
    """The IP addresses of a host; none where this machine cannot look it up."""
    try:
        return _looked_up(host)
    except (OSError, UnicodeError):
        return frozenset()


def kind_of(address: str) -> str:
    """`PUBLIC`, `PRIVATE`, `LOOPBACK` or `OTHER`."""
    ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    if ip.is_loopback:
        return LOOPBACK
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return OTHER
    return PUBLIC if ip.is_global else PRIVATE


def may_lead(home: Collection[str], target: Collection[str]) -> bool:
    """Whether a redirect from a configured host may lead to a host, by their IP addresses."""
    kinds = {kind_of(address) for address in home}
    allowed = {PUBLIC}
    if kinds & {PRIVATE, LOOPBACK}:
        allowed.add(PRIVATE)
    if kinds == {LOOPBACK}:
        allowed.add(LOOPBACK)
    return all(address in home or kind_of(address) in allowed for address in target)


def bearer(endpoint: str) -> dict[str, str]:
    """The header with the Hub's token for an endpoint; {} where there is none.

    Raises `SourceError` where it would go over plain HTTP to another machine.
    """
    from huggingface_hub import constants, get_token  # 70 ms, for builds that ask the Hub alone

    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    if not token:
        return {}
    check_token_goes_to(endpoint)
    return {"Authorization": f"Bearer {token}"}


@cache
def check_token_goes_to(endpoint: str) -> None:
    """Warn once where a token goes over plain HTTP to this machine; else `SourceError`."""
    parts = urlsplit(endpoint)
    if parts.scheme == "https":
        return
    shown = without_user(endpoint)
    addresses = addresses_of(parts.hostname or "")
    if not addresses or any(kind_of(address) != LOOPBACK for address in addresses):
        raise SourceError(
            "the token of the Hub would go over the network unencrypted",
            value=shown,
            remedy="Set HF_ENDPOINT to an https:// address, or HF_HUB_DISABLE_IMPLICIT_TOKEN=1 "
            "to read without a token.",
        )
    warnings.warn(f"the token of the Hub goes over plain HTTP to {shown}", stacklevel=2)


def names_user(url: str) -> bool:
    """Whether a URL holds a password, or a user where that can be a token.

    The name before the `@` of `abfs://CONTAINER@ACCOUNT` or `sftp://NAME@HOST` is part of the
    address.
    """
    scheme, marked, rest = url.partition("://")
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, separator, _ = netloc.rpartition("@")
    plain = scheme.lower().rpartition("+")[2] in _PLAIN_USER_SCHEMES
    return bool(marked and separator) and (plain or ":" in user)


def without_user(text: str) -> str:
    """A URL, or a text with URLs, without users and passwords."""
    return _USER.sub("", text)


@lru_cache(maxsize=4096)
def _looked_up(host: str) -> frozenset[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return frozenset(str(answer[4][0]) for answer in answers)


def _unwrapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address inside of an IPv6 one, if there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (0, address))[1]
