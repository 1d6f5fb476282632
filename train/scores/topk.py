"""Exact top-k tokens of every query token, over chunks of documents, without the whole score grid.

A chunk of scores is `queries @ tokens.T` in fp32 (fp64 if the inputs are), never larger than
`chunk_bytes`; the best k of a chunk are merged with the best so far. Within a chunk they are
found in two stages where that pays: the maxima of strided groups of g tokens, the k+1 best
groups, then the k+1 best tokens in these (a token outside them has k+1 tokens at or above it).
Ties at the k-th place go to the token that comes first, so that the result depends neither on
the chunks nor on the device: one more than k is asked for, and only rows whose k-th and (k+1)-th
values are equal are selected again by position.
Operations: mm, amax, topk and gather in two or three dimensions, cumsum, sort, nonzero.
Memory: the chunk, its candidates (a half of it) and, for tied rows, an eighth of it several times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

CPU_CHUNK_BYTES: Final = 64 << 20
DEVICE_CHUNK_BYTES: Final = 512 << 20
NOTHING: Final = -math.inf
"""Value of a place that holds no token: the pool was smaller than k."""
_FEWEST_ROWS: Final = 64
_TIED_PARTS: Final = 8
_SMALLEST_GROUP: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The best tokens of each row, in no order; places whose value is `NOTHING` are empty."""

    values: Tensor
    """Shape (rows, k or k+1)."""
    tokens: Tensor
    """Token of each place, same shape, int64."""


def chunk_elements(chunk_bytes: int | None, like: Tensor) -> int:
    """Scores in a chunk of `chunk_bytes`; None is 64 MiB on a CPU and 512 MiB elsewhere."""
    if chunk_bytes is None:
        chunk_bytes = CPU_CHUNK_BYTES if like.device.type == "cpu" else DEVICE_CHUNK_BYTES
    if chunk_bytes < 4096:
        raise ValueError(f"chunk_bytes is {chunk_bytes}: give at least 4096")
    return chunk_bytes // like.element_size()


def block_shape(rows: int, columns: int, elements: int) -> tuple[int, int]:
    """Rows and columns of a chunk of at most `elements`: whole rows, unless too few would fit."""
    fewest = min(_FEWEST_ROWS, max(1, math.isqrt(elements)))
    block = max(1, min(rows, max(elements // max(1, columns), fewest)))
    return block, max(1, min(columns, elements // block))


def top_tokens(
    queries: Tensor,
    tokens: Tensor,
    owners: Tensor,
    *,
    k: int,
    barred: Tensor | None,
    chunk: Tensor,
) -> Best:
    """The k tokens most similar to each row of `queries`, first by value, then by position.

    `queries` (rows, dim) and `tokens` (n, dim) of one dtype; `owners` (n,) the document of each
    token; `barred` (rows, documents), true where a row may not take a document's tokens;
    `chunk` flat scratch space that holds at least one column of scores.
    """
    rows, total = queries.shape[0], tokens.shape[0]
    columns = max(1, min(total, chunk.numel() // max(1, rows)))
    best: Best | None = None
    for start in range(0, max(1, total), columns):
        part = tokens[start : start + columns]
        scores = chunk[: rows * part.shape[0]].view(rows, part.shape[0])
        torch.mm(queries, part.T, out=scores)
        if barred is not None:
            _bar(scores, barred, owners[start : start + columns])
        # The best k of all are among the best k of each chunk, and ties keep the order of
        # positions: merging chunk by chunk selects what one pass over the whole row would.
        chunk_best = _select(scores, None, k)
        chunk_best = Best(values=chunk_best.values, tokens=chunk_best.tokens + start)
        best = chunk_best if best is None else merge(best, chunk_best, k)
    assert best is not None  # the range above is never empty
    return best


def _bar(scores: Tensor, barred: Tensor, owners: Tensor) -> None:
    """Empty the places of barred documents, touching only the rows that have any."""
    rows = barred.any(dim=1).nonzero().squeeze(1)
    if len(rows):
        mask = barred[rows].index_select(1, owners)
        scores[rows] = scores[rows].masked_fill_(mask, NOTHING)


def merge(best: Best, other: Best, k: int) -> Best:
    """The best k of two, whose places are those of one numbering."""
    values = torch.cat([best.values, other.values], dim=1)
    tokens = torch.cat([best.tokens, other.tokens], dim=1)
    selected = _select(values, tokens, k)
    return Best(values=selected.values, tokens=tokens.gather(1, selected.tokens))


def _select(scores: Tensor, order: Tensor | None, k: int) -> Best:
    """Best k places of each row; equal values in the order of `order` (or of the places)."""
    rows, width = scores.shape
    if k >= width:
        indices = torch.arange(width, device=scores.device).expand(rows, width)
        return Best(values=scores.clone(), tokens=indices)
    # The (k+1)-th value tells whether the k-th is unique. If it is, there is one selection of the
    # k largest; only tied rows pay for a selection by position.
    values, indices = _candidates(scores, k + 1)
    least = values.amin(dim=1, keepdim=True)
    above = (values > least).sum(dim=1)
    values.masked_fill_(values == least, NOTHING)
    tied = ((above < k) & (least.squeeze(1) != NOTHING)).nonzero().squeeze(1)
    for part in torch.split(tied, max(1, rows // _TIED_PARTS)):
        _settle(scores, order, k, part, least, values, indices)
    return Best(values=values, tokens=indices)


def _settle(
    scores: Tensor,
    order: Tensor | None,
    k: int,
    rows: Tensor,
    least: Tensor,
    values: Tensor,
    indices: Tensor,
) -> None:
    """Select rows whose k-th value is not unique: all above it, then the first ones equal to it."""
    tied = scores.index_select(0, rows)
    by_position = None if order is None else order.index_select(0, rows).argsort(dim=1)
    if by_position is not None:
        tied = tied.gather(1, by_position)
    border = least.index_select(0, rows)
    over, equal = tied > border, tied == border
    open_slots = k - over.sum(dim=1, keepdim=True)
    taken = over | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= open_slots))
    chosen = taken.nonzero()[:, 1].view(len(rows), k)
    values[rows, :k] = tied.gather(1, chosen)
    values[rows, k:] = NOTHING
    indices[rows, :k] = chosen if by_position is None else by_position.gather(1, chosen)


def _candidates(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest values of each row and their places; of equal ones, any."""
    rows, width = scores.shape
    group = math.isqrt(width // count)
    if group < _SMALLEST_GROUP:
        top = scores.topk(count, dim=1, sorted=False)
        return top.values, top.indices
    # Scores of one row as a table (group, groups), and a tail that fills no row of it:
    #
    #     0        1         2         ...  groups-1       a group is a column; the largest maxima
    #     groups   groups+1  groups+2  ...                 choose `count` columns
    #
    # A score outside the chosen columns has `count` scores at or above it: their maxima. So the
    # largest `count` lie in these columns or in the tail, and topk runs over two short rows.
    groups = width // group
    grouped = scores[:, : groups * group].view(rows, group, groups)
    best = grouped.amax(dim=1).topk(count, dim=1, sorted=False).indices
    inner = grouped.gather(2, best.unsqueeze(1).expand(rows, group, count)).flatten(1)
    candidates = torch.cat([inner, scores[:, groups * group :]], dim=1)
    top = candidates.topk(count, dim=1, sorted=False)
    member = top.indices // count
    inside = member * groups + best.gather(1, top.indices % count)
    tail = top.indices - inner.shape[1] + groups * group
    return top.values, torch.where(member < group, inside, tail)
