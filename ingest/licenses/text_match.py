"""Which licences a licence file is about.

Method: the text is folded to lower-case words and single spaces; each licence is known by
phrases of its operative text that no other licence has (and, for near relatives, by phrases
that must be absent). GNU licences are told apart by the title or by the sentence that names
them. Everything that is found is reported: a file with two licences has two. A text that takes
back what it grants (`ingest.licenses.restrictions`) is not recognised: it has
`LicenseRef-restricted`, beside what it quotes. Apache's short notice counts alone, or beside a
whole text. Cost: about 0.1 ms per kilobyte, on the first 512 KB. Limits: no similarity measure, so
a reworded licence is unknown, which the build refuses; GNU texts are reported as `-only`, since
a licence text does not say "or later" about itself. Source: the licence texts themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.licenses.policy import RESTRICTED
from ingest.licenses.restrictions import is_bare_notice, limit_in

MAX_CHARS = 512 * 1024
_TITLE_CHARS = 300

_MIT_GRANT = (
    "permission is hereby granted free of charge to any person obtaining a copy of this "
    "software and associated documentation files the software to deal in the software "
    "without restriction"
)
_MIT_NOTICE = (
    "the above copyright notice and this permission notice shall be included in all copies "
    "or substantial portions of the software"
)
_MIT_LONG_NOTICE = (
    # SPDX counts these words as an optional part of MIT; X.org and Mesa have them.
    "the above copyright notice and this permission notice including the next paragraph shall be "
    "included in all copies or substantial portions of the software"
)
_BSD_GRANT = (
    "redistribution and use in source and binary forms with or without modification are "
    "permitted provided that the following conditions are met"
)
_BSD_ENDORSE = "to endorse or promote products derived from"
_BSD_ADVERT = "all advertising materials mentioning features or use of this software"
_ISC_NOTICE = (
    "provided that the above copyright notice and this permission notice appear in all copies"
)
_ISC_GRANT = "for any purpose with or without fee is hereby granted"
_APACHE_NOTICE = "licensed under the apache license version 2 0"
_COPYRIGHT_LINE = re.compile(
    r"^[ \t#*/;-]*+(?:copyright|\(c\)|\N{COPYRIGHT SIGN})[^\n]*+$", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    spdx: str
    every: tuple[str, ...]
    none: tuple[str, ...] = ()


_RULES: tuple[_Rule, ...] = (
    _Rule(
        spdx="MIT", every=(_MIT_GRANT, _MIT_NOTICE), none=("except as contained in this notice",)
    ),
    _Rule(spdx="MIT", every=(_MIT_GRANT, _MIT_LONG_NOTICE)),
    _Rule(spdx="X11", every=(_MIT_GRANT, _MIT_NOTICE, "except as contained in this notice")),
    _Rule(
        spdx="MIT-0",
        every=(_MIT_GRANT,),
        none=("permission notice shall be included", "subject to the following condition"),
    ),
    _Rule(
        spdx="Apache-2.0",
        every=("apache license version 2 0", "terms and conditions for use reproduction and"),
    ),
    _Rule(spdx="BSD-4-Clause", every=(_BSD_GRANT, _BSD_ADVERT)),
    _Rule(spdx="BSD-3-Clause", every=(_BSD_GRANT, _BSD_ENDORSE), none=(_BSD_ADVERT,)),
    _Rule(
        spdx="BSD-2-Clause",
        every=(_BSD_GRANT, "redistributions in binary form must reproduce"),
        none=(_BSD_ENDORSE, _BSD_ADVERT),
    ),
    _Rule(spdx="ISC", every=(_ISC_GRANT, _ISC_NOTICE)),
    _Rule(spdx="0BSD", every=(_ISC_GRANT,), none=("provided that the above copyright",)),
    _Rule(
        spdx="Zlib",
        every=(
            "permission is granted to anyone to use this software for any purpose",
            "altered source versions must be plainly marked as such",
        ),
    ),
    _Rule(spdx="BSL-1.0", every=("boost software license version 1 0", "person or organization")),
    _Rule(
        spdx="Unlicense",
        every=("this is free and unencumbered software released into the public domain",),
    ),
    _Rule(spdx="CC0-1.0", every=("cc0 1 0 universal", "affirmer")),
    _Rule(
        spdx="PSF-2.0",
        every=("python software foundation license version 2", "psf is making python available"),
    ),
    _Rule(
        spdx="PSF-2.0",
        every=("python software foundation license version 2", "psf hereby grants licensee"),
    ),
    _Rule(spdx="MPL-2.0", every=("mozilla public license version 2 0",)),
    _Rule(spdx="MPL-2.0", every=("mozilla public license v 2 0",)),
    _Rule(spdx="EPL-2.0", every=("eclipse public license v 2 0",)),
    _Rule(spdx="EPL-1.0", every=("eclipse public license v 1 0",)),
)

_GNU = re.compile(
    r"gnu (?P<kind>affero |lesser |library )?general public licen[sc]e"
    r"(?: as published by the free software foundation either)?(?: gpl| lgpl| agpl)?"
    r"(?: version| v)? ?(?P<version>3|2 1|2|1)?(?: 0)?\b"
)
_GNU_IDS = {
    ("", "1"): "GPL-1.0-only",
    ("", "2"): "GPL-2.0-only",
    ("", "3"): "GPL-3.0-only",
    ("affero ", "1"): "AGPL-1.0-only",
    ("affero ", "3"): "AGPL-3.0-only",
    ("lesser ", "2 1"): "LGPL-2.1-only",
    ("lesser ", "3"): "LGPL-3.0-only",
    ("library ", "2"): "LGPL-2.0-only",
}
_GNU_UNVERSIONED = {
    "": "GPL-1.0-or-later",
    "affero ": "AGPL-1.0-or-later",
    "lesser ": "LGPL-2.0-or-later",
    "library ": "LGPL-2.0-or-later",
}


def match_license_text(text: str) -> tuple[tuple[str, ...], str] | None:
    """The SPDX identifiers found in a licence text (sorted) and what they rest on, or None.

    A text that restricts what it grants has `LicenseRef-restricted` beside them: never permissive.
    """
    text = text[:MAX_CHARS]
    folded = fold_text(text)
    identifiers = {rule.spdx for rule in _RULES if _holds(rule, folded)}
    if "MPL-2.0" not in identifiers:
        # The Mozilla text names the GNU licences it may be combined with.
        identifiers |= _gnu(folded)
    if _APACHE_NOTICE in folded and (
        identifiers or is_bare_notice(fold_text(_COPYRIGHT_LINE.sub(" ", text)), _APACHE_NOTICE)
    ):
        identifiers.add("Apache-2.0")
    limit = limit_in(folded)
    if not identifiers and limit is None:
        return None
    if limit is not None:
        ids = tuple(sorted({RESTRICTED, *identifiers}))
        return ids, f"licence not recognised: its text says {limit[0]!r} ({limit[1]})"
    ids = tuple(sorted(identifiers))
    return ids, f"text of {' and '.join(ids)}"


def texts_in(folded: str) -> tuple[str, ...]:
    """Licences whose operative text stands in a folded text, sorted; mere names count nothing."""
    rules = (rule for rule in _RULES if not rule.spdx.startswith(("MPL-", "EPL-")))
    return tuple(sorted({rule.spdx for rule in rules if _holds(rule, folded)}))


def fold_text(text: str) -> str:
    """The lower-case words of a licence text, one space between them."""
    words = text.casefold().replace("\N{COPYRIGHT SIGN}", " ")
    return re.sub(r"[^0-9a-z]+", " ", words).strip()


def _holds(rule: _Rule, folded: str) -> bool:
    return all(phrase in folded for phrase in rule.every) and not any(
        phrase in folded for phrase in rule.none
    )


def _gnu(folded: str) -> set[str]:
    """The GNU licence a text is, by its title; else every one that it names."""
    title = _GNU.search(folded[:_TITLE_CHARS])
    if title is not None:
        return {_gnu_id(title)}
    return {_gnu_id(hit) for hit in _GNU.finditer(folded)}


def _gnu_id(hit: re.Match[str]) -> str:
    kind = hit["kind"] or ""
    return _GNU_IDS.get((kind, hit["version"] or ""), _GNU_UNVERSIONED[kind])
