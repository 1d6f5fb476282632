"""The whole step with the operations that MPS lacks forbidden.

Which those are is read from torch itself: `native_functions.yaml`, packaged in its wheel, says for
every operation which devices have a kernel. An operation with neither a kernel for MPS nor one
composed of others is refused, and so are float64 and complex numbers, which MPS does not have.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
import torchgen
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from tests.train.runs import config, dataset
from train.data.batch_feed import feed
from train.data.collate import TokenBatch
from train.data.dataset import open_reader
from train.device import choose_device
from train.distributed import Processes
from train.run.setup import collate, new_encoder
from train.run.step import Stepper, new_stepper

COMPOSED = {
    "CompositeImplicitAutograd",
    "CompositeExplicitAutograd",
    "CompositeExplicitAutogradNonFunctional",
}


@functools.cache
def lacking() -> frozenset[str]:
    """Names with overloads (`topk`, `index_add.out`) of what has no kernel for MPS."""
    path = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    entries = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    known = {entry["func"].partition("(")[0]: entry for entry in entries}

    def works(entry: dict[str, Any]) -> bool:
        keys = {key.strip() for names in entry.get("dispatch", {}) for key in names.split(",")}
        if keys & {"MPS", *COMPOSED}:
            return True
        if "structured_delegate" in entry:
            return works(known[entry["structured_delegate"]])
        return not keys

    return frozenset(name for name, entry in known.items() if not works(entry))


class OnlyWhatMpsHas(TorchDispatchMode):
    """Raises on an operation that MPS lacks; remembers what was used."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        namespace, _, name = func.name().partition("::")
        if namespace == "profiler":
            # Marks in traces, of the optimizer; nothing is computed.
            return func(*args, **(kwargs or {}))
        assert namespace == "aten", f"{func.name()} is no operation of torch's own"
        if name in lacking():
            raise AssertionError(f"MPS lacks {name}")
        self.used.add(name)
        out = func(*args, **(kwargs or {}))
        for leaf in torch.utils._pytree.tree_leaves((args, out)):
            if isinstance(leaf, torch.Tensor):
                assert leaf.dtype != torch.float64, f"{name}: MPS has no float64"
                assert not leaf.is_complex(), f"{name}: MPS has no complex numbers"
        return out


def test_the_list_is_that_of_torch() -> None:
    assert {"mode", "geqrf", "_scaled_dot_product_flash_attention_for_cpu"} <= lacking()
    assert not {"topk", "mm", "index_add", "scatter_reduce.two", "_fused_adamw_"} & lacking()


@pytest.mark.parametrize("backward", [False, True])
def test_what_mps_lacks_is_caught(backward: bool) -> None:
    class Lacking(torch.autograd.Function):
        """Needs `mode` on the way back."""

        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
            return gradients[0] * gradients[0].mode().values

    x = torch.ones(3, requires_grad=True)
    with OnlyWhatMpsHas(), pytest.raises(AssertionError, match="MPS lacks mode"):
        if backward:
            Lacking.apply(x).sum().backward()
        else:
            x.mode()
    with OnlyWhatMpsHas(), pytest.raises(AssertionError, match="float64"):
        x.double()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset."""
    return dataset(tmp_path_factory.mktemp("data"), python=60, go=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "tokens"), [("xtr", 4096), ("xtr", 128), ("maxsim", 128), ("mix", 128)]
)
def test_a_step_uses_nothing_that_mps_lacks(
    data: Path, tmp_path: Path, kind: str, tokens: int
) -> None:
    chosen = config(
        data,
        tmp_path,
        objective={"kind": kind},
        batch={"mini_batch_tokens": tokens, "lengths": "few"},
    )
    stepper, batch = _ready(chosen)
    before = [parameter.detach().clone() for parameter in stepper.parameters.values()]
    with OnlyWhatMpsHas() as mode, sdpa_kernel(SDPBackend.MATH):
        result = stepper.step(batch, step=0, total=10, rate=0.01)
    assert result.finite
    moved = [
        not torch.equal(one, old)
        for one, old in zip(stepper.parameters.values(), before, strict=True)
    ]
    assert sum(moved) > len(moved) // 2
    assert "topk" in mode.used or kind == "maxsim"


def _ready(chosen: Any) -> tuple[Stepper, TokenBatch]:
    group = Processes()
    with open_reader(chosen, "train") as reader:
        encoder = new_encoder(chosen, reader)
        made = collate(chosen, encoder, reader)
        batch = next(feed(chosen, made, start=None, group=group)).batch
    return new_stepper(chosen, encoder, choose_device("cpu", "auto"), group), batch
