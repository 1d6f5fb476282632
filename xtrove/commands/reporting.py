"""`xtrove report`: finds out what a folder is, has its page made, and puts it beside the folder.

The page is derived and may be made again: an older report is replaced, no other file is. It is
never written into a dataset, whose checksums cover all that is in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.report import MARK, REPORTS, Report, Request, render
from shards.format import layout
from shards.read import reading
from xtrove.commands.inspecting import MEANINGS
from xtrove.core import Misuse, write_file
from xtrove.stages import load, open_run
from xtrove.terminal import Step, amount, out


def report(path: Path, *, output: Path | None, seed: int, work: Path | None) -> None:
    """Writes the page and says where it is. `Misuse` for a path that none of `REPORTS` takes."""
    kind = _kind(path)
    if work is not None and not kind.reads_work:
        raise Misuse(
            f"--work is for a dataset; {path} is of kind {kind.kind.lower()}",
            remedy="leave --work out",
        )
    target = _target(path, output)
    work = work or path / ".xtrove"
    removed = RemovedCode(work) if kind.reads_work and work.is_dir() else None
    with reading(path), Step("reading") as step:
        page = kind.build(
            path, Request(seed=seed, reasons=MEANINGS, removed=removed, progress=step.report)
        )
    data = render(page)
    write_file(target, data)
    out().print(f"{target}  ({page.kind.lower()} {page.title!r}, {amount(len(data))})")


def _kind(path: Path) -> Report:
    """The report that takes a path."""
    for kind in REPORTS:
        if kind.matches(path):
            return kind
    raise Misuse(
        f"report takes a dataset, a training run or an evaluation: {path} "
        + ("is none of them" if path.exists() else "does not exist"),
        remedy=f"give {', or '.join(kind.paths for kind in REPORTS)}",
    )


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
            f"{target} exists and is not a report: it is not overwritten",
            remedy="name another --output",
        )
    return target


def _is_report(target: Path) -> bool:
    try:
        with target.open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


class RemovedCode:
    """Removed pairs in the work files of a build, as far as those are still there."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def __call__(self, ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """One pass over the ids of the work files for all that are asked for."""
        starts = np.array(sorted({int(id_[:16], 16) for id_ in ids}), dtype=np.uint64)
        samples: dict[str, Mapping[str, object]] = {}
        for path in sorted((self._work / "files" / "extract").glob("*/items.npy")):
            try:
                samples |= _samples(path, starts, ids)
            except (OSError, ValueError, KeyError, IndexError):
                # Work files of another version, or half deleted: a report goes without them.
                continue
        return samples


def _samples(path: Path, starts: Any, ids: Collection[str]) -> dict[str, Mapping[str, object]]:
    halves = load(path)["id"]  # type: ignore[call-overload]
    samples: dict[str, Mapping[str, object]] = {}
    for row in np.flatnonzero(np.isin(halves[:, 0], starts)):
        high, low = (int(half) for half in halves[row])
        if (name := f"{high:016x}{low:016x}") in ids:
            samples[name] = json.loads(open_run(str(path.parent)).sample(int(row)))
    return samples
