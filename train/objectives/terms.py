"""What losses are made of: scores of a batch, cross-entropy, divergence from a teacher.

Cross-entropy is that of score / temperature over the documents of the batch, the positive in column
`positives[i]`, every other column a negative: positives of other queries and hard negatives.
`excluded` columns (false negatives: same query group, same code, negatives of another query) take
part neither in the softmax nor in the token pool of that query.
XTR scores are means over the retrieved query tokens, and MaxSim scores are divided by the number
of query tokens, so that both lie in [-1, 1] for unit vectors and share one temperature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from train.scores import PackedTokens, XtrScores, packed_maxsim_scores, packed_xtr_scores


@dataclass(frozen=True, kw_only=True, slots=True)
class LossInputs:
    """The token vectors of a batch and what is known about its texts.

    `ValueError` where the parts do not belong together.
    """

    queries: PackedTokens
    documents: PackedTokens
    positives: Tensor
    """The document of each query, shape (queries,), int64."""
    excluded: Tensor | None = None
    """True where a document is no negative of a query, shape (queries, documents)."""
    teacher: Tensor | None = None
    """Scores of the teacher, NaN where there is none, shape (queries, documents)."""
    k_factor: float = 1.0
    chunk_bytes: int | None = None
    """Scores held at once; None: 64 MiB on a CPU, 512 MiB elsewhere."""

    def __post_init__(self) -> None:
        shape = (self.queries.count, self.documents.count)
        for name, given in (("excluded", self.excluded), ("teacher", self.teacher)):
            if given is not None and tuple(given.shape) != shape:
                raise ValueError(f"{name} has shape {tuple(given.shape)}: {shape} is needed")
        if tuple(self.positives.shape) != shape[:1]:
            raise ValueError(
                f"positives has shape {tuple(self.positives.shape)}: {shape[:1]} is needed"
            )
        if not self.queries.count:
            return
        low, high = int(self.positives.min()), int(self.positives.max())
        if low < 0 or high >= self.documents.count:
            raise ValueError(
                f"positives lie in {low}..{high}: there are {self.documents.count} documents"
            )
        if self.excluded is not None and bool(
            self.excluded.gather(1, self.positives.unsqueeze(1)).any()
        ):
            raise ValueError("a query's positive is excluded for it: leave it out of `excluded`")

    @property
    def pool_tokens(self) -> int:
        """Tokens of all documents."""
        return self.documents.values.shape[0]

    def candidates(self) -> Tensor:
        """Columns of the softmax, (queries, documents): not excluded, with tokens; the positive."""
        allowed = (self.documents.lengths() > 0).expand(self.queries.count, -1).clone()
        if self.excluded is not None:
            allowed &= ~self.excluded
        return allowed.scatter_(1, self.positives.unsqueeze(1), True)


def xtr_scores(inputs: LossInputs, k: int) -> tuple[Tensor, dict[str, float]]:
    """XTR scores (queries, documents), and how much of the positives was retrieved.

    `empty_positives` is the share of positives of which no token was retrieved, `mean_z` the mean
    share of a query's tokens that retrieved a token of the positive.
    """
    result = packed_xtr_scores(
        inputs.queries,
        inputs.documents,
        k=k,
        excluded=inputs.excluded,
        chunk_bytes=inputs.chunk_bytes,
    )
    return result.scores, _retrieval_facts(result, inputs)


def _retrieval_facts(result: XtrScores, inputs: LossInputs) -> dict[str, float]:
    facts = {"k": float(result.k), "empty_positives": 0.0, "mean_z": 0.0}
    if inputs.queries.count:
        retrieved = result.retrieved.gather(1, inputs.positives.unsqueeze(1)).squeeze(1)
        facts["empty_positives"] = float((retrieved == 0).float().mean())
        facts["mean_z"] = float((retrieved / inputs.queries.lengths().clamp(min=1)).mean())
    return facts


def maxsim_scores(inputs: LossInputs) -> Tensor:
    """MaxSim scores (queries, documents), means over the tokens of a query."""
    sums = packed_maxsim_scores(inputs.queries, inputs.documents, chunk_bytes=inputs.chunk_bytes)
    return sums / inputs.queries.lengths().clamp(min=1).unsqueeze(1)


def cross_entropy(logits: Tensor, inputs: LossInputs) -> Tensor:
    """Sum over queries of -log softmax of the positive."""
    masked = logits.masked_fill(~inputs.candidates(), -math.inf)
    return torch.nn.functional.cross_entropy(masked, inputs.positives, reduction="sum")


def divergence(
    logits: Tensor, inputs: LossInputs, *, teacher_temperature: float, normalize: bool
) -> Tensor:
    """Sum over queries of KL(teacher || student) over the columns the teacher scored.

    `normalize` brings the teacher's scores of each query to 0..1 first. `ValueError` for a query
    without a teacher's score.
    """
    assert inputs.teacher is not None  # `Loss` has checked it
    listed = inputs.candidates() & ~inputs.teacher.isnan()
    if len(listed) and not bool(listed.any(dim=1).all()):
        row = int((~listed.any(dim=1)).nonzero()[0])
        raise ValueError(f"query {row} has no teacher score of any document it may be scored with")
    teacher = inputs.teacher.to(logits.dtype)
    if normalize and len(listed):
        low = teacher.masked_fill(~listed, math.inf).amin(dim=1, keepdim=True)
        high = teacher.masked_fill(~listed, -math.inf).amax(dim=1, keepdim=True)
        teacher = (teacher - low) / (high - low).clamp(min=torch.finfo(teacher.dtype).tiny)
    teacher = (teacher / teacher_temperature).masked_fill(~listed, -math.inf).log_softmax(dim=1)
    student = logits.masked_fill(~listed, -math.inf).log_softmax(dim=1)
    # Where nothing is listed both logarithms are -inf and the term is nothing, not NaN.
    gap = (teacher - student).masked_fill(~listed, 0.0)
    return (teacher.exp() * gap).sum()
