"""Near-duplicates in a report: clusters around a kept pair, with diffs of what was removed.

Method: two passes over the evidence. The first keeps 8 bytes a near-duplicate (the start of its
witness's id) and counts similarities; half of the clusters shown are the largest, half are drawn
by hash of the seed. The second collects the rows of those alone. Cost: about 1 us a removed pair.
Limits: `CLUSTERS` clusters, `MEMBERS` removed pairs of each listed, `DIFFS` of them as a diff.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evaluate.report.html import (
    Bar,
    Html,
    bar_table,
    difference,
    folded,
    highlighted,
    joined,
    paragraph,
    short,
    table,
    tag,
)
from shards.format import Sample
from shards.read import Dataset
from shards.write import RemovalsError, open_removals, removal_files

CLUSTERS: Final = 8
MEMBERS: Final = 20
DIFFS: Final = 2
_COLUMNS: Final = ("id", "reason", "witness_id", "score", "repo", "path", "name")
_LARGEST: Final = 10
Removed = Callable[[Collection[str]], Mapping[str, Mapping[str, object]]]
"""Ids of removed pairs -> the samples that are still in the work files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A removed pair."""

    id: str
    score: float
    repo: str
    path: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """A kept pair and what it stands for."""

    witness: str
    size: int
    members: tuple[Member, ...]
    """The most similar first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicates:
    """What the evidence says."""

    removed: int
    clusters: int
    scores: tuple[int, ...]
    """Removed pairs by similarity: tenths."""
    sizes: Mapping[str, int]
    """How many clusters have so many removed pairs."""
    shown: tuple[Cluster, ...]


def near_duplicates(
    dataset: Dataset, seed: int, told: Callable[[str, int, int], None]
) -> NearDuplicates:
    """Reads the evidence of a dataset. `RemovalsError` where it cannot be read."""
    starts, scores = array("Q"), np.zeros(10, dtype=np.int64)
    for batch in _batches(dataset, told):
        try:
            starts.extend(int(one[:16], 16) for one in batch.column("witness_id").to_pylist())
        except (TypeError, ValueError) as error:
            raise RemovalsError(f"a witness in the evidence is no id: {error}") from error
        tenths = np.clip(batch.column("score").to_numpy() * 10, 0, 9).astype(np.int64)
        scores += np.bincount(tenths, minlength=10)
    witnesses, counts = np.unique(np.frombuffer(starts, dtype=np.uint64), return_counts=True)
    chosen = _chosen(witnesses, counts, seed)
    return NearDuplicates(
        removed=len(starts),
        clusters=len(witnesses),
        scores=tuple(scores.tolist()),
        sizes=_sizes(counts),
        shown=tuple(_clusters(dataset, chosen, told)),
    )


def _batches(dataset: Dataset, told: Callable[[str, int, int], None]) -> Iterator[Any]:
    """Tables of the near-duplicates of the evidence."""
    done = 0
    for path in removal_files(dataset.path):
        with open_removals(path) as file:
            for batch in file.batches(_COLUMNS):
                held = pa.Table.from_batches([batch])
                done += held.num_rows
                told("removed pairs", done, max(done, dataset.manifest.removals))
                yield held.filter(pc.field("reason") == "near_duplicate")


def _sizes(counts: Any) -> dict[str, int]:
    groups = (("1", 1, 1), ("2", 2, 2), ("3 to 5", 3, 5), ("6 to 20", 6, 20))
    found = {name: int(((counts >= low) & (counts <= high)).sum()) for name, low, high in groups}
    return {**found, "more than 20": int((counts > 20).sum())}


def _chosen(witnesses: Any, counts: Any, seed: int) -> set[int]:
    """The starts of the witnesses whose clusters are shown."""
    largest = np.lexsort((witnesses, -counts))[: CLUSTERS // 2]
    chosen = {int(witnesses[row]) for row in largest}
    for attempt in range(_LARGEST * CLUSTERS if len(witnesses) else 0):
        if len(chosen) >= CLUSTERS:
            break
        digest = hashlib.sha256(f"xtrove report {seed} clusters {attempt}".encode()).digest()
        chosen.add(int(witnesses[int.from_bytes(digest[:8], "big") % len(witnesses)]))
    return chosen


def _clusters(
    dataset: Dataset, chosen: Collection[int], told: Callable[[str, int, int], None]
) -> list[Cluster]:
    starts = pa.array([f"{one:016x}" for one in sorted(chosen)], pa.string())
    members: dict[str, list[Member]] = {}
    sizes: dict[str, int] = {}
    for batch in _batches(dataset, told) if chosen else ():
        head = pc.utf8_slice_codeunits(batch.column("witness_id"), 0, 16)
        for row in batch.filter(pc.is_in(head, value_set=starts)).to_pylist():
            witness = row["witness_id"]
            sizes[witness] = sizes.get(witness, 0) + 1
            held = members.setdefault(witness, [])
            held.append(Member(**{key: row[key] for key in Member.__dataclass_fields__}))
            held.sort(key=lambda one: (-one.score, one.id))
            del held[MEMBERS:]
    ranked = sorted(sizes, key=lambda one: (-sizes[one], one))
    return [Cluster(witness=one, size=sizes[one], members=tuple(members[one])) for one in ranked]


def duplicates_body(dataset: Dataset, found: NearDuplicates, removed: Removed | None) -> Html:
    """The section."""
    if not found.removed:
        return paragraph("No near-duplicate was removed.")
    ids = {one.id for cluster in found.shown for one in _differing(cluster)}
    known = removed(ids) if removed is not None else {}
    words = (
        f"{found.removed:,} pairs were removed because a kept pair is nearly the same: "
        f"{found.clusters:,} kept pairs stand for them. The largest clusters and some drawn at "
        "random:"
    )
    parts = [_overview(found), paragraph(words)]
    if not known:
        parts.append(
            paragraph(
                "No diffs: the code of removed pairs is published nowhere, and the work folder of "
                "the build (.xtrove), which holds it, is not here."
            )
        )
    return joined([*parts, *(_cluster(dataset, one, known) for one in found.shown)])


def _overview(found: NearDuplicates) -> Html:
    scores = [
        Bar(name=f"{n / 10:.1f} to {(n + 1) / 10:.1f}", number=f"{count:,}",
            parts=((count, "dropped"),))
        for n, count in enumerate(found.scores)
        if count
    ]  # fmt: skip
    sizes = [
        Bar(name=name, number=f"{count:,}", parts=((count, "kept"),))
        for name, count in found.sizes.items()
    ]
    return tag(
        "div",
        bar_table("Similarity (Jaccard) to the kept pair", ("similarity", "removed"), scores),
        bar_table("Removed pairs a kept one stands for", ("removed pairs", "clusters"), sizes),
        class_="pair",
    )


def _differing(cluster: Cluster) -> list[Member]:
    """The members shown as a diff: the least similar, which say most, and the most similar."""
    if len(cluster.members) <= DIFFS:
        return list(cluster.members)
    return [cluster.members[-1], *cluster.members[: DIFFS - 1]]


def _cluster(dataset: Dataset, cluster: Cluster, known: Mapping[str, Mapping[str, object]]) -> Html:
    witness = dataset.get(cluster.witness)
    name = str(witness["name"]) if witness else cluster.witness
    rows = [(one.id, f"{one.score:.3f}", one.repo, one.path, one.name) for one in cluster.members]
    more = cluster.size - len(rows)
    return tag(
        "article",
        tag("h3", short(name, 120), f": stands for {cluster.size:,}"),
        *_kept(witness, cluster.witness),
        *_diffs(witness, cluster, known),
        folded(
            f"Removed: {len(rows):,} of {cluster.size:,}" if more else "Removed pairs",
            table(
                "Removed pairs", ("id", "similarity", "repository", "path", "name"), rows,
                words=(0, 2, 3, 4),
            ),
        ),
    )  # fmt: skip


def _kept(witness: Sample | None, wanted: str) -> list[Html]:
    if witness is None:
        return [paragraph(f"The kept pair {wanted[:32]} is no longer in the dataset.")]
    code, language = str(witness["code"]), str(witness["language"])
    place = short(f"{witness['repo']} {witness['path']}", 400)
    return [
        tag("p", "Kept: ", place, " ", tag("code", wanted[:32]), class_="quiet"),
        folded("The kept code", highlighted(code, language, "Kept code")),
    ]


def _diffs(
    witness: Sample | None, cluster: Cluster, known: Mapping[str, Mapping[str, object]]
) -> Iterator[Html]:
    if witness is None:
        return
    for member in _differing(cluster):
        removed = known.get(member.id)
        if removed is None:
            continue
        title = f"{member.repo} {member.path}, similarity {member.score:.3f}"
        yield tag("p", "Removed: ", short(title, 400), " ", tag("code", member.id[:32]))
        yield difference(
            str(witness["code"]), str(removed.get("code", "")), "Diff of kept and removed code"
        )
