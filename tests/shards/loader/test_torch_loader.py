"""The loader behind torch: order, prefetching and the place that survives it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shards.loader.reader import Batch, PlanOptions, Reader, StateError
from shards.loader.torch_loader import Feed, Loader
from tests.shards.builder import build

pytest.importorskip("torch")
OPTIONS = PlanOptions(seed=3, batch_size=4, window=32, run=4, pool=16)


def ids(batch: Batch) -> tuple[int, list[str]]:
    """A transform that a spawned process can import."""
    return batch.number, [str(sample["id"]) for sample in batch.samples]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    return build(tmp_path_factory.mktemp("loader")).path


@pytest.fixture(scope="module")
def epochs(place: Path) -> list[list[tuple[int, list[str]]]]:
    """Two epochs, read without processes."""
    with Reader.open(place) as reader:
        starts = [reader.state(OPTIONS, epoch, 0) for epoch in (0, 1)]
        return [[ids(batch) for batch in reader.batches(OPTIONS, start=start)] for start in starts]


@pytest.mark.slow
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


@pytest.mark.slow
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


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from shards.loader.reader import PlanOptions
from shards.loader.torch_loader import Feed, Loader, itself
options = PlanOptions(seed=3, batch_size=4, window=32, run=4, pool=16)
loader = Loader(Feed(place=sys.argv[1], options=options, transform=itself))
sys.stdout.write(str(sum(len(batch.samples) for batch in loader)))
assert not [name for name in sys.modules if name.startswith(("torch.", "transformers"))]
"""


@pytest.mark.slow
def test_without_torch_and_without_processes(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(place)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    with Reader.open(place) as reader:
        assert int(done.stdout) == len(reader)


class Failing:
    """A transform that fails at one batch."""

    def __call__(self, batch: Batch) -> int:
        """The number, or an error at 3."""
        if batch.number == 3:
            raise ValueError("batch 3 is bad")
        return batch.number


def test_an_error_in_a_process_arrives_and_the_place_is_kept(place: Path) -> None:
    feed = Feed(place=place, options=OPTIONS, transform=Failing())
    loader = Loader(feed, workers=2, context="fork")
    got = []
    with pytest.raises(ValueError, match="batch 3 is bad"):
        got.extend(loader)
    assert loader.state.batch == 3
