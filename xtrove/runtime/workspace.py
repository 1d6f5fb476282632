"""Where a build keeps its receipts and work files, and who may write there.

    WORK/lock              held by the driver (flock: the kernel frees it when the driver dies)
    WORK/tasks.lock        held shared by every running task, on any node of a shared mount
    OUTPUT/.xtrove/lock, tasks.lock    the same two once more where WORK lies elsewhere, so that
                           whoever writes to an output, or reads it whole, needs to know it alone
    WORK/receipts/<stage>/<key>.json
    WORK/files/<stage>/<key>/...
    WORK/plan/...          what tasks read: options and slices
    WORK/tmp/              unique names; emptied by the next driver
    WORK/logs/

A task writes to a unique folder in tmp/, fsyncs it, renames it, then writes its receipt the
same way. A task is done when its receipt parses and every output is there with its size.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtrove.core import (
    LockHeld,
    XtroveError,
    canonical,
    hold_lock,
    new_folder,
    private_folder,
    write_file,
)
from xtrove.runtime.links import named_locks, refuse_links

TASKS = "tasks.lock"
LOCK_WAIT_SECONDS = 180
"""NFS gives up the locks of a dead machine after about 90 s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What a finished task left: its outputs with their sizes, and its counts."""

    stage: str
    key: str
    outputs: Mapping[str, int]
    """Path relative to the work folder (or, with a leading "output:", to the output) -> bytes."""
    facts: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """The folders of one build; absolute paths, the same on every node."""

    work: Path
    output: Path

    def locked(self) -> tuple[Path, ...]:
        """The folders whose locks a build holds: that of the output, and the work folder.

        Links are resolved: where one leads to the other, both are one folder with one lock.
        """
        both = (self.output / ".xtrove", self.work)
        return tuple(dict.fromkeys(folder.resolve() for folder in both))

    def folder(self, stage: str, key: str) -> Path:
        """Where the files of a task have their final name."""
        return self.work / "files" / stage / key

    def receipt_path(self, stage: str, key: str) -> Path:
        """Where the receipt of a task stands."""
        return self.work / "receipts" / stage / f"{key}.json"

    def plan_path(self, name: str) -> Path:
        """Where a file of the plan stands."""
        return self.work / "plan" / name

    def receipt(self, stage: str, key: str) -> Receipt | None:
        """The receipt of a task if the task is done, else None."""
        try:
            data = json.loads(self.receipt_path(stage, key).read_bytes())
            receipt = Receipt(**data)
        except (OSError, ValueError, TypeError):
            return None
        return receipt if all(self._is_there(*item) for item in receipt.outputs.items()) else None

    def _is_there(self, name: str, size: int) -> bool:
        root, _, rest = name.rpartition(":")
        path = (self.output if root == "output" else self.work) / rest
        try:
            return path.stat().st_size == size
        except OSError:
            return False

    def write_json(self, path: Path, value: object) -> None:
        """Write canonical JSON under its final name only when it is whole."""
        write_file(path, canonical(value), tmp=self.work / "tmp")

    @contextlib.contextmanager
    def task_folder(self, stage: str, key: str) -> Iterator[Path]:
        """A folder to write into; it takes its final name when the block ends well."""
        final, tmp = self.folder(stage, key), self.work / "tmp"
        with new_folder(final, tmp=tmp, existing="replace") as folder:
            yield folder

    def outputs(self, stage: str, key: str) -> dict[str, int]:
        """The files of a task with their sizes, for its receipt."""
        paths = sorted(p for p in self.folder(stage, key).rglob("*") if p.is_file())
        return {path.relative_to(self.work).as_posix(): path.stat().st_size for path in paths}

    def write_receipt(self, receipt: Receipt) -> None:
        """The last act of a task."""
        value = {
            "stage": receipt.stage,
            "key": receipt.key,
            "outputs": dict(receipt.outputs),
            "facts": dict(receipt.facts),
            "seconds": receipt.seconds,
        }
        self.write_json(self.receipt_path(receipt.stage, receipt.key), value)


@contextlib.contextmanager
def running_task(workspace: Workspace) -> Iterator[None]:
    """Hold the lock that says, for as long as the block lasts, that a task is at work."""
    with named_locks(), contextlib.ExitStack() as stack:
        for folder in workspace.locked():
            private_folder(folder)
            stack.enter_context(hold_lock(folder / TASKS, shared=True, wait_s=math.inf))
        yield


@contextlib.contextmanager
def driver_lock(workspace: Workspace, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the build: one driver, and none of an earlier driver's tasks still running.

    Both the output and the work folder are held, whichever of them another command knows.
    Ray workers outlive a killed driver by seconds, so this waits for their locks to be freed.
    Raises `XtroveError` when another driver is alive or old tasks do not end within three minutes.
    """
    refuse_links(workspace.work, workspace.output)
    with named_locks(), contextlib.ExitStack() as stack:
        for folder in workspace.locked():
            private_folder(folder)
            try:
                stack.enter_context(hold_lock(folder / "lock"))
            except LockHeld as error:
                raise XtroveError(
                    f"another build is writing here: {error}",
                    remedy="wait for it, stop it, or give this one another --output",
                ) from None
            _wait_for_tasks(folder / TASKS, report)
            shutil.rmtree(folder / "tmp", ignore_errors=True)
        yield


def _wait_for_tasks(path: Path, report: Callable[[str], None]) -> None:
    message = "waiting for the workers of an earlier run to end"
    try:
        with hold_lock(path, wait_s=LOCK_WAIT_SECONDS, waiting=lambda: report(message)):
            pass
    except LockHeld:
        raise XtroveError(
            f"tasks of an earlier build still run after {LOCK_WAIT_SECONDS} s ({path} is held)",
            remedy="stop its worker processes, then run the same command again",
        ) from None
