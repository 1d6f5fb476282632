"""A loss on the device against the same loss on the CPU, before the first step.

Method: XTR and MaxSim scores, with queries that may not retrieve from some documents and with texts
of one token, in more than one block; the loss and both gradients are compared. An operation that
is wrong on a device (a top-k that is not sorted, a scatter that loses rows) shows here in words and
not as a model that learns nothing. There are no ties: which of two equals wins is a device's own.
Cost: 0.2 s. Limits: float32 only; the encoder is not part of it.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from train.errors import TrainingFault
from train.scores import PackedTokens, packed_maxsim_scores, packed_xtr_scores

TEXTS: Final = 64
DIM: Final = 32
TOLERANCE: Final = 1e-3
CHUNK_BYTES: Final = 1 << 20


def loss_self_test(device: torch.device) -> None:
    """Raises `TrainingFault` where a loss or a gradient on the device is not that of the CPU."""
    if device.type == "cpu":
        return
    expected = losses(torch.device("cpu"))
    for (name, *values), (_, *others) in zip(expected, losses(device), strict=True):
        for what, value, other in zip(
            ("loss", "queries", "documents"), values, others, strict=True
        ):
            difference = float((value - other.cpu()).abs().max())
            if not difference <= TOLERANCE * float(value.abs().max()):
                raise TrainingFault(
                    f"the {name} loss on {device} is not the CPU's: its {what} differ by "
                    f"{difference:.2g} (torch {torch.__version__})",
                    remedy="train with device: cpu, or with another torch version",
                )


def losses(device: torch.device) -> list[tuple[str, Tensor, Tensor, Tensor]]:
    """Name, loss and the gradients of query and document tokens of each objective."""
    queries, query_lengths = _tokens(1, 12)
    documents, document_lengths = _tokens(2, 48)
    excluded = torch.zeros(TEXTS, TEXTS, dtype=torch.bool)
    excluded[::7, 3::5] = True
    excluded.fill_diagonal_(False)
    losses = []
    for name in ("xtr", "maxsim"):
        leaves = [values.to(device).requires_grad_() for values in (queries, documents)]
        packed = [
            PackedTokens(
                values=values,
                owners=torch.repeat_interleave(torch.arange(TEXTS), lengths).to(device),
                count=TEXTS,
            )
            for values, lengths in zip(leaves, (query_lengths, document_lengths), strict=True)
        ]
        masked = excluded.to(device)
        scores = (
            packed_xtr_scores(*packed, k=96, excluded=masked, chunk_bytes=CHUNK_BYTES).scores
            if name == "xtr"
            else packed_maxsim_scores(*packed, chunk_bytes=CHUNK_BYTES)
        )
        scores = scores.masked_fill(masked, float("-inf"))
        target = torch.arange(TEXTS, device=device)
        loss = functional.cross_entropy(scores * 20, target)
        query_gradient, document_gradient = torch.autograd.grad(loss, leaves)
        losses.append((name, loss.detach(), query_gradient, document_gradient))
    return losses


def _tokens(seed: int, longest: int) -> tuple[Tensor, Tensor]:
    """Unit vectors, and how many each text has."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (TEXTS,), generator=generator)
    lengths[:3] = 1
    values = torch.randn(int(lengths.sum()), DIM, generator=generator)
    return functional.normalize(values, dim=1), lengths
