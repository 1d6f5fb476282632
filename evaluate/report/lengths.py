"""How long the samples of a dataset are: counts of token numbers, by language.

Method: the tokens and qualities of the indexes are counted shard by shard into tables of fixed
size, so that quantiles are exact and memory does not grow with the dataset: 0.5 MB a language.
Cost: about 10 ns a sample; an index is memory-mapped. Limits: from `LONGEST` tokens on, samples
are counted as that long (code is at most 8,000 characters by default).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluate.report.charts import count_bars, histogram
from shards.read import Dataset

LONGEST: Final = 65_535
BINS: Final = 24
QUANTILES: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_LANGUAGES: Final = 40
_QUALITY: Final = 1_000
Counts = NDArray[np.int64]


class Lengths:
    """Counts of tokens and qualities."""

    def __init__(self) -> None:
        self.tokens: dict[str, Counts] = {}
        self.quality = np.zeros(_QUALITY + 1, dtype=np.int64)

    def add(self, language: str, tokens: Counts, quality: Counts) -> None:
        """Counts some samples, both of shape (n,)."""
        counts = self.tokens.setdefault(language, np.zeros(LONGEST + 1, dtype=np.int64))
        counts += np.bincount(np.clip(tokens, 0, LONGEST), minlength=LONGEST + 1)
        self.quality += np.bincount(np.clip(quality, 0, _QUALITY), minlength=_QUALITY + 1)

    def total(self) -> Counts:
        """Over all languages, shape (LONGEST + 1,)."""
        return sum(self.tokens.values(), np.zeros(LONGEST + 1, dtype=np.int64))


def count_lengths(dataset: Dataset, progress: Callable[[str, int, int], None]) -> Lengths:
    """Reads all indexes; `progress` gets samples read and in all. May raise `DamagedData`."""
    lengths, done = Lengths(), 0
    for facts in dataset.manifest.shards:
        index = dataset.shard(facts).index
        lengths.add(facts.language, index.numbers("tokens"), index.numbers("quality"))
        done += facts.samples
        progress("samples", done, dataset.manifest.samples)
    return lengths


def quantiles(counts: Counts) -> list[int]:
    """The values at `QUANTILES` by nearest rank; empty where nothing is counted."""
    cumulative = np.cumsum(counts)
    if not len(cumulative) or not cumulative[-1]:
        return []
    ranks = [max(1, int(np.ceil(share * cumulative[-1]))) for share in QUANTILES]
    return [int(np.searchsorted(cumulative, rank)) for rank in ranks]


def bins(counts: Counts) -> tuple[list[int], list[int]]:
    """Edges (BINS + 1) and counts (BINS) of columns of a round width; the last has the rest.

    The columns reach to the 99% quantile at least.
    """
    values = quantiles(counts)
    reach = max(values[-2], 1) if values else 1
    widths = (digit * 10**power for power in range(6) for digit in (1, 2, 5))
    width = next(width for width in widths if width * BINS >= reach)
    edges = [width * n for n in range(BINS + 1)]
    columns = [int(counts[low:high].sum()) for low, high in itertools.pairwise(edges[:-1])]
    return edges, [*columns, int(counts[edges[-2] :].sum())]


def lengths_content(dataset: Dataset, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """A histogram, quantiles of each language and qualities, for the template."""
    lengths = count_lengths(dataset, progress)
    total = lengths.total()
    edges, counts = bins(total)
    ranked = sorted(lengths.tokens, key=lambda name: (-int(lengths.tokens[name].sum()), name))
    rows = [(name, *_row(lengths.tokens[name])) for name in ranked[:_LANGUAGES]]
    if len(ranked) > 1:
        rows.insert(0, ("all languages", *_row(total)))
    note = (
        f"Lexical tokens of the code without its documentation; the last column holds all from "
        f"{edges[-2]:,} on"
    )
    tenths = lengths.quality[:-1].reshape(10, -1).sum(axis=1)
    tenths[9] += lengths.quality[-1]
    return {
        "lengths_chart": histogram("Tokens of a function", edges, counts, "tokens", note),
        "length_rows": rows,
        "smaller_languages": max(0, len(ranked) - _LANGUAGES),
        "quality_bars": count_bars(
            (f"{n * 100} to {n * 100 + 99 + (n == 9)}", int(tenths[n])) for n in range(10)
        ),
    }


def _row(counts: Counts) -> list[str]:
    return [f"{int(counts.sum()):,}", *(f"{value:,}" for value in quantiles(counts))]
