"""The learning rate of a step: a linear warm-up, then a cosine down to a share of the peak.

A pure function of the step, so that nothing of it has to be kept: step 0 trains at
peak / warm-up steps, the last warm-up step at the peak, the last step of all at `final` * peak.
"""

from __future__ import annotations

import math


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


K_WARMUP = 0.1
"""Share of the steps over which the k of a top-k comes down to its size."""


def k_factor(step: int, *, total: int, start: float) -> float:
    """What k is multiplied with: from `start` straight down to 1."""
    falling = total * K_WARMUP
    return 1.0 if step >= falling else start + (1.0 - start) * step / falling
