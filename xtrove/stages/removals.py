"""Stage removals: one range of ids -> the evidence for every pair that is not in the shards.

Joins what the select stage removed with what filters and decontamination refused in the extract
stage, both in id order and read by range: all parts together read every row about once (and open
every run's evidence once each). Memory: 48 bytes a pair of the first kind, about 400 bytes (Arrow
strings) of the second, of one range of 100,000; samples and shingles are read one at a time.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dedupe import REASONS
from shards.write import NO_TOKENS, Removal, write_removals
from xtrove.runtime import Workspace
from xtrove.stages.layout import NO_WITNESS
from xtrove.stages.run_files import (
    OpenRuns,
    Records,
    RunName,
    hash_bounds,
    hex_id,
    load,
    read_runs,
    rows_between,
    split_number,
)
from xtrove.stages.shard import output_tmp

ROWS_PER_PART = 100_000
BATCH = 1000


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Write removals/part-NNNNN.parquet."""
    runs = read_runs(workspace, spec["runs"])
    low, high = hash_bounds(spec["part"], spec["parts"])
    rows = heapq.merge(
        _selected(workspace, OpenRuns(workspace, runs), spec["layout"], low, high),
        _refused(workspace, runs, f"{low:016x}", f"{high:016x}" if high < 1 << 64 else "g"),
        key=lambda removal: removal.id,
    )
    written = write_removals(
        workspace.output, f"part-{spec['part']:05d}", rows, tmp=output_tmp(workspace)
    )
    return {
        "rows": written.rows,
        "file": dataclasses.asdict(written.file),
        "published": {written.file.path: written.file.bytes},
    }


def _selected(
    workspace: Workspace, runs: OpenRuns, layout: str, low: int, high: int
) -> Iterator[Removal]:
    table: Records = load(workspace.folder("layout", layout) / "removed.npy")  # type: ignore[assignment]
    first = table["id"][:, 0] if len(table) else np.empty(0, dtype=np.uint64)
    for row in table[rows_between(first, low, high)]:
        yield _evidence(runs, row)


def _evidence(runs: OpenRuns, row: Any) -> Removal:
    """The evidence for one pair that dedupe, a query cap or a quota removed."""
    ordinal, index = split_number(row["item"])
    source = runs[ordinal]
    sample = json.loads(source.sample(index))
    reason = REASONS[int(row["reason"])]
    near = reason == "near_duplicate"
    exact = reason == "exact_duplicate"
    witness = ""
    if row["witness"] != NO_WITNESS:
        other, position = split_number(row["witness"])
        witness = hex_id(runs[other].items[position]["id"])
    return Removal(
        id=sample["id"],
        language=sample["language"],
        source=sample["source"],
        repo=sample["repo"],
        path=sample["path"],
        start_line=sample["start_line"],
        end_line=sample["end_line"],
        name=sample["name"],
        reason=reason,
        detail=f"query group {sample['query_group']}" if reason == "query_cap" else "",
        code_sha256=sample["code_sha256"],
        witness_id=witness,
        score=float(row["score"]) if near or exact else -1.0,
        exact_key=hex_id(source.items[index]["exact"]) if exact else "",
        shingles=tuple(source.shingles_of(index).tolist()) if near else (),
        query=sample["query"] if near else "",
        tokens=sample["tokens"] if near else NO_TOKENS,
    )


def _refused(workspace: Workspace, runs: list[RunName], low: str, high: str) -> Iterator[Removal]:
    tables = [
        table
        for run_name in runs
        for table in _drops(workspace.folder("extract", run_name.key) / "drops.parquet", low, high)
    ]
    if not tables:
        return
    whole = pa.concat_tables(tables).sort_by("id")
    for batch in whole.to_batches(max_chunksize=BATCH):
        for row in batch.to_pylist():
            if not row["witness_id"]:
                row["score"] = -1.0
            yield Removal(**row)


def _drops(path: Path, low: str, high: str) -> Iterator[Any]:
    """The rows of a slice with an id in [low, high), from the row groups that can hold any."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            limits = file.metadata.row_group(group).column(0).statistics
            if limits is not None and (limits.max < low or limits.min >= high):
                continue
            table = file.read_row_group(group)
            ids = table.column("id").to_pylist()
            start, stop = bisect_left(ids, low), bisect_left(ids, high)
            if stop > start:
                yield table.slice(start, stop - start)
