"""Git addresses: the commit that was planned, its bytes as they are, and nothing that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

import ingest.files.git_checkout
from ingest.errors import ChangedInput, SourceError
from ingest.files.git_clone import GitAddress, checkout, parse, resolve
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourceFile
from ingest.sources.base.whole_files import read_files
from ingest.sources.directory import DirectoryOptions, plan, read
from ingest.sources.registry import resolve_paths
from tests.ingest.csn_copies import MIT

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
CODE = b"def a():\n    return 1\n"


def git(folder: Path, *words: str) -> str:
    names = ("AUTHOR", "COMMITTER")
    who = {f"GIT_{name}_{part}": "x@y" for name in names for part in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(work: Path, files: Mapping[str, bytes], branch: str = "main") -> str:
    if not (work / ".git").exists():
        work.mkdir(parents=True)
        git(work, "init", "-q", "-b", branch)
    for name, data in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "x")
    return git(work, "rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    commit(tmp_path / "work", {"LICENSE": MIT.encode(), "src/a.py": CODE})
    return tmp_path / "work"


def publish(work: Path) -> Path:
    """A bare repository with what `work` holds now."""
    bare = work.parent / "served.git"
    shutil.rmtree(bare, ignore_errors=True)
    git(work.parent, "clone", "-q", "--bare", "--no-local", str(work), str(bare))
    return bare


def run(
    bare: Path, ref: str = "", cache: str = "cache", **options: object
) -> tuple[Listing, list[SourceFile | Skip]]:
    config = {"path": f"git+file://{bare}{ref}", "cache": str(bare.parent / cache), **options}
    chosen = DirectoryOptions.model_validate(config)
    listing = plan(chosen, "s", LicensePolicy())
    records = [
        one
        for piece in listing.slices
        for one in read(chosen, "s", LicensePolicy(), piece, listing.revision)
    ]
    return listing, records


def test_a_repository_is_read_at_its_commit(work: Path) -> None:
    listing, records = run(publish(work))
    (one,) = records
    assert isinstance(one, SourceFile)
    assert listing.revision == one.revision == git(work, "rev-parse", "HEAD")
    assert (one.repo, one.path, one.content, one.licenses) == (
        "served",
        "src/a.py",
        CODE,
        ("MIT",),
    )
    assert str(work.parent) not in repr((listing.revision, listing.provenance, one))


def test_branches_tags_and_commits_can_be_named(work: Path) -> None:
    first = git(work, "rev-parse", "HEAD")
    git(work, "tag", "-a", "v1", "-m", "first")
    git(work, "switch", "-q", "-c", "feature/x")
    second = commit(work, {"src/a.py": CODE + b"# two\n"})
    git(work, "switch", "-q", "main")
    third = commit(work, {"src/a.py": CODE + b"# three\n"})
    bare = publish(work)
    found = {
        ref: run(bare, ref)[0].revision for ref in ("", "@v1", "@feature/x", f"@{first}", "@main")
    }
    assert found == {
        "": third,
        "@v1": first,
        "@feature/x": second,
        f"@{first}": first,
        "@main": third,
    }
    with pytest.raises(SourceError, match="no such branch or tag"):
        run(bare, "@v2")
    for name in ("feature/mü", "fix,comma", "it's", "a&b!", "release%20", "v@1", "a#b"):
        git(work, "branch", name, first)
    bare = publish(work)
    for name in ("feature/mü", "fix,comma", "it's", "a&b!", "release%20", "v@1", "a#b"):
        assert run(bare, f"@{name}")[0].revision == first


def test_another_machine_fetches_the_commit_that_was_planned(work: Path) -> None:
    """The branch has moved on meanwhile, and the cache there is empty."""
    bare = publish(work)
    options = DirectoryOptions(path=f"git+file://{bare}", cache=str(work.parent / "driver"))
    listing = plan(options, "s", LicensePolicy())
    commit(work, {"src/a.py": b"def changed(): pass\n"})
    git(work, "push", "-q", str(bare), "HEAD:main")
    elsewhere = options.model_copy(update={"cache": str(work.parent / "worker")})
    shutil.rmtree(work.parent / "driver")
    (one,) = read(elsewhere, "s", LicensePolicy(), listing.slices[0], listing.revision)
    assert isinstance(one, SourceFile)
    assert one.content == CODE
    assert not (work.parent / "driver").exists()


def test_a_checkout_is_fetched_once_and_appears_whole(work: Path) -> None:
    bare = publish(work)
    first = run(bare)
    folders = sorted(path.name for path in (bare.parent / "cache").iterdir())
    assert len(folders) == 1
    assert not folders[0].startswith(".")
    shutil.move(bare, bare.parent / "gone")
    address = parse(f"git+file://{bare}")
    assert checkout(address, first[0].revision, bare.parent / "cache").name == folders[0]
    with pytest.raises(SourceError, match="git cannot read this repository"):
        run(bare)
    assert sorted(path.name for path in (bare.parent / "cache").iterdir()) == folders


def test_a_cache_that_is_gone_or_damaged_gives_no_other_bytes(work: Path) -> None:
    bare = publish(work)
    options = DirectoryOptions(path=f"git+file://{bare}", cache=str(work.parent / "cache"))
    listing = plan(options, "s", LicensePolicy())
    blob = listing.slices[0].parts[0].digest.removeprefix("git:")
    (stored,) = (work.parent / "cache").rglob(f"objects/{blob[:2]}/{blob[2:]}")
    stored.chmod(0o600)
    stored.write_bytes(b"damaged")
    (record,) = read(options, "s", LicensePolicy(), listing.slices[0], listing.revision)
    assert isinstance(record, Skip)
    assert (record.reason, record.quarantined) == ("unreadable", "src/a.py")
    parts = tuple(replace(part, path="/nowhere") for part in listing.slices[0].parts)
    with pytest.raises(ChangedInput, match=r"src/a\.py"):
        list(read_files(LicensePolicy(), replace(listing.slices[0], parts=parts), "x"))


def test_nothing_of_the_repository_or_its_user_runs(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = work.parent / "owned"
    home = work.parent / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = touch {owned}; cat\n[core]\n\thooksPath = {home}\n'
        f"\tfsmonitor = touch {owned}\n\tautocrlf = true\n"
    )
    for name in ("post-checkout", "reference-transaction"):
        (home / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (home / name).chmod(0o755)
    files = {".gitattributes": b"*.py filter=evil text eol=crlf ident\n", "b.py": b"x = '$Id$'\n"}
    files[".gitmodules"] = b'[submodule "m"]\n\tpath = m\n\turl = ext::sh -c "touch owned"\n'
    commit(work, files)
    bare = publish(work)
    for name in ("post-checkout", "reference-transaction", "post-update"):
        (bare / "hooks").mkdir(exist_ok=True)
        (bare / "hooks" / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (bare / "hooks" / name).chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    records = run(bare)[1]
    contents = {one.path: one.content for one in records if isinstance(one, SourceFile)}
    assert contents == {"src/a.py": CODE, "b.py": b"x = '$Id$'\n"}
    assert {one.revision for one in records if isinstance(one, SourceFile)} == {
        git(work, "rev-parse", "HEAD")
    }
    assert not owned.exists()


def test_links_are_counted_and_never_followed(work: Path) -> None:
    (work / "src" / "link.py").symlink_to("/etc/passwd")
    commit(work, {})
    records = run(publish(work))[1]
    assert [getattr(one, "reason", "file") for one in records] == ["file", "symlink"]


def test_a_repository_of_too_many_files_is_refused(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.files.git_checkout, "MAX_FILES", 50)
    tree = git(work, "rev-parse", "HEAD^{tree}")
    for _ in range(6):
        entries = "".join(f"040000 tree {tree}\t{name}\n" for name in ("a", "b"))
        tree = subprocess.run(
            ["git", "-C", str(work), "mktree"],
            input=entries,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    bomb = git(work, "commit-tree", tree, "-m", "bomb")
    git(work, "update-ref", "refs/heads/bomb", bomb)
    bare = publish(work)
    with pytest.raises(SourceError, match="more than 50 files"):
        run(bare, "@bomb")


def test_only_the_transport_of_the_address_is_allowed(work: Path) -> None:
    """What a server redirects or a submodule names cannot bring another transport in."""
    bare = publish(work)
    commit_id = git(work, "rev-parse", "HEAD")
    wrong = GitAddress(url=f"file://{bare}", scheme="https", ref="", repo="served")
    with pytest.raises(SourceError, match="transport 'file' not allowed"):
        resolve(wrong)
    with pytest.raises(SourceError, match="transport 'file' not allowed"):
        checkout(wrong, commit_id, work.parent / "cache")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (
            "git+https://github.com/o/n.git@v1.0",
            GitAddress(url="https://github.com/o/n.git", scheme="https", ref="v1.0", repo="o/n"),
        ),
        (
            "git+https://gitlab.com/group/sub/n/",
            GitAddress(url="https://gitlab.com/group/sub/n", scheme="https", ref="", repo="sub/n"),
        ),
        (
            "git+file:///srv/git/n.git@feature/x",
            GitAddress(url="file:///srv/git/n.git", scheme="file", ref="feature/x", repo="n"),
        ),
    ],
)
def test_addresses_are_parsed(path: str, address: GitAddress) -> None:
    assert parse(path) == address
    options = DirectoryOptions(path=path)
    assert resolve_paths(options, Path("/base")) == options


@pytest.mark.parametrize(
    "path",
    [
        "git+ssh://git@github.com/o/n",
        "git+ext::sh -c id",
        "git+https://user:secret@github.com/o/n",
        "git+https://github.com",
        "git+https://github.com/o/n@--upload-pack=x",
        "git+https://github.com/o/n@a..b",
        "git+file:///srv/../etc",
        "git+https://github.com/o/n#egg=x",
        "https://github.com/o/n",
    ],
)
def test_other_addresses_are_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="git address|names no repository|remote path"):
        DirectoryOptions(path=path)
