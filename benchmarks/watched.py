"""A build in a child process, watched from outside: its log, its time, the memory of its family.

Method: every 0.05 s the new lines of the build's log are read and stamped; every 0.2 s the
proportional set sizes (PSS: shared pages are counted once) of the child and of all processes
below it are summed and put to the stage that began last. Cost: about 9% of a core (one
`smaps_rollup` a process); the seconds the watcher itself used are reported.
Limits: Linux only; a peak shorter than 0.2 s is missed; the peak of a worker is the `ru_maxrss`
that its tasks report, which only grows: in later stages it is that of the stages before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import rooms_first  # noqa: F401

POLL_SECONDS = 0.05
SAMPLE_SECONDS = 0.2
BEFORE = "before start"


class BuildFailed(Exception):
    """The watched command did not end with 0; the message holds the end of what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTimes:
    """One stage, as the log has it; seconds and bytes."""

    name: str
    wall: float
    busy: float
    tasks: int
    worker_peak: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """What one build took, from the start of its process to the end; seconds and bytes."""

    wall: float
    before: float
    """Interpreter, imports, listing and digesting the inputs: up to the first line of the log."""
    after: float
    """Ray's shutdown and the end of the process: from the last stage on."""
    stages: tuple[StageTimes, ...]
    peaks: dict[str, int]
    """Stage -> most memory of all processes together."""
    watcher_seconds: float

    @property
    def peak(self) -> int:
        """Most memory of all processes together."""
        return max(self.peaks.values(), default=0)

    @property
    def worker_peak(self) -> int:
        """Most memory of any worker."""
        return max((stage.worker_peak for stage in self.stages), default=0)


@dataclass(kw_only=True, slots=True)
class _Watch:
    """State while the child runs."""

    child: subprocess.Popen[str]
    logs: Path
    start: float
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    stage: str = BEFORE
    offset: int = 0

    def read(self) -> None:
        """Take the lines the log has gained."""
        log = next(iter(sorted(self.logs.glob("*.jsonl"))), None)
        if log is None:
            return
        with log.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        now = time.monotonic()
        for line in whole.splitlines():
            event = json.loads(line)
            self.events.append((now, event))
            if event["event"] == "stage":
                self.stage = event["stage"]

    def sample(self) -> None:
        """Sum the memory of the family now."""
        self.peaks[self.stage] = max(self.peaks[self.stage], family_bytes(self.child.pid))


def watch(config: Path, work: Path, said: Path) -> Watched:
    """Run `xtrove build CONFIG` to its end; `said` gets what it prints. Raises `BuildFailed`."""
    command = [sys.executable, "-m", "xtrove", "build", str(config)]
    before = psutil.Process().cpu_times()
    with said.open("w", encoding="utf-8") as out:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, text=True)
        state = _Watch(child=child, logs=work / "logs", start=start)
        try:
            _follow(state)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    wall = time.monotonic() - start
    state.read()
    if child.returncode != 0:
        text = said.read_text(encoding="utf-8", errors="replace")
        raise BuildFailed(f"xtrove build ended with {child.returncode}:\n{text[-2000:]}")
    used = psutil.Process().cpu_times()
    return _watched(state, wall, used.user + used.system - before.user - before.system)


def _follow(state: _Watch) -> None:
    sample_at = 0.0
    while state.child.poll() is None:
        state.read()
        if time.monotonic() >= sample_at:
            sample_at = time.monotonic() + SAMPLE_SECONDS
            state.sample()
        time.sleep(POLL_SECONDS)


def _watched(state: _Watch, wall: float, watcher: float) -> Watched:
    # The last entry of a stage has its totals; a stage with several rounds has several.
    last = {event["stage"]: event for _, event in state.events if event["event"] == "stage done"}
    stages = tuple(
        StageTimes(
            name=name,
            wall=event["seconds"],
            busy=event["busy_seconds"],
            tasks=event["tasks"],
            worker_peak=event["peak_worker_bytes"],
        )
        for name, event in last.items()
    )
    ended = max(stamp for stamp, event in state.events if event["event"] == "stage done")
    return Watched(
        wall=wall,
        before=state.events[0][0] - state.start,
        after=state.start + wall - ended,
        stages=stages,
        peaks=dict(state.peaks),
        watcher_seconds=watcher,
    )


def family_bytes(pid: int) -> int:
    """PSS of a process and all below it; 0 when it is gone."""
    try:
        root = psutil.Process(pid)
        family: Sequence[psutil.Process] = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_pss(process.pid) for process in family)


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    rows = (line.split() for line in text.splitlines())
    return sum(int(row[1]) * 1024 for row in rows if row[0] == "Pss:")
