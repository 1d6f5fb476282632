"""Matrix products in float32 by the quicker of the libraries that torch has on a CPU.

Method: torch multiplies float32 matrices with MKL, which leaves processors that are not Intel's
at a third of their speed; where products in bfloat16 are allowed it asks oneDNN instead, which
computes in float32 all the same on a processor without matrix units for bfloat16. So that is
allowed inside `quick_products` where a product tried once comes out as exact as MKL's.
Cost: the trial, 1 ms a process. Measured on a Zen 5 with two cores: 208 and 496 GFLOP/s.
Limits: the switch is one for the whole process; threads that multiply meanwhile are switched too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch

_TRIED = (64, 384, 512)
_EXACT = 4e-6
"""Products of unit vectors; bfloat16 errs by 0.002 and more."""


@contextmanager
def quick_products(device: torch.device) -> Iterator[None]:
    """Products of float32 matrices inside are made by oneDNN where that is exact; CPU only."""
    switch = _switch()
    if device.type != "cpu" or switch is None or not _exact():
        yield
        return
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    try:
        yield
    finally:
        switch.fp32_precision = before


def _switch() -> Any:
    """What holds the precision of float32 products; None where this torch has none."""
    backend: Any = torch.backends.mkldnn
    switch = getattr(backend, "matmul", None)
    return switch if backend.is_available() and hasattr(switch, "fp32_precision") else None


@lru_cache(maxsize=1)
def _exact() -> bool:
    """Whether oneDNN computes in float32 although it may use bfloat16."""
    switch = _switch()
    if switch is None:
        return False
    rows, dim, columns = _TRIED
    random = torch.Generator().manual_seed(0)
    left = torch.nn.functional.normalize(torch.randn(rows, dim, generator=random))
    right = torch.nn.functional.normalize(torch.randn(columns, dim, generator=random))
    right[:rows] = left
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    try:
        product = left @ right.T
    finally:
        switch.fp32_precision = before
    return bool((product - left @ right.T).abs().max() <= _EXACT)
