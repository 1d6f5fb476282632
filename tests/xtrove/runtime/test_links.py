"""A dataset of others may hold links: nothing outside of its folder is written or deleted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.shards import builder
from tests.xtrove import support
from xtrove.commands.forgetting import forget
from xtrove.commands.publishing import PublishOptions, publish
from xtrove.core.canonical_json import canonical
from xtrove.core.errors import Misuse
from xtrove.runtime.links import record_path, refuse_links
from xtrove.runtime.workspace import Workspace, driver_lock, running_task

CANARY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
FILES = (
    ".xtrove/lock", ".xtrove/tasks.lock", ".xtrove/owner.json", ".xtrove/tombstones.json",
    ".xtrove/logs/build.jsonl", ".xtrove/crash/note", ".xtrove/plan/x.json",
    ".xtrove/receipts/extract", ".xtrove/files/extract", ".xtrove/outputs/x.json",
    "manifest.json", "README.md", "SHA256SUMS", "funnel.json", "ATTRIBUTION.jsonl",
    "plots/funnel.svg", "removals/part-00000.parquet", "data/python/train-00000.tar",
)  # fmt: skip
FOLDERS = (
    ".xtrove", ".xtrove/tmp", ".xtrove/crash", ".xtrove/logs", ".xtrove/files",
    ".xtrove/receipts", ".xtrove/plan", ".xtrove/outputs", ".xtrove/files/extract",
    "data", "data/python", "parquet", "parquet/python", "removals", "plots",
)  # fmt: skip


@pytest.fixture(name="base")
def _base(tmp_path: Path) -> Path:
    return builder.build(tmp_path, [builder.make_pair(n) for n in range(3)], []).path


def _replaced(path: Path, target: Path) -> None:
    """A link in the place of whatever stands there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.rename(path.with_name(f"was-{path.name}") if path.name != "lock" else path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _home(tmp_path: Path) -> Path:
    """A folder of the user with what a command would delete or overwrite."""
    home = tmp_path / "home"
    for name in ("tmp/a", "crash/b", "lock", "tasks.lock", "files/extract/x", "train-00000.tar"):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CANARY)
    return home


def _state(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def _each_command(base: Path, name: str) -> None:
    """`forget`, `publish`, and a build's lock: each names the link and writes nothing."""
    own = Workspace(work=base / ".xtrove", output=base)
    with pytest.raises(Misuse, match="is a link to") as refused, driver_lock(own, lambda _: None):
        raise AssertionError("the lock was given")
    assert str(base / name) in refused.value.message
    assert "remove it there if you made it" in refused.value.remedy


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_a_link_is_refused(base: Path, tmp_path: Path, name: str) -> None:
    key = tmp_path / "key"
    key.write_bytes(CANARY)
    _replaced(base / name, key)
    _each_command(base, name)
    assert key.read_bytes() == CANARY


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_a_link_is_refused(base: Path, tmp_path: Path, name: str) -> None:
    home = _home(tmp_path)
    before = _state(home)
    _replaced(base / name, home)
    _each_command(base, name)
    assert _state(home) == before


@pytest.mark.parametrize("name", [".xtrove", ".xtrove/lock", ".xtrove/tmp"])
def test_forget_and_publish_name_the_link(
    base: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_nothing")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    home = _home(tmp_path)
    before = _state(home)
    _replaced(base / name, home / "lock" if name.endswith("lock") else home)
    with pytest.raises(Misuse, match="is a link to"):
        forget(base, ["owner/repo1"], work=None, dry_run=False)
    with pytest.raises(Misuse, match="is a link to"):
        publish(base, "o/set", PublishOptions(), dry_run=False)
    assert _state(home) == before


def test_a_task_opens_no_lock_through_a_link(base: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(CANARY)
    _replaced(base / ".xtrove/tasks.lock", key)
    own = Workspace(work=base / ".xtrove", output=base)
    with pytest.raises(Misuse, match=r"tasks\.lock is a link"), running_task(own):
        raise AssertionError("the lock was given")
    assert key.read_bytes() == CANARY


@pytest.mark.parametrize("name", ["lock", "tasks.lock"])
def test_a_lock_with_a_second_name_is_refused(tmp_path: Path, name: str) -> None:
    own = Workspace(work=tmp_path / "work", output=tmp_path / "out")
    own.work.mkdir()
    own.output.mkdir()
    key = tmp_path / "key"
    key.write_bytes(CANARY)
    os.link(key, own.work / name)
    with pytest.raises(Misuse, match="has another name"), driver_lock(own, lambda _: None):
        raise AssertionError("the lock was given")
    assert key.read_bytes() == CANARY


def test_a_linked_work_folder_needs_the_record_of_this_output(tmp_path: Path) -> None:
    output, work = tmp_path / "out", tmp_path / "work"
    output.mkdir()
    record = record_path(work, output)
    record.parent.mkdir(parents=True)
    (output / ".xtrove").symlink_to(work)
    with pytest.raises(Misuse, match="no work folder of a build of this dataset"):
        refuse_links(output / ".xtrove", output)
    record.write_bytes(canonical({"nonce": "a"}))
    (work / "owner.json").write_bytes(canonical({"nonce": "b"}))
    with pytest.raises(Misuse, match="no work folder of a build of this dataset"):
        refuse_links(output / ".xtrove", output)
    (work / "owner.json").write_bytes(canonical({"nonce": "a"}))
    refuse_links(output / ".xtrove", output)
    # That of another output is not ours, and what the user named is taken at their word.
    record.rename(record_path(work, tmp_path / "other"))
    with pytest.raises(Misuse, match="no work folder of a build of this dataset"):
        refuse_links(output / ".xtrove", output)
    refuse_links(work, output)
    (work / "tmp").symlink_to(tmp_path)
    with pytest.raises(Misuse, match=r"work/tmp is a link"):
        refuse_links(work, output)


def test_links_of_git_and_of_the_hub_are_none_of_ours(base: Path, tmp_path: Path) -> None:
    for name in (".git", ".cache", ".huggingface"):
        (base / name).mkdir()
        (base / name / "link").symlink_to(tmp_path)
    refuse_links(base / ".xtrove", base)


@pytest.mark.slow
def test_a_build_names_the_link(tmp_path: Path) -> None:
    source = support.library(tmp_path / "source", limit=100_000)
    shards = {"splits": {"validation": 0, "test": 0}}
    config = support.write_config(
        tmp_path / "c.yaml", support.library_config(source, shards=shards)
    )
    home = _home(tmp_path)
    before = _state(home)
    output = tmp_path / "out"
    output.mkdir()
    (output / ".xtrove").symlink_to(home)
    done = support.xtrove("build", config, "--output", output)
    assert done.returncode == 2
    assert f"{output / '.xtrove'} is a link" in done.stderr
    assert _state(home) == before
    (output / ".xtrove").unlink()
    work = tmp_path / "elsewhere"
    support.build(config, "--output", output, "--set", f"work={work}")
    owner = json.loads((output / ".xtrove/owner.json").read_bytes())
    assert json.loads(record_path(work, output).read_bytes())["nonce"] == owner["nonce"]
