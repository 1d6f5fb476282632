"""What people see while a build runs: a table of its stages.

Each stage has a row: tasks done of all, source bytes and their speed, what was reused from an
earlier run, and the time left by the speed so far. The same facts go to the log. Memory is the
sum of the proportional set sizes of this process and its children, read every two seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.table import Table

from ingest.transport import Traffic, meter
from xtrove.terminal.console import amount, duration, one_line
from xtrove.terminal.display import Display
from xtrove.terminal.event_log import Log

MEMORY_SECONDS = 2.0


@dataclass(kw_only=True, slots=True)
class StageProgress:
    """How far a stage is; `start` and `end` are monotonic seconds."""

    name: str
    tasks: int = 0
    total_bytes: int = 0
    done: int = 0
    reused: int = 0
    failed: int = 0
    bytes: int = 0
    worked_bytes: int = 0
    busy_seconds: float = 0.0
    peak_bytes: int = 0
    requests: int = 0
    fetched_bytes: int = 0
    start: float = 0.0
    end: float = 0.0

    def seconds(self) -> float:
        """Wall time of the stage so far."""
        return (self.end or time.monotonic()) - self.start

    def left(self) -> float | None:
        """Seconds left at the speed so far, once something is done."""
        worked = self.done - self.reused
        if self.done >= self.tasks or worked <= 0:
            return None
        if self.total_bytes and self.worked_bytes:
            return (self.total_bytes - self.bytes) / self.worked_bytes * self.seconds()
        return (self.tasks - self.done) / worked * self.seconds()


class BuildProgress(Display):
    """Shows and logs the stages of one build; a context manager."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._memory_at = 0.0
        self.stages: dict[str, StageProgress] = {}
        self.peak_bytes = 0
        self.traffic: dict[str, Traffic] = dict(meter().snapshot())
        """Host -> requests and bytes, of the plan and of all tasks that ended."""

    def say(self, message: str) -> None:
        """One line for people, above the table."""
        super().say(one_line(message))
        self._log.event("say", message=message)

    def begin(self, name: str, tasks: int, total_bytes: int = 0) -> StageProgress:
        """A stage (or a further round of it) gets this many tasks."""
        stage = self.stages.setdefault(name, StageProgress(name=name, start=time.monotonic()))
        stage.tasks += tasks
        stage.total_bytes += total_bytes
        stage.end = 0.0
        self._log.event("stage", stage=name, tasks=tasks, bytes=total_bytes)
        self.tick()
        return stage

    def count(self, stage: StageProgress, asked: Mapping[str, Sequence[int]]) -> None:
        """What a task asked of other machines: host -> requests and bytes."""
        for host, (requests, size) in asked.items():
            stage.requests += requests
            stage.fetched_bytes += size
            old = self.traffic.get(host, Traffic())
            self.traffic[host] = Traffic(requests=old.requests + requests, bytes=old.bytes + size)

    def finish(self, stage: StageProgress) -> None:
        """The stage has no tasks left."""
        stage.end = time.monotonic()
        self._log.event(
            "stage done", stage=stage.name, seconds=round(stage.seconds(), 2), tasks=stage.tasks,
            reused=stage.reused, busy_seconds=round(stage.busy_seconds, 2), bytes=stage.bytes,
            peak_worker_bytes=stage.peak_bytes,
        )  # fmt: skip
        self.tick()

    def tick(self) -> None:
        """Refresh whatever is due."""
        now = time.monotonic()
        if now >= self._memory_at:
            self._memory_at = now + MEMORY_SECONDS
            self.peak_bytes = max(self.peak_bytes, tree_bytes())
        self.update()

    def line(self) -> str:
        """The stages that are at work, in one line."""
        parts = []
        for stage in self.stages.values():
            if stage.end:
                continue
            left = stage.left()
            parts.append(
                f"{stage.name} {stage.done}/{stage.tasks}"
                + (
                    f", {amount(stage.bytes)} of {amount(stage.total_bytes)}"
                    if stage.total_bytes
                    else ""
                )
                + (
                    f", {stage.requests:,} requests, {amount(stage.fetched_bytes)} fetched"
                    if stage.requests
                    else ""
                )
                + (f", {duration(left)} left" if left is not None else "")
            )
        return "; ".join(parts) or "working"

    def draw(self) -> Table:
        """The live table."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("stage", "done", "reused", "bytes", "speed", "time", "left"):
            table.add_column(name, justify="left" if name == "stage" else "right")
        for stage in self.stages.values():
            seconds = max(stage.seconds(), 1e-6)
            left = stage.left()
            speed = f"{amount(stage.worked_bytes / seconds)}/s" if stage.worked_bytes else ""
            table.add_row(
                stage.name,
                f"{stage.done}/{stage.tasks}"
                + (f" ({stage.failed} failed)" if stage.failed else ""),
                str(stage.reused or ""),
                amount(stage.bytes) if stage.total_bytes else "",
                speed,
                duration(stage.seconds()),
                duration(left) if left is not None else "",
            )
        table.caption = f"memory {amount(self.peak_bytes)} at most so far" + (
            f", fetched {fetched(self.traffic)}" if self.traffic else ""
        )
        return table


def fetched(traffic: Mapping[str, Traffic]) -> str:
    """Bytes and requests of all hosts together."""
    size = sum(host_traffic.bytes for host_traffic in traffic.values())
    requests = sum(host_traffic.requests for host_traffic in traffic.values())
    hosts = len(traffic)
    return f"{amount(size)} in {requests:,} requests from {hosts} host{'s' * (hosts != 1)}"


def tree_bytes() -> int:
    """Memory of this process and all below it; shared pages are counted once."""
    total = 0
    try:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            total += _pss(process.pid) or process.memory_info().rss
        except (psutil.Error, OSError):
            continue
    return total


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
