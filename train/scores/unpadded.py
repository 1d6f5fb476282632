"""Token vectors without padding: the values of the real tokens of many texts in one tensor.

Scores and losses work on this form, so that padding costs neither multiplications nor top-k slots.
Cost: one gather of the real tokens. Differentiable: the gradient returns to the padded tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedTokens:
    """Vectors of the real tokens of `count` texts, in the order of the texts."""

    values: Tensor
    """Shape (tokens, dim)."""
    owners: Tensor
    """Text of each token, non-decreasing, shape (tokens,), int64."""
    count: int

    def lengths(self) -> Tensor:
        """Real tokens of each text, shape (count,), int64."""
        return torch.bincount(self.owners, minlength=self.count)


def pack_tokens(values: Tensor, mask: Tensor) -> PackedTokens:
    """`PackedTokens` of padded vectors (n, length, dim) and their mask (n, length), true at tokens.

    `ValueError` where the shapes do not belong together.
    """
    if values.ndim != 3 or mask.shape != values.shape[:2]:
        raise ValueError(
            f"token vectors of shape {tuple(values.shape)} with a mask of {tuple(mask.shape)}: "
            "give (n, length, dim) and (n, length)"
        )
    length = values.shape[1]
    real = mask.bool().flatten().nonzero().squeeze(1)
    return PackedTokens(
        values=_pack(values.flatten(0, 1), real),
        owners=real // length if length else real,
        count=values.shape[0],
    )


def _pack(values: Tensor, real: Tensor) -> Tensor:
    """Rows `real` (ascending, each once) of `values`."""
    packed: Tensor = _Pack.apply(values, real)  # type: ignore[no-untyped-call]
    return packed


class _Pack(torch.autograd.Function):
    """`index_select` of rows that come once each, whose gradient is a copy and not a sum."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, real: Tensor) -> Tensor:
        """`values` (rows, dim), `real` (kept,)."""
        ctx.save_for_backward(real)
        ctx.rows = len(values)
        return values.index_select(0, real)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Zeros where nothing was kept."""
        (real,) = ctx.saved_tensors
        gradient = gradients[0]
        spread = gradient.new_zeros(ctx.rows, gradient.shape[1])
        return spread.index_copy_(0, real, gradient), None
