"""How long the samples of a dataset are: counts of token numbers, by language.

Method: the tokens and qualities of the indexes are counted shard by shard into tables of fixed
size, so that quantiles are exact and memory does not grow with the dataset: 0.5 MB a language.
Cost: about 10 ns a sample; an index is memory-mapped. Limits: from `LONGEST` tokens on, samples
are counted as that long (code is at most 8,000 characters by default).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluate.report.html import Bar, Html, bar_table, histogram, joined, paragraph, table
from shards.read import Dataset

LONGEST: Final = 65_535
BINS: Final = 24
QUANTILES: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_LANGUAGES: Final = 40
_QUALITY: Final = 1_000
_ROUND: Final = (1, 2, 5)
Counts = NDArray[np.int64]


class Lengths:
    """Counts of tokens and qualities."""

    def __init__(self) -> None:
        self.tokens: dict[str, Counts] = {}
        self.quality = np.zeros(_QUALITY + 1, dtype=np.int64)

    def add(self, language: str, tokens: Counts, quality: Counts) -> None:
        """Counts some samples, both of shape (n,)."""
        held = self.tokens.setdefault(language, np.zeros(LONGEST + 1, dtype=np.int64))
        held += np.bincount(np.clip(tokens, 0, LONGEST), minlength=LONGEST + 1)
        self.quality += np.bincount(np.clip(quality, 0, _QUALITY), minlength=_QUALITY + 1)

    def every(self) -> Counts:
        """Over all languages, shape (LONGEST + 1,)."""
        return sum(self.tokens.values(), np.zeros(LONGEST + 1, dtype=np.int64))


def count_lengths(dataset: Dataset, told: Callable[[str, int, int], None]) -> Lengths:
    """Reads all indexes; `told` hears the samples done and in all. `BadIndex` where one is none."""
    made, done = Lengths(), 0
    for facts in dataset.manifest.shards:
        index = dataset.shard(facts).index
        made.add(facts.language, index.numbers("tokens"), index.numbers("quality"))
        done += facts.samples
        told("samples", done, dataset.manifest.samples)
    return made


def quantiles(counts: Counts) -> list[int]:
    """The values at `QUANTILES` by nearest rank; empty where nothing is counted."""
    total = np.cumsum(counts)
    if not len(total) or not total[-1]:
        return []
    wanted = [max(1, int(np.ceil(share * total[-1]))) for share in QUANTILES]
    return [int(np.searchsorted(total, rank)) for rank in wanted]


def bins(counts: Counts) -> tuple[list[int], list[int]]:
    """Edges (BINS + 1) and counts (BINS) of columns of a round width; the last has the rest.

    The columns reach to the 99% quantile at least.
    """
    found = quantiles(counts)
    reach = max(found[-2], 1) if found else 1
    powers = (round_ * 10**power for power in range(6) for round_ in _ROUND)
    width = next(one for one in powers if one * BINS >= reach)
    edges = [width * n for n in range(BINS + 1)]
    values = [int(counts[edges[n] : edges[n + 1]].sum()) for n in range(BINS - 1)]
    return edges, [*values, int(counts[edges[BINS - 1] :].sum())]


def lengths_body(lengths: Lengths) -> Html:
    """The section: a histogram, quantiles of each language, qualities."""
    every = lengths.every()
    edges, counts = bins(every)
    ranked = sorted(lengths.tokens, key=lambda name: (-int(lengths.tokens[name].sum()), name))
    rows = [(name, *_row(lengths.tokens[name])) for name in ranked[:_LANGUAGES]]
    if len(ranked) > 1:
        rows.insert(0, ("all languages", *_row(every)))
    names = ("least", "10%", "25%", "median", "75%", "90%", "99%", "most")
    note = (
        f"Lexical tokens of the code without its documentation; the last column holds all from "
        f"{edges[-2]:,} on"
    )
    return joined(
        [
            histogram("Tokens of a function", note, edges, counts, "tokens"),
            table("Tokens of a function, by language", ("language", "samples", *names), rows),
            paragraph(f"{len(ranked) - _LANGUAGES} smaller languages are left out.")
            if len(ranked) > _LANGUAGES
            else "",
            _quality(lengths.quality),
        ]
    )


def _row(counts: Counts) -> list[str]:
    return [f"{int(counts.sum()):,}", *(f"{value:,}" for value in quantiles(counts))]


def _quality(counts: Counts) -> Html:
    tenths = [int(counts[n * 100 : (n + 1) * 100 + (n == 9)].sum()) for n in range(10)]
    bars = [
        Bar(
            name=f"{n * 100} to {n * 100 + 99 + (n == 9)}",
            number=f"{count:,}",
            parts=((count, "kept"),),
        )
        for n, count in enumerate(tenths)
    ]
    return bar_table("Samples by quality (0 to 1,000)", ("quality", "samples"), bars)
