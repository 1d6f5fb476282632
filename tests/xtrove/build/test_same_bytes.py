"""The same bytes for any number of workers, any folder, any interruption."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.xtrove import support

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(library_config: Path) -> Path:
    """A config over a part of the standard library."""
    return library_config


@pytest.fixture(scope="module")
def reference(library_dataset: Path) -> Path:
    """The dataset as one process makes it, without Ray."""
    return library_dataset


def test_the_reference_holds(reference: Path) -> None:
    done = support.xtrove("verify", reference)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=reference, check=False
    )
    assert checked.returncode == 0
    assert len(support.receipts(reference, "extract")) >= 4
    assert len(support.manifest(reference)["shards"]) >= 3


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_in_another_folder(
    workers: int, config: Path, reference: Path, tmp_path: Path
) -> None:
    output = tmp_path / "somewhere" / "else"
    support.build(config, "--output", output, "--workers", workers)
    assert support.sums(output) == support.sums(reference)


def test_a_finished_build_does_nothing_again(config: Path, reference: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in reference.rglob("*") if path.is_file()}
    start = support.child_seconds()
    done = support.build(config, "--output", reference)
    assert support.child_seconds() - start < 10
    assert "finished before" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in reference.rglob("*") if p.is_file()} == before


def _kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def _kill_all(process: subprocess.Popen[str]) -> None:
    for member in support.family(process):
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue


@pytest.mark.parametrize(
    ("kill", "stage", "count"),
    [
        (_kill_group, "extract", 1),
        (_kill_all, "extract", 3),
        (_kill_all, "verify", 1),
        (_kill_group, "shard", 1),
        (_kill_all, "removals", 1),
    ],
)
def test_killed_and_resumed(
    kill: Callable[[subprocess.Popen[str]], None],
    stage: str,
    count: int,
    config: Path,
    reference: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "dataset"
    with support.start_build(config, "--output", output, "--workers", 2) as process:
        support.wait_for_receipts(process, output, stage, count)
        kill(process)
        process.communicate(timeout=support.TIMEOUT)
    done = {name: support.receipts(output, name) for name in ("extract", "shard")}
    assert not (output / "SHA256SUMS").exists()
    support.build(config, "--output", output)
    assert support.sums(output) == support.sums(reference)
    for name, keys in done.items():
        every = support.receipts(output, name)
        # A worker may have outlived the driver and finished one more.
        assert support.worked(output, name) <= every - keys
    assert not list((output / ".xtrove" / "tmp").glob("*"))


@pytest.mark.parametrize("workers", [0, 1])
def test_ctrl_c_stops_and_says_how_to_go_on(
    workers: int, config: Path, reference: Path, tmp_path: Path
) -> None:
    output = tmp_path / "dataset"
    with support.start_build(config, "--output", output, "--workers", workers) as process:
        support.wait_for_receipts(process, output, "extract", 2)
        running = support.command_lines(process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=support.TIMEOUT)
    assert process.returncode == 130, err
    assert "run the same command again" in err
    assert "Traceback" not in err + out
    assert not (output / "manifest.json").exists()
    # What a private head does not need is not started.
    assert any("raylet" in words for words in running) == bool(workers)
    assert not [words for words in running if "monitor.py" in words or "dashboard.py" in words]
    support.build(config, "--output", output)
    assert support.sums(output) == support.sums(reference)


def test_a_damaged_shard_is_written_again(config: Path, reference: Path, tmp_path: Path) -> None:
    output = tmp_path / "dataset"
    support.build(config, "--output", output)
    lost = output / support.manifest(output)["shards"][0]["path"]
    lost.write_bytes(lost.read_bytes()[:1000])
    support.build(config, "--output", output)
    assert support.sums(output) == support.sums(reference)
    assert not support.worked(output, "extract")


def test_another_threshold_reuses_the_extraction(config: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    first, second = tmp_path / "first", tmp_path / "second"
    support.build(config, "--output", first, "--set", f"work={work}")
    support.build(
        config, "--output", second, "--set", f"work={work}", "--set", "dedupe.threshold=0.9"
    )
    logs = sorted((work / "logs").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    text = logs[-1].read_text(encoding="utf-8")
    assert '"stage": "extract"' in text
    rows = [line for line in text.splitlines() if '"event": "task"' in line]
    assert all('"reused": true' in row for row in rows if '"stage": "extract"' in row)
    near = [
        support.funnel(output)["totals"]["pairs"]["dropped"].get("near_duplicate", 0)
        for output in (first, second)
    ]
    assert near[1] < near[0]
