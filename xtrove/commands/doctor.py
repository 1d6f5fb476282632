"""`xtrove doctor`: first contact with every source and with this machine, before a build.

Method: without Ray, each source and the machine are looked at by a thread of their own
(`ingest.sources.preflight`), so that one that does not answer costs its deadline and not that of
all; what it had found by then is shown. Cost: seconds, some dozens of requests a remote source.
Limits: a sample of each source, not all of it; a place that only the workers of a cluster
reach differently is not seen from here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from dedupe import DecontaminateSet, EvaluationSetError, read_set, unknown_languages
from ingest.sources import Check, Findings, Report, SourceOptions, findings_of, look
from ingest.transport import ReadLimits, Traffic, meter
from xtrove.build import ready, workspace_of
from xtrove.config import BuildConfig
from xtrove.core import FREE_SPACE
from xtrove.runtime import NEARLY_FULL_BYTES, taken_names
from xtrove.terminal import Step, amount

DEADLINE_SECONDS = 30.0
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """Everything that was looked at."""

    sources: tuple[Report, ...]
    build: tuple[Check, ...]
    traffic: tuple[tuple[str, Traffic], ...]
    """Hosts that were asked, with requests and bytes."""
    seconds: float
    hung: bool
    """Whether a look was left behind unfinished."""

    @property
    def ok(self) -> bool:
        """Whether a build would work as far as was looked at."""
        return all(source.ok for source in self.sources) and all(check.ok for check in self.build)


def diagnose(config: BuildConfig, base: Path, seconds: float = DEADLINE_SECONDS) -> Diagnosis:
    """Look at everything a build of this config would need. Raises `Misuse` for a bad config."""
    start = time.monotonic()
    config = ready(config, base)
    limits = _limits(config, seconds)
    sheets = [
        findings_of(options, name)
        for name, options in zip(config.source_names(), config.sources, strict=True)
    ]
    machine = Findings(source="", kind="", place="")
    looks = [
        _started(sheet, partial(_look, options, config, sheet, limits))
        for sheet, options in zip(sheets, config.sources, strict=True)
    ]
    looks.append(_started(machine, partial(_look_here, config, machine)))
    hung = []
    with Step("looking at the sources") as step:
        for number, sheet in enumerate((*sheets, machine), start=1):
            if not _ended(sheet, looks, start + seconds):
                hung.append(sheet)
            step.report("done", number, len(looks))
    for sheet in hung:
        sheet.bad(
            "time",
            f"not done after {seconds:.0f} s",
            "Try again, or give it longer with --deadline SECONDS.",
        )
    return Diagnosis(
        sources=tuple(sheet.report() for sheet in sheets),
        build=machine.report().checks,
        traffic=tuple(meter().snapshot().items()),
        seconds=time.monotonic() - start,
        hung=bool(hung),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Running:
    sheet: Findings
    thread: threading.Thread


def _limits(config: BuildConfig, seconds: float) -> ReadLimits:
    """The whole budget, for nothing else runs; no request may outlive the deadline."""
    whole = config.hub.limits()
    return replace(
        whole,
        timeout_s=min(whole.timeout_s, seconds / 2),
        patience_s=min(whole.patience_s, seconds * 0.8),
    )


def _started(sheet: Findings, look: Callable[[], None]) -> _Running:
    # A daemon: what hangs in a call to the system must not hold up the end of the program.
    thread = threading.Thread(target=look, daemon=True, name=f"doctor {sheet.source}")
    thread.start()
    return _Running(sheet=sheet, thread=thread)


def _ended(sheet: Findings, looks: Sequence[_Running], end: float) -> bool:
    thread = next(running.thread for running in looks if running.sheet is sheet)
    thread.join(max(_GRACE_SECONDS, end - time.monotonic()))
    return not thread.is_alive()


def _look(
    options: SourceOptions,
    config: BuildConfig,
    sheet: Findings,
    limits: ReadLimits,
) -> None:
    try:
        look(options, config.licenses, sheet, limits)
    except Exception as error:  # one source must not hide what the others show
        sheet.bad(
            "look",
            f"{type(error).__name__}: {error}"[:300],
            "This is a fault of xtrove: report it with this line.",
        )


def _look_here(config: BuildConfig, sheet: Findings) -> None:
    workspace = workspace_of(config)
    for folder, owners in taken_names().items():
        sheet.bad(
            "packages",
            f"the installed package {owners[0]!r} owns the folder name {folder!r}",
            f"pip uninstall {owners[0]}, or use a fresh virtual environment.",
        )
    _look_at_folder(sheet, "output", workspace.output)
    _look_at_folder(sheet, "work", workspace.work)
    _look_at_workers(sheet, config)
    for evaluation_set in config.decontaminate:
        _look_at_set(sheet, evaluation_set)


def _look_at_folder(sheet: Findings, key: str, folder: Path) -> None:
    """Whether a folder can be made and written, where it lies, and how much is free there."""
    there = next(ancestor for ancestor in (folder, *folder.parents) if ancestor.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"xtrove")
            file.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        sheet.bad(
            key,
            f"{folder} cannot be written: {error.strerror or error}",
            f"Give a folder that can be written: --set {key}=...",
        )
        return
    message = f"{folder} can be written; {amount(free)} free on {_device(there)}"
    if free < NEARLY_FULL_BYTES:
        sheet.bad(key, message, f"{FREE_SPACE[0].upper()}{FREE_SPACE[1:]}.")
    else:
        sheet.good(key, message)


def _device(folder: Path) -> str:
    """The device of a folder, and where it is mounted."""
    mount = next(ancestor for ancestor in (folder, *folder.parents) if ancestor.is_mount())
    partitions = [
        partition
        for partition in psutil.disk_partitions(all=True)
        if partition.mountpoint == str(mount)
    ]
    return (
        f"{partitions[-1].device} ({partitions[-1].fstype}) at {mount}"
        if partitions
        else str(mount)
    )


def _look_at_workers(sheet: Findings, config: BuildConfig) -> None:
    cluster = os.environ.get("RAY_ADDRESS", "")
    cpus = os.cpu_count() or 1
    if config.workers == 0:
        sheet.good("workers", "none: tasks run in the process of the build, without Ray")
    elif cluster:
        sheet.good("workers", f"those of the cluster at {cluster}")
    else:
        sheet.good("workers", f"{config.workers or cpus} at once, {cpus} CPUs here")


def _look_at_set(sheet: Findings, evaluation_set: DecontaminateSet) -> None:
    key = f"decontaminate {evaluation_set.name}"
    try:
        rows = read_set(evaluation_set).rows
        unknown, languages = unknown_languages(rows)
        message = f"{len(rows):,} rows"
        if unknown:
            message += f", {unknown:,} with code in no language of ours ({', '.join(languages)})"
        sheet.good(key, message)
    except (EvaluationSetError, OSError) as error:
        sheet.bad(key, str(error), "Mend it, or leave it out of `decontaminate:`.")
