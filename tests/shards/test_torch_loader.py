"""The loader behind torch: order, prefetching and the place that survives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shards.reader import Batch, PlanOptions, Reader, StateError
from shards.torch_loader import Feed, Loader
from tests.shards.builder import build

pytest.importorskip("torch")
OPTIONS = PlanOptions(seed=3, batch_size=4, window=32, run=4, pool=16)


def ids(batch: Batch) -> tuple[int, list[str]]:
    """A transform that a spawned process can import."""
    return batch.number, [str(one["id"]) for one in batch.samples]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    return build(tmp_path_factory.mktemp("loader")).path


@pytest.fixture(scope="module")
def epochs(place: Path) -> list[list[tuple[int, list[str]]]]:
    """Two epochs, read without processes."""
    with Reader.open(place) as reader:
        starts = [reader.state(OPTIONS, epoch, 0) for epoch in (0, 1)]
        return [[ids(batch) for batch in reader.batches(OPTIONS, start=one)] for one in starts]


@pytest.mark.parametrize(("workers", "context"), [(0, None), (1, "fork"), (2, "spawn")])
def test_order_and_epochs(
    place: Path, epochs: list[list[tuple[int, list[str]]]], workers: int, context: str | None
) -> None:
    loader = Loader(
        Feed(place=place, options=OPTIONS, transform=ids), workers=workers, context=context
    )
    assert list(loader) == epochs[0]
    assert (loader.state.epoch, loader.state.batch) == (1, 0)
    if context != "spawn":
        assert list(loader) == epochs[1]


def test_resume_with_batches_in_flight(
    place: Path, epochs: list[list[tuple[int, list[str]]]]
) -> None:
    feed = Feed(place=place, options=OPTIONS, transform=ids)
    for stop in (1, 5, len(epochs[0])):
        loader = Loader(feed, workers=2, context="fork", prefetch=3)
        got = []
        for value in loader:
            got.append(value)
            if len(got) == stop:
                break
        kept = json.loads(json.dumps(loader.state_dict()))
        again = Loader(feed, workers=1, context="fork")
        again.load_state_dict(kept)
        assert got + list(again) == epochs[0]
        assert again.state.epoch == 1


def test_the_trainers_generator_is_left_alone(place: Path) -> None:
    import torch

    before = torch.get_rng_state()
    list(Loader(Feed(place=place, options=OPTIONS, transform=ids), workers=1, context="fork"))
    assert torch.equal(before, torch.get_rng_state())


def test_a_state_of_another_run_is_refused(place: Path) -> None:
    loader = Loader(Feed(place=place, options=OPTIONS, transform=ids))
    state = loader.state_dict() | {"dataset": "0" * 64}
    with pytest.raises(StateError, match="another dataset"):
        loader.load_state_dict(state)
    with pytest.raises(StateError, match="missing"):
        loader.load_state_dict({})
