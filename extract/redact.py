"""E-mail addresses, IP addresses and keys, replaced by <EMAIL>, <IP> and <KEY>.

Method: per class a substring test (C speed) decides whether any regular expression runs; the
expressions are linear (bounded or possessive). Keys: the published prefixes of AWS, GitHub,
GitLab, Slack, Google, Stripe, OpenAI, Anthropic, npm, PyPI, Hugging Face and SendGrid, private
key blocks, JSON web tokens, passwords in URLs, and quoted strings of high entropy that are
assigned to a name such as `api_key`.
What stays, because it is nobody's: example.com and its kin (RFC 2606), `git@` remotes, IP
addresses that are not global (private, loopback, documentation ranges), the public DNS
servers, dotted quads that are versions, and values that are plainly placeholders.
Cost: 9 us for 300 characters of code, 18 us for 750; 200 KB of hostile text under 0.2 s.
Limits: names, street addresses and telephone numbers are out of scope. A secret is never part
of a message or a count.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from extract.options import RedactKind
from extract.words import word_set

ALL_KINDS: tuple[RedactKind, ...] = ("email", "ip", "key")

_EMAIL = re.compile(
    r"(?<![\w.%+-])([A-Za-z0-9][\w.%+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.){1,8})([A-Za-z]{2,24})"
    r"(?![\w(\[-])"
)
_FILE_ENDINGS = word_set("png jpg jpeg gif svg webp ico css scss js ts py rb go rs php")
_EXAMPLE_DOMAINS = ("example", "test", "invalid", "localhost", "local")
_RECEIVERS = frozenset(("self", "this", "cls"))

_IPV4 = re.compile(r"(?<![\w.-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w-]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}(?::{1,2}[0-9A-Fa-f]{1,4}){1,7}(?![\w:])")
# Every digit to 0: "0.0" in the result is a search at memory speed for digit, dot, digit.
_DIGITS = bytes(48 if chr(b).isdigit() and b < 128 else b for b in range(256))
_GROUP = re.compile(r"[23][0-9A-Fa-f]{3}:")
_VERSION_CONTEXT = re.compile(r"(?:version|release|\bver|assembly|upgrade|since)\W{0,8}$", re.I)
_PUBLIC_DNS = frozenset(("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"))

# Letters and digits to A: these keys all hold 16 in a row, which 85 % of functions do not.
_ALPHANUMERIC = bytes(65 if b < 128 and chr(b).isalnum() else b for b in range(256))
_SOLID_RUN = b"A" * 16
_SOLID = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Za-z])"
    r"|gh[pousr]_[A-Za-z0-9]{36,251}+|[rsp]k_(?:live|test)_[0-9A-Za-z]{16,255}+"
    r"|(?:npm_[A-Za-z0-9]{36}|hf_[A-Za-z]{34})(?![A-Za-z0-9]))"
)
_PREFIXED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (marker, re.compile(r"(?<![A-Za-z0-9])" + pattern))
    for marker, pattern in (
        ("github_pat_", r"github_pat_\w{22,255}+"),
        ("glpat-", r"glpat-[\w-]{20,64}+"),
        ("xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}+"),
        ("hooks.slack.com", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,100}+"),
        ("AIza", r"AIza[\w-]{35}(?![\w-])"),
        ("ya29.", r"ya29\.[\w-]{20,255}+"),
        ("sk-", r"sk-(?:ant-|proj-)?(?=[\w-]{0,255}[0-9])[\w-]{32,255}+"),
        ("pypi-", r"pypi-[\w-]{60,255}+"),
        ("SG.", r"SG\.[\w-]{16,64}\.[\w-]{16,64}"),
        ("eyJ", r"eyJ(?:(?<![\w-]eyJ)[\w-]{8,}+|[\w-]{8,400}+)\.eyJ[\w-]{8,}+\.[\w-]{8,}+"),
    )
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN [^-\n]{0,40}PRIVATE KEY[^-\n]{0,10}-----"
    r"(?:((?>(?:[^-]|-(?!----)){1,20000}))-----END [^-\n]{1,60}-----"
    r"|([A-Za-z0-9+/=\s\\\"',]{64,20000}+))"
)
_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{32}")
_URL_PASSWORD = re.compile(r"(?<=://)[^\s/:@<>\"']{1,64}:[^\s/@<>\"'{}$%]{3,64}@")
_QUOTED = re.compile(r"([\"'])([\w+/=.~-]{16,200}+)\1")
_ASSIGNED = re.compile(
    r"(?:api_?key|secret|token|passw(?:or)?d|passwd|access_?key|auth_?key|credential|private_?key)"
    r"\w{0,16}[\"']?\]?\s{0,8}(?::=|=>|[:=])\s{0,8}$"
)
_ASSIGNED_WORDS = ("key", "token", "secret", "passw", "credential")
_PLACEHOLDER = re.compile(
    r"your|example|placeholder|changeme|change_me|dummy|sample|xxxx|0000|1234567|abcdef|foobar|test"
)
_MIN_ENTROPY = 3.0
_CONTEXT = 64
_DETAIL_SCANNED = 20_000


def redact(
    text: str, kinds: Collection[RedactKind] = ALL_KINDS
) -> tuple[str, tuple[tuple[str, int], ...]]:
    """`text` with what `kinds` name replaced, and how many of each class, sorted by class."""
    counts: list[tuple[str, int]] = []
    for kind in ("key", "email", "ip"):  # Keys first: a password in a URL looks like an e-mail.
        if kind in kinds:
            text, count = _REDACTORS[kind](text)
            if count:
                counts.append((kind, count))
    return text, tuple(sorted(counts))


def safe_detail(text: str) -> str:
    """At most 200 characters of `text` on one line, with every secret out, for the record."""
    return redact(" ".join(text.split())[:_DETAIL_SCANNED])[0][:200]


def _substitute(
    pattern: re.Pattern[str], mark: str, refuse: Callable[[re.Match[str]], bool], text: str
) -> tuple[str, int]:
    count = 0

    def replacement(match: re.Match[str]) -> str:
        nonlocal count
        if refuse(match):
            return match[0]
        count += 1
        return mark

    return pattern.sub(replacement, text), count


def _emails(text: str) -> tuple[str, int]:
    if not _has_address(text):
        return text, 0
    return _substitute(_EMAIL, "<EMAIL>", _is_nobodys, text)


def _has_address(text: str) -> bool:
    """Whether an @ follows a character that may end a local part; decorators do not."""
    place = text.find("@")
    while place >= 0:
        if place and (text[place - 1].isalnum() or text[place - 1] in "_.%+-"):
            return True
        place = text.find("@", place + 1)
    return False


def _is_nobodys(match: re.Match[str]) -> bool:
    """Reserved names, git remotes, and what is an operator or a file name in code."""
    local, labels, ending = match[1], match[2].rstrip(".").lower().split("."), match[3].lower()
    if local == "git" or ending in _FILE_ENDINGS:
        return True
    if ending in _EXAMPLE_DOMAINS or labels[-1] in _EXAMPLE_DOMAINS:
        return True
    return labels[0] in _RECEIVERS or (len(local) == 1 and len(labels[0]) == 1)


def _addresses(text: str) -> tuple[str, int]:
    count = more = 0
    if b"0.0" in text.encode("utf-8", "surrogatepass").translate(_DIGITS):
        text, count = _substitute(_IPV4, "<IP>", _is_no_address, text)
    if ("::" in text or text.count(":") >= 7) and _GROUP.search(text) is not None:
        text, more = _substitute(_IPV6, "<IP>", _is_no_address, text)
    return text, count + more


def _is_no_address(match: re.Match[str]) -> bool:
    text, start, value = match.string, match.start(), match[0]
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return True
    if not address.is_global or value in _PUBLIC_DNS:
        return True
    before = text[max(0, start - _CONTEXT) : start]
    # "Chrome/91.0.4.4" is a version, "http://91.0.4.4" is not.
    if before.endswith("/") and not before.endswith("//"):
        return True
    return _VERSION_CONTEXT.search(before) is not None


def _keys(text: str) -> tuple[str, int]:
    total = 0
    if "PRIVATE KEY" in text:
        text, count = _substitute(_KEY_BLOCK, "<KEY>", _is_empty_block, text)
        total += count
    if _SOLID_RUN in text.encode("utf-8", "surrogatepass").translate(_ALPHANUMERIC):
        text, count = _SOLID.subn("<KEY>", text)
        total += count
    for marker, pattern in _PREFIXED:
        if marker in text:
            text, count = pattern.subn("<KEY>", text)
            total += count
    if "://" in text and "@" in text:
        text, count = _URL_PASSWORD.subn("<KEY>@", text)
        total += count
    lowered = text.lower()
    for word in _ASSIGNED_WORDS:
        if word in lowered:
            text, count = _assigned(text)
            total += count
            break
    return text, total


def _is_empty_block(match: re.Match[str]) -> bool:
    # Code that only looks for the marker holds no key.
    return _KEY_BODY.search(match[1] or match[2]) is None


def _assigned(text: str) -> tuple[str, int]:
    count = 0

    def replacement(match: re.Match[str]) -> str:
        nonlocal count
        before = match.string[max(0, match.start() - _CONTEXT) : match.start()].lower()
        if not is_random(match[2]) or _ASSIGNED.search(before) is None:
            return match[0]
        count += 1
        return f"{match[1]}<KEY>{match[1]}"

    return _QUOTED.sub(replacement, text), count


def is_random(value: str) -> bool:
    """Whether `value` reads as a secret: letters and digits mixed, at least 3 bits of Shannon
    entropy a character, and no word that marks a placeholder."""
    if value.isalpha() or not any(c.isdigit() for c in value):
        return False
    if not any(c.isalpha() for c in value) or _PLACEHOLDER.search(value.lower()) is not None:
        return False
    size = len(value)
    entropy = -sum(n / size * math.log2(n / size) for n in Counter(value).values())
    return entropy >= _MIN_ENTROPY


_REDACTORS: Mapping[str, Callable[[str], tuple[str, int]]] = MappingProxyType(
    {"key": _keys, "email": _emails, "ip": _addresses}
)
