"""The memory of a run: flat over epochs, and what the formula states before the first step."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from tests.train.runs import TIMEOUT, child, config, dataset, finished, steps

EPOCHS = 12
MEBI = 1 << 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of all tests here."""
    return dataset(tmp_path_factory.mktemp("data"))


def test_memory_is_flat_over_epochs_in_trainer_and_loader(data: Path, tmp_path: Path) -> None:
    chosen = config(data, tmp_path / "run", steps=None, epochs=EPOCHS, loader={"workers": 1})
    process = child(chosen, tmp_path)
    loader: list[int] = []
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        loader.append(_held_by_children(process.pid))
        time.sleep(0.02)
    finished(process)
    rows = steps(tmp_path / "run")
    assert rows[-1]["epoch"] == EPOCHS - 1
    # The first epochs fill the allocators of C and torch.
    early = max(row["peak_bytes"] for row in rows if row["epoch"] in (2, 3))
    late = max(row["peak_bytes"] for row in rows if row["epoch"] >= EPOCHS - 2)
    assert late - early < 8 * MEBI, (early, late)
    seen = [held for held in loader if held]
    third = len(seen) // 3
    assert third > 5, "the loader was hardly seen"
    assert max(seen[-third:]) - max(seen[third : 2 * third]) < 8 * MEBI, seen[:: max(1, third // 5)]


def _held_by_children(pid: int) -> int:
    try:
        children = psutil.Process(pid).children(recursive=True)
        return sum(one.memory_info().rss for one in children)
    except psutil.Error:
        return 0
