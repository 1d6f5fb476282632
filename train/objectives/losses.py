"""Objectives: contrastive XTR, contrastive MaxSim, their mix, and distillation (kd).

Contrastive: cross-entropy of score / temperature over the documents of the batch, the positive in
column `positives[i]`, every other column a negative: positives of other queries and hard negatives.
`excluded` columns (false negatives: same query group, same code, negatives of another query) take
part neither in the softmax nor in the token pool of that query.
XTR scores are means over the retrieved query tokens, and MaxSim scores are divided by the number
of query tokens, so that both lie in [-1, 1] for unit vectors and share one temperature: 0.05 at
the start, learned as its logarithm, kept in [0.01, 1].
kd: KL(teacher || student) over the columns where the teacher's score is not NaN.
k: 1% of the tokens of the pool, between 64 and 2,048, unless it is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn

from train.objectives.maxsim import compact_maxsim_scores
from train.objectives.unpadded import Compact, compact
from train.objectives.xtr import XtrScores, compact_xtr_scores

LOWEST_TEMPERATURE: Final = 0.01
HIGHEST_TEMPERATURE: Final = 1.0
POOL_SHARE: Final = 0.01
LEAST_K: Final = 64
MOST_K: Final = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What is learned. `ValueError` for a value out of its range."""

    kind: Literal["xtr", "maxsim", "mix", "kd"] = "xtr"
    mix: float = 0.5
    """Share of XTR in `mix`; the rest is MaxSim."""
    student: Literal["xtr", "maxsim"] = "xtr"
    """Scores that `kd` trains."""
    k_train: int | None = None
    """Tokens retrieved for each query token; None: from the pool, see `train_k`."""
    temperature: float = 0.05
    learn_temperature: bool = True
    teacher_temperature: float = 1.0
    normalize_teacher: bool = False
    """`kd`: bring the teacher's scores of each query to 0..1 first."""
    chunk_bytes: int | None = None
    """Scores held at once; None: 64 MiB on a CPU, 512 MiB elsewhere."""

    def __post_init__(self) -> None:
        if self.kind not in ("xtr", "maxsim", "mix", "kd"):
            raise ValueError(f"kind is {self.kind!r}: give xtr, maxsim, mix or kd")
        if self.student not in ("xtr", "maxsim"):
            raise ValueError(f"student is {self.student!r}: give xtr or maxsim")
        if not 0.0 <= self.mix <= 1.0:
            raise ValueError(f"mix is {self.mix}: give a share between 0 and 1")
        if self.k_train is not None and self.k_train < 1:
            raise ValueError(f"k_train is {self.k_train}: retrieve at least one token")
        if not LOWEST_TEMPERATURE <= self.temperature <= HIGHEST_TEMPERATURE:
            raise ValueError(
                f"temperature is {self.temperature}: "
                f"give one between {LOWEST_TEMPERATURE} and {HIGHEST_TEMPERATURE}"
            )
        if not self.teacher_temperature > 0.0:
            raise ValueError(f"teacher_temperature is {self.teacher_temperature}: above 0")

    @property
    def uses_xtr(self) -> bool:
        """Whether XTR scores are computed."""
        return self.kind in ("xtr", "mix") or (self.kind == "kd" and self.student == "xtr")


@dataclass(frozen=True, kw_only=True, slots=True)
class LossResult:
    """A loss with its graph, and what to log."""

    loss: Tensor
    """Scalar."""
    facts: dict[str, float]
    """`temperature`, `pool_tokens`, `queries`; with XTR scores also `k`, `empty_positives` (share
    of positives of which no token was retrieved) and `mean_z` (mean share of a query's tokens that
    retrieved a token of the positive). Over the queries of this call."""


def train_k(pool_tokens: int, override: int | None = None, factor: float = 1.0) -> int:
    """Tokens that each query token retrieves from a pool: 1% within 64..2,048, or `override`.

    `factor` multiplies the result (a warm-up goes from 4 to 1); never above the pool, never
    below 1.
    """
    if factor <= 0:
        raise ValueError(f"the factor of k is {factor}: above 0")
    base = override or min(max(round(POOL_SHARE * pool_tokens), LEAST_K), MOST_K)
    return max(1, min(round(base * factor), pool_tokens))


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

    def forward(
        self,
        queries: Tensor,
        query_mask: Tensor,
        documents: Tensor,
        document_mask: Tensor,
        *,
        positives: Tensor,
        excluded: Tensor | None = None,
        teacher: Tensor | None = None,
        k_factor: float = 1.0,
    ) -> LossResult:
        """Loss of padded vectors (queries, Lq, dim) and (documents, Ld, dim), masks true at tokens.

        `positives` (queries,) int64, `excluded` (queries, documents) bool, `teacher` (queries,
        documents), NaN where it says nothing. `ValueError` for what does not fit.
        """
        return self.of(
            compact(queries, query_mask),
            compact(documents, document_mask),
            positives=positives,
            excluded=excluded,
            teacher=teacher,
            k_factor=k_factor,
        )

    def of(
        self,
        queries: Compact,
        documents: Compact,
        *,
        positives: Tensor,
        excluded: Tensor | None = None,
        teacher: Tensor | None = None,
        k_factor: float = 1.0,
        divisor: int | None = None,
    ) -> LossResult:
        """`forward` of vectors without padding: the mean over the queries.

        `divisor` replaces the number of queries where others are on other ranks.
        """
        objective = self.objective
        _check(queries, documents, positives, excluded, teacher, objective)
        tau = self.temperature()
        pool = documents.values.shape[0]
        facts = {"queries": float(queries.count), "pool_tokens": float(pool)}
        facts["temperature"] = float(tau.detach())
        parts: list[tuple[float, Tensor]] = []
        if objective.uses_xtr:
            found = compact_xtr_scores(
                queries,
                documents,
                k=train_k(max(1, pool), objective.k_train, k_factor),
                excluded=excluded,
                chunk_bytes=objective.chunk_bytes,
            )
            facts |= _retrieval_facts(found, queries, positives)
            parts.append((objective.mix if objective.kind == "mix" else 1.0, found.scores))
        if not objective.uses_xtr or objective.kind == "mix":
            sums = compact_maxsim_scores(queries, documents, chunk_bytes=objective.chunk_bytes)
            means = sums / queries.lengths().clamp(min=1).unsqueeze(1)
            parts.append((1.0 - objective.mix if objective.kind == "mix" else 1.0, means))
        allowed = _allowed(documents, positives, excluded, queries.count)
        loss = torch.zeros((), device=tau.device)
        for weight, scores in parts:
            each = (
                _distillation(scores / tau, allowed, teacher, objective)
                if objective.kind == "kd" and teacher is not None
                else _cross_entropy(scores / tau, allowed, positives)
            )
            loss = loss + weight * each / max(1, divisor or queries.count)
        return LossResult(loss=loss, facts=facts)


def _check(
    queries: Compact,
    documents: Compact,
    positives: Tensor,
    excluded: Tensor | None,
    teacher: Tensor | None,
    objective: Objective,
) -> None:
    shape = (queries.count, documents.count)
    for name, given in (("excluded", excluded), ("teacher", teacher)):
        if given is not None and tuple(given.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(given.shape)}: {shape} is needed")
    if (teacher is None) == (objective.kind == "kd"):
        raise ValueError(f"objective {objective.kind}: teacher scores go with kd, and only with it")
    if tuple(positives.shape) != shape[:1]:
        raise ValueError(f"positives has shape {tuple(positives.shape)}: {shape[:1]} is needed")
    if not queries.count:
        return
    low, high = int(positives.min()), int(positives.max())
    if low < 0 or high >= documents.count:
        raise ValueError(f"positives lie in {low}..{high}: there are {documents.count} documents")
    if excluded is not None and bool(excluded.gather(1, positives.unsqueeze(1)).any()):
        raise ValueError("a query's positive is excluded for it: leave it out of `excluded`")


def _retrieval_facts(found: XtrScores, queries: Compact, positives: Tensor) -> dict[str, float]:
    """How much of the positives was retrieved."""
    facts = {"k": float(found.k), "empty_positives": 0.0, "mean_z": 0.0}
    if queries.count:
        mine = found.retrieved.gather(1, positives.unsqueeze(1)).squeeze(1)
        facts["empty_positives"] = float((mine == 0).float().mean())
        facts["mean_z"] = float((mine / queries.lengths().clamp(min=1)).mean())
    return facts


def _allowed(
    documents: Compact, positives: Tensor, excluded: Tensor | None, queries: int
) -> Tensor:
    """Columns of the softmax, (queries, documents): not excluded, with tokens, or the positive."""
    allowed = (documents.lengths() > 0).expand(queries, -1).clone()
    if excluded is not None:
        allowed &= ~excluded
    return allowed.scatter_(1, positives.unsqueeze(1), True)


def _cross_entropy(logits: Tensor, allowed: Tensor, positives: Tensor) -> Tensor:
    """Sum over queries of -log softmax of the positive."""
    masked = logits.masked_fill(~allowed, -math.inf)
    return torch.nn.functional.cross_entropy(masked, positives, reduction="sum")


def _distillation(logits: Tensor, allowed: Tensor, teacher: Tensor, objective: Objective) -> Tensor:
    """Sum over queries of KL(teacher || student) over the columns the teacher scored."""
    listed = allowed & ~teacher.isnan()
    if len(listed) and not bool(listed.any(dim=1).all()):
        row = int((~listed.any(dim=1)).nonzero()[0])
        raise ValueError(f"query {row} has no teacher score of any document it may be scored with")
    aim = teacher.to(logits.dtype)
    if objective.normalize_teacher and len(listed):
        low = aim.masked_fill(~listed, math.inf).amin(dim=1, keepdim=True)
        high = aim.masked_fill(~listed, -math.inf).amax(dim=1, keepdim=True)
        aim = (aim - low) / (high - low).clamp(min=torch.finfo(aim.dtype).tiny)
    aim = (aim / objective.teacher_temperature).masked_fill(~listed, -math.inf).log_softmax(dim=1)
    log_student = logits.masked_fill(~listed, -math.inf).log_softmax(dim=1)
    # Where nothing is listed both logarithms are -inf and the term is nothing, not NaN.
    gap = (aim - log_student).masked_fill(~listed, 0.0)
    return (aim.exp() * gap).sum()
