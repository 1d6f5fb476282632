"""Contrastive MaxSim: cross-entropy of ColBERT's scores, every document scored with every query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from train.objectives.base import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from train.objectives.terms import LossInputs


class MaxSim(Objective):
    """The mean over a query's tokens of the best similarity in each document."""

    kind: Literal["maxsim"] = "maxsim"

    def loss(self, inputs: LossInputs, temperature: Tensor) -> tuple[Tensor, dict[str, float]]:
        """See `Objective`."""
        from train.objectives.terms import cross_entropy, maxsim_scores

        return cross_entropy(maxsim_scores(inputs) / temperature, inputs), {}

    def state_bytes(self, *, query_tokens: int, documents: int, pool_tokens: int) -> int:
        """The best token of every (query token, document), int32."""
        return 4 * query_tokens * documents
