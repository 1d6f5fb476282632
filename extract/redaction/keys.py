"""Where keys, tokens and passwords stand in a text.

Method: three searches, each behind a literal that C finds, so that a text without any anchor
costs one pass each.
Form: `extract.redaction.key_formats`, where 16 letters, digits, `_` and `-` stand in a row.
Name: a value that reads as a secret (`extract.redaction.randomness`) beside a name such as
`api_key`, `password`, `X-Auth-Token`: assigned, passed, in JSON, YAML, XML, a header, an
environment, a connection string or a query. A value without quotes has to be random, or unlike any
code. Place: private key blocks, user and password in a URL, Basic and Bearer, `curl -u`, webhooks.
All patterns are bounded: 100 kB of hostile text take less than 0.1 s.
Cost: 5 us for 350 characters of code.
Limits: secrets made of words are no secrets here; values with spaces are not seen.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from extract.redaction.key_formats import FORMATS
from extract.redaction.randomness import is_mixed, is_password, is_placeholder, is_random

Span = tuple[int, int]

# Every byte of a word to A, all else to a space: a run is found at memory speed.
_WORDS = bytes(65 if b < 128 and (chr(b).isalnum() or b in b"_-") else 32 for b in range(256))
_RUN = b"A" * 16
_BEFORE_RUN = 24
_DIGITS = b"0123456789"
# A digit, or capitals as no identifier has them: 99 % of random letters do.
_MIXED = re.compile("[0-9]|[A-Z][a-z][A-Z]|[a-z][A-Z]{2}")


def _any_head() -> str:
    """All heads as one expression, by first letter: most words are refused by that alone."""
    by_letter: dict[str, list[str]] = {}
    for head in dict.fromkeys(key_format.head for key_format in FORMATS):
        letter, rest = (head[0], head[1:]) if head[0].isalnum() else ("", head)
        by_letter.setdefault(letter, []).append(rest)
    return "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in by_letter.items())


def _forms() -> dict[str, tuple[tuple[re.Pattern[str], bool], ...]]:
    """By first letter, those with a form that begins so or with a class of characters."""
    forms = [
        (key_format.head[0], re.compile(key_format.head + key_format.tail), key_format.random)
        for key_format in FORMATS
    ]
    letters = {letter for letter, _, _ in forms if letter.isalnum()} | {""}
    return {
        letter: tuple(
            (form, random) for first, form, random in forms if first == letter or first in "[("
        )
        for letter in letters
    }


_HEADS = f"(?:{_any_head()})"
# Also after a line break that is written as one: "\\nghp_".
_HEAD = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))" + _HEADS)
_FORMS = _forms()

_KEY_BLOCK = re.compile(
    r"-----BEGIN [^-\n]{0,40}PRIVATE KEY[^-\n]{0,10}-----"
    r"(?:((?>(?:[^-]|-(?!----)){1,20000}))-----END [^-\n]{1,60}-----"
    r"|([A-Za-z0-9+/=\s\\\"',]{64,20000}+))"
)
_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{32}")
_URL_USER = re.compile(
    r"(?<=://)(?:([^\s/:@<>\"'`{}\[\]$]{0,64}):)?([^\s/:@<>\"'`{}\[\]$]{3,200})@([\w.-]*)"
)
_WEBHOOK = re.compile(
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,100}+"
    r"|[a-z0-9-]{1,63}\.webhook\.office\.com/webhookb2/[\w@/-]{60,200}+"
    r"|hooks\.zapier\.com/hooks/catch/[0-9]{4,9}/[a-z0-9]{6,12}"
)

_ANNOTATION = r"(?:\s?:\s?&?[A-Za-z][\w:<>\[\]&' ]{0,30}?(?=\s?=[^=])|\s[a-z]{2,8}(?=\s?=[^=]))?"
_VALUE = re.compile(
    r"([\w-]{0,32}+)(\\?[\"'`]?)[\])]{0,2}"
    + _ANNOTATION
    + r"(\s{0,8}(?:\?\?=|\|\|=?|:=|=>|===?|->|[=:,(>])\s{0,8}|\s{1,4}value\s?=\s?"
    r"|\s{1,3}is:?\s{1,3}|\s(?=\S))"
    r"(?:(?:String::from|\[\]byte|new\s\w{1,20}|\w{1,20})\(\s?)?"
    r"(?:[bBrRuUfF@$]{0,2}\\?([\"'`])([^\s\"'`\\]{6,500}+)\\?\4|([^\s\"'`<>()\[\]{},;|\\&.=:]{6,500}+={0,2})(.?))"
)
_REFUSED_TAIL = re.compile(
    r"hash|digest|sha\d|md5|checksum|fingerprint|public|path|file|dir\b|ur[il]|endpoint|host"
    r"|field|column|label|prefix|suffix|regex|pattern|format|error|message|msg|length|type|class"
    r"|_?ids?\b|version|count|name$|manager|provider|driver|nonce|timestamp|signature_method"
)
# Markup, templates, calls, addresses of people, paths and file names.
_NO_TOKEN = re.compile(r"[<>{}]|\w\(|@[\w-]+\.|\.\.\.|^[.~]{0,2}/|\.[a-z]{2,4}$")
_PUBLIC = re.compile(r"public[_-]?(?:key)?[_-]?\Z")
_PASSWORD_TAIL = re.compile(r"(?:word|wd|d|phrase|code)?[_-]?\d{0,2}")
_KEY_OWNER = re.compile(
    r"(?:api|access|auth|private|secret|account|encrypt(?:ion)?|sign(?:ing|ature)?|master|client"
    r"|consumer|app(?:lication)?|shared|storage|session|service|admin|write|deploy|hmac|crypto?"
    r"|cipher|aes|jwt|ssh|webhook|subscription|instrumentation|license|integration|server|bot"
    r"|pre.?shared|psk)[_. -]?\Z"
)
_CODE_AFTER = re.compile(r"[(\[{]|\.\w")
_SCHEME = re.compile(r"(?:bearer|token)[ ]{1,3}([\w.~+/=-]{16,4000}+)", re.I)
_BASIC = re.compile(r"basic[ ]{1,3}([A-Za-z0-9+/]{8,400}+={0,2})", re.I)
_SIGNATURE = re.compile(r"(?<=[?&;])sig=([\w%+/=-]{24,200}+)", re.I)
_CURL_USER = re.compile(r"[^\n]{0,100}?(?:-u|--user)[ =]?[\"']?[\w.@+-]{1,64}:([^\s\"'`:@]{4,64})")
_NETRC = re.compile(r"(?:login|machine)\s\S{1,64}\s+\Z|--[\w-]{0,24}\Z|(?:\A|\n)\s{0,8}\Z")
_TUPLE = re.compile(
    r"auth[\"']?\s?[=:]\s?\w{0,20}[(\[]\s?([\"'])[^\"'\n]{1,64}\1,\s?([\"'])([^\"'\s]{4,64})\2"
)
_IDENTIFIED = re.compile(r"identified by\s{1,4}([\"'])([^\"'\s]{4,64})\1", re.I)
_LOCAL_HOSTS = re.compile(r"localhost|127\.|example|host\b|test\b", re.I)


def may_hold_keys(text: str) -> bool:
    """False only where `redact_keys` replaces nothing; a fourth of its cost."""
    plain = text.encode("ascii", "replace")
    # Most texts hold no digit, and no secret beside a name is without one.
    if len(plain.translate(None, _DIGITS)) < len(plain):
        return True
    if "://" in text or "PRIVATE KEY" in text:
        return True
    words = plain.translate(_WORDS)
    return _RUN in words and bool(_formed(text, words))


def is_mixed_word(word: str) -> bool:
    """Whether an identifier has a digit, or capitals as few have: keys of a form have."""
    return _MIXED.search(word) is not None


def redact_keys(text: str) -> tuple[str, int]:
    """`text` with every key replaced by <KEY>, and how many there were."""
    total = 0
    # What is replaced may uncover a key that stood against it; a second round finds nothing else.
    for _ in range(4):
        spans = _merged(key_spans(text))
        if not spans:
            break
        pieces: list[str] = []
        end = 0
        for start, stop in spans:
            pieces += (text[end:start], "<KEY>")
            end = stop
        text = "".join(pieces) + text[end:]
        total += len(spans)
    return text, total


def key_spans(text: str) -> list[Span]:
    """Where keys stand, unsorted; spans may overlap."""
    # One byte a character, so that places in it are places in the text.
    plain = text.encode("ascii", "replace")
    spans = _formed(text, plain.translate(_WORDS))
    lowered = plain.lower()
    has_digits = len(lowered.translate(None, _DIGITS)) < len(lowered)
    for anchor, find in _ANCHORS if has_digits else _ANCHORS[:1]:
        offset = lowered.find(anchor)
        while offset >= 0:
            stop = offset + len(anchor)
            span = find(text, offset, stop)
            if span is not None:
                spans.append(span)
            offset = lowered.find(anchor, stop)
    if b"private key" in lowered:
        spans += (match.span() for match in _KEY_BLOCK.finditer(text) if _has_body(match))
    return spans


def _merged(spans: list[Span]) -> list[Span]:
    if len(spans) < 2:
        return spans
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _formed(text: str, words: bytes) -> list[Span]:
    spans: list[Span] = []
    stop, start = 0, words.find(_RUN)
    while start >= 0:
        first, stop = max(stop, start - _BEFORE_RUN), words.find(b" ", start)
        stop = len(words) if stop < 0 else stop
        if _MIXED.search(text, start, stop) is not None:
            # A head may hold what ends the run: `pat….`.
            head = _HEAD.search(text, first, stop + 1)
            while head is not None:
                end = _end_of_key(text, head.start())
                if end:
                    spans.append((head.start(), end))
                    stop = max(stop, end)
                head = _HEAD.search(text, end or head.start() + 1, stop + 1)
        start = words.find(_RUN, stop)
    return spans


def _end_of_key(text: str, start: int) -> int:
    for form, random in _FORMS.get(text[start]) or _FORMS[""]:
        key = form.match(text, start)
        if key is not None and _is_key(key[0], random=random):
            return key.end()
    return 0


def _is_key(value: str, *, random: bool) -> bool:
    if random:
        return is_random(value)
    return len(set(value)) > 8 and "your" not in value.lower()


def _has_body(match: re.Match[str]) -> bool:
    # Code that only looks for the marker holds no key.
    return _KEY_BODY.search(match[1] or match[2]) is not None


def _beside_name(text: str, start: int, stop: int) -> Span | None:
    """The value of a name that holds `secret`, `token`, `credential` or `auth`."""
    if text.startswith(" ", stop):
        # `Authorization: Token …`, and other words for the same.
        span = _scheme(text, start, stop)
        if span is not None:
            return span
    match = _VALUE.match(text, stop)
    if match is None:
        return None
    tail = match[1].lower()
    if _REFUSED_TAIL.search(tail) is not None:
        return None
    if _PUBLIC.search(text[max(0, start - 12) : start].lower()) is not None:
        return None
    strict = text[start:stop].lower() == "secret" and tail in ("", "_key", "key")
    return _value(text, match, start, password=strict)


def _beside_key(text: str, start: int, stop: int) -> Span | None:
    match = _VALUE.match(text, stop)
    if match is None or _REFUSED_TAIL.search(match[1].lower()) is not None:
        return None
    if _KEY_OWNER.search(text[max(0, start - 16) : start].lower()) is None:
        return None
    return _value(text, match, start, password=False)


def _beside_password(text: str, start: int, stop: int) -> Span | None:
    match = _VALUE.match(text, stop)
    if match is None:
        return None
    tail = match[1].lower()
    exact = _PASSWORD_TAIL.fullmatch(tail) is not None
    short = not tail or text[start + 1] in "wW"
    if short and text[start - 1 : start].islower() and text[start].islower():
        return None  # `bypass`, `compass`.
    if not exact and (tail[0] not in "wpc_-" or _REFUSED_TAIL.search(tail) is not None):
        return None
    return _value(text, match, start, password=exact)


def _value(text: str, match: re.Match[str], start: int, *, password: bool) -> Span | None:
    if match[5] is not None:
        value = match[5]
        if match[3].isspace() and not match[2]:
            # Prose: a password "like this".
            return match.span(5) if _is_token(value) or (password and is_mixed(value)) else None
        if "," in match[3] and (not match[2] or len(match[1]) > 8 or "\n" in match[3]):
            return None  # Only `"TOKEN", "…"` goes together, not lists and other arguments.
        if _is_token(value) or (password and is_password(value)):
            return match.span(5)
        return None
    value, after = match[6], match[7]
    if _CODE_AFTER.match(text, match.end(6)) or not _may_stand_bare(text, match, start):
        return None
    if _is_token(value) and sum(map(str.isdigit, value)) > 1:
        return match.span(6)
    if not password or not is_password(value) or match[3].strip() in ("", "is", "is:"):
        return None
    if is_mixed(value):
        return match.span(6)
    # Without quotes only what no identifier is, or an environment, or a connection string.
    assigned = match[3] == "="
    if (re.search(r"[!@#^]", value) and "*" not in value) or (
        assigned and (text[start : start + 4].isupper() or (after and after in ";\"'"))
    ):
        return match.span(6)
    return None


def _is_token(value: str) -> bool:
    return is_random(value, min_chars=12) and _NO_TOKEN.search(value) is None


def _may_stand_bare(text: str, match: re.Match[str], start: int) -> bool:
    link = match[3].strip()
    if not link:
        before = text[max(0, start - 96) : start]
        return _NETRC.search(before) is not None or "authorization" in before[-24:].lower()
    if link == ">":
        return text.startswith("</", match.end(6))
    return link in ("=", ":", "=>", ":=", "is", "is:")


def _scheme(text: str, start: int, stop: int) -> Span | None:
    match = _SCHEME.match(text, start)
    if match is None or not is_random(match[1], min_chars=20):
        return None
    return match.span(1)


def _basic(text: str, start: int, stop: int) -> Span | None:
    match = _BASIC.match(text, start)
    if match is None:
        return None
    try:
        decoded = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, colon, password = decoded.partition(":")
    if not colon or not decoded.isprintable() or len(password) < 4 or user == password:
        return None
    return None if is_placeholder(password) else match.span(1)


def _in_url(text: str, start: int, stop: int) -> Span | None:
    match = _WEBHOOK.match(text, stop)
    if match is not None:
        return match.span()
    match = _URL_USER.match(text, stop)
    if match is None:
        return None
    user, password, host = match.groups()
    if user is None:
        return match.span(2) if is_random(password, min_chars=20) else None
    if password == user or "%s" in password or is_placeholder(password):
        return None
    if not (is_password(password) or is_random(password, min_chars=8)) and (
        len(password) < 6 or _LOCAL_HOSTS.match(host)
    ):
        return None
    return match.start(), match.end(2)


def _signature(text: str, start: int, stop: int) -> Span | None:
    match = _SIGNATURE.match(text, start)
    return match.span(1) if match is not None and is_random(match[1]) else None


def _curl(text: str, start: int, stop: int) -> Span | None:
    match = _CURL_USER.match(text, start)
    if match is None or not (is_password(match[1]) or is_random(match[1], min_chars=8)):
        return None
    return match.span(1)


def _auth(text: str, start: int, stop: int) -> Span | None:
    match = _TUPLE.match(text, start)
    if match is not None and (is_password(match[3]) or is_random(match[3], min_chars=8)):
        return match.span(3)
    if text[stop : stop + 2].lower() == "or" and text[stop + 2 : stop + 3].lower() != "i":
        return None  # An author.
    return _beside_name(text, start, stop)


def _identified(text: str, start: int, stop: int) -> Span | None:
    match = _IDENTIFIED.match(text, start)
    return match.span(2) if match is not None and is_password(match[2]) else None


_ANCHORS: tuple[tuple[bytes, Callable[[str, int, int], Span | None]], ...] = (
    (b"://", _in_url),
    (b"pass", _beside_password),
    (b"pw", _beside_password),
    (b"secret", _beside_name),
    (b"token", _beside_name),
    (b"key", _beside_key),
    (b"credential", _beside_name),
    (b"auth", _auth),
    (b"bearer ", _scheme),
    (b"basic ", _basic),
    (b"sig=", _signature),
    (b"curl ", _curl),
    (b"identified by ", _identified),
)
