"""The memory of a training step: what `--plan` states beside what a process came to hold.

`python benchmarks/train_memory.py DATASET [--sizes tiny,17m] [--batches 64,256]
[--mini-batches 2048,8192] [--steps 3]` trains an encoder from scratch for some steps in a process
of its own for each line. Measured is the highest resident size of the process (Linux: VmHWM), less
what it held when everything was imported and nothing made; stated is `train.run.cost`'s formula.
On CUDA the most that the allocator held is measured instead. A ratio below 1 is on the safe side.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import rooms_first  # noqa: F401
from evaluate_child import status
from rich.console import Console
from rich.table import Table

MEBI = 1 << 20


def child(file: str) -> None:
    """Trains the config of a file; prints what was stated and what was held."""
    import torch

    import train.run.loop
    from train import TrainConfig
    from train.run import RunPlan

    config = TrainConfig.model_validate(json.loads(Path(file).read_text(encoding="utf-8")))
    torch.ones(64, 64) @ torch.ones(64, 64)
    before = status("VmRSS")
    stated: list[RunPlan] = []
    planned = train.run.loop.plan_run

    def plan(*words: object) -> RunPlan:
        stated.append(planned(*words))  # type: ignore[arg-type]
        return stated[-1]

    train.run.loop.plan_run = plan  # type: ignore[assignment]
    train.run.loop.train(config)
    held = status("VmHWM") - before
    if torch.cuda.is_available():
        held = int(torch.cuda.max_memory_allocated())
    parts = stated[0].demand.parts()
    sys.stdout.write(json.dumps({"held": held, "parts": parts}) + "\n")


def measured(words: argparse.Namespace, table: Table) -> None:
    """A row for each config."""
    for size in words.sizes.split(","):
        for batch in map(int, words.batches.split(",")):
            for tokens in map(int, words.mini_batches.split(",")):
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder, "config.json")
                    file.write_text(json.dumps(config(words, size, batch, tokens, folder)))
                    command = [sys.executable, __file__, "--child", str(file)]
                    done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    table.add_row(size, str(batch), str(tokens), done.stderr.splitlines()[-1][:60])
                    continue
                result = json.loads(done.stdout.splitlines()[-1])
                total = sum(result["parts"].values())
                largest = sorted(result["parts"].items(), key=lambda part: -part[1])[:3]
                shown = ", ".join(f"{name} {value / MEBI:,.0f}" for name, value in largest)
                table.add_row(
                    size,
                    f"{batch:,}",
                    f"{tokens:,}",
                    f"{total / MEBI:,.0f}",
                    f"{result['held'] / MEBI:,.0f}",
                    f"{result['held'] / total:.2f}",
                    shown,
                )


def config(
    words: argparse.Namespace, size: str, batch: int, tokens: int, folder: str
) -> dict[str, object]:
    """A run of some steps."""
    return {
        "name": "memory",
        "output": str(Path(folder, "run")),
        "data": {"path": words.dataset},
        "base": "scratch",
        "scratch": {"size": size, "vocabulary": 8192, "texts": 1000},
        "encoder": {"document_length": 256},
        "batch": {"size": batch, "mini_batch_tokens": tokens},
        "steps": words.steps,
        "loader": {"workers": 0},
        "validation": {"every": None},
        "checkpoints": {"every": words.steps},
        "logging": {"tensorboard": False},
    }


def main() -> None:
    """Reads the words and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--sizes", default="tiny,17m")
    parser.add_argument("--batches", default="64,256")
    parser.add_argument("--mini-batches", default="2048,8192")
    parser.add_argument("--steps", type=int, default=3)
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
        return
    words = parser.parse_args()
    table = Table(title=f"Memory of a step, MiB, {words.steps} steps")
    for name in ("size", "batch", "mini-batch tokens", "stated", "held", "held / stated"):
        table.add_column(name, justify="right")
    table.add_column("largest parts stated")
    measured(words, table)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
