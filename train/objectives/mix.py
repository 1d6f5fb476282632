"""A weighted sum of the losses of contrastive XTR and contrastive MaxSim, on one temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from train.objectives.base import RetrievingObjective
from train.objectives.maxsim import MaxSim

if TYPE_CHECKING:
    from torch import Tensor

    from train.objectives.terms import LossInputs


class Mix(RetrievingObjective):
    """`mix` x XTR + (1 - `mix`) x MaxSim."""

    kind: Literal["mix"] = "mix"
    mix: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of XTR."""

    def loss(self, inputs: LossInputs, temperature: Tensor) -> tuple[Tensor, dict[str, float]]:
        """See `Objective`; the facts are those of XTR."""
        from train.objectives.terms import cross_entropy, maxsim_scores, xtr_scores

        scores, facts = xtr_scores(inputs, self.k(inputs.pool_tokens, inputs.k_factor))
        xtr = cross_entropy(scores / temperature, inputs)
        maxsim = cross_entropy(maxsim_scores(inputs) / temperature, inputs)
        return self.mix * xtr + (1.0 - self.mix) * maxsim, facts

    def state_bytes(self, *, query_tokens: int, documents: int, pool_tokens: int) -> int:
        """That of both."""
        size = {"query_tokens": query_tokens, "documents": documents, "pool_tokens": pool_tokens}
        return super().state_bytes(**size) + MaxSim().state_bytes(**size)
