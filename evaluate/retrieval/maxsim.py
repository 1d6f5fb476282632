"""Exact MaxSim over a token index: every document is scored.

Method: blocks of documents are read from the index, brought to float32 on the device of the
encoder and scored with all questions of a block at once (`train.scores.maxsim`); a score is the
mean over the question's tokens of the best similarity, so that it is comparable with XTR's. A
question or a document without tokens has no score, and neither finds nor is found.
Cost: 2 x dim operations a (query token, document token): 4 s for one question of 16 tokens over
1,000,000 functions of 100 tokens at 0.1 TFLOP/s. Memory: a block of tokens and at most
`SCORES` scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from evaluate.index import TokenIndex
from evaluate.retrieval.context import SearchContext
from evaluate.retrieval.searcher import Hits, joined, top
from train import quick_products
from train.model import TokenVectors
from train.scores import PackedTokens, packed_maxsim_scores

SCORES = 1 << 24
QUERIES = 128
PADDED = 4_096
"""Tokens of documents that are padded to one length on a CPU, where padding is what costs."""
Encode = Callable[[list[str]], TokenVectors]


class MaxSimSearcher:
    """Scores all documents of an index; `encode` gives the vectors of questions."""

    def __init__(self, *, index: TokenIndex, encode: Encode, device: torch.device) -> None:
        self._index = index
        self._encode = encode
        self._device = device

    @classmethod
    def build(cls, context: SearchContext) -> MaxSimSearcher:
        """Over the token index of a context."""
        encode = partial(context.encoder.encode, kind="query")
        return cls(index=context.index, encode=encode, device=context.encoder.device)

    @property
    def bytes(self) -> int:
        """Size of the index."""
        return self._index.bytes

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` documents of each question."""
        vectors = self._encode(queries)
        most = max(1, min(QUERIES, SCORES // max(1, len(self._index))))
        with quick_products(self._device):
            return joined(
                [
                    top(self._scores(part), k)
                    for part in query_parts(vectors, self._device, most=most)
                ]
            )

    @torch.inference_mode()
    def _scores(self, queries: PackedTokens) -> NDArray[np.float32]:
        scores = np.zeros((queries.count, len(self._index)), dtype=np.float32)
        tokens = queries.lengths().clamp(min=1).unsqueeze(1)
        chunk = None
        if self._device.type == "cpu":
            chunk = max(4096, 4 * PADDED * max(64, queries.values.shape[1]))
        for block in self._index.blocks():
            documents = self._index.packed(block, self._device)
            sums = packed_maxsim_scores(queries, documents, chunk_bytes=chunk)
            scores[:, block.start : block.stop] = (sums / tokens).cpu().numpy()
        scores[:, np.diff(self._index.offsets) == 0] = -np.inf
        scores[(queries.lengths() == 0).cpu().numpy()] = -np.inf
        return scores


def query_parts(
    vectors: TokenVectors, device: torch.device, *, most: int | None = None, rows: int | None = None
) -> Iterator[PackedTokens]:
    """Questions in blocks of at most `most`, with at most `rows` tokens; at least one each."""
    offsets, start = vectors.offsets, 0
    while start < len(vectors):
        stop = len(vectors) if most is None else min(len(vectors), start + most)
        if rows is not None:
            limit = int(offsets[start]) + rows
            stop = min(stop, max(start + 1, int(np.searchsorted(offsets, limit, "right")) - 1))
        bounds = offsets[start : stop + 1]
        start = stop
        yield PackedTokens(
            values=torch.from_numpy(vectors.values[bounds[0] : bounds[-1]]).to(device),
            owners=torch.from_numpy(np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))).to(
                device
            ),
            count=len(bounds) - 1,
        )
