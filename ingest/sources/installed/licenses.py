"""Under which licence an installed package is.

Method, in this order, the first that answers: `License-Expression`, whatever it says; a
classifier or a `License` field that names something not free (`Other/Proprietary License`,
`GPL v3`, `Proprietary`); the licence classifiers, when each of them names one licence; a `License`
field that is SPDX or a well-known spelling of it; the text of the package's licence files (or of
the `License` field).
Ambiguous classifiers (`BSD License`, `Apache Software License`) answer nothing; those of the
GNU and Mozilla families answer with the loosest member, which is refused all the same.
Cost: the metadata and at most 16 licence files. Limits: what a package says is believed.
Source: core metadata 2.4 and PEP 639.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution
from types import MappingProxyType

from ingest.fault_text import digest_of
from ingest.files import read_capped
from ingest.licenses import (
    MAX_NOTICE_BYTES,
    RESTRICTED,
    Licences,
    fold_text,
    is_known,
    is_licence_file,
    licences_of_texts,
    limit_in,
    match_license_text,
    normalise,
)

_MAX_FILES = 16
_MAX_NAME_CHARS = 200
"""A longer `License` field is a text, not a name."""
_NO_LICENCE = frozenset({"OSI Approved", "DFSG approved"})
_NOT_FREE = frozenset(
    {
        "Aladdin Free Public License (AFPL)",
        "Free For Educational Use",
        "Free For Home Use",
        "Free To Use But Restricted",
        "Free for non-commercial use",
        "Freeware",
        "Other/Proprietary License",
    }
)
_PERMISSIVE_NAME = re.compile(
    r"\b(?:mit|bsd|apache ?2?|isc|psf|python|zlib|unlicense|cc0|x11|boost|wtfpl|public domain)\b"
)
_COPYLEFT_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?:agpl(?:v?\d+)?|affero)\b"), "AGPL-1.0-or-later"),
    (re.compile(r"\b(?:lgpl(?:v?\d+)?|gnu lesser|gnu library)\b"), "LGPL-2.0-or-later"),
    (re.compile(r"\b(?:gpl(?:v?\d+)?|gnu)\b"), "GPL-1.0-or-later"),
)
"""As with the classifiers, the loosest member of a family."""
_CLOSED_NAME = re.compile(
    r"\b(?:proprietary|commercial|non ?commercial|closed source|confidential|internal use|eula"
    r"|sspl|busl)\b"
)
_CLASSIFIERS: Mapping[str, str] = MappingProxyType(
    {
        "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
        "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
        "ISC License (ISCL)": "ISC",
        "MIT License": "MIT",
        "MIT No Attribution License (MIT-0)": "MIT-0",
        "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
        "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
        "Python Software Foundation License": "PSF-2.0",
        "The Unlicense (Unlicense)": "Unlicense",
        "Universal Permissive License (UPL)": "UPL-1.0",
        "University of Illinois/NCSA Open Source License": "NCSA",
        "zlib/libpng License": "Zlib",
        "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
        "GNU Affero General Public License v3": "AGPL-3.0-only",
        "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
        "GNU General Public License (GPL)": "GPL-1.0-or-later",
        "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
        "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
        "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
        "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
        "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
        "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
        "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
        "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
        "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.0-or-later",
    }
)
_SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "3 clause bsd": "BSD-3-Clause",
        "apache 2": "Apache-2.0",
        "apache 2 0": "Apache-2.0",
        "apache license 2": "Apache-2.0",
        "apache license 2 0": "Apache-2.0",
        "apache license version 2 0": "Apache-2.0",
        "apache software license 2 0": "Apache-2.0",
        "bsd 2 clause": "BSD-2-Clause",
        "bsd 3 clause": "BSD-3-Clause",
        "3 clause bsd license": "BSD-3-Clause",
        "bsd 2 clause license": "BSD-2-Clause",
        "bsd 3 clause license": "BSD-3-Clause",
        "new bsd": "BSD-3-Clause",
        "new bsd license": "BSD-3-Clause",
        "simplified bsd": "BSD-2-Clause",
        "simplified bsd license": "BSD-2-Clause",
        "isc license": "ISC",
        "mit license": "MIT",
        "the mit license": "MIT",
        "the unlicense": "Unlicense",
        "zlib license": "Zlib",
    }
)


def package_licences(dist: Distribution) -> Licences:
    """The SPDX identifiers of an installed package (none when unknown) and the evidence."""
    expression = _first(dist, "License-Expression")
    if expression:
        # PEP 639: where it stands, nothing else is asked.
        if is_known(expression):
            return normalise([expression]), f"License-Expression: {expression}"
        return (), f"License-Expression is not recognised: {digest_of(expression)}"
    stated, classifiers = _first(dist, "License"), _all(dist, "Classifier")
    licences = (
        _not_free(stated, classifiers)
        or _by_classifiers(classifiers)
        or _by_field(stated)
        or _by_files(dist)
        or _by_long_field(stated)
        or ((), "no licence that is known in the metadata or the licence files")
    )
    gnu = _gnu_name(stated)
    # What answered may tell the version; it may not make something else of it.
    return (
        gnu
        if gnu is not None and not any("GPL" in license_id for license_id in licences[0])
        else licences
    )


def _not_free(stated: str, classifiers: Sequence[str]) -> Licences | None:
    """What a classifier or the `License` field refuses, whatever the licence files say."""
    for line in classifiers:
        if line.startswith("License :: ") and line.split(" :: ")[-1] in _NOT_FREE:
            return (RESTRICTED,), f"Classifier: {line.split(' :: ')[-1]}"
    folded = fold_text(stated)
    limit = limit_in(folded)
    if limit is not None:
        return (RESTRICTED,), f"License field says {limit[0]!r} ({limit[1]})"
    closed = _CLOSED_NAME.search(folded)
    if len(stated) <= _MAX_NAME_CHARS and not is_known(stated) and closed:
        return (RESTRICTED,), f"License field says {closed[0]!r}: {digest_of(stated)}"
    return None


def _gnu_name(stated: str) -> Licences | None:
    """The loosest GNU licence of the family that a `License` field names.

    None for SPDX, for a whole text, and where it names a permissive licence too (`MIT/GPL`).
    """
    folded = fold_text(stated)
    if len(stated) > _MAX_NAME_CHARS or is_known(stated) or _PERMISSIVE_NAME.search(folded):
        return None
    for name, spdx in _COPYLEFT_NAMES:
        if name.search(folded):
            return (spdx,), f"License field names {spdx}: {digest_of(stated)}"
    return None


def _by_classifiers(classifiers: Sequence[str]) -> Licences | None:
    tails = [line.split(" :: ")[-1] for line in classifiers if line.startswith("License :: ")]
    named = sorted({tail for tail in tails if tail not in _NO_LICENCE})
    if not named or any(tail not in _CLASSIFIERS for tail in named):
        return None
    ids = normalise([_CLASSIFIERS[tail] for tail in named])
    return ids, f"Classifier: {'; '.join(named)}"[:200]


def _by_field(stated: str) -> Licences | None:
    spelled = _SPELLINGS.get(fold_text(stated), stated)
    if len(stated) > _MAX_NAME_CHARS or not is_known(spelled):
        return None
    return normalise([spelled]), f"License: {stated}"


def _by_files(dist: Distribution) -> Licences | None:
    listed = [str(file) for file in dist.files or ()]
    inside = sorted(
        path
        for path in listed
        if ".dist-info/" in path and ".." not in path and is_licence_file(path.rsplit("/", 1)[-1])
    )
    # A licence of something vendored lies deeper than the package's own.
    depth = min((path.count("/") for path in inside), default=0)
    own = [path for path in inside if path.count("/") == depth][:_MAX_FILES]
    return licences_of_texts(
        (path.rsplit("/", 1)[-1], read_capped(str(dist.locate_file(path)), MAX_NOTICE_BYTES))
        for path in own
    )


def _by_long_field(stated: str) -> Licences | None:
    match = match_license_text(stated)
    return (match[0], f"License field: {match[1]}") if match is not None else None


def _first(dist: Distribution, key: str) -> str:
    return next(iter(_all(dist, key)), "").strip()


def _all(dist: Distribution, key: str) -> list[str]:
    return [str(value) for value in dist.metadata.get_all(key, [])]
