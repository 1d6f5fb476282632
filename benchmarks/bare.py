"""Bare tree-sitter parsing of the bytes a build is given: the floor the build is held against.

Method: the slices of the build's own plan, one process a core. A slice is read into memory
first, untimed; then every content is parsed by the parser of its language, timed, and the tree
is dropped at once. No query, no tree walk. Two sets: "given" is every row (of The Stack: each
row of the Parquet files, whatever its licence; of other sources: every file they pass on), and
"parsed" is what the build parses too: licence passed, not refused by path or content, and with
a documentation marker. Limits: without the guards of `extract.parsing.tree_sitter_parse`: for
trusted data only.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import rooms_first  # noqa: F401

from extract.filters import refuse_file
from extract.parsing import LANGUAGES, capsule_of, language_row, may_hold_documentation, tools
from ingest import SourceFile
from ingest.sources import read
from ingest.sources.the_stack import TheStackOptions
from xtrove.build import Plan
from xtrove.stages import ExtractSettings, read_slice, settings

SETS = ("given", "parsed")
Content = tuple[str, str, bytes]
"""Language, path, bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bare:
    """Parsing one set: seconds summed over the processes, and of the one that took longest."""

    files: int
    bytes: int
    busy: float
    wall: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    settings: Path
    slice: Path


def bare_parse(plan: Plan, folder: Path, workers: int) -> dict[str, Bare]:
    """Parse both sets of a plan whose files stand in `folder`; set -> what it took."""
    jobs = [
        _Job(
            settings=folder / str(slice_.task.spec["settings"]),
            slice=folder / str(slice_.task.spec["slice"]),
        )
        for slice_ in plan.slices
    ]
    totals: dict[str, list[int]] = {name: [0, 0] for name in SETS}
    busy: dict[str, dict[str, float]] = {name: defaultdict(float) for name in SETS}
    # Arrow has threads of its own by now: a forked process could inherit a held lock.
    with multiprocessing.get_context("spawn").Pool(workers, _warm) as pool:
        for process, result in pool.imap_unordered(_slice, jobs, chunksize=1):
            for name, (files, count, seconds) in result.items():
                totals[name][0] += files
                totals[name][1] += count
                busy[name][process] += seconds
    return {
        name: Bare(
            files=totals[name][0],
            bytes=totals[name][1],
            busy=sum(busy[name].values()),
            wall=max(busy[name].values(), default=0.0),
        )
        for name in SETS
    }


def _warm() -> None:
    """Make every parser, so that no slice pays for it."""
    for name in LANGUAGES:
        tools(name, capsule_of(language_row(name), ""))


def _slice(job: _Job) -> tuple[str, dict[str, tuple[int, int, float]]]:
    chosen = settings(job.settings)
    result: dict[str, tuple[int, int, float]] = {}
    for name in SETS:
        contents = list(_given(chosen, job) if name == "given" else _parsed(chosen, job))
        result[name] = (len(contents), sum(len(c) for _, _, c in contents), _timed(contents))
    return multiprocessing.current_process().name, result


def _timed(contents: Iterable[Content]) -> float:
    parsers = [
        (tools(language, capsule_of(language_row(language), path)).parser, content)
        for language, path, content in contents
    ]
    start = time.perf_counter()
    for parser, content in parsers:
        parser.parse(content)
    return time.perf_counter() - start


def _files(chosen: ExtractSettings, job: _Job) -> Iterator[SourceFile]:
    piece = read_slice(job.slice)
    for row in read(chosen.source, chosen.name, chosen.policy, piece, chosen.revision):
        if isinstance(row, SourceFile):
            yield row


def _parsed(chosen: ExtractSettings, job: _Job) -> Iterator[Content]:
    for file in _files(chosen, job):
        refused = refuse_file(file.path, file.language, file.content, chosen.extract.filters)
        if not refused and may_hold_documentation(file.language, file.content):
            yield file.language, file.path, file.content


def _given(chosen: ExtractSettings, job: _Job) -> Iterator[Content]:
    if not isinstance(chosen.source, TheStackOptions):
        yield from ((file.language, file.path, file.content) for file in _files(chosen, job))
        return
    columns = ["content", "max_stars_repo_path"]
    for part in read_slice(job.slice).parts:
        with pq.ParquetFile(part.path) as file:
            for group in range(part.start, part.stop):
                table = file.read_row_group(group, columns=columns)
                texts, paths = (table.column(name).to_pylist() for name in columns)
                for text, path in zip(texts, paths, strict=True):
                    yield part.language, path or "", (text or "").encode("utf-8", "replace")
