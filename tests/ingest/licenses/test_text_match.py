"""Licence texts, with the declared licences of installed packages as the oracle."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

import pytest

from ingest.licenses.policy import RESTRICTED, is_permissive, normalise
from ingest.licenses.text_match import match_license_text

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
    result = match_license_text(text)
    assert result is not None
    assert result[0] == expected
    assert result[1] == f"text of {' and '.join(expected)}"


@pytest.mark.parametrize("text", ["", "All rights reserved.", "MIT", "See LICENSE", "\0\ud800"])
def test_words_that_grant_nothing(text: str) -> None:
    assert match_license_text(text) is None


APACHE = """Copyright 2011 A. Author <a@example.org>
Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
in compliance with the License. You may obtain a copy of the License at
    http://www.apache.org/licenses/LICENSE-2.0
Unless required by applicable law or agreed to in writing, software distributed under the License
is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
or implied. See the License for the specific language governing permissions and limitations
under the License."""
COMMONS = (
    "Without limiting other conditions in the License, the grant of rights under the License will "
    "not include, and the License does not grant to you, the right to Sell the Software."
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'"Commons Clause" License Condition v1.0\n{GRANT}{NOTICE}', "commons clause"),
        (f"{APACHE}\n{COMMONS}", "right to sell the software"),
        (COMMONS, "right to sell the software"),
        (f"{GRANT}{NOTICE}\n{COMMONS}", "right to sell the software"),
        (
            "Functional Source License, Version 1.1, MIT Future License\nGrant of Future License "
            f"effective on the second anniversary:\n{GRANT}{NOTICE}",
            "functional source license",
        ),
        (
            f"{GRANT}{NOTICE}\nThe Software shall be used for Good, not Evil.",
            "shall be used for good not evil",
        ),
        (
            f"{GRANT}{NOTICE} The Software may not be used by anyone for systems or activities "
            "that actively and knowingly endanger, harm, or otherwise threaten others",
            "actively and knowingly endanger harm",
        ),
        (
            f"{GRANT}{NOTICE}\nEverything in ee/ is under the Acme Enterprise License.",
            "enterprise license",
        ),
        (f"{GRANT}{NOTICE} For non-commercial use only.", "non commercial use only"),
        (
            f"GNU GENERAL PUBLIC LICENSE\nVersion 3\n{COMMONS} {GRANT}{NOTICE}",
            "right to sell the software",
        ),
    ],
)
def test_texts_that_restrict_what_they_grant(text: str, words: str) -> None:
    result = match_license_text(text)
    assert result is not None
    assert RESTRICTED in result[0]
    assert repr(words) in result[1]
    assert not is_permissive(result[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (APACHE, ("Apache-2.0",)),
        ("Licensed under the Apache License, Version 2.0", ("Apache-2.0",)),
        (f"Apache Software License 2.0\n\n{APACHE}", ("Apache-2.0",)),
        (f"{BSD}\n{APACHE}", ("Apache-2.0", "BSD-2-Clause")),
        (
            "The community parts are licensed under the Apache License, Version 2.0; everything in "
            "ee/ is under the Acme Enterprise License.",
            (RESTRICTED,),
        ),
        ("Core: licensed under the Apache License, Version 2.0. Plugins: Acme License.", None),
        ("Licensed under the Apache License, Version 2.0, except ee/, which is ours.", None),
        (f"{APACHE}\nYou must show our logo on every page that the software makes for you.", None),
        (f"{GRANT} subject to the following condition: no sale", None),
        (
            f"{GRANT} subject to the following conditions: "
            f"{NOTICE.replace('shall', '(including the next paragraph) shall')}",
            ("MIT",),
        ),
    ],
)
def test_a_short_grant_counts_where_it_is_the_whole_text(
    text: str, expected: tuple[str, ...] | None
) -> None:
    result = match_license_text(text)
    assert (result and result[0]) == expected


def test_our_own_licence_is_apache() -> None:
    text = (Path(__file__).parents[3] / "LICENSE").read_text("utf-8")
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
        result = match_license_text(Path(str(files[0].locate())).read_text("utf-8", "replace"))
        if result is None:
            silent.append(dist.name)
        elif stated[0] in result[0]:
            agreed += 1
        elif len(result[0]) <= MANY:
            wrong.append((dist.name, stated, result))
    assert not wrong
    assert agreed >= 10
    assert len(silent) <= agreed // 5, silent
