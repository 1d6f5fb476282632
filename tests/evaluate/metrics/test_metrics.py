"""Metrics: hand-worked values, ties, closed forms, the quick path equal to the whole one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.metrics.metrics import AUC, NAMES, measure_queries, quick, settle_ties


def _run(rank: int, length: int) -> list[tuple[str, float]]:
    """`length` hits of falling score; the relevant one, "yes", at `rank` (0: nowhere)."""
    return [
        ("yes" if number == rank else f"no{number}", -float(number))
        for number in range(1, length + 1)
    ]


def test_hand_worked_values_of_two_relevant_documents() -> None:
    run = {"q": [("x", 9.0), ("b", 8.0), ("y", 7.0), ("a", 6.0)]}
    result = measure_queries(run, {"q": {"a": 1, "b": 2}}, documents=5)
    value = dict(zip(result.names, result.values[0], strict=True))
    assert value["P@1"] == 0
    assert value["MRR"] == value["MRR@10"] == 0.5
    gained = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 + 1 / math.log2(3)
    assert value["nDCG@10"] == pytest.approx(gained / ideal)
    assert value["Recall@1"] == 0
    assert value["Recall@5"] == 1
    assert value["Hit@1"] == 0
    assert value["Hit@5"] == 1
    assert result.recall[0, :5].tolist() == [0, 0.5, 0.5, 1, 1]
    assert result.ranks.tolist() == [2]
    assert AUC not in result.names


def test_a_query_without_a_ranking_found_nothing() -> None:
    result = measure_queries({}, {"q": {"a": 1}, "r": {"b": 1}}, documents=5000)
    assert result.values.shape == (2, len(NAMES))
    assert not result.values.any()
    assert result.ranks.tolist() == [0, 0]


def test_ties_do_not_flatter() -> None:
    run = {"q": [("a", 1.0), ("b", 1.0), ("c", 1.0)]}
    assert settle_ties(run["q"], {"a": 1}) == ["b", "c", "a"]
    result = measure_queries(run, {"q": {"a": 1}}, documents=3)
    assert result.column("P@1").tolist() == [0]
    assert result.column("MRR").tolist() == [pytest.approx(1 / 3)]
    assert result.ranks.tolist() == [3]


def test_the_order_of_ids_plays_no_part_where_scores_differ() -> None:
    # trec_eval breaks ties by descending id: with our own scores "z" must not profit.
    run = {"q": [("a", 2.0), ("z", 1.0)]}
    assert measure_queries(run, {"q": {"z": 1}}, documents=2).ranks.tolist() == [2]
    assert measure_queries(run, {"q": {"a": 1}}, documents=2).column("P@1").tolist() == [1]


def test_unsorted_hits_are_ranked_by_score() -> None:
    run = {"q": [("b", 1.0), ("a", 2.0)]}
    assert measure_queries(run, {"q": {"a": 1}}, documents=2).ranks.tolist() == [1]


@pytest.mark.parametrize("rank", [0, 1, 2, 50, 99, 100, 101, 120])
def test_auc_closed_form(rank: int) -> None:
    result = measure_queries({"q": _run(rank, 150)}, {"q": {"yes": 1}}, documents=1000)
    expected = max(0, 101 - rank) / 100 if rank else 0
    assert result.column(AUC)[0] == pytest.approx(expected)
    assert quick([rank])[AUC] == pytest.approx(expected)


def test_auc_pads_short_lists_with_misses_and_needs_a_large_pool() -> None:
    # One of two found at rank 1, nothing else returned: recall is 1/2 for every k.
    result = measure_queries({"q": [("a", 1.0)]}, {"q": {"a": 1, "b": 1}}, documents=1000)
    assert result.column(AUC)[0] == pytest.approx(0.5)
    small = measure_queries({"q": [("a", 1.0)]}, {"q": {"a": 1}}, documents=999)
    assert AUC not in small.names
    assert AUC not in quick([1, 2], documents=999)
    assert AUC in quick([1, 2], documents=1000)


@given(st.lists(st.integers(0, 130), min_size=1, max_size=6))
def test_quick_equals_the_whole_path(ranks: list[int]) -> None:
    run = {f"q{n}": _run(rank, 130) for n, rank in enumerate(ranks)}
    relevant = {query: {"yes": 1} for query in run}
    whole = measure_queries(run, relevant, documents=1000)
    means = dict(zip(whole.names, whole.values.mean(axis=0), strict=True))
    for name, value in quick(ranks).items():
        assert value == pytest.approx(means[name]), name


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        settle_ties([("a", 1.0), ("a", 2.0)], {})
    with pytest.raises(ValueError, match="NaN"):
        settle_ties([("a", math.nan)], {})
    with pytest.raises(ValueError, match="no relevant document"):
        measure_queries({}, {"q": {}}, documents=1)
    with pytest.raises(ValueError, match="shape"):
        quick([])
    with pytest.raises(ValueError, match="shape"):
        quick(np.array([-1]))


def test_rows_keep_values_and_ranks_together() -> None:
    run = {"q": _run(1, 5), "r": _run(3, 5), "s": _run(0, 5)}
    whole = measure_queries(run, {query: {"yes": 1} for query in run}, documents=5)
    some = whole.rows([2, 0])
    assert some.queries == ("s", "q")
    assert some.ranks.tolist() == [0, 1]
    assert some.column("P@1").tolist() == [0, 1]
