"""Candidates, against a definition written with loops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupe.lsh_bands import BAND_ROW, PAIR, candidates, candidates_with_stats

Row = tuple[int, int, int]


def rows_of(rows: list[Row]) -> NDArray[Any]:
    return np.array(rows, dtype=BAND_ROW)


def names_of(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """A name for every item: 0 (unknown), 1, 2 or 3."""
    return np.asarray(rows["item"] % np.uint64(4), dtype=np.uint64)


def by_definition(rows: list[Row]) -> tuple[list[tuple[int, int]], int, int]:
    """(pairs, pairs of a bucket that are not looked at, largest bucket)."""
    pairs: set[tuple[int, int]] = set()
    capped = largest = 0
    for key in {row[0] for row in rows}:
        earliest: dict[int, int] = {}
        for _, exact, item in sorted(row for row in rows if row[0] == key):
            earliest[exact] = min(item, earliest.get(exact, item))
        members = sorted(earliest.values())
        largest = max(largest, len(members))
        looked = set(linked(members))
        for name in (1, 2, 3):
            looked |= set(linked([member for member in members if member % 4 == name]))
        pairs |= looked
        capped -= len(looked)
        capped += len(members) * (len(members) - 1) // 2
    return sorted(pairs), capped, largest


def linked(members: list[int]) -> list[tuple[int, int]]:
    """Each with the first and with the one before it."""
    return [(one, other) for before, one in pairwise(members) for other in (members[0], before)]


ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 12)), max_size=40)


@given(rows=ROWS)
def test_candidates_follow_the_definition(rows: list[Row]) -> None:
    # In a build an item has one exact key and stands in a bucket once.
    unique = list({(key, item): (key, item % 5, item) for key, _, item in rows}.values())
    table = rows_of(unique)
    result, stats = candidates_with_stats(table, names_of(table))
    expected, capped, largest = by_definition(unique)
    assert result.dtype == PAIR and result.tolist() == expected
    assert stats.rows == len(unique) and stats.largest == largest
    assert stats.capped == capped


@given(rows=ROWS, seed=st.integers(0, 9))
def test_the_order_of_the_rows_does_not_matter(rows: list[Row], seed: int) -> None:
    table = rows_of(rows)
    mixed = table[np.random.default_rng(seed).permutation(len(table))]
    result = candidates(mixed, names_of(mixed))
    assert result.tobytes() == candidates(table, names_of(table)).tobytes()


def test_a_full_bucket_stays_linear() -> None:
    table = rows_of([(7, item, item) for item in range(1000)])
    nameless = np.zeros(1000, dtype=np.uint64)
    result, stats = candidates_with_stats(table, nameless)
    assert len(result) == 2 * 1000 - 3
    assert stats.capped == 1000 * 999 // 2 - 1997 and stats.buckets == 1
    assert candidates(table, nameless + np.uint64(7)).tolist() == result.tolist()
    named = candidates(table, np.arange(1000, dtype=np.uint64) % np.uint64(10))
    assert len(named) <= 4 * 1000 - 10


def test_other_names_do_not_stand_between_two_of_one_name() -> None:
    """Four getters in one version, the same four in the next: each meets its own, in 3 and in 4."""
    table = rows_of([(7, item, item) for item in range(12)])
    names = np.arange(12, dtype=np.uint64) % np.uint64(4) + np.uint64(1)
    result = {tuple(pair) for pair in candidates(table, names).tolist()}
    assert {(item, item - 4) for item in range(4, 12)} <= result
    assert {(item, item - 8) for item in range(8, 12)} <= result


def test_keys_above_2_63_and_no_rows() -> None:
    top = 2**64 - 1
    names = np.ones(2, dtype=np.uint64)
    assert candidates(rows_of([(top, 1, top), (top, 2, 3)]), names).tolist() == [(top, 3)]
    assert len(candidates(rows_of([]), names[:0])) == 0


def test_another_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="must have"):
        candidates(np.zeros(3, dtype=PAIR), np.zeros(3, dtype=np.uint64))
    with pytest.raises(ValueError, match="0 band rows and 1 names"):
        candidates(rows_of([]), np.zeros(1, dtype=np.uint64))
