"""Whole runs in this process: what they leave, what they refuse, how they end before the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.runs import child, config, dataset, losses, read_log, steps
from train import device as devices
from train.checkpoint.save_load import load_model
from train.checkpoint.training_digests import trained_on
from train.config import TrainConfig
from train.data.dataset import open_reader
from train.errors import TrainingFault
from train.model.encoder import Encoder
from train.objectives.loss import Loss
from train.run.log import SilentWatch
from train.run.loop import train
from train.run.run_folder import RUNNING, RunFolder, lock_run_folder, write_run_start
from train.run.setup import new_encoder
from xtrove.core.errors import Interrupted, Misuse


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of all tests here."""
    return dataset(tmp_path_factory.mktemp("data"))


class _Measure:
    """Says these values of MRR, one after the other, and keeps what it was asked about."""

    def __init__(self, *values: float) -> None:
        self._values: Iterator[float] = iter(values)
        self.seen: list[torch.Tensor] = []

    def __call__(self, config: TrainConfig) -> _Measure:
        return self

    def measure(self, encoder: Encoder) -> Mapping[str, float]:
        self.seen.append(encoder.projection.weight.detach().clone())
        return {"P@1": 0.0, "MRR": next(self._values)}


@pytest.mark.slow
def test_a_run_leaves_the_best_model_in_the_folder(data: Path, tmp_path: Path) -> None:
    asked = _Measure(0.2, 0.5, 0.4)
    chosen = config(data, tmp_path / "run", validation={"every": 4}, logging={"tensorboard": True})
    trained = train(chosen, validate=lambda config: asked.measure)
    assert (trained.best_step, trained.steps) == (8, 12)
    assert trained.metrics["MRR"] == 0.5
    assert 0 <= trained.metrics["empty_positives"] < 1
    model = load_model(tmp_path / "run")
    assert torch.equal(model.projection.weight, asked.seen[1])
    facts = json.loads((tmp_path / "run" / "xtrove_training.json").read_text())
    assert facts["metrics"]["MRR"] == 0.5
    assert facts["progress"] == {
        "pairs": sum(r["pairs"] for r in steps(trained.output)[:8]),
        "step": 8,
    }
    assert str(data) not in json.dumps(facts)
    seen = trained_on(tmp_path / "run")
    assert seen is not None
    assert len(seen.code) == facts["data"]["samples"]
    rows = read_log(tmp_path / "run" / "trainer_state" / "log.jsonl")
    assert [row["MRR"] for row in rows if row["event"] == "validation"] == [0.2, 0.5, 0.4]
    assert list((tmp_path / "run" / "trainer_state" / "tensorboard").glob("events*"))
    assert not [
        path for path in (tmp_path / "run").rglob("*") if path.suffix in (".pt", ".pkl", ".bin")
    ]


@pytest.mark.slow
def test_pairs_are_learned(data: Path, tmp_path: Path) -> None:
    chosen = config(
        data,
        tmp_path / "run",
        steps=150,
        batch={"size": 16, "mini_batch_tokens": 1024},
        objective={"kind": "mix", "k_train": 128},
        checkpoints={"every": 1000},
    )
    train(chosen)
    values = [row["loss"] for row in steps(tmp_path / "run") if row["pairs"] == 16]
    assert sum(values[-10:]) < 0.6 * sum(values[:10])


@pytest.mark.slow
def test_gradients_in_mini_batches_are_those_of_the_whole(data: Path, tmp_path: Path) -> None:
    for name, tokens in (("whole", 4096), ("parts", 64)):
        train(config(data, tmp_path / name, steps=4, batch={"mini_batch_tokens": tokens}))
    whole, parts = steps(tmp_path / "whole"), steps(tmp_path / "parts")
    assert whole[0]["loss"] == pytest.approx(parts[0]["loss"], abs=1e-5)
    assert whole[0]["gradient_norm"] == pytest.approx(parts[0]["gradient_norm"], rel=1e-5)
    for one, two in zip(whole, parts, strict=True):
        # AdamW's first steps make a full step of a gradient that is rounding alone.
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-3)


@pytest.mark.slow
def test_an_output_of_something_else_is_refused(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    with pytest.raises(Misuse, match="holds no run"):
        train(config(data, output), resume=True)
    train(config(data, output, steps=2))
    with pytest.raises(Misuse, match="2 steps done"):
        train(config(data, output, steps=2))
    with pytest.raises(Misuse, match="steps: 2 -> 3"):
        train(config(data, output, steps=3), resume=True)
    before = losses(output)
    assert train(config(data, output, steps=2), resume=True).loss is None
    assert losses(output) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(Misuse, match=r"is not empty \(thesis.txt\)"):
        train(config(data, tmp_path / "full"))


def test_a_run_without_a_checkpoint_is_begun_anew(data: Path, tmp_path: Path) -> None:
    def stopped(steps: int) -> None:
        chosen = config(data, tmp_path / "run", steps=steps)
        write_run_start(output, chosen, reader, new_encoder(chosen, reader))

    output = RunFolder(root=tmp_path / "run")
    with open_reader(config(data, tmp_path / "run"), "train") as reader, lock_run_folder(output):
        stopped(9)
    assert output.run_file.exists()
    # What a fault before the first step tells to change is changed, and the run begins.
    train(config(data, tmp_path / "run", steps=2))
    assert len(losses(tmp_path / "run")) == 2


@pytest.mark.slow
def test_two_processes_do_not_train_in_one_folder(data: Path, tmp_path: Path) -> None:
    chosen = config(data, tmp_path / "run", steps=2_000)
    with child(chosen, tmp_path) as first:
        running = tmp_path / "run" / RUNNING
        deadline = time.monotonic() + 60
        while not (running.exists() and RunFolder(root=running.parent).run_file.exists()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for resume in (False, True):
            with pytest.raises(Misuse, match="another process trains in"):
                train(chosen, resume=resume)
        first.kill()
        first.communicate()
    # The lock went with its process.
    train(config(data, tmp_path / "other", steps=2))
    with lock_run_folder(RunFolder(root=tmp_path / "run")):
        assert running.exists()
    assert not running.exists()


@pytest.mark.slow
def test_the_best_by_another_measure_counts_no_more(data: Path, tmp_path: Path) -> None:
    heard: list[str] = []

    class Heard(SilentWatch):
        def say(self, message: str) -> None:
            heard.append(message)

    first, second = _Measure(0.9, 0.8), _Measure(0.3, 0.2)
    chosen = config(data, tmp_path / "run", validation={"every": 4})
    calls = iter(range(100))
    with pytest.raises(Interrupted):
        train(
            chosen,
            validate=lambda config: first.measure,
            interrupted=lambda: next(calls) == 8,
        )
    chosen = config(data, tmp_path / "run", validation={"every": 4, "pool": 50, "queries": 20})
    done = train(chosen, validate=lambda config: second.measure, resume=True, watch=Heard())
    assert any("it counts no more" in line for line in heard)
    assert (done.best_step, done.metrics["MRR"]) == (12, 0.3)


@pytest.mark.slow
def test_a_run_that_harms_other_questions_leaves_its_start(data: Path, tmp_path: Path) -> None:
    heard: list[str] = []

    class Heard(SilentWatch):
        def say(self, message: str) -> None:
            heard.append(message)

    # Docstrings gain, commits lose more: the mean falls from 0.5 to 0.45 and 0.4.
    rows = [(0.6, 0.4, 0.5), (0.7, 0.2, 0.45), (0.8, 0.0, 0.4)]
    values = iter(rows)

    def measure(encoder: Encoder) -> Mapping[str, float]:
        docstrings, commits, mean = next(values)
        return {"P@1": 0.0, "MRR": docstrings, "commits MRR": commits, "mean MRR": mean}

    sets = [{"name": "commits", "kind": "pools", "path": "somewhere"}]
    chosen = config(data, tmp_path / "run", steps=8, validation={"every": 4, "sets": sets})
    calls = iter(range(100))
    with pytest.raises(Interrupted):
        train(
            chosen,
            validate=lambda config: measure,
            interrupted=lambda: next(calls) == 5,
            watch=Heard(),
        )
    # Gone on with: the start is not measured again, and still compared with.
    trained = train(chosen, validate=lambda config: measure, resume=True, watch=Heard())
    assert (trained.best_step, trained.metrics["mean MRR"]) == (0, 0.5)
    fallen = [line for line in heard if line.startswith("WORSE")]
    assert fallen == [
        "WORSE than the start: commits MRR -0.2000, mean MRR -0.0500",
        "WORSE than the start: commits MRR -0.4000, mean MRR -0.1000",
    ]
    output = RunFolder(root=tmp_path / "run")
    weights = [load_model(folder).projection.weight for folder in (output.root, output.start)]
    assert torch.equal(*weights)
    assert not torch.equal(load_model(output.last_model).projection.weight, weights[0])
    log = read_log(output.state / "log.jsonl")
    measured = [(row["step"], row["commits MRR"]) for row in log if row["event"] == "validation"]
    assert measured == [(-1, 0.4), (3, 0.2), (7, 0.0)]
    facts = json.loads((output.last_model / "xtrove_training.json").read_text())
    assert facts["metrics"]["commits MRR"] == 0.0
    assert facts["metrics"]["commits MRR at the start"] == 0.4
    assert facts["progress"]["best by"] == "MRR, mean over held-out docstrings, commits"
    # The measures draw no random number: the losses are those of a run without them.
    train(config(data, tmp_path / "plain", steps=8))
    assert losses(output.root) == losses(tmp_path / "plain")


@pytest.mark.slow
def test_lower_layers_move_less(data: Path, tmp_path: Path) -> None:
    rates = {"layer_decay": 0.5, "weight_decay": 0.0, "eps": 1e-30, "warmup": 0.0, "clip": 1e9}
    train(config(data, tmp_path / "run", steps=1, optimizer={"lr": 0.001, **rates}))
    output = RunFolder(root=tmp_path / "run")
    before, after = (load_model(at).state_dict() for at in (output.start, output.root))
    moved = {name: float((after[name] - before[name]).abs().max()) for name in before}
    layers = 1 + max(int(name.split(".")[2]) for name in before if name.startswith("base.layers."))
    # AdamW's first step is the rate, whatever the gradient.
    for name, depth in (
        ("projection.weight", layers + 1),
        ("base.final_norm.weight", layers + 1),
        ("base.embeddings.tok_embeddings.weight", 0),
        *((f"base.layers.{layer}.mlp.Wi.weight", layer + 1) for layer in range(layers)),
    ):
        expected = 0.001 * 0.5 ** (layers + 1 - depth)
        assert moved[name] == pytest.approx(expected, rel=1e-2), name


@pytest.mark.slow
def test_an_interrupt_saves_and_the_rest_is_the_same(data: Path, tmp_path: Path) -> None:
    rates = {"layer_decay": 0.5}
    train(config(data, tmp_path / "whole", optimizer=rates))
    calls = iter(range(100))
    with pytest.raises(Interrupted, match="stopped behind step 3 of 12") as stopped:
        train(config(data, tmp_path / "run", optimizer=rates), interrupted=lambda: next(calls) == 2)
    assert "--resume" in stopped.value.remedy
    assert RunFolder(root=tmp_path / "run").run_state() is not None
    train(config(data, tmp_path / "run", optimizer=rates), resume=True)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_loss_that_is_no_number_names_the_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Loss.forward
    calls = iter(range(100))

    def poisoned(self: Loss, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        if next(calls) == 7:
            object.__setattr__(result, "loss", result.loss * float("nan"))
        return result

    monkeypatch.setattr(Loss, "forward", poisoned)
    with pytest.raises(TrainingFault, match=r"step 7: the loss is nan.*batch 7 \(") as fault:
        train(config(data, tmp_path / "run"))
    bad = json.loads((tmp_path / "run" / "trainer_state" / "bad_batch.json").read_text())
    assert bad["ids"][0] in fault.value.message
    assert len(bad["ids"]) == 8 or "2 pairs" in bad["batch"]
    assert len(steps(tmp_path / "run")) == 7
    place = RunFolder(root=tmp_path / "run").run_state()
    assert place is not None
    assert place.step == 5


@pytest.mark.parametrize(
    ("error", "tokens", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), 1024,
         "batch.mini_batch_tokens from 1024 to 512"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] not enough memory: you tried"), 256,
         "batch.size from 8 to 4"),
    ],
)  # fmt: skip
def test_out_of_memory_says_what_to_lower(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    tokens: int,
    words: str,
) -> None:
    def full(self: Loss, *args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(Loss, "forward", full)
    with pytest.raises(TrainingFault, match="out of memory on cpu") as fault:
        train(config(data, tmp_path / "run", batch={"mini_batch_tokens": tokens}))
    assert words in fault.value.remedy


def test_too_little_memory_is_found_before_the_first_step(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_free_memory", lambda place: 60_000_000)
    with pytest.raises(TrainingFault, match="a step needs .* GB, of 0.06 GB free") as fault:
        train(config(data, tmp_path / "run", batch={"mini_batch_tokens": 65_536, "size": 64}))
    assert "lower batch.size from 64 to" in fault.value.remedy
    assert not (tmp_path / "run" / "trainer_state" / "log.jsonl").exists()
