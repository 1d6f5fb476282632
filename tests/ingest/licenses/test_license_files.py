"""Licences found where people put them: files, links and their texts, manifests of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.licenses.license_files import MAX_NOTICE_BYTES, LicenseFiles
from ingest.licenses.manifests import MAX_BYTES
from ingest.licenses.policy import RESTRICTED, LicensePolicy
from ingest.records import SourceFile
from ingest.sources.directory.source import DirectoryOptions, plan
from ingest.sources.registry import read
from tests.ingest.sources.test_directory_source import GPL, MIT, checkout, put

CODE = "def f(): pass\n"


def licences(files: dict[str, str | bytes | None], path: str = "src/a.py") -> tuple[str, ...]:
    return notices(files).of(path)[0]


def notices(files: dict[str, str | bytes | None]) -> LicenseFiles:
    """Of a mapping of paths to bytes; None cannot be read."""
    folders: dict[str, tuple[str, ...]] = {}
    for name in sorted(files):
        folder, _, leaf = name.rpartition("/")
        folders[folder] = (*folders.get(folder, ()), leaf)

    def data(name: str) -> bytes | None:
        value = files.get(name)
        return value.encode() if isinstance(value, str) else value

    return LicenseFiles(folders, data)


LINKS: list[tuple[dict[str, str | bytes | None], tuple[str, ...]]] = [
    # The text of a link, as git writes it without symbolic links.
    ({"LICENSE": "legal/mit.txt", "legal/mit.txt": MIT}, ("MIT",)),
    ({"a/LICENSE": "../LICENSE", "LICENSE": MIT}, ("MIT",)),
    ({"a/LICENSE": "../LICENSE\n", "LICENSE": MIT}, ("MIT",)),
    ({"a/LICENSE": "../LICENSE", "LICENSE": GPL}, ("GPL-3.0-only",)),
    ({"LICENSE": "COPYING.md", "COPYING.md": MIT}, ("MIT",)),
    # A link to a link; one too many; in a circle.
    ({"a/LICENSE": "../LICENSE", "LICENSE": "b/c", "b/c": MIT}, ("MIT",)),
    ({"a/LICENSE": "b", **{f"a/{x}": chr(ord(x) + 1) for x in "bcdefg"}, "a/h": MIT}, ()),
    ({"LICENSE": "COPYING", "COPYING": "LICENSE"}, ()),
    ({"LICENSE": "LICENSE"}, ()),
    # Out of the repository, or nowhere.
    ({"a/LICENSE": "../../LICENSE", "LICENSE": MIT}, ()),
    ({"LICENSE": "/usr/share/common-licenses/GPL-3"}, ()),
    ({"LICENSE": "legal/gone.txt"}, ()),
    # One that leads nowhere refuses nothing beside one that is recognised; another text does.
    ({"LICENSE": MIT, "LICENSE.md": "../gone/LICENSE.md"}, ("MIT",)),
    ({"LICENSE": MIT, "COPYING": None}, ("MIT",)),
    ({"LICENSE-MIT": MIT, "LICENSE": None}, ("MIT",)),
    ({"LICENSE": None, "COPYING": None}, ()),
    ({"LICENSE": None}, ()),
    ({"LICENSE": MIT, "COPYING": "All of it is ours."}, ()),
    ({"LICENSE": None, "LICENSE-3RD-PARTY.txt": MIT}, ()),
    ({"LICENSE": "Proprietary", "COPYING": MIT}, ()),
]


@pytest.mark.parametrize(("files", "expected"), LINKS)
def test_links_and_their_texts(
    files: dict[str, str | bytes | None], expected: tuple[str, ...]
) -> None:
    folder = "a/" if any(name.startswith("a/") for name in files) else "src/"
    assert licences(files, f"{folder}x.py") == expected


MANIFESTS: list[tuple[str, str, tuple[str, ...]]] = [
    ("Cargo.toml", '[package]\nlicense = "MIT/Apache-2.0"', ("MIT OR Apache-2.0",)),
    ("Cargo.toml", '[package]\nlicense-file = "docs/terms"', ("MIT",)),
    ("Cargo.toml", '[package]\nlicense-file = "../terms"', ()),
    ("Cargo.toml", "[package]\nlicense.workspace = true", ()),
    ("Cargo.toml", '[package]\nlicense.workspace = true\n[workspace.package]\nlicense = "ISC"',
     ("ISC",)),
    ("package.json", '{"license": "ISC"}', ("ISC",)),
    ("package.json", '{"license": {"type": "MIT", "url": "x"}}', ("MIT",)),
    ("package.json", '{"licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]}', ("MIT OR GPL-2.0",)),
    ("package.json", '{"license": "SEE LICENSE IN docs/terms"}', ("MIT",)),
    ("package.json", '{"license": "SEE LICENSE IN <docs/terms>"}', ("MIT",)),
    ("package.json", '{"license": "UNLICENSED"}', (RESTRICTED,)),
    ("pyproject.toml", '[project]\nlicense = "MIT"', ("MIT",)),
    ("pyproject.toml", '[project]\nlicense = {text = "MIT License"}', ("MIT",)),
    ("pyproject.toml", '[project]\nlicense = {file = "docs/terms"}', ("MIT",)),
    ("pyproject.toml", '[tool.poetry]\nlicense = "GPL-3.0-or-later"', ("GPL-3.0-or-later",)),
    ("composer.json", '{"license": "MIT"}', ("MIT",)),
    ("composer.json", '{"license": ["LGPL-2.1-only", "GPL-3.0-or-later"]}',
     ("LGPL-2.1-only OR GPL-3.0-or-later",)),
    ("composer.json", '{"license": "proprietary"}', (RESTRICTED,)),
    ("pom.xml", "<project><licenses><license><name>Apache License, Version 2.0</name></license>"
     "</licenses></project>", ("Apache-2.0",)),
    ("pom.xml", "<licenses><license><name>MIT</name></license><license><name>GNU General Public "
     "License v3</name></license></licenses>", ("MIT", "GPL-3.0-only")),
    ("pom.xml", "<licenses><license><name>Ours</name></license></licenses>", ()),
    ("a.gemspec", "Gem::Specification.new do |s|\n  s.license = 'MIT'\nend", ("MIT",)),
    ("a.gemspec", '  spec.licenses    = ["MIT", "GPL-2.0"]', ("MIT OR GPL-2.0",)),
    ("package.json", "not json", ()),
    ("package.json", "[" * 20_000, ()),
    ("Cargo.toml", "[package]\nlicense = \"MIT\"\n#" + "x" * MAX_BYTES, ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), MANIFESTS)
def test_manifests(name: str, text: str, expected: tuple[str, ...]) -> None:
    assert licences({name: text, "docs/terms": MIT}) == expected


def test_a_member_of_a_workspace_has_the_licence_of_the_workspace() -> None:
    member = "[package]\nlicense.workspace = true\n"
    files: dict[str, str | bytes | None] = {
        "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\n[workspace.package]\nlicense = "MIT"\n',
        "crates/a/Cargo.toml": member,
        "crates/b/Cargo.toml": '[package]\nlicense = "GPL-3.0-only"\n',
        "crates/c/Cargo.toml": "[package]\nlicense-file = { workspace = true }\n",
    }
    known = notices(files)
    assert known.of("crates/a/src/lib.rs") == (("MIT",), "Cargo.toml: license MIT")
    assert known.of("crates/b/src/lib.rs")[0] == ("GPL-3.0-only",)
    assert known.of("crates/c/src/lib.rs")[0] == ("MIT",)


def test_a_manifest_adds_what_is_not_permissive() -> None:
    """A part of a repository that says it is under another licence is not under that alone."""
    files: dict[str, str | bytes | None] = {
        "LICENSE": MIT,
        "package.json": '{"license": "Apache-2.0"}',
        "packages/a/package.json": '{"license": "AGPL-3.0-only"}',
        "packages/b/package.json": '{"license": "ISC"}',
        "packages/b/LICENSE": MIT,
        "packages/c/Cargo.toml": '[package]\nlicense-file = "TERMS"',
        "packages/c/TERMS": "All of it is ours.",
    }
    known = notices(files)
    assert known.of("a.js")[0] == ("MIT",)
    assert known.of("packages/a/a.js")[0] == ("AGPL-3.0-only", "MIT")
    assert known.of("packages/b/a.js")[0] == ("MIT",)
    assert known.of("packages/c/a.js")[0] == ()
    assert notices({"package.json": '{"license": "GPL-3.0-only"}', "v/LICENSE": MIT}).of("v/a.js")[
        0
    ] == ("MIT",)


def found(root: Path, **options: object) -> dict[str, tuple[str, ...]]:
    """Path -> licences of the files that are let in."""
    chosen = DirectoryOptions.model_validate({"path": str(root), **options})
    listing = plan(chosen, "it", LicensePolicy())
    records = [
        record
        for slice_ in listing.slices
        for record in read(chosen, "it", LicensePolicy(), slice_, listing.revision)
    ]
    return {one.path: one.licenses for one in records if isinstance(one, SourceFile)}


def test_links_in_a_folder_are_followed_inside_it_alone(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    put(root, {"legal/terms": MIT, "a.py": CODE, "b/b.py": CODE, "c/c.py": CODE, "d/d.py": CODE})
    put(tmp_path, {"outside/LICENSE": MIT})
    (root / "LICENSE").symlink_to("legal/terms")
    (root / "b/LICENSE").symlink_to("../LICENSE")
    (root / "c/LICENSE").symlink_to("../../outside/LICENSE")
    (root / "d/way").symlink_to(tmp_path / "outside")
    (root / "d/LICENSE").symlink_to("way/LICENSE")
    assert found(root) == {"a.py": ("MIT",), "b/b.py": ("MIT",)}


def test_links_in_a_commit_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    put(root, {"legal/terms": MIT, "a.py": CODE, "c/c.py": CODE})
    (root / "LICENSE").symlink_to("legal/terms")
    (root / "c/LICENSE").symlink_to("../../LICENSE")
    checkout(root, {})
    assert found(root) == {"a.py": ("MIT",)}
    # As a checkout without symbolic links has it.
    (root / "LICENSE").unlink()
    put(root, {"LICENSE": "legal/terms"})
    assert found(root, committed_only=False) == {"a.py": ("MIT",)}


def test_a_file_over_the_cap_refuses_nothing_beside_a_recognised_one(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": CODE, "LICENSE": MIT, "COPYING": "x" * (MAX_NOTICE_BYTES + 1)})
    assert found(tmp_path) == {"a.py": ("MIT",)}
