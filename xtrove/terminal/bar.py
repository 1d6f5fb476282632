"""How far something has come: a bar on a terminal, a line every 30 s elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from shards.storage import Progress as Report
from xtrove.terminal.console import amount, duration, err

LINE_SECONDS = 30.0


def _amounts(what: str, done: int, total: int) -> str:
    return f"{what}: {amount(done)} of {amount(total)}"


def byte_progress(
    line: Callable[[str, int, int], str] = _amounts,
) -> AbstractContextManager[Report]:
    """Gives what takes a label, the bytes done and the bytes in all; `line` words them."""
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return bar_progress(columns, line, first="reading")


@contextmanager
def bar_progress(
    columns: tuple[ProgressColumn, ...], line: Callable[[str, int, int], str], *, first: str = ""
) -> Iterator[Report]:
    """Gives what takes a label, what is done and of how much; `first` is the label before that."""
    start = said = time.monotonic()
    bar = Progress(*columns, console=err(), transient=True, disable=not err().is_terminal)
    task = bar.add_task(first, total=None)

    def report(what: str, done: int, total: int) -> None:
        nonlocal said
        bar.update(task, description=what, completed=done, total=total)
        if bar.disable and time.monotonic() - said > LINE_SECONDS:
            said = time.monotonic()
            err().print(f"[{duration(said - start)}] {line(what, done, total)}")

    with bar:
        yield report
