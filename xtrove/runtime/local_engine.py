"""Runs tasks in this process, one after the other, without Ray (`--workers 0`).

For small builds, tests and debugging: a breakpoint in a stage stops where it stands. Receipts,
retries and bytes are those of a build with workers.
Limits: rows of strangers are extracted in a child process still (`extract.pipeline.watchdog`),
which bounds their time and memory; RAY_ADDRESS has no effect; the display moves between tasks.
"""

from __future__ import annotations

from typing import Any

from xtrove.runtime.engine import Engine
from xtrove.runtime.task import Outcome, Task, execute
from xtrove.runtime.workspace import Workspace


class LocalEngine(Engine):
    """One task at a time; a handle is a number, and its task has ended when it is given out."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, window=1)
        self._outcomes: dict[int, Outcome] = {}
        self._submitted = 0

    def submit(self, task: Task) -> int:
        """Run a task to its end."""
        work, output = str(self.workspace.work), str(self.workspace.output)
        fields = execute(work, output, task.stage, task.key, {**task.spec, "slots": 1})
        self._submitted += 1
        self._outcomes[self._submitted] = Outcome(**fields)
        return self._submitted

    def wait(self, handles: list[Any]) -> list[Any]:
        """All of them."""
        return handles

    def outcome(self, handle: Any) -> Outcome:
        """How a task ended."""
        return self._outcomes.pop(handle)
