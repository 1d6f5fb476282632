"""Candidates, against a definition written with loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupe.bands import BAND_ROW, PAIR, candidates, candidates_with_stats

Row = tuple[int, int, int]


def rows_of(rows: list[Row]) -> NDArray[Any]:
    return np.array(rows, dtype=BAND_ROW)


def by_definition(rows: list[Row]) -> tuple[list[tuple[int, int]], int, int]:
    """(pairs, pairs that all-pairs would give, largest bucket)."""
    pairs: set[tuple[int, int]] = set()
    everything = largest = 0
    for key in {row[0] for row in rows}:
        earliest: dict[int, int] = {}
        for _, exact, item in sorted(row for row in rows if row[0] == key):
            earliest[exact] = min(item, earliest.get(exact, item))
        members = sorted(earliest.values())
        largest = max(largest, len(members))
        everything += len(members) * (len(members) - 1) // 2
        for place in range(1, len(members)):
            pairs.add((members[place], members[0]))
            pairs.add((members[place], members[place - 1]))
    return sorted(pairs), everything, largest


ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 12)), max_size=40)


@given(rows=ROWS)
def test_candidates_follow_the_definition(rows: list[Row]) -> None:
    # In a build an item has one exact key and stands in a bucket once.
    unique = list({(key, item): (key, item % 5, item) for key, _, item in rows}.values())
    found, stats = candidates_with_stats(rows_of(unique))
    expected, everything, largest = by_definition(unique)
    assert found.dtype == PAIR and found.tolist() == expected
    assert stats.rows == len(unique) and stats.largest == largest
    assert stats.pairs + stats.capped == everything


@given(rows=ROWS, seed=st.integers(0, 9))
def test_the_order_of_the_rows_does_not_matter(rows: list[Row], seed: int) -> None:
    table = rows_of(rows)
    mixed = table[np.random.default_rng(seed).permutation(len(table))]
    assert candidates(mixed).tobytes() == candidates(table).tobytes()


def test_a_full_bucket_stays_linear() -> None:
    table = rows_of([(7, item, item) for item in range(1000)])
    found, stats = candidates_with_stats(table)
    assert len(found) == 2 * 1000 - 3
    assert stats.capped == 1000 * 999 // 2 - 1997 and stats.buckets == 1


def test_keys_above_2_63_and_no_rows() -> None:
    top = 2**64 - 1
    assert candidates(rows_of([(top, 1, top), (top, 2, 3)])).tolist() == [(top, 3)]
    assert len(candidates(rows_of([]))) == 0


def test_another_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="must have"):
        candidates(np.zeros(3, dtype=PAIR))
