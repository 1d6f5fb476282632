"""The build beside bare tree-sitter parsing of the same bytes, stage by stage.

`python benchmarks/build.py [--workers N] [--data DIR] [--default] [--repeat N]` measures, in one
run: (a) bare parsing, one process a core, of every row the build is given and of the rows it
parses too (`bare.py`); (b) the whole build in a child process into a temporary folder, with the
times of its log and the memory of all its processes (`watched.py`). DIR is a folder of The Stack
v1 (default: $XTROVE_DATA/the-stack); `--default` takes the embedded config instead. Medians over
the repeats. "Core s" counts every core for as long as the build had it, idle or not.
Cost: 22 s a repeat for 136 MB on two cores. Exit 2: no data.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import rooms_first  # noqa: F401
from bare import Bare, bare_parse
from rich.console import Console
from rich.table import Table
from watched import Watched, watch

from xtrove.build import make_plan, ready, workspace_of, write_plan
from xtrove.config import BuildConfig
from xtrove.config import build as configs

RAY = "start"
LABELS = {RAY: "start of Ray"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One repeat."""

    given: Bare
    parsed: Bare
    build: Watched


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the table; seconds and bytes, 0 where there is none."""

    name: str
    wall: float
    busy: float = 0.0
    worker_peak: float = 0.0
    all_peak: float = 0.0


def make_config(data: Path | None, folder: Path, workers: int) -> BuildConfig:
    """Every option at its default: The Stack in `data`, or the embedded config; into `folder`."""
    settings = [f"output={folder / 'output'}", f"work={folder / 'work'}", f"workers={workers}"]
    chosen = configs.load(None, settings)
    if data is not None:
        source = {"kind": "the-stack", "path": str(data)}
        changed = {**chosen.dump(), "name": "benchmark", "sources": [source]}
        chosen = configs.validate(changed, name="the benchmark")
    return ready(chosen, Path.cwd())


def measure(data: Path | None, workers: int) -> Measured:
    """One repeat, in a temporary folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="xtrove-benchmark-") as name:
        folder = Path(name)
        config = make_config(data, folder / "bare", workers)
        plan = make_plan(config, lambda count: None)
        write_plan(plan, workspace_of(config))
        bare = bare_parse(plan, workspace_of(config).plan_path(""), workers)
        config = make_config(data, folder / "build", workers)
        file = folder / "build.yaml"
        file.write_text(configs.as_yaml(config), encoding="utf-8")
        built = watch(file, workspace_of(config).work, folder / "said.txt")
    return Measured(given=bare["given"], parsed=bare["parsed"], build=built)


def rows(runs: Sequence[Measured]) -> list[Row]:
    """The parts of a build in their order, medians over the repeats; they add up to the wall."""

    def middle(value: Callable[[Watched], float]) -> float:
        return statistics.median(value(run.build) for run in runs)

    result = [Row(name="process, listing, digests", wall=middle(lambda b: b.before))]
    for at, stage in enumerate(runs[0].build.stages):
        result.append(
            Row(
                name=LABELS.get(stage.name, stage.name),
                wall=middle(lambda b, at=at: b.stages[at].wall),  # type: ignore[misc]
                busy=middle(lambda b, at=at: b.stages[at].busy),  # type: ignore[misc]
                worker_peak=middle(lambda b, at=at: b.stages[at].worker_peak),  # type: ignore[misc]
                all_peak=middle(lambda b, name=stage.name: b.peaks.get(name, 0)),  # type: ignore[misc]
            )
        )
    result.append(Row(name="between stages", wall=middle(_between)))
    result.append(Row(name="end of Ray", wall=middle(lambda b: b.after)))
    return result


def _between(build: Watched) -> float:
    known = build.before + build.after + sum(stage.wall for stage in build.stages)
    return max(0.0, build.wall - known)


def show(runs: Sequence[Measured], workers: int, console: Console) -> None:
    """Both tables."""
    given = runs[0].given
    wall = statistics.median(run.build.wall for run in runs)
    table = Table(
        title=f"build of {given.files:,} files, {given.bytes / 1e6:.1f} MB of source, "
        f"{workers} workers, medians of {len(runs)}"
    )
    for heading in ("stage", "wall s", "share", "busy s", "MB/s", "MB/s a core", "worker", "all"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in rows(runs):
        table.add_row(*_cells(row, given.bytes, wall))
    table.add_section()
    peaks = {
        "worker_peak": statistics.median(run.build.worker_peak for run in runs),
        "all_peak": statistics.median(run.build.peak for run in runs),
    }
    table.add_row(*_cells(Row(name="all of it", wall=wall, **peaks), given.bytes, wall))
    table.caption = "worker, all: peak MB of one worker (RSS), of all processes together (PSS)"
    console.print(table)
    console.print(_comparison(runs, workers))
    used = statistics.median(run.build.watcher_seconds for run in runs)
    console.print(f"the watcher itself used {used:.1f} s of a core beside the build")
    worst = max(run.build.wall for run in runs)
    console.print(f"wall of the build, best to worst: {_best(runs):.1f} to {worst:.1f} s")


def _best(runs: Sequence[Measured]) -> float:
    return min(run.build.wall for run in runs)


def _cells(row: Row, size: int, wall: float) -> list[str]:
    megabytes = size / 1e6
    return [
        row.name,
        f"{row.wall:.2f}",
        f"{row.wall / wall:.1%}",
        f"{row.busy:.2f}" if row.busy else "",
        f"{megabytes / row.wall:.1f}" if row.wall > 0.01 else "",
        f"{megabytes / row.busy:.1f}" if row.busy else "",
        f"{row.worker_peak / 1e6:.0f}" if row.worker_peak else "",
        f"{row.all_peak / 1e6:.0f}" if row.all_peak else "",
    ]


def _comparison(runs: Sequence[Measured], workers: int) -> Table:
    """Core seconds of the build beside those of bare parsing."""
    table = Table(title="beside bare parsing, by core")
    table.add_column("")
    for heading in ("core s", "MB given /s", "MB parsed /s", "x bare, given", "x bare, parsed"):
        table.add_column(heading, justify="right")
    sizes = (runs[0].given.bytes / 1e6, runs[0].parsed.bytes / 1e6)
    bare = [
        statistics.median(run.given.busy for run in runs),
        statistics.median(run.parsed.busy for run in runs),
    ]
    for name, files, seconds, at in (
        ("bare parse of all given", runs[0].given.files, bare[0], 0),
        ("bare parse of what is parsed", runs[0].parsed.files, bare[1], 1),
    ):
        speed = ["", ""]
        speed[at] = f"{sizes[at] / seconds:.1f}"
        table.add_row(f"{name}, {files:,} files", f"{seconds:.2f}", *speed, "", "")
    for name, seconds in (
        ("extract stage, busy", _median(runs, _extract)),
        ("build without start and end of Ray", workers * _median(runs, _without_ray)),
        ("build, all of it", workers * _median(runs, lambda b: b.wall)),
    ):
        speed = [f"{size / seconds:.1f}" for size in sizes]
        table.add_row(name, f"{seconds:.2f}", *speed, *(f"{b / seconds:.2f}" for b in bare))
    table.caption = (
        "x bare: speed of the line as a multiple of bare parsing's, per core (1 = as fast)"
    )
    return table


def _median(runs: Sequence[Measured], value: Callable[[Watched], float]) -> float:
    return statistics.median(value(run.build) for run in runs)


def _extract(build: Watched) -> float:
    return sum(stage.busy for stage in build.stages if stage.name == "extract")


def _without_ray(build: Watched) -> float:
    started = sum(stage.wall for stage in build.stages if stage.name == RAY)
    return build.wall - started - build.after


def default_data() -> Path | None:
    """The Stack v1 in XTROVE_DATA, if that is set and it is there."""
    base = os.environ.get("XTROVE_DATA", "")
    data = Path(base) / "the-stack"
    return data if base and data.is_dir() else None


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--data", type=Path, help="a folder of The Stack v1")
    parser.add_argument("--default", action="store_true", help="the embedded config instead")
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    data = None if arguments.default else arguments.data or default_data()
    if data is None and not arguments.default:
        Console(stderr=True).print(
            "skipped: XTROVE_DATA is not set or has no the-stack/; give --data DIR or --default"
        )
        return 2
    runs = [measure(data, arguments.workers) for _ in range(max(1, arguments.repeat))]
    show(runs, arguments.workers, Console(width=None if sys.stdout.isatty() else 120))
    return 0


if __name__ == "__main__":
    sys.exit(main())
