"""A killed run that is gone on with is the run that was not killed, bit by bit."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.train.runs import TIMEOUT, child, config, dataset, finished, losses, steps
from train.config import TrainConfig
from train.run.loop import train

STEPS = 30


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of all tests here."""
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run nobody stopped."""
    output = tmp_path_factory.mktemp("whole") / "run"
    train(_config(data, output))
    return output


def _config(data: Path, output: Path) -> TrainConfig:
    # Two epochs of 16 batches a window of 64: the kill lies in a window, the end in epoch 1.
    made = config(data, output, steps=STEPS, encoder={"document_template": "{path}\n{code}"})
    return made.model_copy(update={"data": made.data.model_copy(update={"path_dropout": 0.5})})


def _killed(data: Path, folder: Path, after: int) -> Path:
    """A run that died of SIGKILL when it had logged so many steps."""
    output = folder / "run"
    process = child(_config(data, output), folder)
    log = output / "trainer_state" / "log.jsonl"
    deadline = time.monotonic() + TIMEOUT
    while not log.exists() or log.read_bytes().count(b'"event": "step"') < after:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return output


@pytest.mark.slow
def test_killed_and_resumed_on_one_and_on_two_processes(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    output = _killed(data, tmp_path, after=8)
    done = len(steps(output))
    assert 8 <= done < STEPS, "the kill came too late to show anything"
    other = tmp_path / "other"
    shutil.copytree(output, other)

    train(_config(data, output), resume=True)
    assert losses(output) == losses(whole)
    left = [path.name for path in (output / "trainer_state" / "checkpoints").iterdir()]
    assert sorted(left) == ["step-00000025", "step-00000030"]
    names = ("weights.safetensors", "optimizer.safetensors")
    for name in names:
        same = Path("trainer_state") / "checkpoints" / "step-00000030" / name
        assert (output / same).read_bytes() == (whole / same).read_bytes()

    finished(child(_config(data, other), tmp_path, "--resume", world=2))
    pairs = list(zip(steps(other), steps(whole), strict=True))
    for mine, theirs in pairs:
        same_samples = ("step", "epoch", "batch", "language", "pairs", "tokens", "k", "pool_tokens")
        assert [mine[name] for name in same_samples] == [theirs[name] for name in same_samples]
    # Sums in another order part by rounding, until two tokens of nearly equal similarity change
    # places: compared are the first steps behind the checkpoint.
    for mine, theirs in pairs[: done + 5]:
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=2e-5)
    assert (other / "modules.json").exists()


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    shutil.copytree(whole, output)
    state = output / "trainer_state"
    run = (state / "run.json").read_text(encoding="utf-8")
    (state / "run.json").write_text(run.replace('"finished": true', '"finished": false'))
    shutil.move(state / "checkpoints" / "step-00000030", state / "checkpoints" / ".step-00000030.x")
    (state / "checkpoints" / ".step-00000030.x" / "state.json").unlink()
    train(_config(data, output), resume=True)
    assert losses(output) == losses(whole)
    assert not list((state / "checkpoints").glob(".step-*"))


@pytest.mark.slow
def test_loader_processes_change_nothing(data: Path, whole: Path, tmp_path: Path) -> None:
    chosen = _config(data, tmp_path / "run")
    loader = chosen.loader.model_copy(update={"workers": 2})
    train(chosen.model_copy(update={"loader": loader, "steps": STEPS}))
    assert losses(tmp_path / "run") == losses(whole)
