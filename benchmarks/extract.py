"""Extraction by language, beside bare tree-sitter parsing of the same files.

`python benchmarks/extract.py [--data DIR] [--repeat N]` reads every row of a folder of The Stack
v1 (default: $XTROVE_DATA/the-stack) whose licence passes, through the slices of the build's own
plan, untimed; then, slice by slice, so that a change of the machine's load meets both alike:
(a) bare: `Parser.parse` of each content, the tree dropped at once; (b) extract:
`extract.pipeline.extraction.extract_file` with default options, from bytes to pairs. Seconds are
processor time of one process; the fastest of N passes over a slice counts.
Also (c): bare parsing of the files that extraction parses at all. Extraction skips vendored,
generated and test files and those in which nothing can be documentation, which is how it can be
faster than parsing everything; against (c) it does more than parse.
Cost: about 25 s a repeat for 136 MB on one core. Exit 2: no data.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import rooms_first  # noqa: F401
from build import default_data
from rich.console import Console
from rich.table import Table
from stack_files import slices

from extract import ExtractOptions
from extract.parsing import LANGUAGES, capsule_of, language_row, tools
from extract.pipeline import Extraction, extract_file
from ingest import SourceFile

OPTIONS = ExtractOptions()


@dataclass(kw_only=True, slots=True)
class Measured:
    """Sums of one language; bytes and seconds."""

    files: int = 0
    size: int = 0
    bare: float = 0.0
    parsed_files: int = 0
    parsed_size: int = 0
    parsed_bare: float = 0.0
    extract: float = 0.0
    functions: int = 0
    pairs: int = 0

    def add(self, other: Measured) -> None:
        """Add the sums of another."""
        for name in Measured.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def measure(files: Sequence[SourceFile], repeat: int) -> Measured:
    """One slice, each way the fastest of `repeat` passes."""
    result: list[Extraction] = []

    def cut() -> None:
        result[:] = [extract_file(file, OPTIONS) for file in files]

    extract = _fastest(cut, repeat)
    parsed = [file for file, one in zip(files, result, strict=True) if not one.file_reason]
    return Measured(
        files=len(files),
        size=sum(len(file.content) for file in files),
        bare=_fastest(lambda: _parse(files), repeat),
        parsed_files=len(parsed),
        parsed_size=sum(len(file.content) for file in parsed),
        parsed_bare=_fastest(lambda: _parse(parsed), repeat),
        extract=extract,
        functions=sum(one.functions for one in result),
        pairs=sum(len(one.pairs) for one in result),
    )


def _fastest(work: Callable[[], None], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def _parse(files: Sequence[SourceFile]) -> None:
    for file in files:
        capsule = capsule_of(language_row(file.language), file.path)
        tools(file.language, capsule).parser.parse(file.content)


def show(measured: dict[str, Measured], repeat: int, console: Console) -> None:
    """The table."""
    everything = Measured()
    for one in measured.values():
        everything.add(one)
    table = Table(
        title=f"{everything.files:,} files, {everything.size / 1e6:.1f} MB, one process, "
        f"fastest of {repeat}"
    )
    headings = (
        *("language", "files", "MB", "bare MB/s", "extract MB/s", "x bare", "parsed files"),
        *("parsed MB", "x bare, parsed", "functions/s", "pairs", "pairs/s"),
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "language" else "right")
    for name, one in [*sorted(measured.items()), ("all", everything)]:
        if name == "all":
            table.add_section()
        table.add_row(
            name,
            f"{one.files:,}",
            f"{one.size / 1e6:.1f}",
            f"{one.size / 1e6 / one.bare:.1f}",
            f"{one.size / 1e6 / one.extract:.1f}",
            f"{one.bare / one.extract:.2f}",
            f"{one.parsed_files:,}",
            f"{one.parsed_size / 1e6:.1f}",
            f"{one.parsed_bare / one.extract:.2f}",
            f"{one.functions / one.extract:,.0f}",
            f"{one.pairs:,}",
            f"{one.pairs / one.extract:,.0f}",
        )
    table.caption = (
        "x bare: speed beside bare parsing of the same files (1 = as fast); parsed: of those files "
        "only that extraction parses"
    )
    console.print(table)


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="a folder of The Stack v1")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    data = arguments.data or default_data()
    if data is None:
        Console(stderr=True).print(
            "skipped: XTROVE_DATA is not set or has no the-stack/; give --data DIR"
        )
        return 2
    for name in LANGUAGES:
        tools(name, capsule_of(language_row(name), ""))
    measured: dict[str, Measured] = defaultdict(Measured)
    for language, files in slices(data):
        measured[language].add(measure(files, max(1, arguments.repeat)))
    show(measured, max(1, arguments.repeat), Console(width=None if sys.stdout.isatty() else 150))
    return 0


if __name__ == "__main__":
    sys.exit(main())
