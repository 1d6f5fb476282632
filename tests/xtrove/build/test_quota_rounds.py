"""Pairing up in rounds: what new slices add is what one pairing of everything would have found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dedupe.lsh_bands import BAND_ROW
from xtrove.runtime.workspace import Workspace
from xtrove.stages import bands
from xtrove.stages.run_files import RUN_ITEM, load, save

SLICES = 5
PARTS = 3


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Runs of 200 items with 4 band keys each, out of few enough keys and names to meet often."""
    made = Workspace(work=tmp_path / "work", output=tmp_path / "output")
    dice = np.random.default_rng(11)
    keys = dice.integers(0, 2**64, size=600, dtype=np.uint64)
    for number in range(SLICES):
        rows = np.empty(800, dtype=BAND_ROW)
        rows["key"] = dice.choice(keys, 800)
        rows["item"] = np.repeat(np.arange(200), 4)
        rows["exact"] = np.repeat(dice.integers(0, 900, size=200, dtype=np.uint64), 4)
        folder = made.folder("extract", f"slice-{number}")
        folder.mkdir(parents=True)
        save(folder / "bands.npy", rows[np.argsort(rows["key"], kind="stable")])
        items = np.zeros(200, dtype=RUN_ITEM)
        items["name"] = dice.integers(0, 4, size=200)
        save(folder / "items.npy", items)
    for count in range(SLICES + 1):
        names = [[f"slice-{number}", "source"] for number in range(count)]
        made.write_json(made.plan_path(f"runs-{count}.json"), names)
    return made


def pairs(workspace: Workspace, count: int, first: int) -> set[tuple[int, int]]:
    """What the stage finds over the first `count` slices, of later items from `first` on."""
    result: set[tuple[int, int]] = set()
    for part in range(PARTS):
        key = f"{count}-{first}-{part}"
        spec = {"runs": f"runs-{count}.json", "first": first, "part": part, "parts": PARTS}
        facts = bands.run(workspace, key, spec)
        table = load(workspace.folder("bands", key) / "pairs.npy")
        assert facts["pairs"] == len(table)
        result |= set(table.tolist())
    return result


@pytest.mark.parametrize("ends", [(5,), (1, 5), (2, 3, 5), (1, 2, 3, 4, 5), (4, 4, 5)])
def test_rounds_add_up_to_one_pairing(workspace: Workspace, ends: tuple[int, ...]) -> None:
    whole = pairs(workspace, SLICES, 0)
    first, added = 0, set[tuple[int, int]]()
    for end in ends:
        new = pairs(workspace, end, first)
        assert all(first <= later >> 32 < end and earlier < later for later, earlier in new)
        assert not new & added
        added |= new
        first = end
    assert added == whole
    assert len(whole) > 1000
