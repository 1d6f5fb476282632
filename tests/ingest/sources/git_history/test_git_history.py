"""Histories made by git: which lines of which files a commit changed, and under which licence."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from ingest.errors import SourceError
from ingest.files.git_checkout import read_checkout
from ingest.files.git_history import commit_ids, read_changes, read_commits
from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip, SourceFile, SourcePair
from ingest.sources.git_history.source import GitHistoryOptions
from ingest.sources.registry import plan, read
from tests.ingest.git_repositories import GPL, MIT, checkout, git, put

Records = list[SourceFile | SourcePair | Skip]


def commit(root: Path, message: str, changes: dict[str, str], **words: str) -> str:
    put(root, changes)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message, *(f"--{key}={value}" for key, value in words.items()))
    return git(root, "rev-parse", "HEAD")


def records(root: Path, slice_bytes: int | None = None, **options: object) -> Records:
    chosen = GitHistoryOptions.model_validate({"path": str(root), **options})
    policy = LicensePolicy()
    listing = plan(chosen, "src", policy, slice_bytes)
    rows: Records = []
    for piece in listing.slices:
        rows += read(chosen, "src", policy, piece, listing.revision)
    return rows


def files(rows: Records) -> list[SourceFile]:
    return [row for row in rows if isinstance(row, SourceFile)]


def refusals(rows: Records) -> Counter[str]:
    return Counter({row.reason: row.rows for row in rows if isinstance(row, Skip)})


def numbered(count: int) -> list[str]:
    return [f"line_{number} = {number}" for number in range(1, count + 1)]


def text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def test_lines_that_a_commit_changed(tmp_path: Path) -> None:
    lines = numbered(20)
    first = checkout(
        tmp_path,
        {"LICENSE": MIT, "a/b.py": text(lines), "c.go": "package c\n", "d.md": "text\n"},
        "https://github.com/owner/name.git",
    )
    edited = [*lines[:2], "third", *lines[3:9], "new", "newer", *lines[9:14], *lines[17:]]
    second = commit(tmp_path, "Take three lines out of the list", {"a/b.py": text(edited)})
    commit(tmp_path, "Say more in the manual of lists", {"d.md": "more text\n"})
    rows = records(tmp_path)
    [file] = files(rows)
    assert file.changed == ((3, 4), (10, 10), (15, 18))
    assert (file.query, file.content) == ("Take three lines out of the list", text(lines).encode())
    assert (file.repo, file.path, file.revision) == ("owner/name", "a/b.py", first)
    assert file.url == f"https://github.com/owner/name/blob/{first}/a/b.py"
    assert (file.licenses, file.license_evidence) == (("MIT",), "LICENSE: text of MIT")
    assert second not in (file.revision, file.url)
    assert refusals(rows) == {"commit_changes_no_code": 1, "commit_without_parent": 1}
    assert [row.row for row in rows] == sorted({row.row for row in rows})


def test_text_that_looks_like_a_diff_is_text(tmp_path: Path) -> None:
    hostile = ["-- a/other.py", "++ b/other.py", "@@ -1,2 +1,2 @@", "\x01" + "0" * 40, "a\rb"]
    hostile += ["diff --git a/x b/x", "index " + "0" * 40 + ".." + "1" * 40, "\\ No newline", ""]
    checkout(tmp_path, {"LICENSE": MIT, "a.py": text([*hostile, "end"]), "b.py": "one\n"})
    changed = text([*reversed(hostile), "end", "\x01" + "1" * 40]).rstrip("\n")
    commit(tmp_path, "Turn the list of hostile lines around", {"a.py": changed, "b.py": "two\n"})
    by_path = {file.path: file.changed for file in files(records(tmp_path))}
    assert set(by_path) == {"a.py", "b.py"}
    assert by_path["b.py"] == ((1, 2),)
    assert all(1 <= start <= stop <= len(hostile) + 2 for start, stop in by_path["a.py"])


def test_what_is_outside_of_the_ranges_is_kept(tmp_path: Path) -> None:
    """On random edits: old lines outside of the ranges stand in the new file, in order."""
    draw = random.Random(5)
    lines = numbered(60)
    checkout(tmp_path, {"LICENSE": MIT, "a.py": text(lines)})
    versions = [lines]
    for number in range(12):
        lines = [line for line in lines if draw.random() > 0.1]
        for _ in range(4):
            lines.insert(draw.randrange(len(lines) + 1), f"new_{draw.random()}")
        versions.append(lines)
        commit(tmp_path, f"Change the lines of version {number}", {"a.py": text(lines)})
    repository = read_checkout(tmp_path, inside=tmp_path)
    ids = commit_ids(repository)[:-1]
    assert [one.id for one in read_commits(repository.git_dir, ids)] == ids
    changes = read_changes(repository.git_dir, ids, [".py"])
    for old, new, commit_id in zip(versions[:-1], versions[1:], reversed(ids), strict=True):
        [change] = changes[commit_id]
        gone = {line for start, stop in change.changed for line in range(start, stop)}
        kept = [line for at, line in enumerate(old, start=1) if at not in gone]
        assert kept == [line for line in new if line in set(old)]
        assert gone <= set(range(1, len(old) + 1))


def test_nothing_of_the_repository_runs_or_shapes_the_output(tmp_path: Path) -> None:
    root, marker = tmp_path / "work", tmp_path / "ran"
    checkout(root, {"LICENSE": MIT, "ä ö.py": text(numbered(9)), ".gitattributes": "*.py diff=x\n"})
    changed = [*numbered(4), *numbered(9)[5:]]
    commit(root, "Take line five out of the list", {"ä ö.py": text(changed)})
    expected = files(records(root))
    assert expected[0].changed == ((5, 6),)
    for key, value in {
        "diff.external": f"touch {marker}", "diff.x.command": f"touch {marker}",
        "diff.x.textconv": f"touch {marker};cat", "core.pager": f"touch {marker}",
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "color.ui": "always",
        "diff.context": "5", "diff.interHunkContext": "9", "diff.algorithm": "patience",
        "log.showSignature": "true", "format.pretty": "fuller", "core.quotePath": "true",
        "i18n.logOutputEncoding": "latin1", "gpg.program": f"touch {marker}",
        "core.fsmonitor": f"touch {marker}", "diff.renames": "copies", "diff.orderFile": "x",
        "log.follow": "true", "log.decorate": "full", "notes.displayRef": "*",
    }.items():  # fmt: skip
        git(root, "config", key, value)
    assert files(records(root)) == expected
    assert not marker.exists()


def test_merges_bots_and_wide_commits_are_no_questions(tmp_path: Path) -> None:
    names = [f"f{number}.py" for number in range(6)]
    checkout(tmp_path, {"LICENSE": MIT, **dict.fromkeys(names, "x = 1\n")})
    commit(tmp_path, "Make every number two everywhere", dict.fromkeys(names, "x = 2\n"))
    bot = "dependabot[bot] <b@example.org>"
    commit(tmp_path, "Make the first number three", {"f0.py": "x = 3\n"}, author=bot)
    git(tmp_path, "checkout", "-q", "-b", "topic", "HEAD~1")
    commit(tmp_path, "Make the second number four", {"f1.py": "x = 4\n"})
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "Take the number of the topic", "topic")
    rows = records(tmp_path)
    assert [(file.path, file.query) for file in files(rows)] == [
        ("f1.py", "Make the second number four")
    ]
    assert refusals(rows) == {
        "commit_changes_many_files": 1, "commit_by_bot": 1, "commit_without_parent": 1
    }  # fmt: skip
    assert len(files(records(tmp_path, max_files=6))) == 7


def test_what_was_under_another_licence_is_not_read(tmp_path: Path) -> None:
    checkout(tmp_path, {"LICENSE": GPL, "a.py": "x = 1\n"})
    commit(tmp_path, "Make the number of it two", {"a.py": "x = 2\n"})
    commit(tmp_path, "Everybody agrees to another licence", {"LICENSE": MIT})
    commit(tmp_path, "Make the number of it three", {"a.py": "x = 3\n"})
    assert [file.query for file in files(records(tmp_path))] == ["Make the number of it three"]


def test_a_file_that_says_more_than_its_repository(tmp_path: Path) -> None:
    own = "# SPDX-License-Identifier: GPL-3.0-only\n"
    checkout(tmp_path, {"LICENSE": MIT, "a.py": f"{own}x = 1\n"})
    commit(tmp_path, "Make the number of it two", {"a.py": f"{own}x = 2\n"})
    rows = records(tmp_path)
    assert files(rows) == []
    assert refusals(rows)["file_license_not_permissive"] == 1


def test_slices_do_not_decide_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout(tmp_path, {"LICENSE": MIT, "a.py": "x = 0\n"})
    for number in range(1, 8):
        commit(tmp_path, f"Make the number of rows {number}", {"a.py": f"x = {number}\n"})
    whole = files(records(tmp_path))
    assert len(whole) == 7
    monkeypatch.setattr("ingest.sources.git_history.source.RUN", 2)
    cut = files(records(tmp_path, slice_bytes=1))
    assert [(file.query, file.content) for file in cut] == [
        (file.query, file.content) for file in whole
    ]
    newest = files(records(tmp_path, max_commits=3))
    assert [file.query for file in newest] == [file.query for file in whole[:3]]


def test_a_folder_without_history_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": "x = 1\n"})
    with pytest.raises(SourceError, match="no git history"):
        records(tmp_path)
    with pytest.raises(SourceError, match="no folder"):
        records(tmp_path / "none")
