"""Runs the tasks of a stage, keeps count, and decides what a fault means for the build.

A stage ends well when every task has its receipt. A fault of a slice is counted and the others
go on, so that one bad disk sector does not cost the rest; the build then ends unsealed, with
the failed slices named. A fault of the config, the credentials or the disk stops at once, and so
do 20 failures in a row in plan order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from xtrove.core import XtroveError
from xtrove.runtime.engine import Done, Engine
from xtrove.runtime.task import PlannedSlice, Task
from xtrove.runtime.workspace import Workspace
from xtrove.terminal import BuildProgress, Log, StageProgress

FAILURES_IN_A_ROW = 20
MAX_NAMED = 5


class Scheduler:
    """Drives one engine for one build; remembers the facts of every finished task."""

    def __init__(self, *, engine: Engine, progress: BuildProgress, log: Log) -> None:
        self._engine = engine
        self._progress = progress
        self._log = log
        self._facts: dict[tuple[str, str], Mapping[str, Any]] = {}

    @property
    def workspace(self) -> Workspace:
        """Where the build works."""
        return self._engine.workspace

    def facts(self, stage: str, key: str) -> Mapping[str, Any]:
        """What a finished task reported."""
        return self._facts[stage, key]

    def has(self, stage: str, key: str) -> bool:
        """Whether a task was finished in this build, or found finished."""
        return (stage, key) in self._facts

    def report(self, message: str) -> None:
        """One line for people."""
        self._progress.say(message)

    @contextmanager
    def driver_stage(self, task: Task) -> Iterator[None]:
        """A stage of one task that the driver does itself."""
        stage = self._progress.begin(task.stage, 1)
        yield
        stage.done = 1
        self._progress.finish(stage)

    def extract(self, slices: Iterable[PlannedSlice]) -> None:
        """Read the slices that have not been read in this build."""
        tasks = [s.task for s in slices if ("extract", s.task.key) not in self._facts]
        if tasks:
            self.run("extract", tasks)

    def run(self, name: str, tasks: Sequence[Task]) -> list[Mapping[str, Any]]:
        """Run tasks of one stage; returns their facts in plan order. Raises `XtroveError`."""
        return self.run_stages({name: tasks}).get(name, [])

    def run_stages(
        self, stages: Mapping[str, Sequence[Task]]
    ) -> dict[str, list[Mapping[str, Any]]]:
        """Run the tasks of stages that do not wait for each other, side by side."""
        stages = {name: tasks for name, tasks in stages.items() if tasks}
        unique = {task.key: task for tasks in stages.values() for task in tasks}
        shown = {}
        for name, tasks in stages.items():
            mine = {task.key: task for task in tasks}.values()
            shown[name] = self._progress.begin(name, len(mine), sum(t.bytes for t in mine))
        failed: dict[int, str] = {}
        for done in self._engine.run(list(unique.values()), self._progress.tick):
            stage = shown[done.task.stage]
            self._note(stage, done, failed)
            if stage.done == stage.tasks:
                self._progress.finish(stage)
            self._progress.tick()
        for stage in shown.values():
            if not stage.end:
                self._progress.finish(stage)
        self._refuse_failures(failed, len(unique), " and ".join(stages))
        return {
            name: [self._facts[task.stage, task.key] for task in tasks]
            for name, tasks in stages.items()
        }

    def _refuse_failures(self, failed: Mapping[int, str], tasks: int, names: str) -> None:
        if failed:
            lines = "\n".join(f"  {text}" for text in list(failed.values())[:MAX_NAMED])
            raise XtroveError(
                f"{len(failed)} of {tasks} {names} tasks failed; the build is not sealed:\n{lines}",
                remedy=f"{self._log.path} has every fault; run the same command again "
                "to retry only these",
            )

    def _note(self, stage: StageProgress, done: Done, failed: dict[int, str]) -> None:
        outcome, task = done.outcome, done.task
        stage.done += 1
        self._log.event(
            "task", stage=task.stage, key=task.key, label=task.label, reused=outcome.reused,
            seconds=round(outcome.seconds, 3), peak_bytes=outcome.peak_bytes,
            **({"traffic": dict(outcome.traffic)} if outcome.traffic else {}),
            **_syntax_errors(outcome.facts),
            **({"fault": outcome.fault, "message": outcome.message} if outcome.fault else {}),
        )  # fmt: skip
        self._progress.count(stage, outcome.traffic)
        if outcome.fault == "stop":
            raise XtroveError(f"{task.label}: {outcome.message}", remedy=outcome.remedy)
        if outcome.fault:
            stage.failed += 1
            first_line = outcome.message.split("\n", 1)[0]
            failed[done.position] = f"{task.label}: {first_line}"
            row = failures_in_a_row(set(failed), done.position)
            if row >= FAILURES_IN_A_ROW:
                raise XtroveError(
                    f"{row} {task.stage} tasks failed in a row, the last with: {first_line}",
                    remedy="the input or the machine is broken, not a record: mend it, then run "
                    "the same command again",
                )
            return
        stage.reused += outcome.reused
        stage.bytes += task.bytes
        stage.worked_bytes += 0 if outcome.reused else task.bytes
        stage.busy_seconds += outcome.seconds
        stage.peak_bytes = max(stage.peak_bytes, outcome.peak_bytes)
        self._facts[task.stage, task.key] = outcome.facts


def _syntax_errors(facts: Mapping[str, Any]) -> dict[str, Any]:
    """For the log: which files of a slice do not follow their grammar."""
    files = facts.get("syntax_error_files")
    return {"syntax_error_files": files} if files else {}


def failures_in_a_row(failed: set[int], position: int) -> int:
    """How many failed positions stand next to each other around this one."""
    first = last = position
    while first - 1 in failed:
        first -= 1
    while last + 1 in failed:
        last += 1
    return last - first + 1
