"""Edges: the candidate pairs whose true Jaccard reaches the threshold.

Method: both shingle sets of each pair are fetched and intersected; the score stays a pair of
integers and is compared with the threshold as the decimal that the config says (7/10, not the
binary number nearest to it), so no rounding decides a removal. A pair whose sizes alone rule it
out (|a|/|b| below the threshold) is not intersected.

Cost: about 5 microseconds a pair beside what `shingles_of` costs; pairs sorted by their later
item fetch it once. Memory: the edges, 24 bytes each, and two shingle sets.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from dedupe.lsh_bands import PAIR, Rows
from dedupe.pair_rule import reaches
from dedupe.shingling import U64, jaccard

EDGE = np.dtype([("later", "<u8"), ("earlier", "<u8"), ("intersection", "<u4"), ("union", "<u4")])
"""Two items by rank number with the sizes of intersection and union of their shingles."""


def edges(pairs: Rows, shingles_of: Callable[[int], U64], threshold: float) -> Rows:
    """The pairs of Jaccard at or above `threshold`, of dtype `EDGE`, in the order of `pairs`.

    `shingles_of` gives the sorted distinct shingles of an item; empty sets are similar to none.
    Raises `ValueError` for another dtype than `PAIR`.
    """
    if pairs.dtype != PAIR:
        raise ValueError(f"pairs have dtype {pairs.dtype}; they must have {PAIR}")
    exact = Fraction(str(threshold))
    rows: list[tuple[int, int, int, int]] = []
    known, mine = -1, np.empty(0, dtype=np.uint64)
    for later, earlier in pairs.tolist():
        if later != known:
            known, mine = later, shingles_of(later)
        other = shingles_of(earlier)
        small, large = sorted((len(mine), len(other)))
        if not reaches(small, large, exact):
            continue
        shared, union = jaccard(mine, other)
        if reaches(shared, union, exact):
            rows.append((later, earlier, shared, union))
    return np.array(rows, dtype=EDGE)
