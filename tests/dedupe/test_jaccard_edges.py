"""Edges: exact comparison with the decimal threshold, and nothing lost to the size filter."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupe.evidence import near_duplicate_score
from dedupe.jaccard_edges import EDGE, edges
from dedupe.lsh_bands import BAND_ROW, PAIR
from dedupe.shingling import U64, shingles


def numbers(*values: int) -> U64:
    return np.array(sorted(values), dtype=np.uint64)


def test_the_threshold_is_the_decimal_that_was_written() -> None:
    # 7 of 10 shared is 0.7 exactly; the float 0.7 is a little less, 0.1 * 7 a little more.
    sets = {0: numbers(*range(10)), 1: numbers(*range(7)), 2: numbers(*range(6))}
    pairs = np.array([(1, 0), (2, 0)], dtype=PAIR)
    assert edges(pairs, sets.__getitem__, 0.7).tolist() == [(1, 0, 7, 10)]
    assert len(edges(pairs, sets.__getitem__, 0.7000000000000001)) == 0


@pytest.mark.slow
@given(
    sets=st.lists(st.frozensets(st.integers(0, 12)), min_size=2, max_size=6),
    threshold=st.sampled_from([0.3, 0.5, 0.7, 0.75, 1.0]),
)
def test_edges_are_those_of_the_definition(sets: list[frozenset[int]], threshold: float) -> None:
    pairs = [(later, earlier) for later in range(len(sets)) for earlier in range(later)]
    result = edges(np.array(pairs, dtype=PAIR), lambda item: numbers(*sets[item]), threshold)
    expected = [
        (a, b, len(sets[a] & sets[b]), len(sets[a] | sets[b]))
        for a, b in pairs
        if sets[a] | sets[b]
        and Fraction(len(sets[a] & sets[b]), len(sets[a] | sets[b])) >= Fraction(str(threshold))
    ]
    assert result.dtype == EDGE and result.tolist() == expected


def test_the_later_item_is_fetched_once() -> None:
    asked: list[int] = []

    def fetch(item: int) -> U64:
        asked.append(item)
        return numbers(1, 2, 3)

    edges(np.array([(5, 1), (5, 2), (6, 1)], dtype=PAIR), fetch, 0.7)
    assert asked == [5, 1, 2, 6, 1]


def test_no_pairs_and_another_dtype() -> None:
    assert edges(np.empty(0, dtype=PAIR), lambda item: numbers(), 0.7).dtype == EDGE
    with pytest.raises(ValueError, match="pairs have dtype"):
        edges(np.empty(0, dtype=BAND_ROW), lambda item: numbers(), 0.7)


def test_evidence_gives_the_score_again() -> None:
    one, other = "a b c d e f g h", "a b c d e f g x"
    assert near_duplicate_score("go", one, shingles("go", other)) == Fraction(3, 5)
    assert near_duplicate_score("go", "", shingles("go", "")) == 0
    with pytest.raises(ValueError, match="damaged"):
        near_duplicate_score("go", one, shingles("go", other)[::-1])
