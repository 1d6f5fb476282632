"""Which slices are read, and how their pairs are decided.

Without quotas every slice is read and one round decides. With quotas a source's slices are
read in rank order until N survivors a language are certain: read a few, decide, read as many
more as the survival so far asks for. Every decision looks at earlier ranks only, so what was
read beyond the slice that holds the N-th survivor can be cut off again without changing any
decision before it; sources are settled in config order, each on the final slices of those
before it. For the same reason the edges among settled slices stay what they are: a round pairs
up and verifies its new slices only, against themselves and against what is settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest import LANGUAGES
from xtrove.build.plan import Plan
from xtrove.core import digest
from xtrove.runtime import PlannedSlice, Scheduler, Task, stage_version
from xtrove.stages import bands, load, verify

SURPLUS = 1.05
"""How much more than the estimate is read at once, to need fewer rounds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """Slices in rank order whose similar pairs are all known."""

    slices: tuple[PlannedSlice, ...] = ()
    verify: tuple[str, ...] = ()
    """Keys of the verify tasks that hold the edges; an item's number says its place in `slices`."""
    candidates: int = 0
    capped: int = 0
    largest: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One decision over a list of slices in rank order."""

    paired: Paired
    runs: str
    """Name of the list of runs in WORK/plan."""
    select_key: str
    kept: Mapping[str, Mapping[str, Sequence[int]]]
    """source -> language -> [survivors, ordinal of the slice of the last one]."""
    facts: Mapping[str, int]

    @property
    def slices(self) -> tuple[PlannedSlice, ...]:
        """What was decided about."""
        return self.paired.slices


def settle(plan: Plan, scheduler: Scheduler) -> Round:
    """Read what has to be read and decide about every pair of it."""
    scheduler.run("holdout", plan.holdouts)
    free = [planned for planned in plan.slices if planned.source not in plan.quotas]
    scheduler.extract(free)
    settled = Paired()
    last: Round | None = None
    # A decision looks at earlier ranks only: a source is settled for good before the next one is
    # looked at, and a longer prefix of slices never changes what a shorter one decided.
    for slices in _groups(plan):
        last = None
        if slices[0].source not in plan.quotas:
            settled = pair(plan, scheduler, settled, slices)
            continue
        last = _settle_source(plan, scheduler, settled, slices)
        cut = _cut(plan, slices, last)
        if len(settled.slices) + len(cut) == len(last.slices):
            settled = last.paired
        else:
            settled = pair(plan, scheduler, settled, cut)
            last = None
    return last or decide(plan, scheduler, settled)


def _groups(plan: Plan) -> list[list[PlannedSlice]]:
    """Slices that are paired up together: neighbouring sources without quotas, or one with."""
    groups: list[list[PlannedSlice]] = []
    for source in dict.fromkeys(planned.source for planned in plan.slices):
        slices = [planned for planned in plan.slices if planned.source == source]
        both_free = groups and not {source, groups[-1][0].source} & plan.quotas.keys()
        if both_free:
            groups[-1] += slices
        else:
            groups.append(slices)
    return groups


def _settle_source(
    plan: Plan, scheduler: Scheduler, settled: Paired, slices: list[PlannedSlice]
) -> Round:
    """Read slices of one source until its quotas are certain or it is read to the end."""
    limit = plan.quotas[slices[0].source]
    streams: dict[str, list[PlannedSlice]] = {}
    for planned in slices:
        streams.setdefault(planned.stream, []).append(planned)
    counts = {stream: min(1, len(members)) for stream, members in streams.items()}
    while True:
        # Each stream is read as a prefix of its rank order, and all streams are decided together:
        # a pair of one stream may be the witness against a pair of another.
        chosen = {s.task.key for stream, n in counts.items() for s in streams[stream][:n]}
        read = [planned for planned in slices if planned.task.key in chosen]
        scheduler.extract(read)
        result = decide(plan, scheduler, pair(plan, scheduler, settled, read))
        survivors = result.kept.get(slices[0].source, {})
        next_counts = {
            stream: _next(_languages(plan, members[0]), members, counts[stream], survivors, limit)
            for stream, members in streams.items()
        }
        if next_counts == counts:
            return result
        counts = next_counts


def _languages(plan: Plan, planned: PlannedSlice) -> tuple[str, ...]:
    """The languages whose quotas a stream has to fill."""
    return (planned.stream,) if planned.stream in LANGUAGES else plan.languages[planned.source]


def _next(
    languages: Sequence[str],
    stream: Sequence[PlannedSlice],
    read: int,
    survivors: Mapping[str, Sequence[int]],
    limit: int,
) -> int:
    """How many slices of a stream to read next; the same number when it is settled."""
    counts = [survivors[name][0] if name in survivors else 0 for name in languages]
    if read >= len(stream) or min(counts) >= limit:
        return read
    # The rarest language sets the pace; from few survivors the estimate is poor, so that a round
    # reads four times as much as before at most, and one slice more at least.
    least = max(1, min(count for count in counts if count < limit))
    estimate = int(read * limit / least * SURPLUS) + 1
    return min(len(stream), max(read + 1, min(estimate, read * 4)))


def _cut(plan: Plan, slices: list[PlannedSlice], result: Round) -> list[PlannedSlice]:
    """The slices up to the one that holds the last survivor each stream still needed.

    How many slices a round reads must not show in the dataset: what lies behind the last survivor
    could still be a witness for later sources, so that it is left out of what is settled.
    """
    position = {planned.task.key: number for number, planned in enumerate(result.slices)}
    limit = plan.quotas[slices[0].source]
    survivors = result.kept.get(slices[0].source, {})
    ends: dict[str, int] = {}
    for planned in {planned.stream: planned for planned in slices}.values():
        kept = [survivors.get(name, (0, 0)) for name in _languages(plan, planned)]
        is_full = all(count >= limit for count, _ in kept)
        ends[planned.stream] = max(last for _, last in kept) if is_full else len(result.slices)
    return [p for p in slices if position.get(p.task.key, len(position) + 1) <= ends[p.stream]]


def pair(plan: Plan, scheduler: Scheduler, settled: Paired, more: Sequence[PlannedSlice]) -> Paired:
    """Bands and verify for slices that follow, in rank, what is settled."""
    if not more:
        return settled
    # Only pairs whose later item is new are looked for: an edge depends on its two items alone,
    # so that those among settled slices stay as they are, and no round does them again.
    slices = (*settled.slices, *more)
    first = len(settled.slices)
    name = _write_runs(scheduler, slices)
    keys = [planned.task.key for planned in slices]
    band_tasks = _band_tasks(scheduler, name, keys, first)
    band_facts = scheduler.run("bands", band_tasks)
    threshold = plan.config.dedupe.threshold
    verify_tasks = _verify_tasks(scheduler, name, keys, first, band_tasks, threshold)
    verify_facts = scheduler.run("verify", verify_tasks)
    return Paired(
        slices=slices,
        verify=(*settled.verify, *(task.key for task in verify_tasks)),
        candidates=settled.candidates + sum(int(f["pairs"]) for f in verify_facts),
        capped=settled.capped + sum(int(f["capped_pairs"]) for f in band_facts),
        largest=max((settled.largest, *(int(f["largest_bucket"]) for f in band_facts))),
    )


def decide(plan: Plan, scheduler: Scheduler, paired: Paired) -> Round:
    """Select over slices whose pairs are known."""
    name = _write_runs(scheduler, paired.slices)
    spec: dict[str, Any] = {
        "runs": name,
        "verify": list(paired.verify),
        "query_cap": plan.config.query_cap.model_dump(mode="json"),
        "quotas": plan.quotas,
        "dedupe": plan.config.dedupe.model_dump(mode="json"),
    }
    key = digest("select", stage_version("select"), name, spec)[:40]
    task = Task(stage="select", key=key, label="greedy keep-first", spec=spec)
    facts = scheduler.run("select", [task])[0]
    return Round(
        paired=paired,
        runs=name,
        select_key=key,
        kept=facts["kept"],
        facts={
            "pairs": int(facts["items"]),
            "candidates": paired.candidates,
            "edges": int(facts["edges"]),
            "capped_pairs": paired.capped,
            "largest_bucket": paired.largest,
        },
    )


def _write_runs(scheduler: Scheduler, slices: Sequence[PlannedSlice]) -> str:
    """Write down the runs of these slices, in rank order; the name says what they are."""
    rows = [[planned.task.key, planned.source] for planned in slices]
    name = f"runs-{digest(rows)[:32]}.json"
    scheduler.workspace.write_json(scheduler.workspace.plan_path(name), rows)
    return name


def _band_tasks(scheduler: Scheduler, runs: str, keys: list[str], first: int) -> list[Task]:
    rows = sum(int(scheduler.facts("extract", key)["band_rows"]) for key in keys)
    parts = max(1, -(-rows // bands.ROWS_PER_RANGE))
    version = stage_version("bands")
    return [
        Task(
            stage="bands",
            key=digest("bands", version, keys, first, part, parts)[:40],
            label=f"key range {part + 1} of {parts}",
            spec={"runs": runs, "first": first, "part": part, "parts": parts},
        )
        for part in range(parts)
    ]


def _verify_tasks(
    scheduler: Scheduler,
    runs: str,
    keys: list[str],
    first: int,
    band_tasks: list[Task],
    threshold: float,
) -> list[Task]:
    """Ranges of slices, from ordinal `first` on, that hold about the same number of pairs each."""
    totals = np.zeros(len(keys), dtype=np.int64)
    for task in band_tasks:
        pairs = load(scheduler.workspace.folder("bands", task.key) / "pairs.npy")
        ordinals = (pairs["later"] >> np.uint64(32)).astype(np.int64)  # type: ignore[call-overload]
        totals += np.bincount(ordinals, minlength=len(keys))
    bounds = [first]
    pairs_of_task = 0
    for ordinal, count in enumerate(totals.tolist()):
        if pairs_of_task and pairs_of_task + count > verify.PAIRS_PER_TASK:
            bounds.append(ordinal)
            pairs_of_task = 0
        pairs_of_task += count
    bounds.append(len(keys))
    version = stage_version("verify")
    names = [task.key for task in band_tasks]
    return [
        Task(
            stage="verify",
            key=digest("verify", version, keys, names, start, stop, str(threshold))[:40],
            label=f"pairs of slices {start} to {stop - 1}",
            spec={
                "runs": runs, "bands": names, "first": start, "last": stop, "threshold": threshold,
            },
        )
        for start, stop in zip(bounds, bounds[1:], strict=False)
        if stop > start
    ]  # fmt: skip
