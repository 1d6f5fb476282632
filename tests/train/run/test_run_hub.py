"""A run on a dataset of the Hub goes on with the commit it began with, whatever is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub.running import running_hub
from tests.shards.builder import published
from tests.train.runs import config, dataset
from train.config import CacheSection

REPO = "owner/name"
SCRIPT = """
import json
from pathlib import Path
from tests.hub.store import Store
from tests.shards.builder import published
from train.config import TrainConfig
from xtrove.core.errors import Interrupted
from train.run.loop import train
from tests.train.runs import read_log

def losses(chosen):
    rows = read_log(Path(chosen.output) / "trainer_state" / "log.jsonl")
    return [row["loss_hex"] for row in rows if row["event"] == "step"]

whole, cut = (TrainConfig.model_validate_json(Path(one).read_text()) for one in sys.argv[1:3])
train(whole)
looked = iter([False, False, True])
try:
    train(cut, interrupted=lambda: next(looked))
except Interrupted:
    pass
answer = [len(losses(cut))]
Store(Path(sys.argv[3])).commit("owner/name", published(Path(sys.argv[4])))
train(cut, resume=True)
answer += [losses(whole), losses(cut)]
"""


@pytest.mark.slow
def test_a_branch_that_moves_between_stop_and_resume(tmp_path: Path) -> None:
    first = dataset(tmp_path / "first", python=40, go=0)
    second = dataset(tmp_path / "second", python=60, go=0)
    with running_hub(tmp_path / "hub") as hub:
        hub.store.commit(REPO, published(first))
        arguments = []
        for name in ("whole", "cut"):
            chosen = config(tmp_path, tmp_path / name, steps=5)
            cache = CacheSection(folder=str(tmp_path / "cache"))
            section = chosen.data.model_copy(
                update={"path": f"hf://datasets/{REPO}", "cache": cache}
            )
            chosen = chosen.model_copy(update={"data": section})
            arguments.append(tmp_path / f"{name}.json")
            arguments[-1].write_text(chosen.model_dump_json(), encoding="utf-8")
        stopped, whole, cut = hub.client(
            SCRIPT, *map(str, arguments), str(tmp_path / "hub/root"), str(second)
        )
    assert stopped == 3
    assert len(whole) == 5
    assert cut == whole
