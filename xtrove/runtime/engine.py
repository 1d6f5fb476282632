"""What all engines have in common: receipts, retries of transient faults, order.

An engine starts tasks and tells how they ended: `ray_engine` on workers, `local_engine` in this
process. A bounded window of tasks is in flight. What is done already is answered from its receipt;
a transient fault is tried again after a growing pause, while other tasks go on.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xtrove.core import pause_factor
from xtrove.runtime.task import Outcome, Task
from xtrove.runtime.workspace import Workspace

TRIES = 4
FIRST_PAUSE_SECONDS = 1.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A task that ended, and its position in the plan."""

    position: int
    task: Task
    outcome: Outcome


class Engine(ABC):
    """Runs tasks; what a handle is depends on the engine, it has to be hashable."""

    def __init__(self, workspace: Workspace, *, window: int) -> None:
        self.workspace = workspace
        self.window = window
        """How many tasks may be in flight."""

    def run(self, tasks: Sequence[Task], tick: Callable[[], None]) -> Iterator[Done]:
        """Run the tasks, in plan order as slots get free; yields them as they end.

        Receipts that are there already are answered without a worker. `tick` is called between
        tasks, with workers several times a second.
        """
        open_positions: list[int] = []
        for position, task in enumerate(tasks):
            receipt = self.workspace.receipt(task.stage, task.key)
            if receipt is None:
                open_positions.append(position)
                continue
            yield Done(
                position=position, task=task, outcome=Outcome(facts=receipt.facts, reused=True)
            )
        if open_positions:
            yield from self._run_open(tasks, open_positions, tick)

    def _run_open(
        self, tasks: Sequence[Task], open_positions: list[int], tick: Callable[[], None]
    ) -> Iterator[Done]:
        waiting = list(reversed(open_positions))
        later: list[tuple[float, int]] = []
        tries: dict[int, int] = {}
        in_flight: dict[Any, int] = {}
        while waiting or later or in_flight:
            now = time.monotonic()
            waiting += [position for due, position in later if due <= now]
            later = [entry for entry in later if entry[0] > now]
            self.look(now)
            while waiting and len(in_flight) < self.window:
                position = waiting.pop()
                in_flight[self.submit(tasks[position])] = position
            ended = self.wait(list(in_flight)) if in_flight else []
            if not in_flight:
                time.sleep(POLL_SECONDS)
            tick()
            for handle in ended:
                position = in_flight.pop(handle)
                outcome = self.outcome(handle)
                tries[position] = tries.get(position, 0) + 1
                if outcome.fault == "transient" and tries[position] < TRIES:
                    pause = FIRST_PAUSE_SECONDS * 4 ** (tries[position] - 1) * pause_factor()
                    later.append((time.monotonic() + pause, position))
                else:
                    yield Done(position=position, task=tasks[position], outcome=outcome)

    def look(self, now: float) -> None:
        """Called before tasks are started, `now` in monotonic seconds: whether all is well."""
        return

    @abstractmethod
    def submit(self, task: Task) -> Any:
        """Start a task; returns its handle."""

    @abstractmethod
    def wait(self, handles: list[Any]) -> list[Any]:
        """The handles of tasks that have ended, after `POLL_SECONDS` at most."""

    @abstractmethod
    def outcome(self, handle: Any) -> Outcome:
        """How a task ended; asked for once."""
