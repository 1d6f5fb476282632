"""MaxSim scores, exact, without the score grid: sums of the best token of each query token.

Documents are taken in order of length in chunks that are padded to their own longest one by
repeating a token of the document, so that no mask is needed. The best token of each (query token,
document) is kept, the first of equal ones; gradients go through these alone (`sparse_gradients`).
Memory: chunks of `chunk_bytes`, and 4 bytes for each (query token, document) when gradients are
wanted. Operations: mm, max or amax over the last dimension.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from train.scores.sparse_gradients import (
    PAIRS_OF_A_BLOCK,
    WinnerPairs,
    Winners,
    add_by_owner,
    winner_scores,
)
from train.scores.topk import block_shape, chunk_elements
from train.scores.unpadded import PackedTokens, pack_tokens


def maxsim_scores(
    queries: Tensor,
    query_mask: Tensor,
    documents: Tensor,
    document_mask: Tensor,
    *,
    chunk_bytes: int | None = None,
) -> Tensor:
    """Scores (queries, documents) of padded vectors (queries, Lq, dim) and (documents, Ld, dim).

    The masks are true at real tokens. A document without tokens scores 0. Sums over query tokens,
    not means. `ValueError` for shapes that do not fit.
    """
    return packed_maxsim_scores(
        pack_tokens(queries, query_mask),
        pack_tokens(documents, document_mask),
        chunk_bytes=chunk_bytes,
    )


def packed_maxsim_scores(
    queries: PackedTokens, documents: PackedTokens, *, chunk_bytes: int | None = None
) -> Tensor:
    """`maxsim_scores` of vectors without padding."""
    keep_winners = torch.is_grad_enabled() and (
        queries.values.requires_grad or documents.values.requires_grad
    )
    with torch.autocast(queries.values.device.type, enabled=False):
        winners = _search(queries, documents, chunk_bytes, keep=keep_winners)
        return winner_scores(queries.values, documents.values, winners)


@torch.no_grad()
def _search(
    queries: PackedTokens, documents: PackedTokens, chunk_bytes: int | None, *, keep: bool
) -> Winners:
    """Sums of the best similarities, and with `keep` the best tokens."""
    dtype = torch.promote_types(queries.values.dtype, torch.float32)
    rows, tokens = queries.values.to(dtype), documents.values.to(dtype)
    lengths = documents.lengths()
    order = lengths.argsort(stable=True)
    order = order[lengths[order] > 0]
    sums = rows.new_zeros(queries.count, documents.count)
    winners = torch.zeros(
        (len(rows), len(order)) if keep else (0, 0), dtype=torch.int32, device=rows.device
    )
    elements = chunk_elements(chunk_bytes, rows)
    done = 0
    for chosen, token_rows in _padded(
        documents, lengths, order, max(1, elements // max(64, rows.shape[1]))
    ):
        part = tokens.index_select(0, token_rows.flatten())
        block, _ = block_shape(len(rows), len(part), max(elements, len(part)))
        chunk = rows.new_empty(block * len(part))
        partial = rows.new_zeros(queries.count, len(chosen))
        for start in range(0, len(rows), block):
            run = slice(start, start + block)
            count = len(rows[run])
            scores = chunk[: count * len(part)].view(count, len(part))
            torch.mm(rows[run], part.T, out=scores)
            grid = scores.view(count, *token_rows.shape)
            if keep:
                best, which = grid.max(dim=2)
                winners[run, done : done + len(chosen)] = token_rows.T.gather(0, which).int()
            else:
                best = grid.amax(dim=2)
            add_by_owner(partial, queries.owners[run], best)
        sums[:, chosen] = partial
        done += len(chosen)
    # A NaN or infinity anywhere in the vectors must reach the loss.
    sums += (rows.sum() + tokens.sum()) * 0.0
    return Winners(
        sums=sums,
        divisors=torch.ones_like(sums[:1, :1]) if sums.numel() else torch.ones_like(sums),
        pairs=_pairs(winners) if keep else [],
        query_owners=queries.owners,
        document_owners=documents.owners,
    )


def _padded(
    documents: PackedTokens, lengths: Tensor, order: Tensor, most: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Documents in the order of `order` and the tokens of each (documents, longest), most at once.

    The tokens of a document that is shorter than the longest of its chunk end in repeats.
    """
    starts = lengths.cumsum(0) - lengths
    sizes: list[int] = lengths[order].tolist()
    first = 0
    while first < len(sizes):
        last = first + 1
        while last < len(sizes) and (last + 1 - first) * sizes[last] <= most:
            last += 1
        chosen = order[first:last]
        step = torch.arange(sizes[last - 1], device=order.device)
        inside = torch.minimum(step.unsqueeze(0), (lengths[chosen] - 1).unsqueeze(1))
        yield chosen, starts[chosen].unsqueeze(1) + inside
        first = last


def _pairs(winners: Tensor) -> list[WinnerPairs]:
    """Blocks of rows of `winners` (query tokens, documents)."""
    rows, width = winners.shape
    if not rows or not width:
        return []
    block = max(1, PAIRS_OF_A_BLOCK // width)
    return [
        WinnerPairs(
            first=start,
            counts=torch.full((len(part),), width, device=winners.device),
            tokens=part.flatten(),
        )
        for start, part in zip(range(0, rows, block), torch.split(winners, block), strict=True)
    ]
