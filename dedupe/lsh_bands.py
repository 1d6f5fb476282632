"""Candidate pairs: items that share a band key, a bounded number for each.

Method: rows of one key range, in any order, are sorted; within a bucket (one key) only the
earliest item of each exact key counts, since copies share every band. Each such item is paired
with the earliest of the bucket, with the one before it in rank, and with the same two among those
that have its function name: functions of other names are seldom duplicates (`dedupe.pair_rule`),
so they must not stand between those of one name. A bucket of n gives at most 4n - 10 pairs (2n - 3
under 4) instead of n(n-1)/2, and templated code cannot blow up the next stage.

Cost: all numpy, about a million rows a second on one core; memory about 4 times the rows
(32 bytes each). Limits: a pair whose only shared buckets have others before and between is not
proposed; `CandidateStats.capped` counts what all pairs would have given beyond these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dedupe.shingling import U64

BAND_ROW = np.dtype([("key", "<u8"), ("exact", "<u8"), ("item", "<u8")])
"""key: of the band. exact: first 8 bytes of the exact key, little-endian. item: rank number,
unique, smaller is earlier."""
PAIR = np.dtype([("later", "<u8"), ("earlier", "<u8")])
"""Two items by rank number, to be verified."""

_MEMBER = np.dtype([("key", "<u8"), ("item", "<u8"), ("name", "<u8")])

Rows: TypeAlias = NDArray[np.void]
"""A one-dimensional structured array; its dtype is named where it is used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateStats:
    """What the log says about one key range."""

    rows: int
    buckets: int
    """Distinct keys."""
    largest: int
    """Distinct exact keys in the fullest bucket."""
    pairs: int
    """Pairs proposed, before duplicates across buckets fell out."""
    capped: int
    """Pairs that all-pairs would have given, minus `pairs`."""


def candidates(rows: Rows, names: U64) -> Rows:
    """Pairs to verify, of dtype `PAIR`, distinct, sorted by (later, earlier).

    `names`: a number for the function name of each row, 0 where it is unknown.
    """
    return candidates_with_stats(rows, names)[0]


def candidates_with_stats(rows: Rows, names: U64) -> tuple[Rows, CandidateStats]:
    """`candidates`, with the counts for the log."""
    _check(rows, names)
    groups = _earliest_of_groups(rows, names)
    first = _first_of_runs(groups["key"])
    starts = np.flatnonzero(first)
    sizes = np.diff(np.append(starts, len(groups)))
    # In a bucket of three the links among all of it already make every pair.
    crowded = np.flatnonzero(np.repeat(sizes > 3, sizes) & (groups["name"] != 0))
    name = groups["name"][crowded]
    order = np.lexsort((crowded, name, groups["key"][crowded]))
    crowded = crowded[order]
    names_first = _first_of_runs(groups["key"][crowded], name[order])
    links = np.concatenate((_links(np.arange(len(groups)), first), _links(crowded, names_first)))
    links = np.unique(links, axis=0)
    pairs = np.empty(len(links), dtype=PAIR)
    pairs["later"], pairs["earlier"] = groups["item"][links[:, 0]], groups["item"][links[:, 1]]
    wide = sizes.astype(np.uint64)
    # n(n-1) is even and fits: a bucket of 2^32 rows would need 100 GB of them.
    everything = int((wide * (wide - np.uint64(1)) // np.uint64(2)).sum()) if len(wide) else 0
    stats = CandidateStats(
        rows=len(rows),
        buckets=len(starts),
        largest=int(sizes.max(initial=0)),
        pairs=len(pairs),
        capped=everything - len(pairs),
    )
    return distinct_pairs(pairs), stats


def distinct_pairs(pairs: Rows) -> Rows:
    """Sorted by (later, earlier), each once: also for the pairs of several key ranges."""
    ordered = pairs[np.lexsort((pairs["earlier"], pairs["later"]))]
    keep = np.ones(len(ordered), dtype=np.bool_)
    keep[1:] = (ordered["later"][1:] != ordered["later"][:-1]) | (
        ordered["earlier"][1:] != ordered["earlier"][:-1]
    )
    return ordered[keep]


def _links(places: NDArray[np.int64], first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Each place with the first of its run and with the one before it, shape (n, 2); `first` marks
    the runs of `places`."""
    starts = np.flatnonzero(first)
    anchor = np.repeat(places[starts], np.diff(np.append(starts, len(places))))
    later = np.flatnonzero(~first)
    third = later[~first[later - 1]]
    return np.stack(
        (
            np.concatenate((places[later], places[third])),
            np.concatenate((anchor[later], places[third - 1])),
        ),
        axis=1,
    )


def _first_of_runs(*columns: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Where a row differs from the one before it."""
    first = np.ones(len(columns[0]), dtype=np.bool_)
    first[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return first


def _earliest_of_groups(rows: Rows, names: U64) -> Rows:
    """The earliest item of each exact key in each bucket, sorted by (key, item)."""
    order = np.lexsort((rows["item"], rows["exact"], rows["key"]))
    order = order[_first_of_runs(rows["key"][order], rows["exact"][order])]
    groups = np.empty(len(order), dtype=_MEMBER)
    groups["key"], groups["item"] = rows["key"][order], rows["item"][order]
    groups["name"] = names[order]
    return groups[np.lexsort((groups["item"], groups["key"]))]


def _check(rows: Rows, names: U64) -> None:
    if len(rows) != len(names):
        raise ValueError(f"there are {len(rows)} band rows and {len(names)} names")
    if rows.dtype != BAND_ROW or rows.ndim != 1:
        raise ValueError(
            f"band rows have dtype {rows.dtype} and shape {rows.shape}; they must have "
            f"{BAND_ROW} and one dimension"
        )
