"""`xtrove train` and `xtrove mine` as people type them: words, exit codes, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.evaluate.corpora.test_pools import CODE, QUESTIONS, write
from tests.hub.running import running_hub
from tests.shards.builder import build, make_pair
from tests.train.runs import dataset, losses, steps
from tests.xtrove.support import ROOT, TIMEOUT, child_seconds, environment, xtrove
from xtrove.cli.app import app
from xtrove.core.errors import Misuse

SMOKE = ROOT / "config" / "train_smoke.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    return dataset(tmp_path_factory.mktemp("data"), python=260, go=60)


def _words(data: Path, output: Path, *changes: str) -> list[str]:
    sets = [f"data.path={data}", "threads=1", *changes]
    return ["train", str(SMOKE), "--output", str(output), *(w for s in sets for w in ("--set", s))]


@pytest.mark.slow
def test_the_smoke_config_trains_and_is_mined_with(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    pools = tmp_path / "pools"
    write(pools, CODE, QUESTIONS)
    sets = f"validation.sets=[{{name: commits, kind: pools, path: {pools}}}]"
    began = child_seconds()
    done = xtrove(*_words(data, output, sets))
    assert done.returncode == 0, done.stderr
    assert child_seconds() - began < 60
    assert "120 steps in" in done.stdout
    assert f"The model is in {output}" in done.stdout
    for word in ("device: cpu", "pool:", "memory:", "padding", "MFU", "left", "validation behind",
                 "commits MRR", "against the start"):  # fmt: skip
        assert word in done.stderr
    values = [row["loss"] for row in steps(output) if row["pairs"] == 32]
    assert sum(values[-10:]) < 0.9 * sum(values[:10])
    rows = (output / "trainer_state" / "log.jsonl").read_text(encoding="utf-8")
    measured = next(json.loads(row) for row in rows.splitlines() if "validation" in row)
    assert measured["step"] == -1
    assert {"P@1", "MRR", "Recall@10", "commits P@1", "commits MRR", "mean MRR"} <= measured.keys()

    negatives = tmp_path / "negatives"
    mined = xtrove("mine", data, "--model-path", output, "--output", negatives, "--per-query", 2)
    assert mined.returncode == 0, mined.stderr
    assert "negatives of" in mined.stdout
    assert (negatives / "negatives" / "part-python-00000.parquet").exists()
    inside = xtrove("mine", data, "--model-path", output, "--output", data / "negatives")
    assert inside.returncode == 2
    assert "lies in the dataset" in inside.stderr
    assert not (data / "negatives").exists()


@pytest.mark.slow
def test_the_plan_says_all_writes_nothing_and_is_that_of_the_run(
    data: Path, tmp_path: Path
) -> None:
    words = _words(data, tmp_path / "model", "lora.rank=4", "scratch.size=17m", "steps=1")
    planned = xtrove(*words, "--plan")
    assert planned.returncode == 0, planned.stderr
    for word in ("batch: 32 pairs", "pool:", "k 128", "mini-batches", "memory:", "s a step"):
        assert word in planned.stdout
    assert not (tmp_path / "model").exists()
    stated = next(line for line in planned.stdout.splitlines() if line.startswith("memory:"))
    # Adapters have gradients and moments of their own alone: under 0.01 GB.
    assert "optimizer" not in stated
    ran = xtrove(*words)
    assert ran.returncode == 0, ran.stderr
    assert stated.partition("(")[2] in " ".join(ran.stderr.split())


@pytest.mark.slow
def test_a_dataset_without_validation_says_what_to_set(tmp_path: Path) -> None:
    # All of one repository, which is in one split.
    small = build(tmp_path / "data", [make_pair(10 * number + 2) for number in range(40)], []).path
    done = xtrove(*_words(small, tmp_path / "model"))
    assert done.returncode == 2, done.stderr
    text = " ".join(done.stderr.split())
    assert "has nothing to validate with" in text
    assert "validation.every: null" in text


@pytest.mark.slow
def test_control_c_saves_and_resume_goes_on(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    words = _words(data, output, "checkpoints.every=1000", "validation.every=null", "steps=50")
    process = subprocess.Popen(
        [sys.executable, "-m", "xtrove", *words],
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    log = output / "trainer_state" / "log.jsonl"
    deadline = time.monotonic() + TIMEOUT
    while not log.exists() or log.read_bytes().count(b'"event": "step"') < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, text = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, text
    assert "everything is saved" in text
    assert "--resume goes on there" in text
    done = len(losses(output))
    assert 3 <= done < 50
    again = xtrove(*words, "--resume")
    assert again.returncode == 0, again.stderr
    assert f"going on behind step {done}" in again.stderr
    assert len(losses(output)) == 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimizer.lrr=1", "did you mean 'lr'?"),
        ("batch.size=1", "batch.size"),
        ("objective.kind=kd", "negatives.path"),
        ("objective.temperature=20", "objective.temperature"),
    ],
)
def test_wrong_words_are_named(data: Path, tmp_path: Path, change: str, words: str) -> None:
    result = CliRunner().invoke(app, _words(data, tmp_path, change))
    assert isinstance(result.exception, Misuse)
    assert words in result.exception.message
    assert "--print-config" in result.exception.remedy


@pytest.mark.slow
def test_print_config_can_be_fed_back(data: Path, tmp_path: Path) -> None:
    shown = xtrove(*_words(data, tmp_path), "--print-config")
    assert shown.returncode == 0
    file = tmp_path / "again.yaml"
    file.write_text(shown.stdout, encoding="utf-8")
    again = xtrove("train", file, "--print-config")
    assert yaml.safe_load(again.stdout) == yaml.safe_load(shown.stdout)


def test_the_command_line_needs_no_torch() -> None:
    code = "import sys, xtrove.cli.app; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), check=True)


@pytest.mark.slow
def test_what_is_not_there_is_a_matter_of_words(tmp_path: Path) -> None:
    done = xtrove(*_words(tmp_path / "nothing", tmp_path / "model"))
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_a_dataset_that_the_hub_does_not_have_is_a_wrong_word(tmp_path: Path) -> None:
    with running_hub(tmp_path, 20) as hub:
        arguments = ["--set", "data.path=hf://datasets/o/none", "--output", str(tmp_path / "m")]
        command = [sys.executable, "-m", "xtrove", "train", "config/train_smoke.yaml", *arguments]
        done = hub.run(command, token="hf_read", NO_COLOR="1")
    assert done.returncode == 2, done.stderr
    assert "hf://datasets/o/none" in done.stderr and "HF_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()
