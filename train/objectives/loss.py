"""An objective with its temperature: the module that the trainer calls.

The temperature is learned as its logarithm and kept in [0.01, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.objectives.base import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Objective
from train.objectives.terms import LossInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class LossResult:
    """A loss with its graph, and what to log."""

    loss: Tensor
    """Scalar."""
    facts: dict[str, float]
    """`temperature`, `pool_tokens`, `queries`, and those of the objective. Over the queries of
    this call."""


class Loss(nn.Module):
    """The objective with its temperature, the one parameter it may have."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective
        start = torch.tensor(math.log(objective.temperature), dtype=torch.float32)
        self.log_temperature = nn.Parameter(start, requires_grad=objective.learn_temperature)

    def temperature(self) -> Tensor:
        """The temperature; a parameter that left its range is put back at the border first."""
        with torch.no_grad():
            self.log_temperature.clamp_(math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))
        return self.log_temperature.exp()

    def forward(self, inputs: LossInputs, *, divisor: int | None = None) -> LossResult:
        """The mean over the queries; `divisor` replaces their number where others are elsewhere.

        `ValueError` where a teacher is missing, or given to an objective that has none.
        """
        objective, queries = self.objective, inputs.queries.count
        if (inputs.teacher is not None) != objective.needs_teacher:
            verb = "needs" if objective.needs_teacher else "takes no"
            raise ValueError(f"objective {objective.kind} {verb} teacher scores")
        temperature = self.temperature()
        total, facts = objective.loss(inputs, temperature)
        facts = facts | {
            "queries": float(queries),
            "pool_tokens": float(inputs.pool_tokens),
            "temperature": float(temperature.detach()),
        }
        return LossResult(loss=total / max(1, divisor or queries), facts=facts)
