"""The learning rate of a step: a linear warm-up, then a cosine down to a share of the peak.

A pure function of the step, so that nothing of it has to be kept: step 0 trains at
peak / warm-up steps, the last warm-up step at the peak, the last step of all at `final` * peak.
Lower layers may train at a share of it (`rate_scales`), since what they know is the most general.
Source of the shares: Clark et al., "ELECTRA" (2020).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Final

_LAYER: Final = re.compile(r"encoder\.base\..*?\.([0-9]+)\.")
_EMBEDDING: Final = re.compile(r"encoder\.base\..*(embed|\bshared\b)")


def warmup_steps(total: int, share: float) -> int:
    """Steps of the warm-up, at least one, fewer than all."""
    return max(1, min(total - 1, round(total * share))) if total > 1 else 1


def learning_rate(step: int, *, total: int, peak: float, warmup: float, final: float) -> float:
    """The rate of step 0..total-1. `ValueError` where there is no such step."""
    if not 0 <= step < total:
        raise ValueError(f"step {step} is not in 0..{total - 1}")
    rising = warmup_steps(total, warmup)
    if step < rising:
        return peak * (step + 1) / rising
    done = (step - rising + 1) / max(1, total - rising)
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


def rate_scales(names: Collection[str], decay: float) -> dict[str, float]:
    """Of each trained parameter, the share of the rate it trains at.

    1 above the transformer's layers, `decay` in the last of them, its square in the one below, and
    so on; embeddings stand below the first layer.
    """
    layers = {name: int(match[1]) for name in names if (match := _LAYER.match(name))}
    count = 1 + max(layers.values(), default=-1)
    depths = {name: 0 if _EMBEDDING.match(name) else count + 1 for name in names}
    depths |= {name: layer + 1 for name, layer in layers.items()}
    return {name: decay ** (count + 1 - depth) for name, depth in depths.items()}


K_WARMUP = 0.1
"""Share of the steps over which the k of a top-k comes down to its size."""


def k_factor(step: int, *, total: int, start: float) -> float:
    """What k is multiplied with: from `start` straight down to 1."""
    falling = total * K_WARMUP
    return 1.0 if step >= falling else start + (1.0 - start) * step / falling
