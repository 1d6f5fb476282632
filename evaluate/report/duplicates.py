"""Near-duplicates in a report: clusters around a kept pair, with diffs of what was removed.

Method: two passes over the evidence. The first keeps 8 bytes a near-duplicate (the start of its
witness's id) and counts similarities; half of the clusters shown are the largest, half are drawn
by hash of the seed. The second collects the rows of those alone. Cost: about 1 us a removed pair.
Limits: `CLUSTERS` clusters, `MEMBERS` removed pairs of each listed, `DIFFS` of them as a diff.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evaluate.report.charts import count_bars
from evaluate.report.code import difference, highlighted
from evaluate.report.page import Request
from shards.read import Dataset
from shards.write import open_removals, removal_files
from xtrove.core import DamagedData

CLUSTERS: Final = 8
MEMBERS: Final = 20
DIFFS: Final = 2
_COLUMNS: Final = ("id", "reason", "witness_id", "score", "repo", "path", "name")
_DRAWS: Final = 10
_SIZES: Final = (
    ("1", 1, 1), ("2", 2, 2), ("3 to 5", 3, 5), ("6 to 20", 6, 20), ("more than 20", 21, 1 << 62),
)  # fmt: skip


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
    """A kept pair and the pairs that were removed for it."""

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
    sizes: tuple[tuple[str, int], ...]
    """Clusters by their number of removed pairs."""
    shown: tuple[Cluster, ...]


def near_duplicates(
    dataset: Dataset, seed: int, progress: Callable[[str, int, int], None]
) -> NearDuplicates:
    """Reads the evidence of a dataset. `DamagedData` where it cannot be read."""
    starts, scores = array("Q"), np.zeros(10, dtype=np.int64)
    for batch in _batches(dataset, progress):
        try:
            starts.extend(int(id_[:16], 16) for id_ in batch.column("witness_id").to_pylist())
        except (TypeError, ValueError) as error:
            raise DamagedData(f"a witness in the evidence is not an id: {error}") from error
        tenths = np.clip(batch.column("score").to_numpy() * 10, 0, 9).astype(np.int64)
        scores += np.bincount(tenths, minlength=10)
    witnesses, counts = np.unique(np.frombuffer(starts, dtype=np.uint64), return_counts=True)
    chosen = _chosen(witnesses, counts, seed)
    return NearDuplicates(
        removed=len(starts),
        clusters=len(witnesses),
        scores=tuple(scores.tolist()),
        sizes=tuple(
            (name, int(((counts >= low) & (counts <= high)).sum())) for name, low, high in _SIZES
        ),
        shown=tuple(_clusters(dataset, chosen, progress)),
    )


def _batches(dataset: Dataset, progress: Callable[[str, int, int], None]) -> Iterator[Any]:
    """Tables of the near-duplicates of the evidence."""
    done = 0
    for path in removal_files(dataset.path):
        with open_removals(path) as file:
            for batch in file.batches(_COLUMNS):
                table = pa.Table.from_batches([batch])
                done += table.num_rows
                progress("removed pairs", done, max(done, dataset.manifest.removals))
                yield table.filter(pc.field("reason") == "near_duplicate")


def _chosen(witnesses: Any, counts: Any, seed: int) -> set[int]:
    """The starts of the witnesses whose clusters are shown."""
    largest = np.lexsort((witnesses, -counts))[: CLUSTERS // 2]
    chosen = {int(witnesses[row]) for row in largest}
    for attempt in range(_DRAWS * CLUSTERS if len(witnesses) else 0):
        if len(chosen) >= CLUSTERS:
            break
        digest = hashlib.sha256(f"xtrove report {seed} clusters {attempt}".encode()).digest()
        chosen.add(int(witnesses[int.from_bytes(digest[:8], "big") % len(witnesses)]))
    return chosen


def _clusters(
    dataset: Dataset, chosen: Collection[int], progress: Callable[[str, int, int], None]
) -> list[Cluster]:
    starts = pa.array([f"{start:016x}" for start in sorted(chosen)], pa.string())
    members: dict[str, list[Member]] = {}
    sizes: Counter[str] = Counter()
    for batch in _batches(dataset, progress) if chosen else ():
        head = pc.utf8_slice_codeunits(batch.column("witness_id"), 0, 16)
        for row in batch.filter(pc.is_in(head, value_set=starts)).to_pylist():
            sizes[row["witness_id"]] += 1
            cluster = members.setdefault(row["witness_id"], [])
            cluster.append(Member(**{key: row[key] for key in Member.__dataclass_fields__}))
            cluster.sort(key=lambda member: (-member.score, member.id))
            del cluster[MEMBERS:]
    return [
        Cluster(witness=witness, size=sizes[witness], members=tuple(members[witness]))
        for witness in sorted(sizes, key=lambda witness: (-sizes[witness], witness))
    ]


def duplicates_content(dataset: Dataset, request: Request) -> dict[str, Any]:
    """Counts and clusters, for the template."""
    duplicates = near_duplicates(dataset, request.seed, request.progress)
    ids = {member.id for cluster in duplicates.shown for member in _differing(cluster)}
    removed = request.removed(ids) if request.removed is not None and ids else {}
    scores = ((f"{n / 10:.1f} to {(n + 1) / 10:.1f}", n) for n in range(10))
    return {
        "duplicates": duplicates,
        "score_bars": count_bars(
            ((name, duplicates.scores[n]) for name, n in scores if duplicates.scores[n]),
            kind="dropped",
        ),
        "size_bars": count_bars(duplicates.sizes),
        "has_diffs": bool(removed),
        "clusters": [_shown(dataset, cluster, removed) for cluster in duplicates.shown],
    }


def _differing(cluster: Cluster) -> tuple[Member, ...]:
    """The members shown as a diff: the least similar, which say most, and the most similar."""
    if len(cluster.members) <= DIFFS:
        return cluster.members
    return (cluster.members[-1], *cluster.members[: DIFFS - 1])


def _shown(
    dataset: Dataset, cluster: Cluster, removed: Mapping[str, Mapping[str, object]]
) -> dict[str, Any]:
    """A cluster for the template; without `kept` where the kept pair has been forgotten."""
    shown = {
        "id": cluster.witness[:32],
        "name": cluster.witness,
        "size": cluster.size,
        "kept": "",
        "diffs": [],
        "rows": [(m.id, f"{m.score:.3f}", m.repo, m.path, m.name) for m in cluster.members],
    }
    witness = dataset.get(cluster.witness)
    if witness is None:
        return shown
    code = str(witness["code"])
    return shown | {
        "name": str(witness["name"]),
        "place": f"{witness['repo']} {witness['path']}",
        "kept": highlighted(code, str(witness["language"])),
        "diffs": [
            (member, difference(code, str(removed[member.id].get("code", ""))))
            for member in _differing(cluster)
            if member.id in removed
        ],
    }
