"""One training step: token vectors of all texts, one loss over all pairs, gradients, AdamW.

Method: texts are packed into mini-batches by tokens. Where all of them fit into one budget the step
is an ordinary one, else it is GradCache's (`train.objectives.grad_cache`). Several processes:
documents are gathered with their gradients, each process takes the loss of its own queries over all
documents, and the parameters' gradients are summed, which is the step of one process with the whole
batch. Memory: activations of `batch.mini_batch_tokens`, 4 x dim bytes a token of the batch three
times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from train.config import TrainConfig
from train.cpu_matmul import quick_products
from train.data import Lengths, Ragged, TokenBatch, pack
from train.device import Device
from train.distributed import Processes
from train.model import Encoder
from train.objectives import (
    Labels,
    Loss,
    LossResult,
    MiniBatch,
    cached_step,
    global_loss,
    plain_step,
    reduce_gradients,
)
from train.run.cost import arithmetic
from train.run.schedule import k_factor, rate_scales
from train.run.setup import lengths_of
from train.run.state import Parameters
from train.scores import PackedTokens


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """One step over all processes."""

    loss: float
    rate: float
    gradient_norm: float
    tokens: int
    padded_tokens: int
    flops: float
    facts: Mapping[str, float]

    @property
    def finite(self) -> bool:
        """Whether loss and gradients are numbers; the weights stayed where they are not."""
        return bool(np.isfinite(self.loss) and np.isfinite(self.gradient_norm))


class Stepper:
    """Encoder, loss and optimizer of one process."""

    def __init__(
        self,
        config: TrainConfig,
        encoder: Encoder,
        loss: Loss,
        device: Device,
        group: Processes,
        lengths: Lengths,
    ) -> None:
        self.encoder = encoder
        self.loss = loss
        self.parameters = _trained(encoder, loss)
        self.optimizer = _optimizer(config, self.parameters, device)
        self._config = config
        self._device = device
        self._group = group
        self._lengths: Lengths = lengths
        self._arithmetic = arithmetic(encoder)
        self._pad = int(encoder.tokenizer.pad_token_id or 0)

    def step(self, batch: TokenBatch, *, step: int, total: int, rate: float) -> StepResult:
        """Trains on one batch; where loss or gradients are no numbers the weights stay."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.encoder.train()
        self.optimizer.zero_grad(set_to_none=True)
        factor = k_factor(step, total=total, start=self._config.objective.k_start)
        queries, documents = self._packed(batch.queries, 0), self._packed(batch.documents, 1)
        with self._quick():
            result = self.gradients(batch, queries, documents, factor)
        reduce_gradients(self.parameters.values())
        norm = float(
            torch.nn.utils.clip_grad_norm_(
                list(self.parameters.values()), self._config.optimizer.clip
            )
        )
        loss = float(result.facts.get("loss", float(result.loss)))
        if np.isfinite(loss) and np.isfinite(norm):
            self.optimizer.step()
        sums = self._sums(batch, [*queries, *documents])
        return StepResult(
            loss=loss,
            rate=rate,
            gradient_norm=norm,
            tokens=int(sums[0]),
            padded_tokens=int(sums[1]),
            flops=sums[2],
            facts={n: v for n, v in result.facts.items() if n not in ("queries", "loss")},
        )

    def _quick(self) -> AbstractContextManager[None]:
        """The quickest products and attention of a CPU; a compiled model keeps what it has."""
        if self._config.compile:
            return quick_products(self._device.torch)
        return self.encoder.quick()

    def gradients(
        self,
        batch: TokenBatch,
        queries: Sequence[MiniBatch],
        documents: Sequence[MiniBatch],
        factor: float = 1.0,
    ) -> LossResult:
        """Adds the gradients of this process's part of the loss to the parameters."""
        labels = self._labels(batch)
        teacher = self._teacher(batch)

        def judge(asked: PackedTokens, pool: PackedTokens) -> LossResult:
            return global_loss(self.loss, asked, pool, labels, teacher=teacher, k_factor=factor)

        tokens = sum(mini.input_ids.numel() for mini in (*queries, *documents))
        fits = tokens <= self._config.batch.mini_batch_tokens
        return (plain_step if fits else cached_step)(self._encode, queries, documents, judge)

    def _encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        if not len(ids):
            # Without texts there is nothing to compute, and FlashAttention refuses to; a gradient
            # is asked for so that this process meets the others on the way back.
            shape = (*ids.shape, self.encoder.projection.out_features)
            return torch.zeros(shape, device=ids.device, requires_grad=True)
        with self._device.autocast():
            vectors: Tensor = self.encoder(ids, mask)
        return vectors

    def _packed(self, side: Ragged, number: int) -> list[MiniBatch]:
        """A side's mini-batches on the device; without texts an empty one, as collectives need."""
        encoder = self._config.encoder
        return pack(
            side,
            budget=self._config.batch.mini_batch_tokens,
            lengths=self._lengths,
            limit=encoder.document_length if number else encoder.query_length,
            pad=self._pad,
            device=self._device.torch,
        )

    def _labels(self, batch: TokenBatch) -> Labels:
        device = self._device.torch
        groups = torch.from_numpy(batch.groups).to(device)
        return Labels(
            positives=torch.arange(len(batch.queries), device=device),
            query_groups=groups[: len(batch.queries)],
            document_groups=groups,
            document_hashes=torch.from_numpy(batch.codes).to(device),
        )

    def _teacher(self, batch: TokenBatch) -> Tensor | None:
        """Scores of the teacher in their columns, NaN elsewhere; (queries, documents)."""
        if not self._config.objective.needs_teacher:
            return None
        if batch.teacher is None or batch.owners is None:
            raise ValueError("the batch has no teacher scores of mined negatives")
        count = len(batch.queries)
        scores = np.full((count, len(batch.documents)), np.nan, dtype=np.float32)
        # Without a score of its own the answer alone is listed, which teaches nothing.
        np.fill_diagonal(scores, np.nan_to_num(batch.teacher[:, 0]))
        taken = np.zeros(count, dtype=np.int64)
        for negative, owner in enumerate(batch.owners.tolist()):
            taken[owner] += 1
            scores[owner, count + negative] = batch.teacher[owner, taken[owner]]
        return torch.from_numpy(scores).to(self._device.torch)

    def _sums(self, batch: TokenBatch, minis: Sequence[MiniBatch]) -> list[float]:
        """Real tokens, padded tokens and FLOPs of all processes."""
        lengths = np.concatenate([batch.queries.lengths, batch.documents.lengths])
        padded = sum(mini.input_ids.numel() for mini in minis)
        sums = [float(batch.tokens), float(padded), self._arithmetic.training_flops(lengths)]
        if self._group.world == 1:
            return sums
        kind = torch.float32 if self._device.torch.type == "mps" else torch.float64
        flat = torch.tensor(sums, dtype=kind, device=self._device.torch)
        dist.all_reduce(flat)
        return [float(value) for value in flat]


def new_stepper(config: TrainConfig, encoder: Encoder, device: Device, group: Processes) -> Stepper:
    """Encoder, loss and optimizer before the first step."""
    loss = Loss(config.objective).to(device.torch)
    if config.compile:
        # In place: names and state stay those of the plain model.
        encoder.base.compile()
    return Stepper(config, encoder, loss, device, group, lengths_of(config, device))


def _trained(encoder: Encoder, loss: Loss) -> Parameters:
    named = {f"encoder.{name}": parameter for name, parameter in encoder.named_parameters()}
    named |= {f"loss.{name}": parameter for name, parameter in loss.named_parameters()}
    return {name: parameter for name, parameter in named.items() if parameter.requires_grad}


def _optimizer(
    config: TrainConfig, parameters: Parameters, device: Device
) -> torch.optim.Optimizer:
    """AdamW; norms, biases and the temperature are not decayed. `scale` of a group: of the rate."""
    section = config.optimizer
    scales = rate_scales(parameters.keys(), section.layer_decay)
    groups: dict[tuple[bool, float], list[torch.nn.Parameter]] = {}
    for name, parameter in parameters.items():
        groups.setdefault((parameter.ndim < 2, scales[name]), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": groups[is_vector, scale],
                "weight_decay": 0.0 if is_vector else section.weight_decay,
                "scale": scale,
            }
            for is_vector, scale in sorted(groups)
        ],
        lr=section.lr,
        betas=section.betas,
        eps=section.eps,
        fused=device.torch.type in ("cuda", "cpu"),
    )
