"""`xtrove verify`: run the checks of the shards room and say what they found."""

from __future__ import annotations

import time
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from shards.check import check_dataset
from shards.layout import UnsafePath
from shards.manifest import ManifestError
from xtrove.console import duration, err, out
from xtrove.errors import Misuse, Stop
from xtrove.stages.shard import license_class

LINE_SECONDS = 30.0


def verify(dataset: Path) -> None:
    """Check everything the dataset claims; raises `Stop` (exit 1) where anything is wrong."""
    start = time.monotonic()
    said = start
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
        disable=not err().is_terminal,
    )
    task = bar.add_task("reading")

    def progress(what: str, done: int, total: int) -> None:
        nonlocal said
        bar.update(task, description=what, completed=done, total=total)
        if bar.disable and time.monotonic() - said > LINE_SECONDS:
            said = time.monotonic()
            err().print(f"[{duration(said - start)}] {what}: {done:,} of {total:,} bytes")

    try:
        with bar:
            report = check_dataset(dataset, progress, license_class=license_class)
    except (ManifestError, UnsafePath, NotADirectoryError, FileNotFoundError) as error:
        raise Misuse(str(error), remedy="give the folder of a finished build") from None
    counts = ", ".join(f"{count:,} {name}" for name, count in report.counts.items())
    elapsed = duration(time.monotonic() - start)
    if report.sound:
        out().print(f"{dataset}: everything holds ({counts}; {elapsed})")
        return
    for finding in report.findings:
        out().print(f"{finding.check}: {finding.subject}: {finding.message}", markup=False)
    for check, count in report.suppressed.items():
        out().print(f"{check}: {count:,} more of the same kind")
    total = len(report.findings) + sum(report.suppressed.values())
    raise Stop(
        f"{dataset}: {total:,} findings ({counts}; {elapsed})",
        remedy="the dataset is not what its manifest says: build it again, or fetch it again",
    )
