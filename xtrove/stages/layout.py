"""Stage layout: decisions -> which sample stands in which shard, and where evidence goes.

Kept pairs are sorted by id within their language and split; ids are hashes, so that reading a
shard in order is a shuffle already. Shard boundaries follow from sizes alone, so that every
shard can be written without knowing any other. Memory: about 60 bytes a pair.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest import LANGUAGES
from shards.format import (
    SPLITS,
    SplitOptions,
    SplitRule,
    choose_rule,
    plan_ranges,
    require_splits,
    tar_sizes,
)
from xtrove.core import XtroveError
from xtrove.runtime import Workspace
from xtrove.stages.run_files import (
    UNNAMED,
    OpenRuns,
    Records,
    column,
    load,
    open_items,
    read_runs,
    save,
    split_number,
)

KEPT = np.dtype([("id", "<u8", (2,)), ("item", "<u8")])
REMOVED = np.dtype(
    [("id", "<u8", (2,)), ("item", "<u8"), ("reason", "u1"), ("witness", "<u8"), ("score", "<f8")]
)
NO_WITNESS = np.uint64(0xFFFFFFFFFFFFFFFF)


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Plan every output shard and the evidence of the select stage."""
    runs = read_runs(workspace, spec["runs"])
    tables = open_items(workspace, runs)
    decisions: Records = load(workspace.folder("select", spec["select"]) / "decisions.npy")  # type: ignore[assignment]
    kept = np.flatnonzero(decisions["reason"] == 0)
    options = SplitOptions.model_validate(spec["splits"])
    language, repo = column(tables, "language"), column(tables, "repo")
    if spec["keeps_partition"]:
        rule = SplitRule(by="source", reason="partition: keep")
    else:
        items = decisions["item"][kept]
        rule = _rule(OpenRuns(workspace, runs), options, language[kept], repo[kept], items)
    split = column(tables, f"split_{rule.by}")
    ids = column(tables, "id")
    groups = repo if rule.by == "repository" else column(tables, "file")
    _require(options, rule, split[kept], groups[kept])
    shards = []
    sizes = tar_sizes(column(tables, "size").astype(np.int64))
    with workspace.task_folder("layout", key) as folder:
        for code, name in enumerate(LANGUAGES):
            for number, split_name in enumerate(SPLITS):
                rows = kept[(language[kept] == code) & (split[kept] == number)]
                rows = rows[_order(ids[rows])]
                if len(rows):
                    table = np.empty(len(rows), dtype=KEPT)
                    table["id"], table["item"] = ids[rows], decisions["item"][rows]
                    save(folder / f"kept-{name}-{split_name}.npy", table)
                for shard, (start, stop) in enumerate(plan_ranges(sizes[rows], spec["max_bytes"])):
                    shards.append([name, split_name, shard, start, stop])
        save(folder / "removed.npy", _removed(decisions, ids))
    return {"shards": shards, "rule": {"by": rule.by, "reason": rule.reason}, "kept": len(kept)}


def _order(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return np.lexsort((ids[:, 1], ids[:, 0]))


def _removed(decisions: Records, ids: npt.NDArray[np.uint64]) -> Records:
    """What select removed, sorted by id, its witness named by item number."""
    gone = np.flatnonzero(decisions["reason"] != 0)
    gone = gone[_order(ids[gone])]
    table = np.empty(len(gone), dtype=REMOVED)
    witness = decisions["witness"][gone]
    table["id"], table["item"] = ids[gone], decisions["item"][gone]
    table["reason"], table["score"] = decisions["reason"][gone], decisions["score"][gone]
    known = np.where(witness < 0, 0, witness)
    table["witness"] = (
        np.where(witness < 0, NO_WITNESS, decisions["item"][known]) if len(gone) else 0
    )
    return table


def _rule(
    runs: OpenRuns,
    options: SplitOptions,
    language: npt.NDArray[np.uint8],
    repo: npt.NDArray[np.uint64],
    items: npt.NDArray[np.uint64],
) -> SplitRule:
    """The split rule; repositories are numbers here, and only the largest need their names.

    Pairs that name none have numbers of their own, and are handed on together as "".
    """
    counts: list[tuple[int, int, int]] = []
    names: dict[int, str] = {}
    unnamed: list[tuple[str, str, int]] = []
    named = repo < np.uint64(UNNAMED)
    for code in np.unique(language).tolist():
        rows = np.flatnonzero((language == code) & named)
        unnamed.append((LANGUAGES[code], "", int(np.sum((language == code) & ~named))))
        repos, first, sizes = np.unique(repo[rows], return_index=True, return_counts=True)
        counts += [(code, int(r), int(n)) for r, n in zip(repos, sizes, strict=True)]
        for most in np.flatnonzero(sizes == sizes.max(initial=0)).tolist():
            ordinal, index = split_number(items[rows[first[most]]])
            sample = runs[ordinal].sample(index)
            names[int(repos[most])] = json.loads(sample)["repo"]
    known = [(LANGUAGES[code], names.get(r, f"{r:016x}"), n) for code, r, n in counts]
    return choose_rule(options, [*known, *unnamed])


def _require(
    options: SplitOptions,
    rule: SplitRule,
    split: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.uint64],
) -> None:
    samples = {name: int(np.sum(split == number)) for number, name in enumerate(SPLITS)}
    if not len(split):
        raise XtroveError(
            "no pair is left: every function was refused or undocumented",
            remedy="the funnel above names the reasons; loosen `filters:` or `licenses:`, "
            "or add sources",
        )
    require_splits(options, rule.by, samples, len(np.unique(groups)))
