"""Trains, validates, mines and searches on the CPU and on the second device.

`python -m tests.train.second_child FOLDER` writes FOLDER/found.json: for each device what came out.
"""

from __future__ import annotations  # noqa: I001

# The device comes before all that decorates with torch's modes.
from tests.train.second_device import COUNTS, PLACE, Mixed, TwoDevices

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from evaluate.corpora.corpus import Corpus, Document, Query
from evaluate.retrieval.factory import make_searcher
from evaluate.retrieval.context import SearcherOptions
from evaluate.measure.validation import validation_measure
from tests.train.runs import config, dataset, losses, steps
from train.checkpoint.save_load import load_model
from train.config import TrainConfig
from train.run.loop import train
from train.mining.miner import MineOptions, mine
from train.model.files import model_digest
from train.data.dataset import open_reader
from xtrove.core.errors import Interrupted

CASES = {
    "xtr": {"objective": {"kind": "xtr"}, "batch": {"mini_batch_tokens": 4096}},
    "mix cached": {"objective": {"kind": "mix"}, "batch": {"mini_batch_tokens": 128}},
}
QUESTIONS = ["the header of a socket", "number 7"]
OPTIONS = MineOptions(per_query=2, candidates=20, ratio=0.95)


def main() -> None:
    root = Path(sys.argv[1])
    data = dataset(root, python=40, go=0)
    result: dict[str, dict[str, Any]] = {"cpu": {}, "second": {}}
    for place in result:
        with TwoDevices() if place == "second" else contextlib.nullcontext():
            for name, changes in CASES.items():
                chosen = _config(data, root / f"{place} {name}", place, changes)
                COUNTS.clear()
                train(chosen, validate=_measure)
                output = Path(chosen.output)
                result[place][name] = {
                    "losses": losses(output),
                    "norms": [row["gradient_norm"] for row in steps(output)],
                    "waits": COUNTS["waits"],
                }
            result[place]["resumed"] = _resumed(data, root, place)
            # One model for both, so that their results are the same.
            result[place] |= _used(data, root / "cpu xtr", root / f"mined {place}", place)
    result["second"]["mixed"] = _mixed()
    (root / "found.json").write_text(json.dumps(result), encoding="utf-8")


def _config(data: Path, output: Path, place: str, changes: dict[str, Any]) -> TrainConfig:
    chosen = config(data, output, steps=6, validation={"every": 3}, **changes)
    # The pattern of the key does not know the device that only tests have.
    return chosen.model_copy(update={"device": place})


def _measure(chosen: TrainConfig) -> Any:
    with open_reader(chosen, "train") as reader:
        return validation_measure(reader, queries=10, documents=20)


def _resumed(data: Path, root: Path, place: str) -> list[str]:
    chosen = _config(data, root / f"{place} resumed", place, CASES["mix cached"])
    looked = iter([False, False, False, True])
    with contextlib.suppress(Interrupted):
        train(chosen, validate=_measure, interrupted=lambda: next(looked, False))
    assert len(steps(Path(chosen.output))) < chosen.steps
    train(chosen, validate=_measure, resume=True)
    return losses(Path(chosen.output))


def _used(data: Path, model: Path, output: Path, place: str) -> dict[str, Any]:
    encoder = load_model(model, place)
    assert encoder.device.type == place
    texts = [f"def number_{n}(socket): return {n} + socket.header" for n in range(30)]
    mine(str(data), encoder, output, OPTIONS, model=model_digest(model))
    rows = [
        row
        for file in sorted((output / "negatives").glob("part-*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]
    corpus = Corpus(
        name="numbers",
        documents=[_document(n, text) for n, text in enumerate(texts)],
        queries=[Query(id="q", text="number of the header", relevant={"3": 1})],
    )
    ranked: dict[str, Any] = {}
    for mode in ("maxsim", "xtr", "dense"):
        options = SearcherOptions(device=place, cache=output / "indexes")
        hits = make_searcher(mode, str(model), corpus, options).search(QUESTIONS, 10)
        ranked[mode] = [hits.ids.tolist(), np.round(hits.scores, 4).tolist()]
    return {
        "vectors": np.round(encoder.encode(texts, "document").values, 5).tolist(),
        "mined": [[row["id"], row["negatives"]] for row in rows],
        "ranked": ranked,
    }


def _document(number: int, text: str) -> Document:
    where = {"path": f"{number}.py", "start_line": 1, "end_line": 1, "language": "python"}
    return Document(id=str(number), text=text, name=f"number_{number}", **where)


def _mixed() -> str:
    import torch

    with TwoDevices():
        try:
            return str(torch.ones(3, device=PLACE) + torch.ones(3))
        except Mixed as error:
            return str(error)


if __name__ == "__main__":
    main()
