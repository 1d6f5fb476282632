"""The licences that a sentence names: "the MIT or GPL version 2 licenses".

Method: names of licences are searched in the folded words of the sentence, each with the version
that follows it. Several names are a choice (`MIT OR GPL-2.0-only`) where an "or" or a slash
stands between them, or where the sentence says "dual", "either" or "at your option"; else all
of them hold. A name behind "not" or before "compatible" names nothing.
Cost: 40 searches in a sentence. Limits: what has no name here names nothing; GNU licences without
a version are the loosest of their family, and "BSD" alone is taken as BSD-3-Clause, which asks
for more than BSD-2-Clause.
Source: https://spdx.org/licenses for the identifiers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.licenses.policy import RESTRICTED, is_known

_URL = re.compile(r"(?:https?://|www\.)[^\s<>()\"']+")
_SLASH = re.compile(r"(?<=\w)\s?/\s?(?=\w)")
_LATER = re.compile(
    r"\b(?:and|or)(?: at your (?:option|choice))?(?: any| version)? (?:later|newer|above|higher)\b"
    r"|\bat your (?:option|choice) any (?:later|newer)\b|\bany later version\b"
)
_EITHER_VERSION = re.compile(r"\beither (?=v(?:ersion )?\d|version)")
_CHOICE = re.compile(r"\b(?:dual|dually|either|choose|choice|at your option)\b")
_VERSION = re.compile(
    r"(?: as published by the free software foundation)?(?: \w+){0,3}? ?v?(?:ersion )?"
    r"(\d)(?: (\d))?\b"
)
_FILLER = re.compile(
    r"v?\d+|the|licen[sc]e[ds]?|version|v|or|later|newer|only|any|and|under|http|https|www|org|com|html"
    r"|txt|php|gnu|opensource|creativecommons|copyleft|see|en|software"
)
_NEGATIONS = ("not ", "not the ", "non ", "no ")
_MAX_CHARS = 2_000
_CLOSED = "LicenseRef-closed"
"""A licence that is sold: as a choice beside another it takes nothing away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Name:
    hints: tuple[str, ...]
    """One of them stands in every text that has the name: looking for them is quick."""
    words: re.Pattern[str]
    family: str
    versions: tuple[str, ...]
    """Those that SPDX knows, first the one that is meant where none is said; () for a whole
    identifier."""


Named = tuple[tuple[str, ...], str]
"""SPDX expressions, and the words that are their names: none of a text's own words."""
_Hit = tuple[_Name, int, int]
"""A name with its first character and the one behind it."""


def _name(hints: str, words: str, family: str, *versions: str) -> _Name:
    either = words.replace("LIC", "licen[sc]e")
    pattern = rf"\b(?:{either})(?=\W|v?\d|$)(?! compatib| licen[sc]e compatib| friendly)"
    return _Name(
        hints=tuple(hints.split("|")), words=re.compile(pattern), family=family, versions=versions
    )


_GPL = r"(?:gnu )?general public licen[sc]es?"
_CC = r"(?:creative ?commons|cc)(?: org)?(?: licen[sc]es?)? (?:attribution|by)"
_NC, _ND, _SA = r" (?:nc|non ?commercial)", r" (?:nd|no ?deriv\w*)", r" (?:sa|share ?alike)"
_NAMES: tuple[_Name, ...] = (
    _name("affero|agpl", rf"(?:gnu )?affero {_GPL}|(?:gnu )?agpl", "AGPL", "1.0", "3.0"),
    _name(
        "lesser|library|lgpl",
        rf"(?:gnu )?(?:lesser|library)(?: or (?:lesser|library))? {_GPL}|(?:gnu )?lgpl",
        *("LGPL", "2.0", "2.1", "3.0"),
    ),
    _name("general public|gpl", rf"{_GPL}|(?:gnu )?gpl", "GPL", "1.0", "2.0", "3.0"),
    _name("mozilla|mpl", r"mozilla public LIC|mpl", "MPL", "2.0", "1.1", "1.0"),
    _name("netscape|npl", r"netscape public LIC|npl", "NPL", "1.1", "1.0"),
    _name("eclipse|epl", r"eclipse public LIC|epl", "EPL", "2.0", "1.0"),
    _name("attribution", r"common public attribution LIC", "CPAL", "1.0"),
    _name("common public", r"common public LIC", "CPL", "1.0"),
    _name(
        "common development|cddl",
        r"common development and distribution LIC|cddl",
        "CDDL",
        "1.0",
        "1.1",
    ),
    _name("ibm public", r"ibm public LIC", "IPL", "1.0"),
    _name("sun public", r"sun public LIC", "SPL", "1.0"),
    _name("open software|osl", r"open software LIC|osl", "OSL", "3.0", "2.1", "2.0", "1.1", "1.0"),
    _name("academic free|afl", r"academic free LIC|afl", "AFL", "3.0", "2.1", "2.0", "1.2", "1.1"),
    _name("european union|eupl", r"european union public LIC|eupl", "EUPL", "1.2", "1.1", "1.0"),
    _name("apple public|apsl", r"apple public source LIC|apsl", "APSL", "2.0", "1.2", "1.1", "1.0"),
    _name("reciprocal", r"reciprocal public LIC", "RPL", "1.5", "1.1"),
    _name("artistic", r"artistic LIC", "Artistic", "2.0", "1.0"),
    _name(
        "apache|asl",
        r"apache(?: software)? LICs?|apache(?= ?v?[12]\b)|asl(?= ?2)",
        "Apache",
        "2.0",
        "1.1",
    ),
    _name("server side|sspl", r"server side public LIC|sspl", "SSPL-1.0"),
    _name("business source|busl", r"business source LIC|busl", "BUSL-1.1"),
    _name("elastic", r"elastic LIC", "Elastic-2.0"),
    _name("microsoft reciprocal|ms rl", r"microsoft reciprocal LIC|ms rl", "MS-RL"),
    _name("microsoft public|ms pl", r"microsoft public LIC|ms pl", "MS-PL"),
    _name("q public", r"q public LIC", "QPL-1.0"),
    _name("json", r"json LIC", "JSON"),
    _name("wtfpl|what the fuck", r"wtfpl|do what the fuck you want to public LIC", "WTFPL"),
    _name("creative|cc", rf"{_CC}{_NC}", "CC-BY-NC-4.0"),
    _name("creative|cc", rf"{_CC}{_NC}{_SA}", "CC-BY-NC-SA-4.0"),
    _name("creative|cc", rf"{_CC}{_NC}{_ND}", "CC-BY-NC-ND-4.0"),
    _name("creative|cc", rf"{_CC}{_ND}", "CC-BY-ND-4.0"),
    _name("creative|cc", rf"{_CC}{_SA}", "CC-BY-SA-4.0"),
    _name("creative|cc", _CC, "CC-BY-4.0"),
    _name("cc0|zero", r"cc0|creativecommons org publicdomain zero|cc zero", "CC0-1.0"),
    _name(
        "commons clause|polyform|sustainable|functional|timescale|confluent",
        r"commons clause|polyform(?: (?:noncommercial|strict|shield|perimeter|internal))?"
        r"|sustainable use LIC|functional source LIC|timescale LIC|confluent community LIC",
        RESTRICTED,
    ),
    _name(
        "proprietary|commercial|enterprise",
        r"proprietary|(?:commercial|enterprise)(?: edition)? LIC",
        _CLOSED,
    ),
    _name(
        "mit|expat",
        r"(?:mit|expat)(?! style)(?: x11)?(?: open source| software)?(?: LICs?)?",
        "MIT",
    ),
    _name("eclipse dist", r"eclipse distribution LIC", "BSD-3-Clause"),
    _name(
        "bsd",
        r"bsd (?:2|two) clause|(?:2|two) clause bsd|simplified bsd|freebsd LIC",
        "BSD-2-Clause",
    ),
    _name("bsd", r"bsd (?:4|four) clause|(?:4|four) clause bsd", "BSD-4-Clause"),
    _name("bsd", r"bsd(?! style)(?: (?:3|three) clause)?|(?:3|three) clause bsd", "BSD-3-Clause"),
    _name("isc", r"isc", "ISC"),
    _name("zlib", r"zlib(?: libpng)? LIC", "Zlib"),
    _name("boost", r"boost software LIC", "BSL-1.0"),
    _name("unlicen", r"unLIC", "Unlicense"),
    _name("python software|psf", r"python software foundation LIC|psf LIC", "PSF-2.0"),
)


_HINTS = tuple(sorted({hint for name in _NAMES for hint in name.hints}))


def may_name(text: str) -> bool:
    """Whether a folded text may name a licence: most do not, and need no closer look."""
    return any(hint in text for hint in _HINTS)


def folded(sentence: str) -> str:
    """Lower-case words; a slash between words is an "or", an address is its words."""
    text = sentence[:_MAX_CHARS]
    text = _URL.sub(lambda url: re.sub(r"[^0-9A-Za-z]+", " ", f" {url[0]} "), text)
    text = text.casefold().replace("and/or", "or").replace("+", " or later ")
    return re.sub(r"[^0-9a-z]+", " ", _SLASH.sub(" or ", text)).strip()


def licences_named(text: str, within: int | None = None) -> Named:
    """What a sentence, its words `folded`, names; the first name within so many characters."""
    hits = _hits(text)
    if not hits or (within is not None and hits[0][1] > within):
        return (), ""
    names = dict.fromkeys(text[start:end] for _, start, end in hits)
    return _licences(text, hits), ", ".join(names)


def _licences(text: str, hits: list[_Hit]) -> tuple[str, ...]:
    ids: list[str] = []
    choices = 0
    for index, (name, start, end) in enumerate(hits):
        stop = hits[index + 1][1] if index + 1 < len(hits) else len(text)
        spdx = _identifier(name, text[end:stop])
        if spdx not in ids and not _repeats(spdx, ids):
            choices += index > 0 and _is_or(text[hits[index - 1][2] : start])
            ids.append(spdx)
    if RESTRICTED in ids:
        return tuple(ids)
    if len(ids) > 1 and (choices == len(ids) - 1 or is_choice(text)):
        return (" OR ".join(spdx for spdx in ids if spdx != _CLOSED),)
    return tuple(RESTRICTED if spdx == _CLOSED else spdx for spdx in ids)


def _hits(text: str) -> list[_Hit]:
    """Each name with its place, in order; of names that overlap the longest."""
    every = [
        (name, hit.start(), hit.end())
        for name in _NAMES
        if any(hint in text for hint in name.hints)
        for hit in name.words.finditer(text)
    ]
    every.sort(key=lambda hit: (hit[1], -hit[2]))
    kept: list[_Hit] = []
    for name, start, end in every:
        if (not kept or start >= kept[-1][2]) and not text[:start].endswith(_NEGATIONS):
            kept.append((name, start, end))
    return kept


def _identifier(name: _Name, after: str) -> str:
    if not name.versions:
        return name.family
    version_match = _VERSION.match(after)
    # "GPLv2 2) ..." is version 2.0 before the second of a list.
    versions = (
        (f"{version_match[1]}.{version_match[2] or 0}", f"{version_match[1]}.0")
        if version_match
        else ()
    )
    known = next((version for version in versions if version in name.versions), "")
    if not name.family.endswith("GPL"):
        return f"{name.family}-{known or name.versions[0]}"
    if not known:
        return f"{name.family}-{name.versions[0]}-or-later"
    return f"{name.family}-{known}-{'or-later' if _LATER.search(after) else 'only'}"


def _repeats(spdx: str, ids: list[str]) -> bool:
    """Whether the same family was named before, with a version or without one (`GNU ... (GPL)`)."""
    family = spdx.partition("-")[0]
    return family.endswith("GPL") and any(
        identifier.partition("-")[0] == family for identifier in ids
    )


def _is_or(between: str) -> bool:
    return re.search(r"\bor\b", _LATER.sub(" ", between)) is not None


def is_choice(text: str) -> bool:
    """Whether folded words offer a choice, as "dual licensed" does."""
    return _CHOICE.search(_LATER.sub(" ", _EITHER_VERSION.sub(" ", text))) is not None


def stated_licences(value: str) -> Named:
    """What a field `license` says: an SPDX expression, or names of licences."""
    # Cargo's older form of "or" is a slash.
    for expression in (value, value.replace("/", " OR ")):
        if is_known(expression):
            return (expression.strip(),), expression.strip()
    return licences_named(folded(value))


def is_only_names(text: str) -> bool:
    """Whether folded words are the names of licences and what goes with a name."""
    rest = list(text)
    hits = _hits(text)
    for _, start, end in hits:
        rest[start:end] = " " * (end - start)
    return bool(hits) and all(_FILLER.fullmatch(word) for word in "".join(rest).split())
