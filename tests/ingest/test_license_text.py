"""Licence texts, with the declared licences of installed packages as the oracle."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

import pytest

from ingest.license_text import match_license_text
from ingest.licenses import normalise

MANY = 5
"""Licences in one text that make it a collection of notices."""
GRANT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this "
    'software and associated documentation files (the "Software"), to deal in the Software '
    "without restriction, including without limitation the rights to use it."
)
NOTICE = (
    "The above copyright notice and this permission notice shall be included in all copies or\n"
    "  substantial portions of the Software."
)
BSD = (
    "Redistribution and use in source and binary forms, with or without modification, are "
    "permitted provided that the following conditions are met:\n * Redistributions in binary "
    "form must reproduce the above copyright notice"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GRANT + NOTICE, ("MIT",)),
        (GRANT, ("MIT-0",)),
        (f"{GRANT}\n{NOTICE}\nExcept as contained in this notice, the name", ("X11",)),
        (BSD, ("BSD-2-Clause",)),
        (f"{BSD}\nto endorse or promote products derived from this", ("BSD-3-Clause",)),
        (
            f"{BSD} All advertising materials mentioning features or use of this software must",
            ("BSD-4-Clause",),
        ),
        (f"{GRANT}{NOTICE}\n\n{BSD}", ("BSD-2-Clause", "MIT")),
        ("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007", ("GPL-3.0-only",)),
        ("GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991", ("GPL-2.0-only",)),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999", ("LGPL-2.1-only",)),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 Nov", ("AGPL-3.0-only",)),
        ("Mozilla Public License Version 2.0 ... GNU General Public License", ("MPL-2.0",)),
        ("Eclipse Public License - v 2.0", ("EPL-2.0",)),
        (
            f"{GRANT}{NOTICE} {'x ' * 300} the GNU General Public License",
            ("GPL-1.0-or-later", "MIT"),
        ),
    ],
)
def test_phrases(text: str, expected: tuple[str, ...]) -> None:
    found = match_license_text(text)
    assert found is not None
    assert found[0] == expected
    assert found[1] == f"text of {' and '.join(expected)}"


@pytest.mark.parametrize("text", ["", "All rights reserved.", "MIT", "See LICENSE", "\0\ud800"])
def test_words_that_grant_nothing(text: str) -> None:
    assert match_license_text(text) is None


def test_our_own_licence_is_apache() -> None:
    text = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")
    assert match_license_text(text) == (("Apache-2.0",), "text of Apache-2.0")


def test_agrees_with_what_installed_packages_declare() -> None:
    """A single declared id and a single licence file: the text must say the same, or nothing.

    A file that holds the notices of many bundled libraries may only refuse more.
    """
    agreed, silent, wrong = 0, [], []
    for dist in distributions():
        stated = normalise([str(dist.metadata["License-Expression"] or "")])
        files = [f for f in dist.files or () if ".dist-info/" in str(f) and "LICENSE" in f.name]
        if len(stated) != 1 or " " in stated[0] or len(files) != 1:
            continue
        found = match_license_text(Path(str(files[0].locate())).read_text("utf-8", "replace"))
        if found is None:
            silent.append(dist.name)
        elif stated[0] in found[0]:
            agreed += 1
        elif len(found[0]) <= MANY:
            wrong.append((dist.name, stated, found))
    assert not wrong
    assert agreed >= 10
    assert len(silent) <= agreed // 5, silent
