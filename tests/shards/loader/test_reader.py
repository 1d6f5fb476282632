"""The reader: each sample once, resume anywhere, what a batch may hold, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shards.loader.reader import PlanOptions, Reader, Select, State, StateError
from tests.shards.builder import Built, build

OPTIONS = PlanOptions(seed=7, batch_size=8, window=32, run=4, pool=16)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A small dataset."""
    return build(tmp_path_factory.mktemp("reader"))


def test_random_access_and_order(built: Built) -> None:
    with Reader.open(built.path, select=Select(splits=("train", "validation", "test"))) as reader:
        samples = list(reader.iterate())
        assert sorted(str(sample["id"]) for sample in samples) == built.ids
        assert reader.sample(3) == samples[3]
        assert reader.samples([5, 1]) == [samples[5], samples[1]]
        with pytest.raises(IndexError, match="outside"):
            reader.sample(len(reader))


def test_each_sample_once_over_ranks(built: Built) -> None:
    with Reader.open(built.path) as reader:
        seen = [
            position
            for rank in range(3)
            for batch in reader.batches(OPTIONS, rank=rank, world=3)
            for position in batch.positions.tolist()
        ]
        assert sorted(seen) == list(range(len(reader)))


def test_resume_anywhere_equals_never_stopping(built: Built) -> None:
    with Reader.open(built.path) as reader:
        whole = list(reader.batches(OPTIONS))
        assert [batch.number for batch in whole] == list(range(reader.batch_count(OPTIONS, 0)))
    for number in range(len(whole) + 1):
        with Reader.open(built.path) as reader:
            state = json.loads(json.dumps(reader.state(OPTIONS, 0, number).as_dict()))
        with Reader.open(built.path) as reader:
            rest = list(reader.batches(OPTIONS, start=State.from_dict(state)))
            assert rest == whole[number:]


def test_a_spread_asks_for_the_shards_that_come_first_only(built: Built) -> None:
    with Reader.open(built.path) as reader:
        first = {
            position
            for batch in reader.batches(OPTIONS)
            if batch.window == 0
            for position in batch.positions.tolist()
        }
        some = reader.spread(OPTIONS, 5).tolist()
        assert len(set(some)) == 5 and set(some) < first
        assert set(reader.spread(OPTIONS, 10_000).tolist()) == first


def test_a_state_of_something_else_is_refused(built: Built, tmp_path: Path) -> None:
    with Reader.open(built.path) as reader:
        state = reader.state(OPTIONS, 0, 1)
        with pytest.raises(StateError, match="seed"):
            next(reader.batches(PlanOptions(seed=8, batch_size=8), start=state))
        with pytest.raises(StateError, match="options"):
            next(reader.batches(PlanOptions(seed=7, batch_size=9), start=state))
    with (
        Reader.open(built.path, select=Select(languages=("go",))) as reader,
        pytest.raises(StateError, match="selection"),
    ):
        next(reader.batches(OPTIONS, start=state))
