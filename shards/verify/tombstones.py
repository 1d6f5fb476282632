"""The checks of what was forgotten: it is gone, it adds up, and it explains every gap.

Forgotten members cannot be read any more, but the tombstones say how many stood in which shard
and how many bytes they took: the shards as they were before are put together again from the
members that are there and those counts, and `N = ceil(total / max_bytes)` is asked of them (for
the runs between samples that are alone larger than `max_bytes`). Where inside a series a
boundary fell can not be recomputed there. Marked evidence keeps its own figures (threshold,
key), its witness cannot be read; there are no more marks than tombstones account for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from dedupe import EXACT_DUPLICATE, NEAR_DUPLICATE, QUERY_CAP, REASONS
from shards.format import FORGOTTEN, WITNESS_FORGOTTEN, Manifest, forgotten_members, layout
from shards.storage import Findings
from shards.verify.shard import ShardSeen
from shards.write import NO_SCORE, Removal

_KEY: Final = re.compile("[0-9a-f]{32}")
_WITNESSED: Final = tuple(REASONS[code] for code in (EXACT_DUPLICATE, NEAR_DUPLICATE, QUERY_CAP))


def is_marked(row: Removal) -> bool:
    """Whether the evidence says that its witness was forgotten."""
    return row.detail == WITNESS_FORGOTTEN and not row.witness_id and row.reason in _WITNESSED


def check_marked(subject: str, row: Removal, threshold: Fraction, findings: Findings) -> None:
    """What is left to check of marked evidence: the figures of the removed pair itself."""
    exact, near, _ = _WITNESSED
    if row.reason == exact:
        sound = row.score == 1.0 and _KEY.fullmatch(row.exact_key) is not None
    elif row.reason == near:
        ordered = list(row.shingles) == sorted(set(row.shingles))
        sound = bool(row.shingles) and ordered and float(threshold) <= row.score <= 1.0
    else:
        sound = row.score == NO_SCORE
    if not sound:
        findings.add("witness", subject, f"score {row.score} or its key is wrong for {row.reason}")


def check_marks(manifest: Manifest, marked: int, findings: Findings) -> None:
    """Counts the marks; more than the tombstones account for were made by somebody else."""
    allowed = sum(tombstone.witnesses for tombstone in manifest.tombstones)
    if manifest.tombstones:
        findings.counts["tombstones"] = len(manifest.tombstones)
        findings.counts["witness_forgotten"] = marked
    if marked > allowed:
        findings.add(
            "witness",
            "removals/",
            f"{marked} rows say {WITNESS_FORGOTTEN}, the tombstones account for {allowed}",
        )


def check_forgotten_pairs(
    manifest: Manifest, dropped: Counter[tuple[str, str, str]], findings: Findings
) -> None:
    """Takes `forgotten` out of the dropped pairs: tombstones, not evidence, account for them."""
    counted = 0
    for key in [key for key in dropped if key[2] == FORGOTTEN]:
        counted += dropped.pop(key)
    stated = sum(tombstone.samples + tombstone.evidence for tombstone in manifest.tombstones)
    if counted != stated:
        findings.add(
            "funnel",
            layout.FUNNEL,
            f"{counted} pairs dropped as {FORGOTTEN}, the tombstones account for {stated}",
        )


def check_thinned(
    manifest: Manifest, shards: Sequence[ShardSeen], findings: Findings
) -> frozenset[str]:
    """Checks each language and split that lost members; returns their names."""
    before: dict[str, dict[int, tuple[int, int]]] = {}
    for path, counts in forgotten_members(manifest.tombstones).items():
        parsed = layout.parse_tar_path(path)
        if parsed is not None:
            before.setdefault(f"data/{parsed[0]}/{parsed[1]}", {})[parsed[2]] = counts
    for shard in shards:
        parsed = layout.parse_tar_path(shard.facts.path)
        series = before.get(f"data/{shard.facts.language}/{shard.facts.split}")
        if parsed is not None and series is not None:
            samples, size = series.get(parsed[2], (0, 0))
            series[parsed[2]] = (samples + shard.samples, size + int(shard.sizes.sum()))
    for name, series in sorted(before.items()):
        _check_series(name, series, manifest.max_bytes, findings)
    return frozenset(before)


def _check_series(
    name: str, series: dict[int, tuple[int, int]], max_bytes: int, findings: Findings
) -> None:
    """`series`: number -> samples and bytes of each shard as it was before."""
    if sorted(series) != list(range(len(series))):
        missing = sorted(set(range(max(series))) - series.keys())
        findings.add("boundaries", name, f"no tombstone explains the missing {missing[:20]}")
        return
    planned = run = 0
    for _, (samples, size) in sorted(series.items()):
        if samples == 1 and size > max_bytes:
            # Larger than a shard by itself: the formula holds for the runs between such samples.
            planned += -(-run // max_bytes) + 1
            run = 0
        else:
            run += size
    planned += -(-run // max_bytes)
    if planned != len(series):
        total = sum(size for _, size in series.values())
        findings.add(
            "boundaries",
            name,
            f"{total} bytes with what was forgotten make {planned} shards at max_bytes "
            f"{max_bytes}, found {len(series)}",
        )
