"""A training step whose activations are those of one mini-batch, whatever the batch is (GradCache).

Contrastive losses need all vectors of a batch at once, their encoder activations do not: (1) encode
every mini-batch without gradients, (2) compute the loss and its gradient on the vectors, (3) encode
each mini-batch again with the same random state (dropout draws the same) and push the gradient of
its vectors through (arXiv 2101.06983). Equal to the plain step up to rounding.
Cost: one more forward of the encoder, a third of a step. Memory: the vectors and their gradients,
2 x tokens x dim x 4 bytes, and the activations of the largest mini-batch.
Mini-batches hold texts of similar lengths, in any order; the loss sees the texts in the order of
the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from train.objectives.loss import LossResult
from train.scores import PackedTokens, pack_tokens

Encode = Callable[[Tensor, Tensor], Tensor]
"""Ids (n, length) and mask (n, length) to vectors (n, length, dim)."""
Judge = Callable[[PackedTokens, PackedTokens], LossResult]
"""Vectors of all queries and all documents of the batch to the loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniBatch:
    """Some texts of a batch, padded to the longest of them."""

    input_ids: Tensor
    """Shape (n, length), int64."""
    attention_mask: Tensor
    """Same shape, true or 1 at real tokens."""
    positions: Tensor
    """Place of each text in the batch, shape (n,), int64."""


def plain_step(
    encode: Encode,
    queries: Sequence[MiniBatch],
    documents: Sequence[MiniBatch],
    judge: Judge,
    *,
    nothing: Tensor | None = None,
) -> LossResult:
    """Loss and gradients with all activations held at once; the loss comes back detached.

    `nothing` (0, dim) stands for a side without mini-batches: a rank that has no text must still
    meet the others in the collectives. `ValueError` where it is needed and not given.
    """
    result = judge(
        _join(queries, [_vectors(encode, mini) for mini in queries], nothing),
        _join(documents, [_vectors(encode, mini) for mini in documents], nothing),
    )
    result.loss.backward()  # type: ignore[no-untyped-call]
    return LossResult(loss=result.loss.detach(), facts=result.facts)


def cached_step(
    encode: Encode,
    queries: Sequence[MiniBatch],
    documents: Sequence[MiniBatch],
    judge: Judge,
    *,
    nothing: Tensor | None = None,
) -> LossResult:
    """`plain_step` with the activations of one mini-batch at a time.

    `encode` must give the same vectors for the same ids and random state; gradients are added to
    the parameters' `.grad`, and the random state ends where the plain step leaves it.
    """
    minis = [*queries, *documents]
    states: list[_RandomState] = []
    vectors: list[Tensor] = []
    with torch.no_grad():
        for mini in minis:
            states.append(_RandomState(mini.input_ids.device))
            vectors.append(_vectors(encode, mini))
    leaves = [vector.detach().requires_grad_() for vector in vectors]
    del vectors
    result = judge(
        _join(queries, leaves[: len(queries)], nothing),
        _join(documents, leaves[len(queries) :], nothing),
    )
    result.loss.backward()  # type: ignore[no-untyped-call]
    for mini, state, leaf in zip(minis, states, leaves, strict=True):
        gradient, leaf.grad = leaf.grad, None
        if gradient is None or not len(leaf):
            continue
        with state.replayed():
            again = _vectors(encode, mini)
        again.backward(gradient)  # type: ignore[no-untyped-call]
    return LossResult(loss=result.loss.detach(), facts=result.facts)


def _vectors(encode: Encode, mini: MiniBatch) -> Tensor:
    """Vectors of the real tokens of a mini-batch, (tokens, dim)."""
    padded = encode(mini.input_ids, mini.attention_mask)
    return pack_tokens(padded, mini.attention_mask).values


def _join(
    minis: Sequence[MiniBatch], vectors: Sequence[Tensor], nothing: Tensor | None
) -> PackedTokens:
    """Vectors of mini-batches as those of the batch, texts in the order of the batch."""
    if not minis:
        if nothing is None:
            raise ValueError("a side without mini-batches: give `nothing`, a tensor of (0, dim)")
        empty = torch.zeros(0, dtype=torch.int64, device=nothing.device)
        return PackedTokens(values=nothing.detach().requires_grad_(), owners=empty, count=0)
    owners = torch.cat(
        [
            torch.repeat_interleave(mini.positions, mini.attention_mask.bool().sum(dim=1))
            for mini in minis
        ]
    )
    turn = owners.argsort(stable=True)
    return PackedTokens(
        values=torch.cat(list(vectors)).index_select(0, turn),
        owners=owners[turn],
        count=sum(len(mini.positions) for mini in minis),
    )


class _RandomState:
    """The random state of the CPU and of one device at a moment."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cpu = torch.get_rng_state()
        self._own: Tensor | None = None
        if device.type == "cuda":
            self._own = torch.cuda.get_rng_state(device)
        elif device.type == "mps":
            self._own = torch.mps.get_rng_state()

    def _restore(self) -> None:
        torch.set_rng_state(self._cpu)
        if self._own is None:
            return
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(self._own, self._device)
        else:
            torch.mps.set_rng_state(self._own)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """That moment's state inside, the present one again afterwards."""
        present = _RandomState(self._device)
        self._restore()
        try:
            yield
        finally:
            present._restore()
