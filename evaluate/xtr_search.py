"""XTR token retrieval: the nearest tokens alone give candidates and scores.

Method (Lee et al., 2023, "Rethinking the Role of Token Retrieval in Multi-Vector Retrieval",
section 4.3): each of the n query tokens retrieves its k' nearest tokens of the whole corpus; the
documents of these are the candidates; a document's similarity to a query token that retrieved
none of its tokens is imputed by m_i, the smallest similarity that was retrieved for it:

    f(Q, D) = 1/n sum_i max( max_{retrieved j in D} q_i . d_j , m_i )

With k' of all tokens this is MaxSim / n. The k' tokens are found exactly, block by block.
Cost: one pass over the index for a block of questions; 12 bytes a retrieved token.
Limits: a document none of whose tokens is retrieved is not found at all.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from evaluate.maxsim_search import Encode, query_parts
from evaluate.retrieve import NOTHING, Hits, joined
from evaluate.token_index import TokenIndex
from train.compact import Compact
from train.topk import Best, chunk_elements, merge, top_tokens

RETRIEVED = 2_000
"""k', the tokens each query token retrieves."""
_ROWS = 1_024
"""Query tokens searched together, about."""


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

    @property
    def bytes(self) -> int:
        """Size of the index."""
        return self._index.bytes

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` candidates of each question."""
        vectors = self._encode(queries)
        longest = int(np.diff(vectors.offsets).max(initial=1))
        k = min(k, len(self._index))
        found = []
        for part in query_parts(vectors, max(1, _ROWS // max(1, longest)), self._device):
            values, tokens = self._nearest(part)
            bounds = np.concatenate([[0], np.cumsum(part.lengths().cpu().numpy())])
            for first, last in zip(bounds[:-1], bounds[1:], strict=True):
                found.append(self._rank(values[first:last], tokens[first:last], k))
        return joined(found)

    @torch.inference_mode()
    def _nearest(self, queries: Compact) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Similarities and tokens (places in the index), both (query tokens, k')."""
        rows = queries.values
        best: Best | None = None
        chunk = rows.new_empty(max(chunk_elements(None, rows), len(rows)))
        nobody = torch.zeros(0, dtype=torch.int64, device=self._device)
        for block in self._index.blocks():
            first = int(self._index.offsets[block.start])
            part = self._index.vectors(first, int(self._index.offsets[block.stop]), self._device)
            if not len(part):
                continue
            found = top_tokens(rows, part, nobody, k=self._retrieved, barred=None, chunk=chunk)
            found = Best(values=found.values, tokens=found.tokens + first)
            best = found if best is None else merge(best, found, self._retrieved)
        if best is None:
            return np.zeros((len(rows), 0), np.float32), np.zeros((len(rows), 0), np.int64)
        return best.values.cpu().numpy(), best.tokens.cpu().numpy()

    def _rank(self, values: NDArray[np.float32], tokens: NDArray[np.int64], k: int) -> Hits:
        """Candidates of one question from what its tokens retrieved, both (n, k')."""
        real = np.isfinite(values)
        count = len(values)
        if not count or not real.any():
            return Hits(ids=np.full((1, k), NOTHING, np.int32), scores=np.zeros((1, k), np.float32))
        least = np.where(real, values, np.inf).min(axis=1)
        rows = np.broadcast_to(np.arange(count)[:, None], values.shape)[real]
        owners = np.searchsorted(self._index.offsets, tokens[real], side="right") - 1
        gains = values[real] - least[rows]
        # The best token of each (query token, document): the first after sorting by gain.
        turn = np.argsort(-gains, kind="stable")
        _, first = np.unique(rows[turn] * len(self._index) + owners[turn], return_index=True)
        winners = turn[first]
        documents, place = np.unique(owners[winners], return_inverse=True)
        scores = np.bincount(place, weights=gains[winners], minlength=len(documents))
        scores = ((scores + least.sum(dtype=np.float64)) / count).astype(np.float32)
        order = np.argsort(-scores, kind="stable")[:k]
        ids = np.full((1, k), NOTHING, np.int32)
        best = np.zeros((1, k), np.float32)
        ids[0, : len(order)] = documents[order]
        best[0, : len(order)] = scores[order]
        return Hits(ids=ids, scores=best)
