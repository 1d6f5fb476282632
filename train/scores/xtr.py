"""XTR scores, exact and without the score grid.

For each query token the k most similar tokens of ALL documents of the batch are retrieved; a
document's score is the mean, over the query tokens that retrieved at least one of its tokens, of
the best similarity among them: f(Q, D) = (1/Z) sum_i max_j A_ij q_i . d_j, Z = |{i : A_ij = 1
for some j of D}| (arXiv 2304.01982, eq. 2). A document that retrieves nothing scores 0 and gets
no gradient. Sums are in fp32 (fp64 for fp64 inputs) whatever the input is.
Method: `topk` streams the retrieval without gradients, then one token a (query token, document)
is kept, the first of the best; `sparse_gradients` sends gradients through these alone.
Memory: chunks of `chunk_bytes`, (queries x documents) three times, and 4 bytes for every kept
pair, of which there are at most query tokens x min(k, documents); never (Q, Lq, D, Ld).
Limits: fewer than 2^24 document tokens in a batch. First derivatives only.
Operations beyond those of `topk`: scatter_reduce amax and amin of fp32 over 2-D.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from train.scores.sparse_gradients import (
    PAIRS_OF_A_BLOCK,
    WinnerPairs,
    Winners,
    add_by_owner,
    winner_scores,
)
from train.scores.topk import NOTHING, Best, block_shape, chunk_elements, top_tokens
from train.scores.unpadded import PackedTokens, pack_tokens

MOST_TOKENS: Final = 1 << 24


@dataclass(frozen=True, kw_only=True, slots=True)
class XtrScores:
    """Scores of every query with every document, and what was retrieved."""

    scores: Tensor
    """Shape (queries, documents), differentiable."""
    retrieved: Tensor
    """Z: query tokens that retrieved a token of the document, same shape, floating, unclamped."""
    k: int
    pool_tokens: int


def xtr_scores(
    queries: Tensor,
    query_mask: Tensor,
    documents: Tensor,
    document_mask: Tensor,
    *,
    k: int,
    excluded: Tensor | None = None,
    chunk_bytes: int | None = None,
) -> XtrScores:
    """Scores of padded token vectors (queries, Lq, dim) and (documents, Ld, dim).

    The masks are true at real tokens. `excluded` (queries, documents) is true where a query may
    not retrieve from a document. k above the pool retrieves the whole pool. A document without
    tokens scores 0 with Z = 0. `ValueError` for k < 1 and shapes that do not fit.
    """
    return packed_xtr_scores(
        pack_tokens(queries, query_mask),
        pack_tokens(documents, document_mask),
        k=k,
        excluded=excluded,
        chunk_bytes=chunk_bytes,
    )


def packed_xtr_scores(
    queries: PackedTokens,
    documents: PackedTokens,
    *,
    k: int,
    excluded: Tensor | None = None,
    chunk_bytes: int | None = None,
) -> XtrScores:
    """`xtr_scores` of vectors without padding."""
    _check(queries, documents, k, excluded)
    with torch.autocast(queries.values.device.type, enabled=False):
        winners, retrieved = _search(queries, documents, k, excluded, chunk_bytes)
        scores = winner_scores(queries.values, documents.values, winners)
    return XtrScores(scores=scores, retrieved=retrieved, k=k, pool_tokens=documents.values.shape[0])


def _check(queries: PackedTokens, documents: PackedTokens, k: int, excluded: Tensor | None) -> None:
    if k < 1:
        raise ValueError(f"k is {k}: retrieve at least one token")
    if documents.values.shape[0] >= MOST_TOKENS:
        raise ValueError(
            f"{documents.values.shape[0]} document tokens in a batch: fewer than {MOST_TOKENS} fit"
        )
    shape = (queries.count, documents.count)
    if excluded is not None and tuple(excluded.shape) != shape:
        raise ValueError(f"excluded has shape {tuple(excluded.shape)}: {shape} is needed")


@torch.no_grad()
def _search(
    queries: PackedTokens,
    documents: PackedTokens,
    k: int,
    excluded: Tensor | None,
    chunk_bytes: int | None,
) -> tuple[Winners, Tensor]:
    """Winners of all query tokens, block by block, and Z."""
    dtype = torch.promote_types(queries.values.dtype, torch.float32)
    rows, tokens = queries.values.to(dtype), documents.values.to(dtype)
    elements = chunk_elements(chunk_bytes, rows)
    block, columns = block_shape(len(rows), len(tokens), elements)
    chunk = rows.new_empty(block * columns)
    sums = rows.new_zeros(queries.count, documents.count)
    retrieved = torch.zeros_like(sums)
    kept = _Kept()
    # A NaN or infinity anywhere in the vectors must reach the loss, and top-k would lose it.
    finite = bool((rows.sum() + tokens.sum()).isfinite())
    if not finite:
        sums.fill_(torch.nan)
    for start in range(0, len(rows) if len(tokens) and finite else 0, block):
        run = queries.owners[start : start + block]
        best = top_tokens(
            rows[start : start + block],
            tokens,
            documents.owners,
            k=k,
            barred=None if excluded is None else excluded[run],
            chunk=chunk,
        )
        values, first_tokens = _best_of_documents(best, documents)
        is_retrieved = values != NOTHING
        add_by_owner(sums, run, values.masked_fill(~is_retrieved, 0.0))
        add_by_owner(retrieved, run, is_retrieved.to(dtype))
        kept.add(start, is_retrieved.sum(dim=1), first_tokens[is_retrieved].int())
    winners = Winners(
        sums=sums,
        divisors=retrieved.clamp(min=1.0),
        pairs=kept.blocks(),
        query_owners=queries.owners,
        document_owners=documents.owners,
    )
    return winners, retrieved


def _best_of_documents(best: Best, documents: PackedTokens) -> tuple[Tensor, Tensor]:
    """Best retrieved similarity of each (row, document), `NOTHING` without, and its first token."""
    owner = documents.owners[best.tokens]
    shape = (best.values.shape[0], documents.count)
    values = best.values.new_full(shape, NOTHING).scatter_reduce_(1, owner, best.values, "amax")
    first = best.tokens.to(torch.float32)
    first.masked_fill_(best.values != values.gather(1, owner), MOST_TOKENS)
    winners = first.new_full(shape, MOST_TOKENS).scatter_reduce_(1, owner, first, "amin")
    return values, winners


class _Kept:
    """Pairs of consecutive blocks, joined until together they are worth a call."""

    def __init__(self) -> None:
        self._done: list[WinnerPairs] = []
        self._open: list[WinnerPairs] = []
        self._pairs = 0

    def add(self, first: int, counts: Tensor, tokens: Tensor) -> None:
        """Keep the pairs of the rows from `first` on."""
        self._open.append(WinnerPairs(first=first, counts=counts, tokens=tokens))
        self._pairs += len(tokens)
        if self._pairs >= PAIRS_OF_A_BLOCK:
            self._close()

    def _close(self) -> None:
        if self._open:
            counts = torch.cat([pairs.counts for pairs in self._open])
            tokens = torch.cat([pairs.tokens for pairs in self._open])
            self._done.append(WinnerPairs(first=self._open[0].first, counts=counts, tokens=tokens))
        self._open, self._pairs = [], 0

    def blocks(self) -> list[WinnerPairs]:
        """All pairs that were added."""
        self._close()
        return self._done
