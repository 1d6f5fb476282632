"""Broken input by the thousand through everything that reads strangers' rows.

`python benchmarks/fuzz.py [--minutes N | --rows N] [--seed S] [--data DIR] [--target NAME]
[--first N] [--findings DIR]` takes real files (the golden ones of the tests, and those of a folder
of The Stack v1: $XTROVE_DATA/the-stack by default, `--data ""` for none), breaks them
(`fuzz_rows.py`) and puts each through `extract.pipeline.watchdog` with the limits of a build: files
of the first eight languages, ready pairs, query rules, redaction, and the readers of tables
(`fuzz_targets.py`).
A row over a limit, an exception, or a rule that does not hold is a finding: it is printed, its
bytes are written to DIR, and `--target`, `--first` and `--rows 1` with the same seed and data make
it again. Exit 1: findings.
Cost: one core for as long as it is told; 0.5 to 60 ms a row. Limits: seconds hold the checks too.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import rooms_first  # noqa: F401
from fuzz_rows import Corpus, FuzzRow, read_corpus
from fuzz_targets import TARGETS, Checked, check
from rich.console import Console
from rich.table import Table

from extract import RowLimits
from extract.pipeline import Stopped, Watchdog

ROUND = 50
"""Rows of a target before the next has its turn."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """What is known of a target."""

    rows: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_number: int = -1
    stopped: Counter[str] = field(default_factory=Counter)
    """Rows by the watchdog's reason, with what it says of the place."""
    broken: Counter[str] = field(default_factory=Counter)
    """Rows by the rule that does not hold."""

    def add(self, row: FuzzRow, answer: Checked | Stopped) -> list[str]:
        """Count a row; what was found at it."""
        self.rows += 1
        if isinstance(answer, Stopped):
            finding = f"{answer.reason}: {answer.detail}"
            self.stopped[finding] += 1
            return [finding]
        self.seconds += answer.seconds
        if answer.seconds > self.slowest:
            self.slowest, self.slowest_number = answer.seconds, row.number
        self.broken.update(answer.broken)
        return list(answer.broken)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one call does."""

    corpus: Corpus
    seed: int
    first: int
    findings: Path
    console: Console

    def numbers(self, target: str, numbers: Iterable[int], tally: Tally, dog: Watchdog) -> None:
        """Put rows of a target through the watchdog."""
        rows = (self.corpus.row(self.seed, target, number) for number in numbers)
        for row, answer in dog.map(check, rows, RowLimits(), size=lambda row: len(row.content)):
            for finding in tally.add(row, answer):
                name = f"{target.replace(' ', '-')}-{self.seed}-{row.number}.{row.kind}"
                self.findings.mkdir(parents=True, exist_ok=True)
                (self.findings / name).write_bytes(row.content)
                self.console.print(f"{name}: {finding}", style="red", markup=False)


def run(job: Run, targets: list[str], minutes: float, rows: int) -> dict[str, Tally]:
    """All targets in turn, for so long or until each has had so many rows."""
    tallies = {target: Tally() for target in targets}
    end = time.monotonic() + 60 * minutes
    start = job.first
    with Watchdog() as dog:
        while start < job.first + rows:
            stop = min(start + ROUND, job.first + rows)
            for target in targets:
                if time.monotonic() >= end:
                    return tallies
                job.numbers(target, range(start, stop), tallies[target], dog)
            start = stop
    return tallies


def show(tallies: dict[str, Tally], seed: int, console: Console) -> int:
    """The table; how many findings there are."""
    limits = RowLimits()
    title = f"seed {seed}, {limits.row_seconds:g} s and {limits.row_memory // 1_000_000} MB a row"
    table = Table(title=title)
    for heading in (
        "target",
        "rows",
        "ms a row",
        "slowest s",
        "its number",
        "stopped",
        "broken rules",
    ):
        table.add_column(heading, justify="left" if heading == "target" else "right")
    for target, tally in tallies.items():
        table.add_row(
            target,
            f"{tally.rows:,}",
            f"{1e3 * tally.seconds / max(1, tally.rows):.1f}",
            f"{tally.slowest:.2f}",
            str(tally.slowest_number),
            str(tally.stopped.total()),
            str(tally.broken.total()),
        )
    console.print(table)
    for target, tally in tallies.items():
        for finding, count in (tally.stopped + tally.broken).most_common():
            console.print(f"{target}: {count} rows: {finding}", markup=False)
    return sum(tally.stopped.total() + tally.broken.total() for tally in tallies.values())


def main(arguments: list[str]) -> int:
    """Parse, run, show."""
    home = os.environ.get("XTROVE_DATA")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rows", type=int, default=sys.maxsize, help="of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first row")
    parser.add_argument("--target", choices=list(TARGETS), action="append")
    parser.add_argument("--data", default=f"{home}/the-stack" if home else "")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    chosen = parser.parse_args(arguments)
    console = Console(width=120)
    job = Run(
        corpus=read_corpus(Path(chosen.data) if chosen.data else None),
        seed=chosen.seed,
        first=chosen.first,
        findings=chosen.findings,
        console=console,
    )
    tallies = run(job, chosen.target or list(TARGETS), chosen.minutes, chosen.rows)
    return 1 if show(tallies, chosen.seed, console) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
