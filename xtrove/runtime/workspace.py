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
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from xtrove.core import Stop, canonical, new_folder, private_folder, write_file
from xtrove.runtime.links import open_lock, refuse_links

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
    with contextlib.ExitStack() as stack:
        for folder in workspace.locked():
            private_folder(folder)
            fcntl.flock(stack.enter_context(_lock_file(folder / TASKS)), fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def driver_lock(workspace: Workspace, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the build: one driver, and none of an earlier driver's tasks still running.

    Both the output and the work folder are held, whichever of them another command knows.
    Ray workers outlive a killed driver by seconds, so this waits for their locks to be freed.
    Raises `Stop` when another driver is alive or old tasks do not end within three minutes.
    """
    refuse_links(workspace.work, workspace.output)
    with contextlib.ExitStack() as stack:
        for folder in workspace.locked():
            stack.enter_context(_hold(folder, report))
        yield


@contextlib.contextmanager
def _hold(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    path = folder / "lock"
    private_folder(folder)
    with _lock_file(path) as file:
        _take(file, path)
        file.seek(0)
        file.truncate(0)
        file.write(canonical({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        _wait_for_tasks(folder / TASKS, report)
        shutil.rmtree(folder / "tmp", ignore_errors=True)
        yield


def _lock_file(path: Path) -> BinaryIO:
    return os.fdopen(open_lock(path), "r+b")


def _take(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = file.read(1000).decode("utf-8", "replace") or "unknown"
        raise Stop(
            f"another build is writing here: {path} is held by {holder}",
            remedy="wait for it, stop it, or give this one another --output",
        ) from None


def _wait_for_tasks(path: Path, report: Callable[[str], None]) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    is_reported = False
    with _lock_file(path) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Stop(
                        f"tasks of an earlier build still run after {LOCK_WAIT_SECONDS} s "
                        f"({path} is held)",
                        remedy="stop its worker processes, then run the same command again",
                    ) from None
                if not is_reported:
                    report("waiting for the workers of an earlier run to end")
                    is_reported = True
                time.sleep(0.2)
            else:
                fcntl.flock(file, fcntl.LOCK_UN)
                return
