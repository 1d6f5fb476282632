"""Repositories by the REUSE specification: tags, sidecars, REUSE.toml, dep5 and LICENSES/."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ingest.licenses.reuse import annotated, dep5_annotations, toml_annotations
from tests.ingest.licenses.test_license_files import CODE, found, notices
from tests.ingest.sources.test_directory_source import GPL, MIT, checkout, put

TAG = "# SPDX-License-Identifier: "
SHELF = {"LICENSES/MIT.txt": MIT, "LICENSES/GPL-3.0-or-later.txt": GPL}


def annotation(path: str, licence: str, more: str = "") -> str:
    return (
        f'[[annotations]]\npath = {path}\nSPDX-FileCopyrightText = "A"\n'
        f'SPDX-License-Identifier = "{licence}"\n{more}\n'
    )


def test_files_with_tags_beside_a_shelf_of_licences(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            **SHELF,
            "mit.py": f"{TAG}MIT\n{CODE}",
            "gpl.py": f"{TAG}GPL-3.0-or-later\n{CODE}",
            "either.py": f"{TAG}GPL-3.0-or-later OR MIT\n{CODE}",
            "plain.py": CODE,
        },
    )
    assert found(tmp_path) == {"mit.py": ("MIT",), "either.py": ("GPL-3.0-or-later OR MIT",)}


def test_without_tags_all_texts_of_the_shelf_hold(tmp_path: Path) -> None:
    put(tmp_path, {"LICENSES/MIT.txt": MIT, "LICENSES/ISC.txt": "", "a.py": CODE})
    assert found(tmp_path) == {"a.py": ("ISC", "MIT")}
    put(tmp_path, {"LICENSES/LicenseRef-ours.txt": "All of it is ours."})
    put(tmp_path, {"b.py": f"{TAG}MIT\n{CODE}"})
    assert found(tmp_path) == {"b.py": ("MIT",)}


def test_a_licence_file_of_the_repository_must_pass_too(tmp_path: Path) -> None:
    put(tmp_path, {**SHELF, "a.py": f"{TAG}MIT\n{CODE}", "b.py": CODE, "LICENSE": MIT})
    assert found(tmp_path) == {"a.py": ("MIT",), "b.py": ("MIT",)}
    put(tmp_path, {"LICENSE": GPL, "c/c.py": CODE, "c/LICENSE": MIT})
    assert found(tmp_path) == {"c/c.py": ("MIT",)}


def test_a_toml_speaks_of_files_by_patterns(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            **SHELF,
            "REUSE.toml": "version = 1\n"
            + annotation('"**"', "MIT")
            + annotation('["gpl/*", "x.py"]', "GPL-3.0-or-later")
            + annotation('"both/**"', "ISC", 'precedence = "aggregate"')
            + annotation('"over/**"', "GPL-3.0-or-later", 'precedence = "override"'),
            "a.py": CODE,
            "x.py": CODE,
            "gpl/a.py": CODE,
            "gpl/own.py": f"{TAG}MIT\n{CODE}",
            "gpl/deep/a.py": CODE,
            "tagged.py": f"{TAG}GPL-3.0-or-later\n{CODE}",
            "both/a.py": f"{TAG}MIT\n{CODE}",
            "over/a.py": f"{TAG}MIT\n{CODE}",
            "near/a.py": CODE,
            "near/REUSE.toml": annotation('"a.py"', "ISC"),
            "broken/a.py": CODE,
            "broken/REUSE.toml": "[[annotations",
        },
    )
    expected = {
        "a.py": ("MIT",),
        "gpl/own.py": ("MIT",),
        "gpl/deep/a.py": ("MIT",),
        "both/a.py": ("ISC", "MIT"),
        "near/a.py": ("ISC",),
    }
    assert found(tmp_path) == expected
    checkout(tmp_path, {})
    assert found(tmp_path) == expected


DEP5 = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: a

Files: *
Copyright: A
License: MIT

Files: gpl/* x.py
 y?.py
Copyright: A
License: GPL-3.0-or-later
"""


def test_dep5_speaks_of_files_too(tmp_path: Path) -> None:
    put(tmp_path, {**SHELF, ".reuse/dep5": DEP5, "a/b.py": CODE, "x.py": CODE, "gpl/a/b.py": CODE})
    put(tmp_path, {"y1.py": CODE, "y.py": CODE, "tagged.py": f"{TAG}GPL-3.0-or-later\n{CODE}"})
    expected = {"a/b.py": ("MIT",), "y.py": ("MIT",)}
    assert found(tmp_path) == expected
    checkout(tmp_path, {})
    assert found(tmp_path) == expected


def test_a_sidecar_speaks_of_its_file_alone(tmp_path: Path) -> None:
    put(tmp_path, {"LICENSE": MIT, "a.py": CODE, "b.py": CODE})
    put(tmp_path, {"a.py.license": "SPDX-License-Identifier: GPL-2.0-only\n"})
    assert found(tmp_path) == {"b.py": ("MIT",)}
    put(tmp_path, {"a.py.license": "SPDX-License-Identifier: ISC\n"})
    assert found(tmp_path) == {"a.py": ("ISC", "MIT"), "b.py": ("MIT",)}
    put(tmp_path, {"a.py.license": "SPDX-FileCopyrightText: A\n"})
    assert found(tmp_path) == {"b.py": ("MIT",)}


def test_what_the_evidence_says(tmp_path: Path) -> None:
    known = notices({**SHELF, "REUSE.toml": annotation('"a.py"', "MIT")})
    assert known.found("a.py").default == (("MIT",), "REUSE.toml: MIT")
    found_b = known.found("b.py")
    assert found_b.default == (("GPL-3.0-only", "MIT"), "all texts in LICENSES/")
    assert known.of("b.py") == (("GPL-3.0-only", "MIT"), "all texts in LICENSES/")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*", "a.py", True),
        ("*", "a/b.py", False),
        ("**", "a/b.py", True),
        ("a/**", "a/b/c.py", True),
        ("**/c.py", "a/b/c.py", True),
        ("**/c.py", "c.py", False),
        ("a*/b.py", "abc/b.py", True),
        ("**a*b", "a/xaxb", True),
        (r"\\*.py", "*.py", True),
        (r"\\*.py", "a.py", False),
        ("a?.py", "ab.py", False),
        ("a.py", "a.pyx", False),
        ("a.py", "xa.py", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    annotations = toml_annotations(annotation(f'"{pattern}"', "MIT"))
    assert (annotated(annotations, path) is not None) == matches


def test_hostile_patterns_take_little() -> None:
    start = time.process_time()
    [one] = dep5_annotations(f"Files: {'*a' * 140}\nLicense: MIT\n")
    assert annotated((one,), "a" * 3000 + "b") is None
    # 280 steps over 3,000 places; backtracking would not end.
    assert time.process_time() - start < 5
    for text in (
        "annotations = 1",
        "annotations = [1]",
        annotation("1", "MIT"),
        annotation(f'"{"a" * 301}"', "MIT"),
        annotation('["a"' + ', "a"' * 500 + "]", "MIT"),
    ):
        with pytest.raises(ValueError):
            toml_annotations(text)
