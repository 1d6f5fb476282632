"""Stage select: edges -> which pairs are kept, and why each other one goes.

One task: the greedy pass is sequential in rank order by definition (a quota, a query cap and a
witness all depend on every earlier decision). Cost: 20 us a pair whose query may decide, for
reading its sample. Memory: about 120 bytes a pair for the arrays, and Python objects for contested
pairs only.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from dedupe import EDGE, DedupeOptions, Items, PairRule, QueryCapOptions, query_hashes, select
from ingest import LANGUAGES
from xtrove.runtime import Workspace
from xtrove.stages.run_files import (
    U64,
    OpenRuns,
    Records,
    column,
    load,
    open_items,
    read_runs,
    save,
    split_number,
)

DECISION = np.dtype([("item", "<u8"), ("reason", "u1"), ("witness", "<i8"), ("score", "<f8")])
"""`witness` is a position in the same array, -1 for none."""


def item_numbers(runs: list[Records]) -> npt.NDArray[np.uint64]:
    """Numbers of all items, ascending."""
    parts = [
        np.arange(len(items), dtype=np.uint64) | np.uint64(ordinal << 32)
        for ordinal, items in enumerate(runs)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Decide for every item of these runs."""
    runs = read_runs(workspace, spec["runs"])
    tables = open_items(workspace, runs)
    numbers = item_numbers(tables)
    sources = sorted({run.source for run in runs})
    lengths = [len(items) for items in tables]
    source = np.repeat([sources.index(run.source) for run in runs], lengths).astype(np.int64)
    cell = source * len(LANGUAGES) + column(tables, "language")
    limits, quota = _quotas(spec["quotas"], sources, cell)
    edge_tables = [load(workspace.folder("verify", name) / "edges.npy") for name in spec["verify"]]
    items = Items(
        item=numbers,
        exact=column(tables, "exact"),
        query_group=column(tables, "query_group"),
        repo=column(tables, "repo"),
        quota=quota,
        id=column(tables, "id"),
        name=column(tables, "name"),
        tokens=column(tables, "tokens"),
    )
    edges = np.concatenate([np.empty(0, dtype=EDGE), *edge_tables])
    decisions = select(
        items,
        edges,
        QueryCapOptions.model_validate(spec["query_cap"]),
        limits,
        PairRule.of(DedupeOptions.model_validate(spec["dedupe"])),
        functools.partial(_queries, OpenRuns(workspace, runs), numbers),
    )
    table = np.empty(len(numbers), dtype=DECISION)
    table["item"] = numbers
    table["reason"] = decisions.reason
    table["witness"] = decisions.witness
    table["score"] = decisions.score
    with workspace.task_folder("select", key) as folder:
        save(folder / "decisions.npy", table)
    return {"kept": _kept(table, cell, sources), "edges": len(edges), "items": len(numbers)}


def _queries(
    runs: OpenRuns, numbers: npt.NDArray[np.uint64], positions: npt.NDArray[np.int64]
) -> list[U64]:
    """The words of the queries of these items, read slice by slice."""
    queries = []
    for number in numbers[positions].tolist():
        ordinal, index = split_number(number)
        queries.append(query_hashes(json.loads(runs[ordinal].sample(index))["query"]))
    return queries


def _quotas(
    limit_of: dict[str, int], sources: list[str], cell: npt.NDArray[np.int64]
) -> tuple[list[int], npt.NDArray[np.int32]]:
    """The limits, and for every item the number of the limit that binds it (-1: none)."""
    codes = np.full(len(sources) * len(LANGUAGES), -1, dtype=np.int32)
    limits: list[int] = []
    for number, name in enumerate(sources):
        if name in limit_of:
            for language in range(len(LANGUAGES)):
                codes[number * len(LANGUAGES) + language] = len(limits)
                limits.append(limit_of[name])
    return limits, codes[cell]


def _kept(
    table: Records, cell: npt.NDArray[np.int64], sources: list[str]
) -> dict[str, dict[str, list[int]]]:
    """source -> language -> [kept, ordinal of the slice of the last kept item]."""
    kept: dict[str, dict[str, list[int]]] = {}
    alive = np.flatnonzero(table["reason"] == 0)
    cells, counts = np.unique(cell[alive], return_counts=True)
    for value, count in zip(cells.tolist(), counts.tolist(), strict=True):
        last = int(alive[np.flatnonzero(cell[alive] == value)[-1]])
        name, language = sources[value // len(LANGUAGES)], LANGUAGES[value % len(LANGUAGES)]
        kept.setdefault(name, {})[language] = [count, int(table["item"][last]) >> 32]
    return kept
