"""Checkouts of every kind are read by git: what is committed, under its owner, or an error."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ingest.errors import SourceError
from ingest.files.git_checkout import read_checkout
from ingest.records import Skip, SourceFile
from tests.ingest.git_repositories import ISOLATED, MIT, checkout, files, git, put, run

HUB = "https://github.com/owner/name"
BRANCHES = ("feature/mü", "fix,comma", "it's", "a&b!", "release%20", "v@1", "a#b", "ü$(x)")


def pick(root: Path, **options: object) -> dict[str, tuple[str, str]]:
    """Name -> (repository, content) of the files, or ("", reason)."""
    result = run(root, **options)[1]
    return {
        name: (one.repo, one.content.decode()) if isinstance(one, SourceFile) else ("", one.reason)
        for name, one in result.items()
    }


@pytest.mark.parametrize("branch", BRANCHES)
def test_every_branch_name_that_git_allows_keeps_owner_commit_and_opt_out(
    tmp_path: Path, branch: str
) -> None:
    commit = checkout(tmp_path, {"LICENSE": MIT, "a.py": "x\n"}, HUB)
    git(tmp_path, "switch", "-q", "-c", branch)
    put(tmp_path, {"untracked.py": "y\n"})
    records = run(tmp_path)[1]
    one = files(records)["a.py"]
    assert set(records) == {"a.py"}
    assert (one.repo, one.revision, one.url) == ("owner/name", commit, f"{HUB}/blob/{commit}/a.py")
    assert pick(tmp_path, opt_out=["OWNER"]) == {"a.py": ("", "opted_out")}


@pytest.mark.parametrize("committed_only", [True, False])
def test_a_folder_in_a_checkout_is_read_as_a_part_of_it(
    tmp_path: Path, committed_only: bool
) -> None:
    top = tmp_path / "work"
    kept = {"LICENSE": MIT, ".gitignore": "*.gen.py\n", "src/in/a.py": "x\n", "src/in/b.py": "1\n"}
    commit = checkout(top, {**kept, "src/inner.py": "", "other/c.py": ""}, HUB)
    put(top, {"src/in/untracked.py": "", "src/in/x.gen.py": "", "src/in/b.py": "2\n"})
    (tmp_path / "link").symlink_to(top / "src/in")
    for root in (top / "src/in", tmp_path / "link"):
        listing, records = run(root, committed_only=committed_only)
        assert set(records) == {"a.py", "b.py"}
        one, edited = files(records)["a.py"], files(records)["b.py"]
        assert (one.repo, one.path, one.revision) == ("owner/name", "src/in/a.py", commit)
        assert one.url == f"{HUB}/blob/{commit}/src/in/a.py"
        assert one.license_evidence == "LICENSE: text of MIT"
        if committed_only:
            assert (edited.content, edited.revision) == (b"1\n", commit)
            assert listing.revision == commit
        else:
            assert (edited.content, edited.revision) == (b"2\n", f"{commit}-dirty")
            assert edited.url == ""
        assert pick(root, opt_out=["owner/name"]).keys() == {"a.py", "b.py"}
        assert {one[1] for one in pick(root, opt_out=["owner/name"]).values()} == {"opted_out"}


def test_a_folder_of_which_nothing_is_committed_is_an_error(tmp_path: Path) -> None:
    checkout(tmp_path, {"LICENSE": MIT, ".gitignore": "out\n", "a.py": ""})
    put(tmp_path, {"out/secret.py": "", "new/b.py": ""})
    for folder in ("out", "new"):
        for committed_only in (True, False):
            with pytest.raises(SourceError, match="only what is committed is read"):
                run(tmp_path / folder, committed_only=committed_only)


def test_the_index_decides_where_the_work_tree_is_read(tmp_path: Path) -> None:
    commit = checkout(tmp_path, {"LICENSE": MIT, "a.py": "1\n", "gone.py": ""}, HUB)
    put(tmp_path, {"staged.py": "2\n", "untracked.py": ""})
    git(tmp_path, "add", "staged.py")
    (tmp_path / "gone.py").unlink()
    records = files(run(tmp_path, committed_only=False)[1])
    assert {name: one.revision for name, one in records.items()} == {
        "a.py": commit,
        "staged.py": f"{commit}-dirty",
    }
    assert set(files(run(tmp_path)[1])) == {"a.py", "gone.py"}


def test_bytes_are_those_of_the_commit(tmp_path: Path) -> None:
    """No line ends, no ident, no filter; a pointer of LFS is no code."""
    attributes = "*.py text eol=crlf ident working-tree-encoding=UTF-16\n*.js filter=x\n"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n"
    checkout(tmp_path, {"LICENSE": MIT, "a.py": "x = '$Id$'\n", "b.js": pointer})
    put(tmp_path, {".gitattributes": attributes})
    git(tmp_path, "add", ".gitattributes")
    git(tmp_path, "commit", "-q", "-m", "attributes")
    (tmp_path / "a.py").unlink()
    git(tmp_path, "checkout", "--", "a.py")
    assert (tmp_path / "a.py").read_bytes() != b"x = '$Id$'\n"
    expected = {"a.py": (tmp_path.name, "x = '$Id$'\n"), "b.js": ("", "lfs_pointer")}
    assert pick(tmp_path) == expected


def test_what_the_walk_leaves_out_is_left_out_of_a_commit(tmp_path: Path) -> None:
    names = [
        "node_modules/a.js",
        ".hidden/b.py",
        "env/pyvenv.cfg",
        "env/lib/c.py",
        "x/d.py",
        "e.py",
    ]
    checkout(tmp_path, {"LICENSE": MIT, **dict.fromkeys(names, "")})
    assert set(pick(tmp_path, exclude=["x"])) == {"e.py"}


def test_links_of_a_commit_are_counted_and_never_followed(tmp_path: Path) -> None:
    tmp_path.joinpath("a.py").symlink_to("/etc/passwd")
    checkout(tmp_path, {"LICENSE": MIT, "b.py": "1\n"})
    assert pick(tmp_path) == {"a.py": ("", "symlink"), "b.py": (tmp_path.name, "1\n")}


def test_submodules_are_repositories_of_their_own(tmp_path: Path) -> None:
    library = tmp_path / "library"
    first = checkout(library, {"LICENSE": MIT, "lib.py": "1\n"})
    top = tmp_path / "top"
    checkout(top, {"LICENSE": MIT, "a.py": ""}, HUB)
    for name in ("deps/one", "deps/two"):
        git(top, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), name)
    git(top, "commit", "-q", "-m", "submodules")
    git(top / "deps/one", "remote", "set-url", "origin", "git@github.com:gone/lib.git")
    git(top, "submodule", "deinit", "-q", "-f", "deps/two")
    put(top, {"deps/one/untracked.py": "", "deps/two/loose.py": ""})
    records = files(run(top)[1])
    assert {name: (one.repo, one.path, one.revision) for name, one in records.items()} == {
        "a.py": ("owner/name", "a.py", git(top, "rev-parse", "HEAD")),
        "deps/one/lib.py": ("gone/lib", "lib.py", first),
    }
    assert pick(top, opt_out=["gone"])["deps/one/lib.py"] == ("", "opted_out")
    assert set(pick(top, committed_only=False)) == {"a.py", "deps/one/lib.py"}


def test_bare_repositories_are_read_at_their_head(tmp_path: Path) -> None:
    commit = checkout(tmp_path / "work", {"LICENSE": MIT, "a.py": "1\n"})
    mirror = tmp_path / "all" / "mirror.git"
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "work"), str(mirror))
    for root, name in ((mirror, "a.py"), (tmp_path / "all", "mirror.git/a.py")):
        for committed_only in (True, False):
            records = files(run(root, committed_only=committed_only)[1])
            assert {n: (one.path, one.revision) for n, one in records.items()} == {
                name: ("a.py", commit)
            }
    git(mirror, "remote", "set-url", "origin", f"{HUB}.git")
    assert pick(mirror) == {"a.py": ("owner/name", "1\n")}


def test_shallow_sparse_and_sha256_repositories(tmp_path: Path) -> None:
    work = tmp_path / "work"
    checkout(work, {"LICENSE": MIT, "a/a.py": "1\n", "b/b.py": "2\n"})
    put(work, {"a/a.py": "3\n"})
    git(work, "commit", "-q", "-a", "-m", "second")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{work}", str(shallow))
    git(shallow, "sparse-checkout", "set", "--cone", "--sparse-index", "a")
    assert not (shallow / "b").exists()
    expected = {"a/a.py": ("shallow", "3\n"), "b/b.py": ("shallow", "2\n")}
    assert pick(shallow) == expected
    assert set(pick(shallow, committed_only=False)) == {"a/a.py"}
    modern = tmp_path / "modern"
    modern.mkdir()
    git(modern, "init", "-q", "--object-format=sha256")
    commit = checkout(modern, {"LICENSE": MIT, "a.py": "x\n"}, HUB)
    for committed_only in (True, False):
        listing = run(modern, committed_only=committed_only)[0]
        assert (listing.revision, len(commit)) == (commit, 64)
    assert pick(modern) == {"a.py": ("owner/name", "x\n")}


def test_of_a_partial_clone_nothing_is_fetched(tmp_path: Path) -> None:
    work, part, log = tmp_path / "work", tmp_path / "part", tmp_path / "asked"
    checkout(work, {"LICENSE": MIT, "a/a.py": "1\n", "b/b.py": "2\n", "b/LICENSE": MIT})
    git(work, "config", "uploadpack.allowFilter", "true")
    clone = ("clone", "-q", "--filter=blob:none", "--sparse", f"file://{work}", str(part))
    git(tmp_path, *clone)
    git(part, "sparse-checkout", "set", "a")
    script = tmp_path / "upload-pack"
    script.write_text(f"#!/bin/sh\necho asked >> '{log}'\nexec git-upload-pack \"$@\"\n")
    script.chmod(0o755)
    git(part, "config", "remote.origin.uploadpack", str(script))
    listing, records = run(part)
    assert {name: getattr(one, "reason", "file") for name, one in records.items()} == {
        "a/a.py": "file",
        "b/b.py": "missing_blob",
    }
    missing = records["b/b.py"]
    assert isinstance(missing, Skip)
    assert missing.quarantined == "b/b.py"
    assert listing.revision == git(work, "rev-parse", "HEAD")
    assert not log.exists()
    subprocess.run(["git", "-C", str(part), "show", "HEAD:b/b.py"], env=ISOLATED, check=False)
    assert log.exists(), "the trap must work on those who fetch"


@pytest.mark.parametrize("kind", ["gitdir", "link", "objects", "pack", "alternates", "commondir"])
def test_what_points_outside_of_the_source_is_refused(tmp_path: Path, kind: str) -> None:
    """A stranger's folder that names a private repository of this machine."""
    private, root = tmp_path / "private", tmp_path / "source"
    checkout(private, {"LICENSE": MIT, "secret.py": "x\n"})
    git(private, "gc", "-q")
    hidden = private / ".git"
    put(root, {"own.py": ""})
    if kind == "gitdir":
        put(root, {".git": f"gitdir: {hidden}\n"})
    elif kind == "link":
        (root / ".git").symlink_to(hidden)
    else:
        git(root, "init", "-q", "-b", "main")
        made = root / ".git"
        commit = git(private, "rev-parse", "HEAD")
        (made / "HEAD").write_text(f"{commit}\n")
        if kind == "objects":
            (made / "objects").rename(made / "old")
            (made / "objects").symlink_to(hidden / "objects")
        elif kind == "pack":
            for path in (hidden / "objects/pack").iterdir():
                (made / "objects/pack" / path.name).symlink_to(path)
        elif kind == "alternates":
            put(made, {"objects/info/alternates": f"{hidden / 'objects'}\n"})
        else:
            put(made, {"commondir": f"{hidden}\n"})
    with pytest.raises(SourceError, match=r"from outside of the source: .*source/\.git"):
        run(root)
    inside = files(run(tmp_path)[1])
    assert {one.content for one in inside.values()} == {b"x\n"}


def test_a_worktree_elsewhere_is_refused_and_one_inside_is_read(tmp_path: Path) -> None:
    checkout(tmp_path / "all/main", {"LICENSE": MIT, "a.py": "1\n"}, HUB)
    for text in ("all/tree", "tree"):
        git(tmp_path / "all/main", "worktree", "add", "-q", str(tmp_path / text), "--detach")
    assert set(pick(tmp_path / "all")) == {"main/a.py", "tree/a.py"}
    for root in ("tree", "all/tree"):
        with pytest.raises(SourceError, match="from outside of the source.*git\\+file"):
            run(tmp_path / root)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("config", "extensions.unheard", "1"), "newer git"),
        (("config", "core.repositoryformatversion", "9"), "newer git"),
        (("symbolic-ref", "HEAD", "refs/heads/none"), "Commit its files"),
        (("update-ref", "-d", "refs/heads/main"), "Commit its files"),
    ],
)
def test_what_git_cannot_read_is_an_error_that_names_it(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    checkout(tmp_path / "bad", {"LICENSE": MIT, "a.py": "x\n", "d/b.py": ""})
    git(tmp_path / "bad", "config", "core.repositoryformatversion", "1")
    git(tmp_path / "bad", *words)
    for root in (tmp_path, tmp_path / "bad", tmp_path / "bad/d"):
        with pytest.raises(SourceError, match=f"cannot read this checkout: .*bad.*{said}"):
            run(root)
    put(tmp_path, {"LICENSE": MIT, "ok.py": ""})
    assert set(pick(tmp_path, exclude=["bad"])) == {"ok.py"}


def test_the_environment_and_the_config_of_a_stranger_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    checkout(other, {"LICENSE": MIT, "wrong.py": ""})
    root = tmp_path / "root"
    checkout(root, {"LICENSE": MIT, "a.py": "1\n"}, HUB)
    git(root, "config", "core.worktree", str(other))
    git(root, "config", "include.path", "/nonexistent")
    for name, value in (
        ("GIT_DIR", str(other / ".git")),
        ("GIT_WORK_TREE", str(other)),
        ("GIT_INDEX_FILE", str(other / ".git/index")),
        ("GIT_OBJECT_DIRECTORY", str(other / ".git/objects")),
        ("GIT_CONFIG_COUNT", "x"),
    ):
        monkeypatch.setenv(name, value)
    assert pick(root) == pick(root, committed_only=False) == {"a.py": ("owner/name", "1\n")}
    git(root, "config", "core.worktree", "/no/such/folder")
    assert pick(root) == {"a.py": ("owner/name", "1\n")}


def test_the_owner_of_the_folder_does_not_matter(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to give a folder to somebody else")
    checkout(tmp_path / "theirs", {"LICENSE": MIT, "a.py": "1\n"})
    subprocess.run(["chown", "-R", "65534:65534", str(tmp_path / "theirs")], check=True)
    assert set(pick(tmp_path)) == {"theirs/a.py"}


@pytest.mark.parametrize(
    ("remotes", "repo"),
    [
        ({"upstream": HUB}, "owner/name"),
        ({"fork": "https://github.com/me/name", "origin": HUB}, "owner/name"),
        ({"origin": "https://me:p@ss@github.com/owner/name.git/"}, "owner/name"),
        ({"origin": "github.com:owner/name"}, "owner/name"),
        ({"origin": "git+ssh://git@github.com/owner/name"}, "owner/name"),
        ({"origin": "https://git.sr.ht/~owner/name"}, "~owner/name"),
        ({}, "work"),
    ],
)
def test_the_remote_names_the_repository(
    tmp_path: Path, remotes: dict[str, str], repo: str
) -> None:
    root = tmp_path / "work"
    checkout(root, {"LICENSE": MIT, "a.py": ""})
    for name, url in remotes.items():
        git(root, "remote", "add", name, url)
    assert read_checkout(root, inside=root).repo == repo


def test_names_that_cannot_be_published_are_counted(tmp_path: Path) -> None:
    checkout(tmp_path, {"LICENSE": MIT, "a.py": ""})
    blob = git(tmp_path, "rev-parse", "HEAD:a.py").encode()
    entries = b"".join(
        b"100644 blob %s\t%s\0" % (blob, name) for name in (b"\xff.py", b"c\n.py", b"ok.py")
    )
    made = subprocess.run(
        ["git", "-C", str(tmp_path), "mktree", "-z"],
        env=ISOLATED,
        input=entries,
        capture_output=True,
        check=True,
    )
    tree = made.stdout.decode().strip()
    commit = git(tmp_path, "commit-tree", tree, "-m", "x")
    git(tmp_path, "update-ref", "refs/heads/main", commit)
    records = run(tmp_path, declared_licenses=["MIT"])[1]
    assert {name: getattr(one, "reason", "file") for name, one in records.items()} == {
        "\\udcff.py": "invalid_path",
        "c\\n.py": "invalid_path",
        "ok.py": "file",
    }
