"""Distillation: KL(teacher || student) over the documents that the teacher scored for a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from train.objectives.base import RetrievingObjective
from train.objectives.maxsim import MaxSim

if TYPE_CHECKING:
    from torch import Tensor

    from train.objectives.terms import LossInputs


class Distillation(RetrievingObjective):
    """Learns the scores that `xtrove mine` wrote beside its negatives."""

    kind: Literal["kd"] = "kd"
    student: Literal["xtr", "maxsim"] = "xtr"
    """The scores that are trained."""
    teacher_temperature: Annotated[float, Field(gt=0)] = 1.0
    normalize_teacher: bool = False
    """Scale each query's teacher scores to 0..1 first."""

    needs_teacher: ClassVar[bool] = True

    def loss(self, inputs: LossInputs, temperature: Tensor) -> tuple[Tensor, dict[str, float]]:
        """See `Objective`; the facts of XTR where that is the student."""
        from train.objectives.terms import divergence, maxsim_scores, xtr_scores

        facts: dict[str, float] = {}
        if self.student == "xtr":
            k = self.k(inputs.pool_tokens, inputs.k_factor)
            scores, facts = xtr_scores(inputs, k)
        else:
            scores = maxsim_scores(inputs)
        loss = divergence(
            scores / temperature,
            inputs,
            teacher_temperature=self.teacher_temperature,
            normalize=self.normalize_teacher,
        )
        return loss, facts

    def k(self, pool_tokens: int, factor: float = 1.0) -> int:
        """See `Objective`."""
        return super().k(pool_tokens, factor) if self.student == "xtr" else 0

    def state_bytes(self, *, query_tokens: int, documents: int, pool_tokens: int) -> int:
        """That of the student's scores."""
        size = {"query_tokens": query_tokens, "documents": documents, "pool_tokens": pool_tokens}
        if self.student == "maxsim":
            return MaxSim().state_bytes(**size)
        return super().state_bytes(**size)
