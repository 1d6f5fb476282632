"""Which slices are read, and one round of deduplication over them.

Without quotas every slice is read and one round decides. With quotas a source's slices are
read in rank order until N survivors a language are certain: read a few, decide, read as many
more as the survival so far asks for. Every decision looks at earlier ranks only, so what was
read beyond the slice that holds the N-th survivor can be cut off again without changing any
decision before it; sources are settled in config order, each on the final slices of those
before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.languages import LANGUAGES
from xtrove.canonical import digest
from xtrove.conduct import Conductor
from xtrove.planning import Plan, PlannedSlice
from xtrove.stages import bands, select, verify
from xtrove.stages.run_files import load
from xtrove.task import Task
from xtrove.versions import stage_version

SURPLUS = 1.05
"""How much more than the estimate is read at once, to need fewer rounds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One decision over a list of slices in rank order."""

    slices: tuple[PlannedSlice, ...]
    runs: str
    """Name of the list of runs in WORK/plan."""
    select_key: str
    kept: Mapping[str, Mapping[str, Sequence[int]]]
    """source -> language -> [survivors, ordinal of the slice of the last one]."""
    facts: Mapping[str, int]


def settle(plan: Plan, conductor: Conductor) -> Round:
    """Read what has to be read and decide about every pair of it."""
    conductor.run("holdout", plan.holdouts)
    free = [piece for piece in plan.slices if piece.source not in plan.quotas]
    conductor.extract(free)
    included: list[PlannedSlice] = []
    last: Round | None = None
    for source in dict.fromkeys(piece.source for piece in plan.slices):
        pieces = [piece for piece in plan.slices if piece.source == source]
        if source not in plan.quotas:
            included += pieces
            last = None
            continue
        last = _settle_source(plan, conductor, included, pieces)
        cut = _cut(plan, pieces, last)
        if len(included) + len(cut) != len(last.slices):
            last = None
        included += cut
    return last or decide(plan, conductor, included)


def _settle_source(
    plan: Plan, conductor: Conductor, before: list[PlannedSlice], pieces: list[PlannedSlice]
) -> Round:
    """Read slices of one source until its quotas are certain or it is read to the end."""
    limit = plan.quotas[pieces[0].source]
    streams: dict[str, list[PlannedSlice]] = {}
    for piece in pieces:
        streams.setdefault(piece.stream, []).append(piece)
    wanted = {stream: min(1, len(held)) for stream, held in streams.items()}
    while True:
        chosen = {s.task.key for stream, n in wanted.items() for s in streams[stream][:n]}
        read = [piece for piece in pieces if piece.task.key in chosen]
        conductor.extract(read)
        result = decide(plan, conductor, before + read)
        survivors = result.kept.get(pieces[0].source, {})
        grown = {
            stream: _next(_languages(plan, held[0]), held, wanted[stream], survivors, limit)
            for stream, held in streams.items()
        }
        if grown == wanted:
            return result
        wanted = grown


def _languages(plan: Plan, piece: PlannedSlice) -> tuple[str, ...]:
    """The languages whose quotas a stream has to fill."""
    return (piece.stream,) if piece.stream in LANGUAGES else plan.languages[piece.source]


def _next(
    languages: Sequence[str],
    held: Sequence[PlannedSlice],
    read: int,
    survivors: Mapping[str, Sequence[int]],
    limit: int,
) -> int:
    """How many slices of a stream to read next; the same number when it is settled."""
    counts = [survivors[name][0] if name in survivors else 0 for name in languages]
    if read >= len(held) or min(counts) >= limit:
        return read
    least = max(1, min(count for count in counts if count < limit))
    estimate = int(read * limit / least * SURPLUS) + 1
    return min(len(held), max(read + 1, min(estimate, read * 4)))


def _cut(plan: Plan, pieces: list[PlannedSlice], result: Round) -> list[PlannedSlice]:
    """The slices up to the one that holds the last survivor each stream still needed."""
    position = {piece.task.key: number for number, piece in enumerate(result.slices)}
    limit = plan.quotas[pieces[0].source]
    survivors = result.kept.get(pieces[0].source, {})
    ends: dict[str, int] = {}
    for piece in {piece.stream: piece for piece in pieces}.values():
        found = [survivors.get(name, (0, 0)) for name in _languages(plan, piece)]
        full = all(count >= limit for count, _ in found)
        ends[piece.stream] = max(at for _, at in found) if full else len(result.slices)
    return [p for p in pieces if position.get(p.task.key, len(position) + 1) <= ends[p.stream]]


def decide(plan: Plan, conductor: Conductor, slices: Iterable[PlannedSlice]) -> Round:
    """Bands, verify and select over these slices."""
    chosen = tuple(slices)
    workspace = conductor.workspace
    rows = [[piece.task.key, piece.source] for piece in chosen]
    name = f"runs-{digest(rows)[:32]}.json"
    workspace.write_json(workspace.plan_path(name), rows)
    keys = [piece.task.key for piece in chosen]
    config = plan.config
    band_tasks = _band_tasks(conductor, name, keys)
    band_facts = conductor.run("bands", band_tasks)
    verify_tasks = _verify_tasks(conductor, name, keys, band_tasks, config.dedupe.threshold)
    verify_facts = conductor.run("verify", verify_tasks)
    spec: dict[str, Any] = {
        "runs": name,
        "verify": [task.key for task in verify_tasks],
        "query_cap": config.query_cap.model_dump(mode="json"),
        "quotas": plan.quotas,
    }
    key = digest("select", stage_version(select.ROOMS), rows, spec)[:40]
    task = Task(stage="select", key=key, label="greedy keep-first", spec=spec)
    facts = conductor.run("select", [task])[0]
    return Round(
        slices=chosen,
        runs=name,
        select_key=key,
        kept=facts["kept"],
        facts={
            "pairs": int(facts["items"]),
            "candidates": sum(int(f["pairs"]) for f in verify_facts),
            "edges": int(facts["edges"]),
            "capped_pairs": sum(int(f["capped_pairs"]) for f in band_facts),
            "largest_bucket": max((int(f["largest_bucket"]) for f in band_facts), default=0),
        },
    )


def _band_tasks(conductor: Conductor, runs: str, keys: list[str]) -> list[Task]:
    rows = sum(int(conductor.facts("extract", key)["band_rows"]) for key in keys)
    parts = max(1, -(-rows // bands.ROWS_PER_RANGE))
    version = stage_version(bands.ROOMS)
    return [
        Task(
            stage="bands",
            key=digest("bands", version, keys, part, parts)[:40],
            label=f"key range {part + 1} of {parts}",
            spec={"runs": runs, "part": part, "parts": parts},
        )
        for part in range(parts)
    ]


def _verify_tasks(
    conductor: Conductor, runs: str, keys: list[str], band_tasks: list[Task], threshold: float
) -> list[Task]:
    """Ranges of slices that hold about the same number of pairs each."""
    totals = np.zeros(len(keys), dtype=np.int64)
    for task in band_tasks:
        pairs = load(conductor.workspace.folder("bands", task.key) / "pairs.npy")
        ordinals = (pairs["later"] >> np.uint64(32)).astype(np.int64)  # type: ignore[call-overload]
        totals += np.bincount(ordinals, minlength=len(keys))
    edges = [0]
    held = 0
    for ordinal, count in enumerate(totals.tolist()):
        if held and held + count > verify.PAIRS_PER_TASK:
            edges.append(ordinal)
            held = 0
        held += count
    edges.append(len(keys))
    version = stage_version(verify.ROOMS)
    names = [task.key for task in band_tasks]
    return [
        Task(
            stage="verify",
            key=digest("verify", version, keys, names, first, last, str(threshold))[:40],
            label=f"pairs of slices {first} to {last - 1}",
            spec={
                "runs": runs, "bands": names, "first": first, "last": last, "threshold": threshold,
            },
        )
        for first, last in zip(edges, edges[1:], strict=False)
        if last > first
    ]  # fmt: skip
