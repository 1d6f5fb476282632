"""Searching the live documents of an index of code: keywords, MaxSim in numpy, XTR, fusion.

Method: BM25 from the postings. MaxSim is exact over all documents while their vectors have at
most `EXACT` components; above that the best `CANDIDATES` by mean vector, with the best
`WORD_CANDIDATES` by BM25, are scored exactly (what was done is told). It is numpy, as one
question is too little work to load torch for. XTR is `evaluate.retrieval.xtr` over all live tokens.
Cost: 0.25 s a core for 100 M components (2,000 functions of 150 tokens at dim 384).
Limits: one question at a time is what this is for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from evaluate.code_search.index import Snapshot
from evaluate.code_search.postings import bm25_scores
from evaluate.code_search.segments import mean_rows
from evaluate.retrieval import Hits, joined, query_words, top

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evaluate.code_search.live_tokens import LiveTokens

EXACT: Final = 1 << 27
CANDIDATES: Final = 2_000
WORD_CANDIDATES: Final = 500
_BLOCK: Final = 1 << 14
Question = Callable[[str], "NDArray[np.float32]"]
"""A question to its token vectors, (tokens, dim)."""


class WordsSearch:
    """BM25 over the live documents."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def scores(self, query: str) -> NDArray[np.float32]:
        """Score of each document."""
        snapshot = self._snapshot
        parts = [
            (segment.postings, part)
            for segment, part in zip(snapshot.segments, snapshot.numbers, strict=True)
        ]
        return bm25_scores(query_words(query, snapshot.languages), parts, len(snapshot))

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` documents of each question that hold one of its words."""
        return joined([top(self.scores(query)[None, :], k, above=0.0) for query in queries])


class VectorSearch:
    """Exact MaxSim over the live documents, or over the best of them by two quick measures."""

    def __init__(
        self,
        snapshot: Snapshot,
        question: Question,
        *,
        exact: int = EXACT,
        only: NDArray[np.int64] | None = None,
    ) -> None:
        """`only`: numbers of the documents that may be an answer, ascending; None for all."""
        self._snapshot = snapshot
        self._question = question
        self._exact = exact
        self._every = np.arange(len(snapshot)) if only is None else only

    @cached_property
    def tokens(self) -> LiveTokens:
        """The vectors that are searched."""
        return snapshot_tokens(self._snapshot)

    @property
    def whole(self) -> bool:
        """Whether every document is scored."""
        tokens = int(np.diff(self.tokens.offsets)[self._every].sum())
        return tokens * int(self.tokens.values.shape[1]) <= self._exact

    @property
    def scored(self) -> int:
        """Documents whose score is computed."""
        return len(self._every) if self.whole else min(CANDIDATES, len(self._every))

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` documents of each question; at most `CANDIDATES` of a large index."""
        return joined([self._one(query, k) for query in queries])

    def _one(self, query: str, k: int) -> Hits:
        vectors = self._question(query)
        chosen = self._every if self.whole else self._candidates(query, vectors)
        hits = top(maxsim(self.tokens, chosen, vectors)[None, :], k)
        ids = np.where(hits.ids < 0, -1, chosen[hits.ids] if len(chosen) else -1)
        return Hits(ids=ids.astype(np.int32), scores=hits.scores)

    def _candidates(self, query: str, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Places of documents, ascending."""
        mean = mean_rows(vectors, np.array([0, len(vectors)]))[0]
        near = np.zeros(len(self._snapshot), dtype=np.float32)
        for segment, part in zip(self._snapshot.segments, self._snapshot.numbers, strict=True):
            if segment.means is not None:
                live = part >= 0
                near[part[live]] = (segment.means.astype(np.float32) @ mean)[live]
        # What may be no answer takes no place of one that may.
        scores = WordsSearch(self._snapshot).scores(query)[self._every]
        words = top(scores[None, :], WORD_CANDIDATES, above=0.0).ids[0]
        words = self._every[words[words >= 0]]
        best = top(near[self._every][None, :], CANDIDATES).ids[0]
        best = self._every[best[best >= 0]]
        best = best[~np.isin(best, words)][: CANDIDATES - len(words)]
        return np.sort(np.concatenate([best, words])).astype(np.int64)


def maxsim(
    tokens: LiveTokens, documents: NDArray[np.int64], question: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The mean over the question's tokens of the best similarity, for each of the documents."""
    scores = np.zeros(len(documents), dtype=np.float32)
    lengths = np.diff(tokens.offsets)[documents]
    full = np.flatnonzero(lengths)
    if not len(full) or not len(question):
        return scores
    ends = np.cumsum(lengths[full])
    start = 0
    while start < len(full):
        limit = (int(ends[start - 1]) if start else 0) + _BLOCK
        stop = max(start + 1, int(np.searchsorted(ends, limit, side="right")))
        part = full[start:stop]
        rows = tokens.floats(_runs(tokens, documents[part])) @ question.T
        firsts = np.cumsum(lengths[part]) - lengths[part]
        scores[part] = np.maximum.reduceat(rows, firsts, axis=0).mean(axis=1)
        start = stop
    return scores


def _runs(tokens: LiveTokens, documents: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of tokens of documents that ascend; those side by side are one."""
    breaks = np.flatnonzero(np.diff(documents) != 1) + 1
    firsts = documents[np.concatenate([[0], breaks])]
    lasts = documents[np.concatenate([breaks - 1, [len(documents) - 1]])] + 1
    return list(zip(tokens.offsets[firsts].tolist(), tokens.offsets[lasts].tolist(), strict=True))


def snapshot_tokens(snapshot: Snapshot) -> LiveTokens:
    """The live token vectors of an index that has them."""
    from evaluate.code_search.live_tokens import live_tokens

    return live_tokens(
        [
            (segment.tokens, part)
            for segment, part in zip(snapshot.segments, snapshot.numbers, strict=True)
            if segment.tokens is not None
        ]
    )
