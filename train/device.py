"""Where a run computes: chosen once, printed, tested before it is trusted.

`auto` takes CUDA, then MPS, then the CPU. CUDA trains under bf16 autocast with fp32 weights where
the card has bf16, the others in fp32. On MPS the sorted selection of a top-k has been wrong
before (pytorch #78915: k above 16), so a start-up test compares it with the CPU and the run stops
on a difference; the allocator there keeps every shape it has seen, so lengths are few and the
cache is emptied every `EMPTY_EVERY` steps.

Peak speed (for MFU): the dense bf16 figure of the card's data sheet where it is known, else what
a square matrix product reaches here, measured in about 0.3 s and said to be measured.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import psutil
import torch

from train.cpu_matmul import quick_products
from train.errors import TrainingFault
from xtrove.core import Misuse

EMPTY_EVERY: Final = 20
Precision = Literal["fp32", "bf16"]
TopK = Callable[..., Any]

_PEAKS: Final = (
    *(("B200", 2250e12), ("GH200", 989e12), ("H200", 989e12), ("H100 PCIe", 756e12)),
    *(("H100", 989e12), ("A100", 312e12), ("L40S", 362e12), ("L40", 181e12), ("L4", 121e12)),
    ("A10", 125e12),
    *(("RTX 4090", 165e12), ("RTX 3090", 71e12)),
)
"""Dense bf16 FLOP/s by a part of the card's name, longer names first (NVIDIA's data sheets)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """The device of this process."""

    torch: torch.device
    name: str
    precision: Precision
    memory_bytes: int
    """What a run may use: free memory of the card, available memory of the machine."""
    peak_flops: float
    peak_measured: bool

    @property
    def few_shapes(self) -> bool:
        """Whether every new shape costs (MPS keeps buffers by shape)."""
        return self.torch.type == "mps"

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """bf16 for the matrix products of the encoder, or nothing."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch.type, dtype=torch.bfloat16)

    def after_step(self, step: int) -> None:
        """What the device needs from time to time."""
        if self.torch.type == "mps" and step % EMPTY_EVERY == EMPTY_EVERY - 1:
            torch.mps.empty_cache()

    def peak_memory(self) -> int:
        """Most bytes held so far: of the card, or of this process."""
        if self.torch.type == "cuda":
            # What the allocator holds, not what it handed out: the card is full by the former.
            return int(torch.cuda.max_memory_reserved(self.torch))
        if self.torch.type == "mps":
            return int(torch.mps.driver_allocated_memory())
        return int(psutil.Process().memory_info().rss)

    def describe(self) -> str:
        """One line for people."""
        how = "measured" if self.peak_measured else "data sheet"
        return (
            f"{self.torch} ({self.name}), {self.precision}, {self.memory_bytes / 1e9:.1f} GB free, "
            f"peak {self.peak_flops / 1e12:.2f} TFLOP/s ({how})"
        )


def choose_device(
    name: str, precision: str, *, local_rank: int = 0, local_world: int = 1, world: int = 1
) -> Device:
    """The device of this process; `Misuse` where the wanted one is not there.

    `local_world`, `world`: processes of the run on this machine, each of which needs a device of
    its own, and on all.
    """
    device = resolve_device(name, local_rank)
    _check_shared(name, device, local_world, world)
    precision_used: Precision = "bf16" if _bf16(device, precision) else "fp32"
    known = _known_peak(device, precision_used)
    return Device(
        torch=device,
        name=_name(device),
        precision=precision_used,
        memory_bytes=_free_memory(device),
        peak_flops=known or measured_peak(device, precision_used),
        peak_measured=known is None,
    )


def resolve_device(name: str, local_rank: int = 0) -> torch.device:
    """`auto` (the best there is), `cpu`, `mps` or `cuda[:N]`; `Misuse` where it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            without_cudnn_attention()
            _check_count(local_rank, torch.cuda.device_count())
            return torch.device("cuda", local_rank)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise Misuse(
            f"device: {name!r} is none", remedy="use auto, cpu, mps, cuda or cuda:N"
        ) from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        device = device if device.index is not None else torch.device("cuda", local_rank)
        if (device.index or 0) >= count:
            raise Misuse(
                f"device: {name!r} asks for card {device.index}, and torch {torch.__version__} "
                f"sees {count} CUDA cards",
                remedy="use device: auto, or install a torch wheel for CUDA",
            )
        without_cudnn_attention()
        return device
    if name == "mps" and not torch.backends.mps.is_available():
        raise Misuse(
            f"device: 'mps' is not there (torch {torch.__version__})", remedy="use device: auto"
        )
    return device


def without_cudnn_attention() -> None:
    """Take cuDNN out of the attentions that torch chooses from.

    On Hopper it comes first and its gradient can be NaN where a row is masked whole (pytorch
    #196678, torch 2.13 with cuDNN 9.20); and it builds a plan of about a second for each shape.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


def _check_count(local_rank: int, count: int) -> None:
    """Each process needs a card of its own. Raises `Misuse`."""
    if local_rank >= count:
        raise Misuse(
            f"process {local_rank} of this machine has no card: torch sees {count}",
            remedy=f"start at most {count} with torchrun --nproc-per-node",
        )


def _check_shared(name: str, device: torch.device, local_world: int, world: int) -> None:
    """Several processes need several devices. Raises `Misuse`."""
    if device.type == "mps" and world > 1:
        raise Misuse(
            f"{world} processes on Apple GPUs: there is no way to exchange their tensors",
            remedy="start xtrove train without torchrun",
        )
    if local_world == 1 or device.type != "cuda":
        return
    if torch.device(name if name != "auto" else "cuda").index is not None:
        raise Misuse(
            f"device: {name!r} is one card for {local_world} processes",
            remedy="use device: cuda, which gives each process its own",
        )


def _bf16(device: torch.device, precision: str) -> bool:
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16"


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads"


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        allocated = int(torch.mps.driver_allocated_memory())
        return int(torch.mps.recommended_max_memory()) - allocated
    return min(psutil.virtual_memory().available, _cgroup_free())


def _cgroup_free() -> int:
    """What the container still grants (cgroup v2), or without a bound."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1 << 62
    return max(0, int(limit) - used) if limit.isdigit() else 1 << 62


def _known_peak(device: torch.device, precision: Precision) -> float | None:
    if device.type != "cuda" or precision != "bf16":
        return None
    return known_peak(torch.cuda.get_device_name(device))


def known_peak(card: str) -> float | None:
    """Dense bf16 FLOP/s of a card by its name, in whole words ("A1000" is no "A100")."""
    words = f" {card.replace('-', ' ')} "
    return next((flops for part, flops in _PEAKS if f" {part} " in words), None)


_PEAK_SIZES: Final = {"cuda": 8192, "mps": 4096}
_PRODUCTS: Final = 10
"""Products for each wait: the time of one would be that of starting it."""


def measured_peak(device: torch.device, precision: Precision, size: int = 0) -> float:
    """FLOP/s of the best of several runs of square matrix products, within about 0.3 s.

    `size`: rows of the matrices; 0 takes what fills the kind of device.
    """
    size = size or _PEAK_SIZES.get(device.type, 1024)
    products = 1 if device.type == "cpu" else _PRODUCTS
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left = torch.ones(size, size, dtype=dtype, device=device)
    best, end = float("inf"), time.perf_counter() + 0.3
    with quick_products(device):
        # Once at least: on a busy machine the time may be over before the first product.
        while best == float("inf") or time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(products):
                product = left @ left
            # Reading one element waits for the device.
            product[0, 0].item()
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 * products / best


def self_test(device: torch.device, topk: TopK = torch.topk) -> None:
    """Compares a device's top-k with the CPU's; `TrainingFault` on a difference.

    `topk` is what is tested. Nothing to do on a CPU.
    """
    if device.type == "cpu" and topk is torch.topk:
        return
    values = torch.randn(64, 4096, generator=torch.Generator().manual_seed(0))
    on_device = values.to(device)
    for k in (1, 16, 17, 256, 2048):
        expected = torch.topk(values, k, dim=1).values
        top, indices = topk(on_device, k, dim=1)
        picked = on_device.gather(1, indices).cpu()
        if not (torch.equal(top.cpu(), expected) and torch.equal(picked, expected)):
            raise TrainingFault(
                f"top-k of {k} on {device} differs from the CPU's (torch {torch.__version__}): "
                "the XTR loss would be wrong there",
                remedy="train with device: cpu, or with another torch version",
            )
