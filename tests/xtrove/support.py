"""What the tests of `xtrove` share: real builds of the standard library in child processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 180


def library(folder: Path, *, limit: int = 5_000_000) -> Path:
    """Copies top-level modules of the standard library: real code, several slices of it."""
    folder.mkdir(parents=True)
    held = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        size = path.stat().st_size
        if held + size > limit:
            break
        shutil.copyfile(path, folder / path.name)
        held += size
    return folder


def library_config(folder: Path, **changes: object) -> dict[str, Any]:
    """A config over such a folder, in slices of 1 MB, several shards and one core's work each."""
    return {
        "name": "library",
        "sources": [
            {"kind": "directory", "path": str(folder), "declared_licenses": ["PSF-2.0"]},
        ],
        "shards": {"max_bytes": "1MB", "splits": {"validation": 0.05, "test": 0.05}},
        "slice_bytes": 1_000_000,
        **changes,
    }


def write_config(path: Path, config: Mapping[str, object]) -> Path:
    """Writes a config as YAML."""
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """The environment of a child: no cluster of somebody else, no colours."""
    return {**os.environ, "RAY_ADDRESS": "", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}


def xtrove(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own; a build without workers, unless it says so."""
    return subprocess.run(
        [sys.executable, "-m", "xtrove", *map(str, words), *without_workers(words)],
        cwd=cwd or ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def without_workers(words: Sequence[object]) -> tuple[str, ...]:
    """What makes a build run in one process, where its words say nothing of workers."""
    return ("--workers", "0") if "build" in words[:1] and "--workers" not in words else ()


def build(*words: object) -> subprocess.CompletedProcess[str]:
    """Runs a build that has to succeed."""
    done = xtrove("build", *words)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def start_build(*words: object) -> subprocess.Popen[str]:
    """Starts a build in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "xtrove", "build", *map(str, words)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def receipts(output: Path, stage: str) -> set[str]:
    """Keys of the finished tasks of a stage."""
    return {path.stem for path in (output / ".xtrove" / "receipts" / stage).glob("*.json")}


def wait_for_receipts(
    process: subprocess.Popen[str], output: Path, stage: str, count: int
) -> set[str]:
    """Waits until so many tasks are done; fails where the build ends before."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        result = receipts(output, stage)
        if len(result) >= count:
            return result
        assert process.poll() is None, f"the build ended before {count} {stage} receipts"
        time.sleep(0.005)
    raise AssertionError(f"no {count} {stage} receipts in {TIMEOUT} s")


def child_seconds() -> float:
    """Processor time of the children that have ended, and of theirs: what load does not change."""
    times = os.times()
    return times.children_user + times.children_system


def without_progress(said: str) -> list[str]:
    """The lines of a build without those that it prints every 30 s while it runs."""
    return [line for line in said.splitlines() if not re.match(r"\[[^\]]+\] ", line)]


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and everything it started."""
    parent = psutil.Process(process.pid)
    return [*parent.children(recursive=True), parent]


def command_lines(process: subprocess.Popen[str]) -> list[str]:
    """What the process and everything it started were called with; what has just ended is none."""
    lines = []
    for member in family(process):
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(member.cmdline()))
    return lines


def sums(output: Path) -> str:
    """The published checksums."""
    return (output / "SHA256SUMS").read_text(encoding="utf-8")


def events(output: Path) -> list[dict[str, Any]]:
    """The events of the last log."""
    logs = sorted((output / ".xtrove" / "logs").glob("*.jsonl"), key=lambda p: p.stat().st_mtime_ns)
    return [json.loads(line) for line in logs[-1].read_text(encoding="utf-8").splitlines()]


def worked(output: Path, stage: str) -> set[str]:
    """Keys of the tasks that the last run did itself, reused ones left out."""
    return {
        event["key"]
        for event in events(output)
        if event["event"] == "task" and event["stage"] == stage and not event["reused"]
    }


def funnel(output: Path) -> dict[str, Any]:
    """The published funnel."""
    data: dict[str, Any] = json.loads((output / "funnel.json").read_bytes())
    return data


def manifest(output: Path) -> dict[str, Any]:
    """The published manifest."""
    data: dict[str, Any] = json.loads((output / "manifest.json").read_bytes())
    return data


def ids(output: Path, shards: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
    """Ids of all samples, from the member names of the tars."""
    result: list[str] = []
    for shard in shards if shards is not None else manifest(output)["shards"]:
        with tarfile.open(output / shard["path"]) as tar:
            result += [name.removesuffix(".json") for name in tar.getnames()]
    return result
