"""Contrastive XTR: cross-entropy of the scores of what was retrieved (arXiv 2304.01982)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from train.objectives.base import RetrievingObjective

if TYPE_CHECKING:
    from torch import Tensor

    from train.objectives.terms import LossInputs


class Xtr(RetrievingObjective):
    """The default: what training sees is what retrieval at search time will see."""

    kind: Literal["xtr"] = "xtr"

    def loss(self, inputs: LossInputs, temperature: Tensor) -> tuple[Tensor, dict[str, float]]:
        """See `Objective`; facts `k`, `empty_positives` and `mean_z`."""
        from train.objectives.terms import cross_entropy, xtr_scores

        scores, facts = xtr_scores(inputs, self.k(inputs.pool_tokens, inputs.k_factor))
        return cross_entropy(scores / temperature, inputs), facts
