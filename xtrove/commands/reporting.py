"""`xtrove report`: finds out what a folder is, has its page made, and puts it beside the folder.

The page is derived and may be made again: an older report is replaced, no other file is. It is
never written into a dataset, whose checksums cover all that is in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from evaluate.measure import FILE, ResultError, load_result
from evaluate.report import (
    RUN,
    TRAINING,
    Help,
    RunError,
    dataset_page,
    evaluation_page,
    training_page,
)
from evaluate.report.html import MARK, Page, PageTooLarge, render
from shards.format import BadIndex, FunnelError, SampleError, layout
from shards.read import DamagedShard
from shards.write import RemovalsError
from xtrove.commands.inspecting import MEANINGS, open_dataset
from xtrove.core import Misuse, Stop, write_file
from xtrove.stages import load, open_run
from xtrove.terminal import amount, bar_progress, out

_DAMAGE = (
    BadIndex,
    DamagedShard,
    FunnelError,
    RemovalsError,
    SampleError,
    layout.UnsafePath,
    IndexError,
)


def report(path: Path, *, output: Path | None, seed: int, work: Path | None) -> None:
    """Writes the page and says where it is. `Misuse` for a path that is nothing of ours."""
    kind = _kind(path)
    if work is not None and kind != "a dataset":
        raise Misuse(f"--work is for a dataset; {path} is {kind}", remedy="leave --work out")
    target = _target(path, output)
    if kind == "a dataset":
        page = _dataset(path, seed, work or path / ".xtrove")
    elif kind == "a training run":
        page = _training(path)
    else:
        page = _evaluation(path)
    try:
        data = render(page)
    except PageTooLarge as error:
        raise Stop(str(error)) from None
    _write(target, data)
    out().print(f"{target}  ({page.kind.lower()} {page.title!r}, {amount(len(data))})")


def _kind(path: Path) -> str:
    """What stands at a path."""
    if path.is_file() or (path / FILE).is_file() and not _is_run(path):
        return "an evaluation"
    if _is_run(path):
        return "a training run"
    if any((path / name).exists() for name in (layout.MANIFEST, ".xtrove", "data")):
        return "a dataset"
    found = "is not there" if not path.exists() else "is none of them"
    raise Misuse(
        f"report wants a dataset, a training run or an evaluation: {path} {found}",
        remedy=f"give a folder with {layout.MANIFEST} (xtrove build), with {RUN} or {TRAINING} "
        f"(xtrove train), or with {FILE} (xtrove evaluate --output)",
    )


def _is_run(path: Path) -> bool:
    return (path / RUN).is_file() or (path / TRAINING).is_file()


def _target(path: Path, output: Path | None) -> Path:
    """Where the page goes. `Misuse` where it may not go there."""
    whole = path.resolve()
    target = output or whole.parent / f"{whole.stem if path.is_file() else whole.name}-report.html"
    if target.is_dir():
        raise Misuse(f"--output {target} is a folder", remedy="name a file, e.g. report.html")
    for folder in target.resolve().parents:
        if (folder / layout.MANIFEST).exists() and (folder / layout.CHECKSUMS).exists():
            raise Misuse(
                f"{target} would stand in the dataset {folder}, whose checksums cover all of it",
                remedy="name an --output beside it",
            )
    if target.is_symlink() or target.exists() and not _is_report(target):
        raise Misuse(
            f"{target} exists and is no report: it is not overwritten",
            remedy="name another --output",
        )
    return target


def _is_report(target: Path) -> bool:
    try:
        with target.open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


def _write(target: Path, data: bytes) -> None:
    try:
        write_file(target, data)
    except OSError as error:
        raise Stop(f"{target} cannot be written: {error}", remedy="name another --output") from None


def _dataset(path: Path, seed: int, work: Path) -> Page:
    dataset = open_dataset(path)
    try:
        with _progress() as told:
            removed = RemovedCode(work) if work.is_dir() else None
            help_ = Help(meanings=MEANINGS, removed=removed, told=told)
            return dataset_page(dataset, help_, seed=seed)
    except (*_DAMAGE, OSError) as error:
        raise Stop(f"{path} cannot be read: {error}", remedy=f"xtrove verify {path}") from None


def _progress() -> AbstractContextManager[Callable[[str, int, int], None]]:
    """For what is counted in items."""
    columns = (
        TextColumn("reading {task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    return bar_progress(columns, _items)


def _items(what: str, done: int, total: int) -> str:
    return f"reading {what}: {done:,} of {total:,}"


def _training(path: Path) -> Page:
    try:
        return training_page(path)
    except RunError as error:
        raise Stop(str(error)) from None


def _evaluation(path: Path) -> Page:
    try:
        return evaluation_page(load_result(path))
    except ResultError as error:
        raise Misuse(str(error)) from None


class RemovedCode:
    """Removed pairs in the work files of a build, as far as those are still there."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def __call__(self, ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """One pass over the ids of the work files for all that are asked for."""
        wanted = np.array(sorted({int(one[:16], 16) for one in ids}), dtype=np.uint64)
        found: dict[str, Mapping[str, object]] = {}
        for path in sorted((self._work / "files" / "extract").glob("*/items.npy")):
            try:
                found |= _samples(path, wanted, ids)
            except (OSError, ValueError, KeyError, IndexError):
                # Work files of another version, or half deleted: a report goes without them.
                continue
        return found


def _samples(path: Path, wanted: Any, ids: Collection[str]) -> dict[str, Mapping[str, object]]:
    halves = load(path)["id"]  # type: ignore[call-overload]
    found: dict[str, Mapping[str, object]] = {}
    for row in np.flatnonzero(np.isin(halves[:, 0], wanted)):
        high, low = (int(half) for half in halves[row])
        if (name := f"{high:016x}{low:016x}") in ids:
            found[name] = json.loads(open_run(str(path.parent)).sample(int(row)))
    return found
