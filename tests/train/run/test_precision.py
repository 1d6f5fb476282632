"""bf16 and compiled models on a CPU: the same run, nearly the same losses, the same checkpoints."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import pytest
import torch

from tests.train.runs import config, dataset, steps
from train.checkpoint.save_load import load_model
from train.config import TrainConfig
from train.device import measured_peak
from train.run.loop import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of all tests here."""
    return dataset(tmp_path_factory.mktemp("data"), python=40, go=0)


def _found(chosen: TrainConfig) -> tuple[list[float], list[float]]:
    """Losses, and norms of the gradients."""
    train(chosen)
    rows = steps(Path(chosen.output))
    return [float.fromhex(row["loss_hex"]) for row in rows], [row["gradient_norm"] for row in rows]


@pytest.fixture(scope="module")
def plain(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[float], list[float]]:
    """Losses and norms of fp32."""
    return _found(config(data, tmp_path_factory.mktemp("plain") / "run", steps=3))


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [4096, 128])
def test_bf16_is_near_fp32(
    data: Path, tmp_path: Path, plain: tuple[list[float], list[float]], tokens: int
) -> None:
    chosen = config(
        data, tmp_path / "run", steps=3, precision="bf16", batch={"mini_batch_tokens": tokens}
    )
    losses, norms = _found(chosen)
    # AdamW's first steps are nearly the signs of the gradients: later losses part.
    assert losses[0] == pytest.approx(plain[0][0], rel=1e-3)
    assert norms[0] == pytest.approx(plain[1][0], rel=1e-3)
    assert losses[0] != plain[0][0]
    assert losses == pytest.approx(plain[0], rel=0.2)
    model = load_model(tmp_path / "run")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.slow
def test_a_compiled_model_learns_and_is_saved_as_a_plain_one(
    data: Path,
    tmp_path: Path,
    plain: tuple[list[float], list[float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The code of the kernels is left out (a minute of a C++ compiler): the graphs are made.
    eager = functools.partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", eager)
    chosen = config(data, tmp_path / "run", steps=2, compile=True, batch={"lengths": "few"})
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    assert _found(chosen)[0] == pytest.approx(plain[0][:2], rel=1e-3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    names = dict(load_model(tmp_path / "run").named_parameters())
    assert not [name for name in names if "_orig_mod" in name]


def test_a_peak_is_measured_where_no_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0.0, 10.0)
    monkeypatch.setattr("train.device.time.perf_counter", lambda: next(ticks))
    # One product in the 10 s that pass from clock to clock.
    assert measured_peak(torch.device("cpu"), "fp32", size=64) == 2 * 64**3 / 10
