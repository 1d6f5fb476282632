"""Checkpoints: bit by bit, whole or not at all, few, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from train.errors import TrainingFault
from train.json_files import read_json
from train.run.state import (
    RunState,
    check_same_run,
    checkpoints,
    load_checkpoint,
    publish,
    read_run_state,
    save_checkpoint,
    step_seed,
)
from xtrove.core.errors import Misuse

Parts = tuple[dict[str, torch.nn.Parameter], torch.optim.Optimizer]


def _parts(seed: int) -> Parts:
    """Two parameters with moments behind three steps; the second has never had a gradient."""
    generator = torch.Generator().manual_seed(seed)
    named = {
        "weight": torch.nn.Parameter(torch.randn(3, 4, generator=generator)),
        "idle": torch.nn.Parameter(torch.randn(2, generator=generator)),
    }
    optimizer = torch.optim.AdamW(named.values(), lr=0.1)
    for _ in range(3):
        named["weight"].grad = torch.randn(3, 4, generator=generator)
        optimizer.step()
    return named, optimizer


def test_a_checkpoint_goes_on_bit_by_bit(tmp_path: Path) -> None:
    named, optimizer = _parts(1)
    place = RunState(step=7, reader={"batch": 3}, best_value=0.1 + 0.2, metrics={"MRR": 1 / 3})
    saved = save_checkpoint(tmp_path, place, named, optimizer, keep=2)
    assert saved.name == "step-00000007"
    assert read_run_state(saved) == place
    others, fresh = _parts(2)
    load_checkpoint(saved, others, fresh)
    gradient = torch.full((3, 4), 0.5)
    for parameters, steps in ((named, optimizer), (others, fresh)):
        parameters["weight"].grad = gradient.clone()
        steps.step()
    assert torch.equal(named["weight"], others["weight"])
    assert torch.equal(named["idle"], others["idle"])


def test_only_the_last_stay_and_halves_do_not_count(tmp_path: Path) -> None:
    named, optimizer = _parts(1)
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, RunState(step=step, reader={}), named, optimizer, keep=2)
    (tmp_path / ".step-00000011.abc").mkdir()
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000002", "step-00000010"]
    files = {path.suffix for path in checkpoints(tmp_path)[0].iterdir()}
    assert files == {".safetensors", ".json"}


def test_damage_and_another_model_are_named(tmp_path: Path) -> None:
    named, optimizer = _parts(1)
    saved = save_checkpoint(tmp_path, RunState(step=1, reader={}), named, optimizer, keep=2)
    with pytest.raises(TrainingFault, match="other parameters than this model's.*idle"):
        load_checkpoint(saved, {"weight": named["weight"]}, optimizer)
    odd = {**named, "weight": torch.nn.Parameter(torch.zeros(3, 5))}
    with pytest.raises(TrainingFault, match=r"weight has the shape \(3, 4\)"):
        load_checkpoint(saved, odd, optimizer)
    weights = saved / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(TrainingFault, match="weights.safetensors: cannot be read"):
        load_checkpoint(saved, named, optimizer)
    (saved / "state.json").write_text('{"format": 1, "step": 1, "evil": 2}')
    with pytest.raises(TrainingFault, match="evil"):
        read_run_state(saved)
    (saved / "state.json").write_text("[1]")
    with pytest.raises(TrainingFault, match="holds list"):
        read_json(saved / "state.json")


def test_a_model_is_published_around_the_trainer_state(tmp_path: Path) -> None:
    model, output = tmp_path / "model", tmp_path / "out"
    (model / "1_Dense").mkdir(parents=True)
    (output / "trainer_state").mkdir(parents=True)
    for name in ("modules.json", "model.safetensors", "1_Dense/config.json"):
        (model / name).write_text(name)
    (output / "modules.json").write_text("old")
    publish(model, output)
    result = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
    assert result == ["1_Dense/config.json", "model.safetensors", "modules.json"]
    assert (output / "modules.json").read_text() == "modules.json"


def test_another_config_or_dataset_is_named() -> None:
    run = {"decisive": {"seed": 1, "optimizer": {"lr": 0.1}}, "dataset": "aa"}
    check_same_run(run, {"seed": 1, "optimizer": {"lr": 0.1}}, "aa")
    with pytest.raises(Misuse, match=r"optimizer.lr: 0.1 -> 0.2\n  dataset: aa -> bb"):
        check_same_run(run, {"seed": 1, "optimizer": {"lr": 0.2}}, "bb")


def test_every_step_and_rank_has_generators_of_its_own() -> None:
    seeds = {
        step_seed(seed, step, rank) for seed in (0, 1) for step in range(50) for rank in (0, 1)
    }
    assert len(seeds) == 200
    assert all(0 <= seed < 1 << 63 for seed in seeds)
