"""The build: from a config to a sealed dataset, or to where it was stopped.

plan -> extract -> bands -> verify -> select -> layout -> shard, removals -> seal. Everything a
task finished is kept by its receipt, so that the same command after a kill, a full disk or a
Ctrl-C redoes only what was in flight.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ingest.transport import Traffic
from shards.format import FUNNEL, Funnel, Manifest, load_manifest
from xtrove.build import ownership as state
from xtrove.build.finish import finish
from xtrove.build.plan import Plan, make_plan, ready, workspace_of, write_plan
from xtrove.build.quota_rounds import settle
from xtrove.config import BuildConfig
from xtrove.core import Interrupted, Misuse, XtroveError, private_folder, system_fault
from xtrove.runtime import (
    OURS,
    Engine,
    LocalEngine,
    PlannedSlice,
    Scheduler,
    Workspace,
    driver_lock,
    schemes_of,
    started,
    taken_names,
)
from xtrove.terminal import BuildProgress, Log, Step, amount, duration, err


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """What a build left, for the summary."""

    output: Path
    manifest: Manifest
    funnel: Funnel
    seconds: float
    source_bytes: int
    peak_bytes: int
    reused: bool
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    """Host -> requests and bytes, where any source was not on this machine."""


def build(config: BuildConfig, base: Path) -> Built:
    """Build, or go on building, the dataset of a config; relative paths start at `base`."""
    start = time.monotonic()
    _check_names()
    config = ready(config, base)
    workspace = workspace_of(config)
    plan = _planned(config)
    for note in plan.notes:
        err().print(note)
    if state.is_finished(workspace, plan):
        return _finished(plan, workspace, time.monotonic() - start)
    _make_folders(workspace)
    with driver_lock(workspace, err().print):
        log = Log.create(workspace.work / "logs")
        with BuildProgress(log) as progress, _signals():
            try:
                built = _run(plan, workspace, progress, log, start)
            except KeyboardInterrupt:
                log.event("interrupted")
                raise _interrupted(progress, workspace) from None
            except OSError as error:
                raise system_fault(error) from None
            except XtroveError as error:
                log.event("stopped", message=error.message, remedy=error.remedy)
                raise
        return built


def _run(
    plan: Plan, workspace: Workspace, progress: BuildProgress, log: Log, start: float
) -> Built:
    log.event("build", key=plan.key, config=plan.config.dump(), inputs=plan.inputs)
    state.remember(workspace, plan, sealed=False)
    write_plan(plan, workspace)
    progress.begin("start", 1)
    with _engine(plan, workspace, progress, log) as engine:
        stage = progress.stages["start"]
        stage.done = 1
        progress.finish(stage)
        scheduler = Scheduler(engine=engine, progress=progress, log=log)
        result = settle(plan, scheduler)
        _log_excess(plan, scheduler, result.slices, log)
        log.event("decided", **result.facts)
        manifest, funnel = finish(plan, scheduler, result)
    state.remember(workspace, plan, sealed=True)
    seconds = time.monotonic() - start
    log.event("sealed", seconds=round(seconds, 2), peak_bytes=progress.peak_bytes)
    return Built(
        output=workspace.output,
        manifest=manifest,
        funnel=funnel,
        seconds=seconds,
        source_bytes=sum(
            int(scheduler.facts("extract", s.task.key)["grown"]) for s in result.slices
        ),
        peak_bytes=progress.peak_bytes,
        reused=False,
        traffic=dict(sorted(progress.traffic.items())),
    )


@contextmanager
def _engine(
    plan: Plan, workspace: Workspace, progress: BuildProgress, log: Log
) -> Iterator[Engine]:
    """What runs the tasks: this process where no workers are asked for, else Ray."""
    if plan.config.workers == 0:
        yield LocalEngine(workspace)
        return
    schemes = schemes_of(plan.config.dump()["sources"])
    with started(workspace, plan.config.workers, progress.say, log, schemes) as engine:
        yield engine


def _log_excess(
    plan: Plan, scheduler: Scheduler, counted: Iterable[PlannedSlice], log: Log
) -> None:
    """Slices that were read beyond what the quotas needed change nothing; say which."""
    keys = {planned.task.key for planned in counted}
    for planned in plan.slices:
        if planned.task.key not in keys and scheduler.has("extract", planned.task.key):
            log.event("read beyond the quota", source=planned.source, label=planned.task.label)


def _planned(config: BuildConfig) -> Plan:
    """The plan; says how far it is while large inputs are digested."""
    total = 0
    with Step("listing the inputs", unit=amount) as step:

        def hashed(count: int) -> None:
            nonlocal total
            total += count
            step.report("digested", total)

        try:
            return make_plan(config, hashed)
        except OSError as error:
            raise Misuse(f"an input cannot be read: {error}", remedy="mend what it names") from None
        except KeyboardInterrupt:
            raise Interrupted("stopped while listing the inputs; nothing was written") from None


def _check_names() -> None:
    for folder, owners in taken_names().items():
        raise Misuse(
            f"the installed package {owners[0]!r} owns the folder name {folder!r}, one of ours "
            f"({', '.join(OURS)}): Python would import one in place of the other",
            remedy=f"pip uninstall {owners[0]}, or use a fresh virtual environment",
        )


def _make_folders(workspace: Workspace) -> None:
    for name, folder in (("output", workspace.output), ("work", workspace.work)):
        try:
            if name == "work":
                private_folder(folder)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misuse(
                f"{name}: cannot make the folder {str(folder)!r}: {error.strerror}",
                remedy=f"give a folder that can be written: --set {name}=...",
            ) from None


def _finished(plan: Plan, workspace: Workspace, seconds: float) -> Built:
    return Built(
        output=workspace.output,
        manifest=load_manifest(workspace.output),
        funnel=Funnel.from_json((workspace.output / FUNNEL).read_bytes()),
        seconds=seconds,
        source_bytes=sum(planned.task.bytes for planned in plan.slices),
        peak_bytes=0,
        reused=True,
    )


def _interrupted(progress: BuildProgress, workspace: Workspace) -> Interrupted:
    stages = [stage for stage in progress.stages.values() if stage.name != "start"]
    now = stages[-1] if stages else None
    where = f"in stage {now.name}, {now.done} of {now.tasks} done" if now else "before any stage"
    elapsed = duration(time.monotonic() - progress.start)
    return Interrupted(
        f"stopped after {elapsed} {where}; nothing half-written is in {workspace.output}",
        remedy="run the same command again: what is finished is kept",
    )


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM ends the build as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
