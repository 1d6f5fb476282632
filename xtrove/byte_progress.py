"""How far bytes have come: a bar on a terminal, a line every 30 s elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from shards.findings import Progress as Report
from xtrove.console import amount, duration, err

LINE_SECONDS = 30.0


@contextmanager
def byte_progress() -> Iterator[Report]:
    """Gives what takes a label, the bytes done and the bytes in all."""
    start = said = time.monotonic()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
        disable=not err().is_terminal,
    )
    task = bar.add_task("reading", total=None)

    def report(what: str, done: int, total: int) -> None:
        nonlocal said
        bar.update(task, description=what, completed=done, total=total)
        if bar.disable and time.monotonic() - said > LINE_SECONDS:
            said = time.monotonic()
            line = f"[{duration(said - start)}] {what}: {amount(done)} of {amount(total)}"
            err().print(line, markup=False)

    with bar:
        yield report
