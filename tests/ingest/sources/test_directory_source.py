"""Folders and git checkouts, with real repositories made by git."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import ChangedInput, SourceError
from ingest.files.git_checkout import github_repo, parse_remote, read_checkout
from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip, SourceFile
from ingest.sources.directory.source import DirectoryOptions, plan, read
from tests.ingest.git_repositories import GPL, ISOLATED, MIT, checkout, files, git, put, run


def test_clean_github_checkout_has_commit_and_links(tmp_path: Path) -> None:
    root = tmp_path / "work"
    commit = checkout(
        root,
        {"LICENSE": MIT, "a.py": "x = 1\n", "d/b c.go": "package b\n"},
        "https://user:secret@github.com/owner/name.git",
    )
    put(root, {"untracked.py": "y = 2\n"})
    listing, records = run(root)
    assert listing.revision == commit
    assert set(records) == {"a.py", "d/b c.go"}
    one = files(records)["d/b c.go"]
    assert (one.repo, one.path, one.revision) == ("owner/name", "d/b c.go", commit)
    assert one.url == f"https://github.com/owner/name/blob/{commit}/d/b%20c.go"
    assert (one.licenses, one.license_evidence) == (("MIT",), "LICENSE: text of MIT")
    assert one.source_revision == commit
    assert "secret" not in repr(listing)
    assert ("repository owner/name", commit) in listing.provenance


def test_edited_files_are_dirty_and_have_no_link(tmp_path: Path) -> None:
    commit = checkout(
        tmp_path, {"LICENSE": MIT, "a.py": "x\n", "b.py": "y\n"}, "git@github.com:o/n.git"
    )
    put(tmp_path, {"a.py": "changed\n"})
    listing, records = run(tmp_path, committed_only=False)
    assert listing.revision.startswith(f"{commit}-dirty-")
    edited, clean = files(records)["a.py"], files(records)["b.py"]
    assert (edited.revision, edited.url) == (f"{commit}-dirty", "")
    assert (clean.revision, clean.url[:24]) == (commit, "https://github.com/o/n/b")
    put(tmp_path, {"a.py": "changed again\n"})
    assert run(tmp_path, committed_only=False)[0].revision != listing.revision
    listing, records = run(tmp_path)
    assert listing.revision == commit
    assert {file.content for file in files(records).values()} == {b"x\n", b"y\n"}


def test_nested_checkouts_and_worktrees_are_repositories_of_their_own(tmp_path: Path) -> None:
    first = checkout(tmp_path / "one", {"COPYING": MIT, "a.py": "1\n"})
    second = checkout(tmp_path / "two", {"a.rb": "2\n"}, "ssh://git@gitlab.com/g/sub/proj.git")
    git(tmp_path / "one", "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other")
    git(tmp_path / "one", "pack-refs", "--all")
    put(tmp_path, {"loose.js": "3\n"})
    listing, records = run(tmp_path, declared_licenses=["ISC"])
    result = {name: (one.repo, one.revision, one.url) for name, one in files(records).items()}
    assert result == {
        "loose.js": (tmp_path.name, "", ""),
        "one/a.py": ("one", first, ""),
        "tree/a.py": ("tree", first, ""),
        "two/a.rb": ("sub/proj", second, ""),
    }
    assert files(records)["one/a.py"].licenses == ("MIT",)
    assert files(records)["two/a.rb"].license_evidence == "declared by config"
    assert len(listing.revision) == 16


def test_the_nearest_licence_file_counts(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "LICENSE": MIT,
            "a.py": "",
            "vendor_gpl/COPYING": GPL,
            "vendor_gpl/deep/b.py": "",
            "odd/LICENSE.txt": "Ask me first.",
            "odd/c.py": "",
            "dual/LICENSE-MIT": MIT,
            "dual/LICENSE-GPL": GPL,
            "dual/d.py": "",
            "code/license.py": "",
            "open/LICENSE": MIT,
            "open/LICENSE-COMMONS": "The grant does not include the right to Sell the Software.",
            "open/e.py": "",
        },
    )
    records = run(tmp_path)[1]
    reasons = {name: getattr(one, "reason", "file") for name, one in records.items()}
    assert reasons == {
        "a.py": "file",
        "code/license.py": "file",
        "dual/d.py": "license_not_permissive",
        "odd/c.py": "license_unknown",
        "open/e.py": "license_not_permissive",
        "vendor_gpl/deep/b.py": "license_not_permissive",
    }
    declared = files(run(tmp_path, declared_licenses=["MIT"])[1])
    assert "odd/c.py" in declared
    assert "open/e.py" not in declared
    (tmp_path / "LICENSE").write_text(MIT + " The Software shall be used for Good, not Evil.")
    assert "a.py" not in files(run(tmp_path, declared_licenses=["MIT"])[1])
    assert "vendor_gpl/deep/b.py" not in declared


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pyproject.toml", '[project]\nlicense = "MIT"', ("MIT",)),
        ("pyproject.toml", '[project]\nlicense = {text = "isc"}', ("ISC",)),
        ("pyproject.toml", '[tool.poetry]\nlicense = "Apache-2.0"', ("Apache-2.0",)),
        ("package.json", '{"license": "MIT"}', ("MIT",)),
        ("package.json", '{"license": {"type": "BSD-3-Clause"}}', ("BSD-3-Clause",)),
        ("Cargo.toml", '[package]\nlicense = "MIT/Apache-2.0"', ("Apache-2.0 OR MIT",)),
        ("package.json", "[" * 100_000, ()),
        ("package.json", '{"license": "Ours"}', ()),
        ("Cargo.toml", "not toml", ()),
    ],
)
def test_manifests_speak_where_no_licence_file_does(
    tmp_path: Path, name: str, text: str, expected: tuple[str, ...]
) -> None:
    put(tmp_path, {name: text, "src/a.py": ""})
    (record,) = run(tmp_path)[1].values()
    if expected:
        assert isinstance(record, SourceFile)
        assert record.licenses == expected
        assert record.license_evidence.startswith(f"{name}: license ")
    else:
        assert isinstance(record, Skip)
        assert record.reason == "license_unknown"


def test_nothing_of_the_repositorys_config_runs(tmp_path: Path) -> None:
    checkout(tmp_path, {"LICENSE": MIT, "a.py": "x\n", ".gitattributes": "*.py filter=evil\n"})
    trap = tmp_path.parent / f"{tmp_path.name}-trap"
    script = tmp_path / ".git/evil.sh"
    script.write_text(f"#!/bin/sh\ntouch '{trap}'\ncat\n")
    script.chmod(0o755)
    for key in ("filter.evil.clean", "core.fsmonitor", "diff.external", "core.sshCommand"):
        git(tmp_path, "config", key, str(script))
    for hook in ("post-index-change", "reference-transaction", "pre-auto-gc"):
        (tmp_path / f".git/hooks/{hook}").write_text(script.read_text())
        (tmp_path / f".git/hooks/{hook}").chmod(0o755)
    put(tmp_path, {"a.py": "y\n"})
    assert set(files(run(tmp_path)[1])) == {"a.py"}
    assert not trap.exists()
    git(tmp_path, "status")
    assert trap.exists(), "the trap must work on those who step in it"


def test_hostile_git_folders_are_refused_by_name(tmp_path: Path) -> None:
    for place, head in enumerate(["ref: ../../etc/passwd", "", "ref: refs/heads/../../x", "zz"]):
        put(tmp_path / str(place), {".git/HEAD": head, "a.py": ""})
    put(tmp_path / "file", {".git": "gitdir: /dev/zero", "a.py": ""})
    put(tmp_path / "nul", {".git": "gitdir: a\0b", "a.py": ""})
    (tmp_path / "link").mkdir()
    (tmp_path / "link/.git").symlink_to(tmp_path / "0/.git")
    for folder in tmp_path.iterdir():
        with pytest.raises(SourceError, match=f"cannot read this checkout: {folder}"):
            read_checkout(folder, inside=tmp_path)
    with pytest.raises(SourceError, match="cannot read this checkout"):
        run(tmp_path, declared_licenses=["MIT"])
    put(tmp_path, {"loose.py": ""})
    left = [path.name for path in tmp_path.iterdir() if path.is_dir()]
    assert set(run(tmp_path, declared_licenses=["MIT"], exclude=left)[1]) == {"loose.py"}


def test_a_tree_that_unfolds_without_end_is_given_up(tmp_path: Path) -> None:
    checkout(tmp_path, {"a.py": "x\n"})
    tree, kind = git(tmp_path, "rev-parse", "HEAD:a.py"), "100644 blob"
    for _ in range(9):
        entries = "".join(f"{kind} {tree}\tf{i}.py\n" for i in range(10))
        done = subprocess.run(
            ["git", "-C", str(tmp_path), "mktree"],
            env=ISOLATED,
            input=entries.encode(),
            capture_output=True,
            check=True,
        )
        tree, kind = done.stdout.decode().strip(), "040000 tree"
    commit = git(tmp_path, "commit-tree", tree, "-m", "a billion files")
    git(tmp_path, "update-ref", "refs/heads/main", commit)
    with pytest.raises(SourceError, match="more than 1000000 bytes"):
        read_checkout(tmp_path, inside=tmp_path, tree_cap=1_000_000)


def test_without_git_no_checkout_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout(tmp_path / "o", {"LICENSE": MIT, "a.py": "x\n"}, "https://github.com/o/n")
    put(tmp_path / "plain", {"LICENSE": MIT, "a.py": ""})
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(SourceError, match="git is not installed.*Install git"):
        run(tmp_path)
    assert set(files(run(tmp_path / "plain")[1])) == {"a.py"}


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    put(tmp_path, {"LICENSE": MIT, "a.py": "x\n"})
    options = DirectoryOptions(path=str(tmp_path))
    listing = plan(options, "s", LicensePolicy())
    for change in ("y\n", None):
        (tmp_path / "a.py").unlink()
        if change is not None:
            put(tmp_path, {"a.py": change})
        with pytest.raises(ChangedInput, match=r"a\.py"):
            list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


def test_digests_hold_no_path_and_follow_what_is_read(tmp_path: Path) -> None:
    for place in ("here", "there"):
        put(tmp_path / place / "p", {"LICENSE": MIT, "a.py": "x\n"})
    here, there = (
        plan(DirectoryOptions(path=str(tmp_path / text / "p")), "s", LicensePolicy())
        for text in ("here", "there")
    )
    assert [slice_.digest for slice_ in here.slices] == [slice_.digest for slice_ in there.slices]
    moved = replace(here, slices=()), replace(there, slices=())
    assert moved[0] == moved[1]
    assert str(tmp_path) not in repr(replace(here, slices=()))
    options = DirectoryOptions(path=str(tmp_path / "here/p"))
    other = plan(options, "s", LicensePolicy(allow=("MIT",)))
    assert other.slices[0].digest != here.slices[0].digest
    put(tmp_path / "here/p", {"a.py": "z\n"})
    assert plan(options, "s", LicensePolicy()).slices[0].digest != here.slices[0].digest


def test_an_empty_or_missing_folder_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no readable file of go"):
        plan(DirectoryOptions(path=str(tmp_path), languages=("go",)), "s", LicensePolicy())
    with pytest.raises(SourceError, match="is no folder"):
        plan(DirectoryOptions(path=str(tmp_path / "no")), "s", LicensePolicy())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/o/n.git", ("github.com", "o/n")),
        ("https://token@github.com/o/n", ("github.com", "o/n")),
        ("git@github.com:o/n.git", ("github.com", "o/n")),
        ("ssh://git@host.org:2222/a/b/c.git", ("host.org", "b/c")),
        ("/srv/git/x.git", ("", "")),
        ("ext::sh -c evil", ("", "")),
        ("https://github.com/o", ("", "")),
    ],
)
def test_parse_remote(url: str, expected: tuple[str, str]) -> None:
    assert parse_remote(url) == expected


def test_github_pages() -> None:
    assert github_repo("https://github.com/o/n.js/tree/main/x") == "o/n.js"
    assert github_repo("https://www.github.com/o/n.git#readme") == "o/n"
    assert github_repo("https://github.com/sponsors/me") == ""
    assert github_repo("https://example.org/github.com/o/n") == ""
