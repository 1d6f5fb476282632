"""What `inspect` shows: counts, quantiles, reasons, and a few samples to read.

Counts come from the manifest, token quantiles from the indexes, reasons from the evidence. The
samples shown are drawn by hash of the seed, so that the same command shows the same ones.
Memory: 8 bytes a sample for the quantiles; about a second a million samples.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from shards.format import Sample
from shards.read.dataset import Dataset
from shards.write import open_removals, removal_files
from xtrove.core import DamagedData

QUANTILES = (0, 10, 25, 50, 75, 90, 99, 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A dataset at a glance."""

    name: str
    samples: int
    tokens: int
    bytes: int
    """Of the tars."""
    counts: dict[str, dict[str, int]]
    """Samples by language and split."""
    licenses: dict[str, int]
    """Samples by licence, the most frequent first."""
    token_quantiles: dict[int, int]
    """Percent -> tokens a sample (nearest rank); empty for an empty dataset."""
    removals: dict[str, int]
    """Removed pairs by reason, the most frequent first."""
    shown: tuple[Sample, ...]


def summarise(dataset: Dataset, samples: int = 3, seed: int = 0) -> Summary:
    """Reads indexes and evidence; `samples` are drawn over all shards without repetition."""
    manifest = dataset.manifest
    tokens = [shard.index.numbers("tokens") for shard in dataset.shards()]
    every = np.concatenate(tokens) if tokens else np.empty(0, dtype=np.int64)
    values = np.percentile(every, QUANTILES, method="inverted_cdf").tolist() if len(every) else []
    reasons: Counter[str] = Counter()
    for path in removal_files(dataset.path):
        with open_removals(path) as file:
            for batch in file.batches(["reason"]):
                reasons.update(batch.column(0).to_pylist())
    return Summary(
        name=manifest.name,
        samples=manifest.samples,
        tokens=manifest.tokens,
        bytes=sum(shard.bytes for shard in manifest.shards),
        counts=dataset.counts(),
        licenses=_ranked(Counter(manifest.licenses)),
        token_quantiles={q: int(v) for q, v in zip(QUANTILES, values, strict=False)},
        removals=_ranked(reasons),
        shown=tuple(_draw(dataset, samples, seed)),
    )


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _draw(dataset: Dataset, samples: int, seed: int) -> list[Sample]:
    total = dataset.manifest.samples
    rows: dict[int, None] = {}
    draw = 0
    while len(rows) < min(samples, total):
        digest = hashlib.sha256(f"xtrove inspect {seed} {draw}".encode()).digest()
        rows[int.from_bytes(digest[:8], "big") % total] = None
        draw += 1
    return [_at(dataset, row) for row in rows]


def _at(dataset: Dataset, row: int) -> Sample:
    for shard in dataset.shards():
        if row < len(shard.index):
            return shard.sample(row)
        row -= len(shard.index)
    raise DamagedData(
        f"the indexes hold fewer rows than the {dataset.manifest.samples} samples of the manifest"
    )
