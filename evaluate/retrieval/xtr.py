"""XTR token retrieval: the nearest tokens alone give candidates and scores.

Method (Lee et al., 2023, "Rethinking the Role of Token Retrieval in Multi-Vector Retrieval",
section 4.3): each of the n query tokens retrieves its k' nearest tokens of the whole corpus; the
documents of these are the candidates; a document's similarity to a query token that retrieved
none of its tokens is imputed by m_i, the smallest similarity that was retrieved for it:

    f(Q, D) = 1/n sum_i max( max_{retrieved j in D} q_i . d_j , m_i )

With k' of all tokens this is MaxSim / n. The k' tokens are found exactly, block by block
(`nearest_tokens`). Cost: one pass over the index for a block of questions, in the memory of a block
of tokens, its similarities and 2 x 12 bytes a retrieved token.
Limits: a document none of whose tokens is retrieved is not found at all.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from evaluate.index import TokenIndex
from evaluate.retrieval.context import SearchContext
from evaluate.retrieval.maxsim import Encode, query_parts
from evaluate.retrieval.nearest_tokens import NearestTokens
from evaluate.retrieval.searcher import NOTHING, Hits, joined
from train import quick_products

RETRIEVED = 2_000
"""k', the tokens each query token retrieves."""
_ROWS = 1_024
"""Query tokens searched together, about."""
_PLACES = 1 << 22
"""Tokens retrieved at a time, and as many that wait to be merged: 100 MB."""


class XtrSearcher:
    """Token retrieval over an index; `retrieved` is k'."""

    def __init__(
        self,
        *,
        index: TokenIndex,
        encode: Encode,
        device: torch.device,
        retrieved: int = RETRIEVED,
    ) -> None:
        if retrieved < 1:
            raise ValueError(f"a query token retrieves at least 1 token, not {retrieved}")
        self._index = index
        self._encode = encode
        self._device = device
        self._retrieved = retrieved

    @classmethod
    def build(cls, context: SearchContext) -> XtrSearcher:
        """Over the token index of a context."""
        retrieved = context.options.retrieved
        return cls(
            index=context.index,
            encode=partial(context.encoder.encode, kind="query"),
            device=context.encoder.device,
            retrieved=RETRIEVED if retrieved is None else retrieved,
        )

    @property
    def bytes(self) -> int:
        """Size of the index."""
        return self._index.bytes

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` candidates of each question; ValueError where a similarity is NaN."""
        vectors = self._encode(queries)
        k = min(k, len(self._index))
        retrieved = max(1, min(self._retrieved, self._index.tokens))
        # Places of the retrieved tokens and of those that wait to be merged.
        rows = max(1, min(_ROWS, _PLACES // (2 * retrieved)))
        hits = []
        with quick_products(self._device):
            for part in query_parts(vectors, self._device, rows=rows):
                values, tokens = self._nearest(part.values, retrieved)
                bounds = np.concatenate([[0], np.cumsum(part.lengths().cpu().numpy())])
                for first, last in zip(bounds[:-1], bounds[1:], strict=True):
                    hits.append(self._rank(values[first:last], tokens[first:last], k))
        return joined(hits)

    @torch.inference_mode()
    def _nearest(
        self, rows: torch.Tensor, retrieved: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Similarities and tokens of each query token, by place in the index: (rows, retrieved).

        A place with a similarity of -inf holds no token.
        """
        nearest = NearestTokens(rows, retrieved)
        for block in self._index.blocks():
            first = int(self._index.offsets[block.start])
            last = int(self._index.offsets[block.stop])
            if first < last:
                nearest.add(self._index.vectors(first, last, self._device), first)
        return nearest.found()

    def _rank(self, values: NDArray[np.float32], tokens: NDArray[np.int64], k: int) -> Hits:
        """Candidates of one question from what its tokens retrieved, both (n, places)."""
        ids = np.full((1, k), NOTHING, np.int32)
        best = np.zeros((1, k), np.float32)
        count = len(values)
        real = np.isfinite(values)
        if not real.any():
            return Hits(ids=ids, scores=best)
        least = np.where(real, values, np.inf).min(axis=1)
        rows = np.broadcast_to(np.arange(count)[:, None], values.shape)[real]
        owners = np.searchsorted(self._index.offsets, tokens[real], side="right") - 1
        gains = values[real] - least[rows]
        # Tokens stand in the order of the corpus, so those of one document stand side by side.
        edges = (owners[1:] != owners[:-1]) | (rows[1:] != rows[:-1])
        starts = np.concatenate([[0], np.flatnonzero(edges) + 1])
        documents, owner = np.unique(owners[starts], return_inverse=True)
        scores = np.bincount(owner, weights=np.maximum.reduceat(gains, starts))
        scores = ((scores + least.sum(dtype=np.float64)) / count).astype(np.float32)
        order = np.argsort(-scores, kind="stable")[:k]
        ids[0, : len(order)] = documents[order]
        best[0, : len(order)] = scores[order]
        return Hits(ids=ids, scores=best)
