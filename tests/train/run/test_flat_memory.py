"""The host memory of a run comes to rest over epochs, in the trainer and in its loader."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import psutil
import pytest

from tests.train.runs import TIMEOUT, child, config, dataset, finished, steps

EPOCHS = 24
MEBI = 1 << 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of all tests here."""
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.mark.slow
def test_memory_is_flat_over_epochs_in_trainer_and_loader(data: Path, tmp_path: Path) -> None:
    chosen = config(data, tmp_path / "run", steps=None, epochs=EPOCHS, loader={"workers": 1})
    process = child(chosen, tmp_path)
    loader: list[int] = []
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        loader.append(_held_by_children(process.pid))
        time.sleep(0.1)
    finished(process)
    rows = steps(tmp_path / "run")
    assert rows[-1]["epoch"] == EPOCHS - 1
    # Every new shape of a mini-batch leaves something in the caches of oneDNN and the C library,
    # until all shapes were seen (40 epochs: 592 MB, 639 after 8, 685 after 24, 702): growth dies
    # down, where that of something that is kept a step would go on as it began.
    tops = [
        max(row["peak_bytes"] for row in rows if row["epoch"] == epoch) for epoch in range(EPOCHS)
    ]
    part = EPOCHS // 3
    began, ends = tops[part - 1] - tops[0], tops[-1] - tops[-part]
    assert ends < max(0.7 * began, 16 * MEBI), [round(top / MEBI) for top in tops]
    seen = [held for held in loader if held]
    third = len(seen) // 3
    assert third > 5, "the loader was hardly seen"
    middle, last = median(seen[third : 2 * third]), median(seen[-third:])
    assert last - middle < 16 * MEBI, (middle, last)


def _held_by_children(pid: int) -> int:
    """What is theirs alone: a loader is a fork, and shares what its parent held."""
    try:
        children = psutil.Process(pid).children(recursive=True)
        return sum(child.memory_full_info().uss for child in children)
    except psutil.Error:
        return 0
