"""Intervals and the paired test: known cases, coverage, exact small-sample values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from evaluate.metrics.bootstrap_intervals import bootstrap, column_means, paired


def test_the_interval_of_a_share_is_near_the_normal_one() -> None:
    values = np.zeros((400, 2))
    values[:100, 0] = 1
    values[:, 1] = 0.5
    low, high = bootstrap(values)
    half = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    assert low[0] == pytest.approx(0.25 - half, abs=0.006)
    assert high[0] == pytest.approx(0.25 + half, abs=0.006)
    assert low[1] == high[1] == 0.5


def test_it_is_the_same_every_time_and_another_with_another_seed() -> None:
    values = np.random.default_rng(3).random((50, 1))
    assert bootstrap(values)[0] == bootstrap(values)[0]
    assert bootstrap(values)[0] != bootstrap(values, seed=1)[0]


def test_it_covers_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        low, high = bootstrap((generator.random((80, 1)) < 0.3).astype(float), resamples=400)
        hits += bool(low[0] <= 0.3 <= high[0])
    assert 0.89 <= hits / 200 <= 0.99


def test_blocks_of_resamples_hold_all_of_them() -> None:
    low, high = bootstrap(np.random.default_rng(1).random((3000, 1)))
    assert 0 < high[0] - low[0] < 0.05


def test_the_randomisation_test_equals_all_flips_of_a_small_sample() -> None:
    first = np.zeros(6)
    second = np.array([0.5, 0.25, 1.0, -0.25, 0.75, 0.1])
    sums = [abs(np.dot(signs, second)) for signs in itertools.product((1, -1), repeat=6)]
    exact = np.mean(np.array(sums) >= abs(second.sum()) - 1e-9)
    result = paired(first, second)
    assert result.p == pytest.approx(exact, abs=0.015)
    assert result.difference == pytest.approx(second.mean())
    assert (result.won, result.lost) == (5, 1)
    assert result.low < result.difference < result.high


def test_equal_systems_do_not_differ_and_far_ones_do() -> None:
    values = np.random.default_rng(2).random(60)
    same = paired(values, values)
    assert (same.p, same.difference, same.won, same.lost) == (1.0, 0.0, 0, 0)
    assert paired(values, values + 0.2).p == pytest.approx(1 / 10_001)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="compare the same"):
        paired([0.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="rows of queries"):
        bootstrap(np.zeros((0, 3)))


def test_strata_count_alike_and_are_drawn_from_alone() -> None:
    values = np.array([[1.0], [1.0], [1.0], [0.0]])
    strata = ["a", "a", "a", "b"]
    assert column_means(values, strata)[0] == 0.5
    # Within each repository all is equal: nothing is left to chance.
    assert [bound[0] for bound in bootstrap(values, strata)] == [0.5, 0.5]
    assert bootstrap(values)[0][0] < 0.5 < bootstrap(values)[1][0]
    result = paired([0.0, 0.0, 0.0, 1.0], values[:, 0], strata)
    assert (result.difference, result.low, result.high) == (0.0, 0.0, 0.0)
    assert (result.won, result.lost) == (3, 1)
    # Three flips of a third each against one of a whole: 2 of 16 reach their sum of 0, all do.
    assert result.p == 1.0
