"""What the tests of the trainer share: a small dataset, a small config, runs in child processes.

As a program (`python -m tests.train.runs CONFIG.json [--resume]`) it trains as the command does, on
one thread, without a display.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shards.loader.reader import Reader
from tests.shards.builder import build, make_pair
from train.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120
WORDS = ["socket", "buffer", "header", "matrix", "cursor", "bucket", "packet", "window", "vector"]


def dataset(folder: Path, *, python: int = 150, go: int = 60) -> Path:
    """Pairs whose query names two words of their code."""
    pairs = []
    for number in range(python + go):
        language = "python" if number < python else "go"
        one, two = WORDS[number % len(WORDS)], WORDS[(number // len(WORDS)) % len(WORDS)]
        code = f"def {one}_{two}_{number}({two}):\n" + "".join(
            f"    {one} = {two}.{one}({line + number})\n" for line in range(1 + number % 7)
        )
        query = f"Turns the {one} into a {two} for case {number}"
        pairs.append(make_pair(number, language=language, query=query, code=code))
    return build(folder, pairs, []).path


def config(data: Path, output: Path, **changes: Any) -> TrainConfig:
    """Twelve steps of a tiny encoder from scratch; sections are merged (MaxSim has no k_train)."""
    values: dict[str, Any] = {
        "name": "tiny",
        "output": str(output),
        "data": {"path": str(data)},
        "base": "scratch",
        "scratch": {"size": "tiny", "vocabulary": 512, "texts": 200},
        "encoder": {"dim": 16, "query_length": 16, "document_length": 32},
        "objective": {"k_train": 24},
        "batch": {"size": 8, "window": 64, "mini_batch_tokens": 256},
        "optimizer": {"lr": 0.003},
        "steps": 12,
        "device": "cpu",
        "threads": 1,
        "loader": {"workers": 0},
        "validation": {"every": None},
        "checkpoints": {"every": 5},
        "logging": {"tensorboard": False},
    }
    if changes.get("objective", {}).get("kind") == "maxsim":
        values["objective"] = {}
    for name, value in changes.items():
        known = values.get(name)
        values[name] = {**known, **value} if isinstance(known, dict) else value
    return TrainConfig.model_validate(values)


def read_log(path: Path) -> list[dict[str, Any]]:
    """All rows of a run's log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def steps(output: Path) -> list[dict[str, Any]]:
    """The step lines of a run's log."""
    rows = read_log(output / "trainer_state" / "log.jsonl")
    return [row for row in rows if row["event"] == "step"]


def losses(output: Path) -> list[str]:
    """The losses of a run as hexadecimal floats, in the order of the steps."""
    rows = steps(output)
    assert [row["step"] for row in rows] == list(range(len(rows)))
    return [row["loss_hex"] for row in rows]


def child(config: TrainConfig, folder: Path, *words: str, world: int = 1) -> subprocess.Popen[str]:
    """A run in a process of its own, or in `world` processes of one group."""
    file = folder / f"{Path(config.output).name}.json"
    file.write_text(config.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "tests.train.runs", str(file), *words]
    if world > 1:
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(world)]
        port = ["--master-addr", "127.0.0.1", "--master-port", str(_free_port())]
        command = [sys.executable, *launcher, *port, *command[1:]]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a child said; fails where it ended otherwise."""
    text, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, text
    return text


def validation_of(reader: Reader, count: int) -> Mapping[str, float]:
    """Nothing but the number of samples: for runs whose measure does not matter."""
    return {"P@1": 0.0, "MRR": count / len(reader)}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> None:
    """Trains the config of a file."""
    from train.run.loop import train

    chosen = TrainConfig.model_validate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    train(chosen, resume="--resume" in sys.argv)


if __name__ == "__main__":
    main()
