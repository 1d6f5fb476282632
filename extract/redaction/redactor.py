"""E-mail addresses, IP addresses and keys, replaced by <EMAIL>, <IP> and <KEY>.

Method: per class a substring test (C speed) decides whether any regular expression runs; the
expressions are linear (bounded or possessive). Keys: `extract.redaction.keys`.
What stays, because it is nobody's: example.com and its kin (RFC 2606), names such as `user@`,
`git@` remotes, what ends in no top-level domain; IP addresses that are not global (private,
loopback, documentation ranges), the public DNS servers; dotted numbers that are versions,
sections or object identifiers: where all four numbers are small, only a context of networks
makes an address of them.
Cost: 10 us for 350 characters of code.
Limits: names, street addresses and telephone numbers are out of scope. A secret is never part
of a message or a count. docs/redaction.md has a table of hits and misses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from extract.options import RedactKind
from extract.redaction.keys import is_mixed_word, may_hold_keys, redact_keys
from extract.text import word_set

ALL_KINDS: tuple[RedactKind, ...] = ("email", "ip", "key")

_EMAIL = re.compile(
    r"(?<![\w.%+-])([^\W_][\w.%+-]{0,63})(@|&#64;|[ ]?[(\[]at[)\]][ ]?)"
    r"((?:[^\W_](?:[\w-]{0,62})\.){1,8})([A-Za-z]{2,24})(?![\w(\[]|-[A-Za-z])"
)
# Top-level domains of mail addresses; every two letters of a country are one too.
_DOMAINS = word_set(
    "academy accountants aero africa agency amsterdam apartments app art arts asia associates "
    "attorney auto bank bargains bayern beauty beer berlin bible bike biz blog broker builders "
    "bzh cafe capital care cars cat charity chat cheap church click clinic cloud club coffee "
    "college cologne com community company construction consulting contractors coop courses "
    "credit cruises cymru dating deals dental design dev digital directory discount doctor "
    "earth eco edu education email energy engineering enterprises estate eus events exchange "
    "expert faith family farm fashion film finance fitness flights foundation fun fund fyi gal "
    "gallery games garden gifts global gmbh gov graphics green group guru hamburg health "
    "holdings holiday hospital host hotel house icu inc industries info institute insurance int "
    "international irish istanbul jobs kids kitchen kiwi koeln lat law lawyer legal life "
    "limited link live llc loans lol london love ltd management market marketing markets media "
    "melbourne miami mil mobi money moscow movie museum music name net network news ninja nrw "
    "nyc online ooo org organic ovh page paris partners party pharmacy photo photography photos "
    "pizza plumbing post press pro properties pub quebec radio rent repair restaurant rocks "
    "ruhr saarland sale sarl school science scot services shop shopping singles site social "
    "software solar solutions space srl store studio style support swiss sydney systems tax "
    "taxi team tech tel theater tips tirol today tokyo tools top tours toys trade trading "
    "training travel university vacations vegas ventures video vip voyage wales website wedding "
    "wien wiki wine work works world xyz zone"
)
_COUNTRIES = word_set(
    "ac ad ae af ag ai al am ao ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt "
    "bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg "
    "er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gt gu gw gy hk hm hn hr "
    "ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li "
    "lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc "
    "ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw "
    "sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn "
    "to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_TOP_LEVEL = _DOMAINS | _COUNTRIES
# Endings of source files that are countries too: `icon@2x.py`.
_FILE_ENDINGS = word_set("py rs sh md ps so ml pl")
_RESERVED = frozenset(("example", "test", "invalid", "localhost", "local"))
_NOBODYS_DOMAINS = _RESERVED | word_set(
    "domain yourdomain mydomain somedomain host hostname server myserver company yourcompany "
    "mycompany foo bar baz foobar openssh libssh"
)
_RECEIVERS = frozenset(("self", "this", "cls", "other", "obj"))
_NOBODYS = word_set(
    "git hg svn user username user1 user2 your you yourname name someone somebody foo bar baz "
    "x y z noreply no-reply donotreply"
)

_IN_URL = re.compile(r"://[^\s/@]{0,64}:\Z")
_IPV4 = re.compile(
    r"(?<![\w.])(?<![^\W\d]-)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|-(?![0-9]{1,3}\.)|\.[0-9])"
)
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}(?::{1,2}[0-9A-Fa-f]{1,4}){1,7}(?![\w:])")
# Every digit to 0: "0.0" in the result is a search at memory speed for digit, dot, digit.
_DIGITS = bytes(48 if 48 <= b < 58 else b for b in range(256))
_GROUP = re.compile(r"[23][0-9A-Fa-f]{3}:")
_NO_ADDRESS = re.compile(
    r"(?:version|release|\bver|assembly|upgrade|since|section|sec\.|§|clause|chapter|paragraph"
    r"|\boids?\b|object.?identifier|asn\.?1|\brfc\s?\d+|build|firmware|\bv)\W{0,12}$",
    re.I,
)
_NETWORK = re.compile(
    r"(?:://|@|(?:\b|_)(?:ip(?:v4)?|ip_?addr\w{0,16}|addr(?:ess)?(?:es)?|host(?:s|name)?|server|peer|remote"
    r"|gateway|connect(?:ed|s)?(?:\sto)?|ping|dns|nameserver|bind|listen|client|proxy|node)"
    r"[\"']?\]?\s{0,3}(?:is\b|=|:|,|\(|to\b)?\s{0,3}[\"'(\[]?)$",
    re.I,
)
_PORT = re.compile(r":[0-9]{2,5}\b|/[0-9]{1,2}\b(?![./])")
# All before the last @ of an address's host.
_URL_USER = re.compile(r"(?<=://)[^\s/?#]{1,512}@")
_SMALL = 30
_ARCS = frozenset(((1, 2), (1, 3), (2, 5), (2, 16), (2, 23)))
_PUBLIC_DNS = frozenset(("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"))
_CONTEXT = 64
_DETAIL_SCANNED = 20_000


def redact(
    text: str, kinds: Collection[RedactKind] = ALL_KINDS
) -> tuple[str, tuple[tuple[str, int], ...]]:
    """`text` with what `kinds` name replaced, and how many of each class, sorted by class."""
    # What has no digit has no IP address either; a text without any of these is most of them.
    if "@" not in text and "[at]" not in text and "(at)" not in text and not may_hold_keys(text):
        return text, ()
    counts: list[tuple[str, int]] = []
    for kind in ("key", "email", "ip"):  # Keys first: a password in a URL looks like an e-mail.
        if kind in kinds:
            text, count = _REDACTORS[kind](text)
            if count:
                counts.append((kind, count))
    return text, tuple(sorted(counts))


def published_name(text: str, kinds: Collection[RedactKind] = ALL_KINDS) -> str:
    """A repository, path, address or name as it is published: no user of a URL, and redacted.

    The user goes whatever `kinds` say: it belongs to whoever fetched, not to the code.
    """
    if text.isidentifier() and not (len(text) >= 16 and is_mixed_word(text)):
        return text  # No key is so short or so plain, and addresses have other signs.
    if "://" in text and "@" in text:
        text = _URL_USER.sub("", text)
    return redact(text, kinds)[0]


def safe_detail(text: str) -> str:
    """At most 200 characters of `text` on one line, with every secret out, for the record."""
    return redact(" ".join(text.split())[:_DETAIL_SCANNED])[0][:200]


def _substitute(
    pattern: re.Pattern[str], placeholder: str, refuse: Callable[[re.Match[str]], bool], text: str
) -> tuple[str, int]:
    count = 0

    def replacement(match: re.Match[str]) -> str:
        nonlocal count
        if refuse(match):
            return match[0]
        count += 1
        return placeholder

    return pattern.sub(replacement, text), count


def _emails(text: str) -> tuple[str, int]:
    if not _has_address(text):
        return text, 0
    return _substitute(_EMAIL, "<EMAIL>", _is_nobodys, text)


def _has_address(text: str) -> bool:
    """Whether an @ follows a character that may end a local part; decorators do not."""
    offset = text.find("@")
    while offset >= 0:
        if offset and (text[offset - 1].isalnum() or text[offset - 1] in "_.%+-"):
            return True
        offset = text.find("@", offset + 1)
    return "&#64;" in text or "(at)" in text or "[at]" in text


def _is_nobodys(match: re.Match[str]) -> bool:
    """Reserved names, git remotes, and what is an operator or a file name in code."""
    if match.string.endswith(":", 0, match.start()) and _IN_URL.search(
        match.string, max(0, match.start() - _CONTEXT), match.start()
    ):
        return True  # A password that is a placeholder: `https://user:pass@corp.net`.
    local, labels = match[1].lower(), match[3].rstrip(".").lower().split(".")
    ending, domain = match[4].lower(), labels[-1]
    if local in _NOBODYS or ending in _RESERVED or ending not in _TOP_LEVEL:
        return True
    if domain in _NOBODYS_DOMAINS or labels[0] in _RECEIVERS:
        return True
    if match[4] != ending and not match[4].isupper():
        return True  # `x@Override.Class`.
    if domain.isdigit() or (ending in _FILE_ENDINGS and re.fullmatch(r"\d+x", domain)):
        return True  # `package@1.2.rc`, `icon@2x.py`.
    return len(local) == 1 and len(labels[0]) == 1


def _addresses(text: str) -> tuple[str, int]:
    count = more = 0
    if "." in text:
        digits = text.encode("ascii", "replace").translate(_DIGITS)
        if b"0.0" in digits and (b".0." in digits or b".00." in digits or b".000." in digits):
            text, count = _substitute(_IPV4, "<IP>", _is_no_ipv4, text)
    if ("::" in text or text.count(":") >= 7) and _GROUP.search(text) is not None:
        text, more = _substitute(_IPV6, "<IP>", _is_no_address, text)
    return text, count + more


def _is_no_address(match: re.Match[str]) -> bool:
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return True
    return not address.is_global or address.is_multicast or match[0] in _PUBLIC_DNS


def _is_no_ipv4(match: re.Match[str]) -> bool:
    if _is_no_address(match):
        return True
    text, start, stop = match.string, match.start(), match.end()
    before = text[max(0, start - _CONTEXT) : start]
    # "Chrome/91.0.4.4" is a version, "http://91.0.4.4" is not.
    if before.endswith("/") and not before.endswith("//"):
        return True
    if _NO_ADDRESS.search(before) is not None:
        return True
    numbers = [int(number) for number in match[0].split(".")]
    # Versions, sections and object identifiers (1.3.101.112, 2.5.29.17).
    small = max(numbers) < _SMALL or (numbers[0], numbers[1]) in _ARCS
    return small and _NETWORK.search(before) is None and _PORT.match(text, stop) is None


_REDACTORS: Mapping[str, Callable[[str], tuple[str, int]]] = MappingProxyType(
    {"key": redact_keys, "email": _emails, "ip": _addresses}
)
