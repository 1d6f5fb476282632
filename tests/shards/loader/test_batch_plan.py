"""The plan as a function: each sample once, nothing repeated in a batch, budgets, proportion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.loader.batch_plan import Candidates, PlanError, PlanOptions, cut
from shards.loader.permutation import EpochOrder, mixed, shuffled
from shards.loader.reader import Reader, Select, State
from tests.shards.simulated import simulate

OPTIONS = PlanOptions(seed=5, batch_size=16, window=256, run=8, pool=128)


@st.composite
def candidates(draw: st.DrawFn) -> Candidates:
    """Samples, some of which share groups or code."""
    count = draw(st.integers(0, 200))
    groups = draw(st.integers(1, 400))
    codes = draw(st.integers(1, 400))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    return Candidates(
        positions=np.arange(count, dtype=np.int64) + 1000,
        groups=random.integers(0, groups, count).astype(np.uint64),
        codes=random.integers(0, codes, count).astype(np.uint64),
        tokens=random.integers(0, 100, count).astype(np.int64),
    )


@given(
    samples=candidates(),
    size=st.integers(1, 40),
    budget=st.one_of(st.none(), st.integers(1, 1000)),
    unique=st.booleans(),
)
def test_a_cut_takes_each_once_and_obeys(
    samples: Candidates, size: int, budget: int | None, unique: bool
) -> None:
    options = PlanOptions(seed=0, batch_size=size, window=200, token_budget=budget, unique=unique)
    batches = cut(samples, options)
    count = len(samples.positions)
    assert sorted(np.concatenate([[], *batches]).astype(int).tolist()) == list(range(count))
    for batch in batches:
        assert 0 < len(batch) <= size
        if unique:
            assert len(set(samples.groups[batch].tolist())) == len(batch)
            assert len(set(samples.codes[batch].tolist())) == len(batch)
        if budget is not None and len(batch) > 1:
            assert samples.tokens[batch].sum() <= budget
    if not unique and budget is None:
        assert len(batches) == -(-count // size)


def test_an_index_of_nothing_but_repeats_is_bounded() -> None:
    count = 20_000
    same = np.zeros(count, dtype=np.uint64)
    samples = Candidates(
        positions=np.arange(count, dtype=np.int64),
        groups=same,
        codes=np.arange(count, dtype=np.uint64),
        tokens=np.zeros(count, dtype=np.int64),
    )
    batches = cut(samples, PlanOptions(seed=0, batch_size=64, window=65_536))
    assert [len(batch) for batch in batches] == [1] * count


@given(
    counts=st.lists(st.integers(0, 50), min_size=1, max_size=12),
    run=st.integers(1, 20),
    pool=st.integers(1, 120),
    key=st.integers(0, (1 << 64) - 1),
    step=st.integers(1, 60),
)
def test_an_order_is_a_permutation_however_it_is_cut(
    counts: list[int], run: int, pool: int, key: int, step: int
) -> None:
    lengths = np.array(counts, dtype=np.int64)
    bases = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    order = EpochOrder(bases=bases, counts=lengths, key=key, run=run, pool=pool)
    total = int(lengths.sum())
    assert len(order) == total
    whole = order.positions(0, total).tolist()
    assert sorted(whole) == list(range(total))
    pieces = [order.positions(at, min(at + step, total)).tolist() for at in range(0, total, step)]
    assert [one for piece in pieces for one in piece] == whole


def test_the_permutation_is_the_same_everywhere() -> None:
    # Values that must never change: a state of today is resumed by a later version.
    assert mixed(np.array([0x9E3779B97F4A7C15], dtype=np.uint64)).tolist() == [0xE220A8397B1DCDAF]
    assert shuffled(8, 42).tolist() == [4, 1, 6, 2, 3, 0, 7, 5]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two languages, 6,000 samples, a tenth of which repeat a query group."""
    base = tmp_path_factory.mktemp("simulated")
    simulate(base, languages=2, shards=5, rows=600, repeats=0.1)
    return base


def plans(
    reader: Reader, options: PlanOptions, epoch: int
) -> list[tuple[int, list[np.ndarray], np.ndarray]]:
    """The windows of an epoch, through the part of the reader that plans."""
    planner = reader._planner
    result = []
    for window in range(planner.window_count(options)):
        plan = planner.plan(options, epoch, window)
        batches = np.split(plan.positions, plan.bounds[1:-1])
        result.append((window, batches, plan.languages))
    return result


@pytest.mark.slow
@settings(max_examples=20)
@given(
    seed=st.integers(0, 1 << 40),
    epoch=st.integers(0, 50),
    size=st.integers(1, 100),
    window=st.integers(100, 7000),
    one_language=st.booleans(),
    budget=st.one_of(st.none(), st.integers(100, 20_000)),
)
def test_an_epoch_has_each_sample_once(
    place: Path,
    seed: int,
    epoch: int,
    size: int,
    window: int,
    one_language: bool,
    budget: int | None,
) -> None:
    options = PlanOptions(
        seed=seed,
        batch_size=size,
        window=window,
        one_language=one_language,
        token_budget=budget,
        run=8,
        pool=700,
    )
    with Reader.open(place) as reader:
        seen = []
        groups, languages = reader.query_groups(), reader.language_numbers()
        for _, batches, marked in plans(reader, options, epoch):
            for batch, language in zip(batches, marked.tolist(), strict=True):
                seen.extend(batch.tolist())
                assert len(set(groups[batch].tolist())) == len(batch)
                if one_language:
                    assert set(languages[batch].tolist()) == {language}
        assert sorted(seen) == list(range(len(reader)))
        count = sum(len(batches) for _, batches, _ in plans(reader, options, epoch))
        assert reader.batch_count(options, epoch) == count


def test_languages_follow_one_another_in_proportion(place: Path) -> None:
    with Reader.open(place) as reader:
        for _, batches, marked in plans(reader, OPTIONS, 0):
            held = np.bincount(marked, weights=[len(batch) for batch in batches], minlength=2)
            assert abs(held[0] - held[1]) <= 1
            # Full batches first, mixed; what is smaller comes at the end.
            sizes = [len(batch) for batch in batches]
            small = [number for number, length in enumerate(sizes) if length < 16]
            assert small == list(range(len(sizes) - len(small), len(sizes)))


def test_epochs_and_seeds_differ_and_repeat(place: Path) -> None:
    with Reader.open(place) as reader:
        orders = {
            (seed, epoch): np.concatenate(
                [
                    np.concatenate(batches)
                    for _, batches, _ in plans(
                        reader, PlanOptions(seed=seed, batch_size=16, window=256), epoch
                    )
                ]
            ).tobytes()
            for seed in (1, 2)
            for epoch in (0, 1)
        }
        assert len(set(orders.values())) == 4


def test_batches_below_the_smallest_are_left_out(place: Path) -> None:
    options = PlanOptions(seed=3, batch_size=8, window=1_001)
    expected = replace(options, smallest=5)
    with Reader.open(place) as reader:
        sizes, kept = (
            [len(batch) for _, batches, _ in plans(reader, one, 0) for batch in batches]
            for one in (options, expected)
        )
        assert reader.batch_count(expected, 0) == len(kept)
    assert min(sizes) < 5
    assert kept == [size for size in sizes if size >= 5]


def test_a_selection_is_said_in_words() -> None:
    select = Select(languages=("go", "php"), splits=("test",), min_quality=7)
    assert select.describe() == "split test, language go or php, quality of at least 7"
    assert (
        Select(license_classes=("permissive",)).describe()
        == "split train, licence class permissive"
    )


def test_a_state_is_found_without_its_window(place: Path) -> None:
    with Reader.open(place) as reader:
        total = reader.batch_count(OPTIONS, 3)
        states = [reader.state(OPTIONS, 3, batch) for batch in range(total)]
    for state in states[:: total // 20]:
        with Reader.open(place) as reader:
            assert reader.state(OPTIONS, 3, state.batch) == state
            assert State.from_dict(state.as_dict()) == state
    with pytest.raises(Exception, match=f"has {total} batches"), Reader.open(place) as reader:
        reader.state(OPTIONS, 3, total + 1)


@pytest.mark.parametrize(
    "words", [{"batch_size": 0}, {"window": 4}, {"token_budget": 0}, {"run": 0}, {"pool": -1}]
)
def test_options_that_make_no_plan(words: dict[str, int]) -> None:
    with pytest.raises(PlanError, match="should be 1 or more|raise it"):
        PlanOptions(**{"seed": 0, "batch_size": 8, **words})
