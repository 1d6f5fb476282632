"""Two processes over gloo: loss and gradients of one process with the whole batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.train.gather_child import CASES, run
from train.objectives.all_gather import gather_documents, gather_numbers, reduce_gradients, world
from train.scores.unpadded import PackedTokens

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("ranks")
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.train.gather_child", str(rank), "2", str(folder)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for child in children:
            _, complaint = child.communicate(timeout=120)
            assert child.returncode == 0, complaint
    finally:
        for child in children:
            child.kill()
            child.wait()
    return [load_file(folder / f"{rank}.safetensors") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_ranks_are_one_process_with_the_whole_batch(
    name: str, ranks: list[dict[str, Tensor]]
) -> None:
    whole = run(CASES[name], 0, 1)
    assert whole["fact loss"] > 0.1 and whole["embedding.weight"].abs().max() > 1e-3
    for rank in ranks:
        result = {key.removeprefix(f"{name}: "): value for key, value in rank.items()}
        for key, value in whole.items():
            torch.testing.assert_close(
                result[key], value, rtol=1e-6, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}"
            )


def test_one_process_gathers_what_it_has() -> None:
    assert world() == (0, 1)
    documents = PackedTokens(values=torch.ones(3, 2), owners=torch.tensor([0, 0, 1]), count=2)
    assert gather_documents(documents) == (documents, [2])
    numbers = torch.arange(3)
    assert gather_numbers(numbers) is numbers
    parameter = torch.nn.Parameter(torch.ones(2))
    reduce_gradients([parameter])
    assert parameter.grad is None
