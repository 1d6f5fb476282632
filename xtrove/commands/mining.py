"""`xtrove mine`: negatives found with a model, with progress."""

from __future__ import annotations

import time
from pathlib import Path

from train import choose_device
from train.checkpoint import load_model
from train.mining import MineOptions
from train.mining import mine as run
from train.model import fetch_model, model_digest
from xtrove.core import Misuse
from xtrove.terminal import Step, duration, out


def mine(
    dataset: str,
    model: Path,
    output: Path,
    *,
    per_query: int,
    candidates: int,
    ratio: float,
    languages: tuple[str, ...] | None,
    device: str,
) -> None:
    """Writes the negatives; exit 2 where `output` lies in the dataset or holds others."""
    inside = Path(dataset).resolve()
    if output.resolve().is_relative_to(inside):
        raise Misuse(
            f"--output {output} lies in the dataset {dataset}",
            remedy="name a folder beside it: a dataset is never changed",
        )
    began = time.monotonic()
    options = MineOptions(
        per_query=per_query, candidates=candidates, ratio=ratio, languages=languages
    )
    with Step("mining") as step:
        chosen_device = choose_device(device, "auto")
        step.say(f"device: {chosen_device.describe()}")
        encoder = load_model(model, chosen_device.torch)
        mined = run(
            dataset,
            encoder,
            output,
            options,
            model=model_digest(fetch_model(str(model))),
            autocast=chosen_device.autocast,
            progress=step.report,
        )
    out().print(
        f"{mined.negatives:,} negatives of {mined.queries:,} queries in {mined.parts} parts "
        f"({mined.reused} were there) in {duration(time.monotonic() - began)}: {output}",
    )
    out().print("To train with them: negatives: {path: " + str(output) + "}")
