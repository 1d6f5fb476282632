"""`xtrove publish` as a program: words, token, dry run, interruptions, and what readers load."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shards.format.sample import FIELDS
from shards.read.dataset import Dataset
from tests.hub.running import ROOT, TIMEOUT_S, RunningHub, running_hub
from tests.shards import builder
from xtrove.runtime.workspace import Workspace, driver_lock

TOKEN = "hf_write_5ecret5ecret5ecret"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A Hub that asks for files above 4,000 bytes in parts."""
    with running_hub(tmp_path_factory.mktemp("hub"), 20, "--part-bytes", "4000") as running:
        yield running


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> builder.Built:
    """Two languages, three splits."""
    return builder.build(tmp_path_factory.mktemp("dataset"))


def _words(path: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "xtrove", "publish", str(path), *words]


def _publish(
    hub: RunningHub, path: Path, *words: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    done = hub.run(_words(path, *words), token=token, NO_COLOR="1")
    assert TOKEN not in done.stdout + done.stderr
    assert "Signature" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def _held(hub: RunningHub, repo: str, revision: str = "main") -> dict[str, str]:
    commit = hub.store.resolve(repo, revision)
    assert commit is not None
    return {
        blob.path: hashlib.sha256(blob.place.read_bytes()).hexdigest()
        for blob in hub.store.blobs(repo, commit)
    }


def _local(path: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256(data).hexdigest() for name, data in builder.published(path).items()
    }


@pytest.mark.slow
def test_a_dry_run_changes_nothing_and_says_what_would_happen(
    hub: RunningHub, dataset: builder.Built
) -> None:
    hub.forget()
    done = _publish(hub, dataset.path, "o/dry", "--dry-run", "--commit-files", "20")
    assert done.returncode == 0, done.stderr
    files = len(_local(dataset.path))
    assert f"{files}" in done.stdout
    assert "repository: new, public" in done.stdout
    assert "3 commits" in done.stdout and "nothing was changed" in done.stdout
    assert "commit 1: 20 files" in done.stdout and "commit 2: 20 files" in done.stdout
    assert {one["method"] for one in hub.log()} == {"GET"}
    assert not hub.store.has("o/dry")


@pytest.mark.slow
def test_published_in_parts_and_published_again(hub: RunningHub, dataset: builder.Built) -> None:
    hub.forget()
    done = _publish(hub, dataset.path, "o/set", "--commit-files", "20")
    assert done.returncode == 0, done.stderr
    assert [one for one in hub.log() if one["path"].endswith("/info/lfs/complete")]
    held = _held(hub, "o/set")
    del held[".gitattributes"]
    assert held == _local(dataset.path)
    content = dataset.manifest.content_sha256[:16]
    assert f"hf://datasets/o/set@content-{content}" in done.stdout
    assert f"verified: {len(held)} files" in done.stdout
    hub.forget()
    again = _publish(hub, dataset.path, "o/set")
    assert again.returncode == 0
    assert "no commit was made" in again.stdout
    assert {one["method"] for one in hub.log()} == {"GET"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "token", "code", "said"),
    [
        (["o/x"], "", 2, "set HF_TOKEN"),
        (["justname"], TOKEN, 2, "give OWNER/NAME"),
        (["o/x y"], TOKEN, 2, "cannot name a data set"),
        (["o/x", "--revision", "refs/heads/main"], TOKEN, 2, "is no branch"),
        (["o/x", "--commit-files", "96"], TOKEN, 2, "commit-files"),
        (["o/x"], "hf_read", 1, "the token may not write to o/x"),
        (["o/x"], "nonsense", 1, "does not accept the token"),
    ],
)
def test_words_and_tokens(
    hub: RunningHub, dataset: builder.Built, words: list[str], token: str, code: int, said: str
) -> None:
    hub.forget()
    done = _publish(hub, dataset.path, *words, token=token)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.replace("│", "").split())
    assert not hub.store.has("o/x")


@pytest.mark.slow
def test_what_is_no_finished_dataset_is_refused(
    hub: RunningHub, dataset: builder.Built, tmp_path: Path
) -> None:
    done = _publish(hub, tmp_path, "o/none")
    assert done.returncode == 2 and "is not a dataset" in done.stderr
    damaged = builder.build(tmp_path / "damaged", [builder.make_pair(1)], []).path
    with (damaged / "ATTRIBUTION.jsonl").open("a") as file:
        file.write("\n")
    done = _publish(hub, damaged, "o/none")
    assert (
        done.returncode == 1
        and "nothing was published: the dataset is incomplete or damaged: 1 files" in done.stderr
    )
    waiting = builder.build(tmp_path / "waiting", [builder.make_pair(1)], []).path
    journal = waiting / ".xtrove/forget/journal.json"
    journal.parent.mkdir(parents=True)
    journal.write_text("{}")
    done = _publish(hub, waiting, "o/none")
    assert done.returncode == 2 and "forget" in done.stderr
    assert not hub.store.has("o/none")


@pytest.mark.slow
def test_a_build_with_a_work_folder_elsewhere_is_not_published_under(
    hub: RunningHub, tmp_path: Path
) -> None:
    """The lock of the output is held, and what the build is writing there stays."""
    base = builder.build(tmp_path, [builder.make_pair(1)], []).path
    half = base / ".xtrove" / "tmp" / "half"
    with driver_lock(Workspace(work=tmp_path / "work", output=base), lambda _: None):
        half.mkdir(parents=True)
        done = _publish(hub, base, "o/locked")
        assert done.returncode == 1 and "another build is writing here" in done.stderr
        assert half.exists()
    (base / "manifest.json").unlink()
    done = _publish(hub, base, "o/locked")
    assert done.returncode == 2 and half.exists(), "no dataset: nothing of it is touched"
    assert not hub.store.has("o/locked")


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="no mounts may be made here",
)
def test_published_from_a_read_only_mount(hub: RunningHub, tmp_path: Path) -> None:
    base = builder.build(tmp_path, [builder.make_pair(1)], []).path
    (base / ".xtrove").mkdir(exist_ok=True)
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    arguments = ["unshare", "-rm", "sh", "-c", mount, str(base), *_words(base, "o/mounted")]
    done = hub.run(arguments, token=TOKEN, NO_COLOR="1")
    assert done.returncode == 0, done.stderr
    assert "no lock is held while this publishes" in done.stderr
    assert hub.store.has("o/mounted")


MOMENTS: list[dict[str, Any]] = [
    {"match": "/_put/*", "skip": 5},
    {"match": "*/commit/xtrove-staging-main", "skip": 1},
    {"match": "*/commit/main"},
    {"match": "*/tag/*"},
]


STOPS = [(0, signal.SIGKILL), (1, signal.SIGKILL), (2, signal.SIGKILL), (3, signal.SIGKILL)]
STOPS += [(0, signal.SIGINT), (2, signal.SIGINT)]


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "kind"), STOPS)
def test_stopped_at_a_moment_the_same_command_goes_on(
    hub: RunningHub, dataset: builder.Built, moment: int, kind: signal.Signals
) -> None:
    """The request hangs when the program is stopped; the Hub carries it out afterwards."""
    repo = f"o/stop-{moment}-{kind.value}"
    hub.forget()
    hub.faults({**MOMENTS[moment], "delay_s": 100})
    words = _words(dataset.path, repo, "--commit-files", "15")
    with subprocess.Popen(
        words, cwd=ROOT, env=hub.environment(TOKEN), stderr=subprocess.PIPE, text=True
    ) as process:
        _wait_until_struck(hub, process)
        os.kill(process.pid, kind)
        hub.faults()
        _, output = process.communicate(timeout=TIMEOUT_S)
    if kind == signal.SIGINT:
        assert process.returncode == 130, output
        assert "run the same command again" in output and "Traceback" not in output
    before = _held(hub, repo)
    assert set(before) == {".gitattributes"} or "manifest.json" in before
    whole = {
        one["path"]
        for one in hub.log()
        if one["method"] == "PUT" and one["status"] == 200 and "." not in one["path"].split("/")[-1]
    }
    hub.forget()
    done = _publish(hub, dataset.path, repo)
    assert done.returncode == 0, done.stderr
    assert not whole & {one["path"] for one in hub.log() if one["method"] == "PUT"}
    held = _held(hub, repo)
    del held[".gitattributes"]
    assert held == _local(dataset.path)
    history = [one["branch"] for one in hub.store.history(repo)]
    assert history.count("main") == 1


def _wait_until_struck(hub: RunningHub, process: subprocess.Popen[str]) -> None:
    """The faults that are left are counted by the Hub; a delayed request is still open."""
    deadline = time.monotonic() + TIMEOUT_S
    while hub.struck() == 0:
        assert process.poll() is None, "it ended before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.02)


LOAD = """
from datasets import load_dataset
import os
answer = {}
for name in json.loads(sys.argv[2]):
    for split in ("train", "validation", "test"):
        for streaming in (False, True):
            rows = load_dataset(sys.argv[1], name, split=split, streaming=streaming)
            answer[f"{name} {split} {streaming}"] = sorted(row["id"] for row in rows)
            answer[f"{name} {split} {streaming} fields"] = sorted(rows.features)
"""


@pytest.mark.slow
def test_load_dataset_yields_exactly_the_ids(
    hub: RunningHub, dataset: builder.Built, tmp_path: Path
) -> None:
    assert _publish(hub, dataset.path, "o/loaded").returncode == 0
    names = ["default", "python", "go"]
    answer = hub.client(LOAD, "o/loaded", json.dumps(names), HF_HOME=str(tmp_path / "home"))
    opened = Dataset.open(dataset.path)
    for name in names:
        for split in ("train", "validation", "test"):
            language = None if name == "default" else name
            expected = sorted(str(s["id"]) for s in opened.samples(language=language, split=split))
            assert expected
            for streaming in (False, True):
                assert answer[f"{name} {split} {streaming}"] == expected
                assert answer[f"{name} {split} {streaming} fields"] == list(FIELDS)
