"""The k tokens of an index that are nearest to each query token, exactly, block by block.

Method: the maxima of groups of a block's similarities are compared with the k-th best so far of
each query token; the few that are above it are put aside, and merged
(`train.scores.topk.merge`) once some query token has no room for those of another block. While
many are above it, as in the first blocks, all are merged. A later token that equals the k-th best
is not above it: ties go to the token that comes first, whatever the blocks.
Cost: the product and one pass over its similarities: about k ln(tokens / k) are put aside in all.
Memory: the similarities of a block, and (2 k + tokens of a block) x 12 bytes a query token.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from train import ModelError
from train.scores import NOTHING, Best, merge

_SIMILARITIES = 1 << 21
"""Computed together: 8 MiB."""
_GROUP = 8
"""Similarities whose maximum is looked at first."""


class NearestTokens:
    """Collects the nearest tokens of `rows` (query tokens, dim); `k` of each."""

    def __init__(self, rows: torch.Tensor, k: int) -> None:
        self._rows = rows
        self._k = k
        count = len(rows)
        self._best = Best(
            values=rows.new_zeros(count, 0),
            tokens=torch.zeros(count, 0, dtype=torch.int64, device=rows.device),
        )
        self._least = rows.new_full((count, 1), NOTHING)
        self._columns = max(1, _SIMILARITIES // max(1, count))
        self._scratch = rows.new_empty(max(count, _SIMILARITIES))
        self._seen = 0
        self._width = 0
        self._filled = torch.zeros(count, dtype=torch.int64, device=rows.device)
        self._fullest = 0
        self._waiting = self._best

    def add(self, tokens: torch.Tensor, first: int) -> None:
        """More tokens (n, dim), behind those added before; `first` is the place of the first.

        ValueError where a similarity is no finite number.
        """
        for start in range(0, len(tokens), self._columns):
            self._add(tokens[start : start + self._columns], first + start)

    def found(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Similarities and places, in the order of the places; -inf where there is no token."""
        self._merge()
        turn = self._best.tokens.argsort(dim=1)
        values = self._best.values.gather(1, turn).cpu().numpy()
        return values, self._best.tokens.gather(1, turn).cpu().numpy()

    def _add(self, tokens: torch.Tensor, first: int) -> None:
        width = len(tokens)
        scores = self._scratch[: len(self._rows) * width].view(len(self._rows), width)
        torch.mm(self._rows, tokens.T, out=scores)
        self._seen += width
        whole = width // _GROUP
        grouped = scores[:, : whole * _GROUP].view(len(scores), _GROUP, whole)
        tops, rest = grouped.amax(dim=1), scores[:, whole * _GROUP :]
        if not math.isfinite(float(tops.sum() + rest.sum())):
            raise ModelError("a similarity is NaN or infinite: the model is damaged")
        rows, places = (tops > self._least).nonzero(as_tuple=True)
        if self._seen - width < self._k or len(rows) * _GROUP > scores.numel() // 2:
            self._merge()
            numbers = torch.arange(first, first + width, device=rows.device)
            self._join(Best(values=scores, tokens=numbers.expand_as(scores)))
            return
        members = grouped[rows, :, places]
        row, member = (members > self._least[rows]).nonzero(as_tuple=True)
        self._put(rows[row], members[row, member], member * whole + places[row] + first)
        rows, places = (rest > self._least).nonzero(as_tuple=True)
        self._put(rows, rest[rows, places], places + whole * _GROUP + first)

    def _put(self, rows: torch.Tensor, values: torch.Tensor, tokens: torch.Tensor) -> None:
        """Puts aside what is above the k-th best; `rows` ascend."""
        if not len(rows):
            return
        counts = torch.bincount(rows, minlength=len(self._rows))
        most = int(counts.max())
        if self._fullest + most > self._width:
            self._merge()
            if most > self._width:
                self._make_room(max(2 * self._k, most))
        starts = counts.cumsum(0) - counts
        places = torch.arange(len(rows), device=rows.device) - starts[rows] + self._filled[rows]
        self._waiting.values[rows, places] = values
        self._waiting.tokens[rows, places] = tokens
        self._filled += counts
        self._fullest += most

    def _make_room(self, width: int) -> None:
        self._width = width
        shape = (len(self._rows), width)
        self._waiting = Best(
            values=self._rows.new_full(shape, NOTHING),
            tokens=torch.zeros(shape, dtype=torch.int64, device=self._rows.device),
        )

    def _merge(self) -> None:
        """What waits joins the best."""
        if not self._fullest:
            return
        used = self._fullest
        self._join(
            Best(values=self._waiting.values[:, :used], tokens=self._waiting.tokens[:, :used])
        )
        self._waiting.values.fill_(NOTHING)
        self._filled.zero_()
        self._fullest = 0

    def _join(self, candidates: Best) -> None:
        """The best of both; the k-th best of each row is what others must beat."""
        self._best = merge(self._best, candidates, self._k)
        real = self._best.values != NOTHING
        whole = real.sum(dim=1, keepdim=True) >= self._k
        least = torch.where(real, self._best.values, math.inf).amin(dim=1, keepdim=True)
        self._least = torch.where(whole, least, NOTHING)
