"""A run on disk: what it needs to go on, in safetensors and JSON; nothing is pickled.

    OUTPUT/                     the finished model, in the PyLate layout
    OUTPUT/trainer_state/
      run.json                  config, dataset, software: what the run is
      start/                    the encoder before the first step (PyLate layout)
      trained_on.arrow          digests of the functions and repositories
      checkpoints/step-00000500/  weights.safetensors (trained parameters, fp32),
                                optimizer.safetensors (AdamW's moments by parameter), state.json
      best/                     the best model so far, in the PyLate layout
      last/                     the model after the last step, where another one is the best
      log.jsonl, tensorboard/

A checkpoint is written under a temporary name, fsynced, then renamed; the oldest go when there are
more than `keep`. The generators are not stored: before every step they are seeded with a hash of
(seed, step, rank), and the order of the data is a pure function of (dataset, seed, epoch, batch):
a step depends on nothing but the checkpoint before it. Cost: 12 bytes a trained parameter.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from train.errors import TrainingFault
from train.json_files import read_json
from xtrove.core import Misuse, new_folder, staged, write_json

FORMAT: Final = 1
FOLDER: Final = "trainer_state"
_NAME: Final = re.compile(r"step-([0-9]{8})")
_MOMENTS: Final = ("exp_avg", "exp_avg_sq", "step")

Parameters = Mapping[str, torch.nn.Parameter]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """Where a run stands: JSON types only."""

    step: int
    """Steps that are done."""
    reader: Mapping[str, Any]
    """`shards.loader.reader.State` of the next batch."""
    best_value: float | None = None
    best_of: str = ""
    """Metric and bounds of the validation that `best_value` comes from."""
    best_step: int | None = None
    metrics: Mapping[str, float] | None = None
    """Of the last validation."""
    pairs: int = 0
    """Pairs seen so far."""
    best_metrics: Mapping[str, float] | None = None
    start_metrics: Mapping[str, float] | None = None
    """Before the first step; only with `validation.sets`."""
    empty_sum: float = 0.0
    """Shares of positives that retrieved nothing, summed over the steps since the validation."""
    empty_steps: int = 0


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of all generators before a step, 63 bits."""
    text = f"{seed}:{step}:{rank}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) >> 1


def save_checkpoint(
    folder: Path,
    run_state: RunState,
    parameters: Parameters,
    optimizer: torch.optim.Optimizer,
    *,
    keep: int,
) -> Path:
    """Writes `folder/step-N` whole and drops the oldest beyond `keep`."""
    from safetensors.torch import save_file

    final = folder / f"step-{run_state.step:08}"
    # The same step may be there: a resumed run comes by again.
    with new_folder(final, existing="replace") as temporary:
        weights = {name: _host(parameter) for name, parameter in parameters.items()}
        save_file(weights, temporary / "weights.safetensors")
        moments = {
            f"{name}|{field}": _host(optimizer.state[parameter][field])
            for name, parameter in parameters.items()
            for field in _MOMENTS
            if parameter in optimizer.state
        }
        save_file(moments, temporary / "optimizer.safetensors")
        facts = {"format": FORMAT, **{key: getattr(run_state, key) for key in RunState.__slots__}}
        write_json(temporary / "state.json", facts, durable=False)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def clear_halves(folder: Path) -> None:
    """Removes what a kill left half-written."""
    if folder.is_dir():
        for path in folder.glob(".step-*"):
            shutil.rmtree(path, ignore_errors=True)


def read_run_state(checkpoint: Path) -> RunState:
    """The state of a run at a checkpoint; `TrainingFault` where it cannot be read."""
    facts = read_json(checkpoint / "state.json")
    if facts.pop("format", None) != FORMAT:
        raise TrainingFault(f"{checkpoint}: is of another format", remedy="start a new run")
    try:
        return RunState(**facts)
    except TypeError as error:
        raise TrainingFault(f"{checkpoint}/state.json: {error}") from None


def load_checkpoint(
    checkpoint: Path, parameters: Parameters, optimizer: torch.optim.Optimizer
) -> None:
    """Puts weights and moments back, bit by bit; `TrainingFault` where they do not fit."""
    weights = _tensors(checkpoint / "weights.safetensors")
    if weights.keys() != parameters.keys():
        odd = sorted(weights.keys() ^ parameters.keys())[:3]
        raise TrainingFault(f"{checkpoint}: other parameters than this model's, e.g. {odd}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if weights[name].shape != parameter.shape:
                raise TrainingFault(
                    f"{checkpoint}: {name} has the shape {tuple(weights[name].shape)}, "
                    f"the model's {tuple(parameter.shape)}"
                )
            parameter.copy_(weights[name])
    moments = _tensors(checkpoint / "optimizer.safetensors")
    names = {id(parameter): name for name, parameter in parameters.items()}
    state: dict[int, dict[str, torch.Tensor]] = {}
    number = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            if f"{name}|exp_avg" in moments:
                state[number] = {field: moments[f"{name}|{field}"] for field in _MOMENTS}
            number += 1
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingFault(
            f"{path}: cannot be read: {error}",
            remedy="remove that checkpoint folder; --resume then takes the one before it",
        ) from None


def publish(model: Path, output: Path) -> None:
    """Puts a whole model folder's files into `output`, beside `trainer_state`.

    `modules.json`, without which nothing loads it, goes first and comes last: a half-copied
    model is none.
    """
    last = "modules.json"
    (output / last).unlink(missing_ok=True)
    files = [path for path in sorted(model.rglob("*")) if path.is_file()]
    for path in sorted(files, key=lambda file: file.name == last):
        target = output / path.relative_to(model)
        with (
            path.open("rb") as source,
            staged(output, str(path.relative_to(model)), target.parent) as sink,
        ):
            shutil.copyfileobj(source, sink)
            sink.commit()


def check_same_run(run: Mapping[str, Any], config: Mapping[str, Any], dataset: str) -> None:
    """`Misuse` where a folder holds a run of another config or dataset."""
    from train.config import differences

    changed = differences(dict(run.get("decisive", {})), dict(config))
    if run.get("dataset") != dataset:
        changed.append(f"dataset: {run.get('dataset')} -> {dataset}")
    if changed:
        shown = "\n".join(f"  {line}" for line in changed[:10])
        raise Misuse(
            f"the output folder holds a run of another config:\n{shown}",
            remedy="set output: to a new folder, or go back to the config of that run",
        )


def _host(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu").contiguous()
