"""What every searcher is: questions in, documents with scores out.

Method: a searcher is made over the texts of a corpus once and asked many questions at a time; it
answers with positions in that corpus, so that ids, ties and metrics are one place's matter.
Limits: scores of two searchers are not comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from train import ModelError

NOTHING = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Hits:
    """The best documents of each question, best first."""

    ids: NDArray[np.int32]
    """Shape (queries, k): positions in the corpus, -1 where nothing more was found."""
    scores: NDArray[np.float32]
    """Shape (queries, k); what stands beside -1 means nothing."""


class Searcher(Protocol):
    """Finds documents of the corpus it was made over."""

    def search(self, queries: list[str], k: int) -> Hits:
        """The `k` best documents of each question; fewer where no more match at all."""
        ...


def top(scores: NDArray[np.float32], k: int, *, above: float = -np.inf) -> Hits:
    """The best `k` of a row of scores for each question; shape (queries, documents).

    Only scores over `above` count. Equal scores stand in the order of the corpus; what ties mean
    is settled by the metrics, and none is cut from the end of a list before another that is
    higher. NaN is refused with `ModelError`.
    """
    if np.isnan(scores).any():
        raise ModelError("a score is NaN: the model is damaged")
    k = min(k, scores.shape[1])
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k] if k else np.zeros((len(scores), 0))
    best = np.take_along_axis(scores, ids.astype(np.int64), axis=1)
    kept = best > above
    return Hits(ids=np.where(kept, ids, NOTHING).astype(np.int32), scores=np.where(kept, best, 0.0))


def joined(parts: Sequence[Hits]) -> Hits:
    """The hits of several blocks of questions, in their order."""
    if not parts:
        return Hits(ids=np.zeros((0, 0), np.int32), scores=np.zeros((0, 0), np.float32))
    return Hits(
        ids=np.concatenate([part.ids for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
    )
