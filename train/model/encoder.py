"""The encoder: a transformer, one linear projection, token vectors of length 1.

Method: last hidden state, a bias-free linear layer, L2 normalisation in float32. `encode` sorts the
texts by length, pads each mini-batch to one of few lengths (a device that compiles or caches by
shape sees about 20 of them up to 1,024 tokens) and keeps the real tokens only.

Cost: the transformer's; `encode` holds one mini-batch of `token_budget` padded tokens on the device
and `4 * dim` bytes a real token on the host. On a CPU mini-batches are small enough for its caches
and the C library's arenas (a third quicker than with 16,384 tokens), and products and attention
are those of `train.cpu_matmul` and `train.model.cpu_attention`.
Limits: texts are cut to the lengths of the options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from train.cpu_matmul import quick_products
from train.model.cpu_attention import cpu_attention
from train.model.token_vectors import TokenVectors
from train.model.tokenizer import EncoderOptions, Kind, TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["Encoder", "EncoderOptions", "Kind", "TokenVectors", "bucket", "pad"]


CPU_BUDGET: Final = 1_024
BUDGET: Final = 16_384
"""Padded tokens of a mini-batch of `encode`, on a CPU and elsewhere."""


class Encoder(nn.Module):
    """Texts to token vectors. `base` gives hidden states, `projection` their `options.dim`."""

    def __init__(
        self,
        *,
        base: PreTrainedModel,
        projection: nn.Linear,
        tokenizer: PreTrainedTokenizerFast,
        options: EncoderOptions,
    ) -> None:
        super().__init__()
        self.base = base
        self.projection = projection
        self.tokenizer = tokenizer
        self.options = options
        self.text_tokenizer = TextTokenizer(tokenizer, options)

    @property
    def device(self) -> torch.device:
        return self.projection.weight.device

    def tokenize(self, texts: Sequence[str], kind: Kind) -> list[list[int]]:
        """Ids of each text with special tokens and marker, cut to length, not padded."""
        return self.text_tokenizer(texts, kind)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L] ids and mask to [B, L, dim] float32, each vector of length 1, padding included."""
        with self._half():
            output = self.base(input_ids=input_ids, attention_mask=attention_mask)
            projected = self.projection(output.last_hidden_state)
        return functional.normalize(projected.float(), dim=-1)

    def _half(self) -> AbstractContextManager[object]:
        """bf16 for FlashAttention, which takes no float32, where the caller chose nothing."""
        flash = self.base.config._attn_implementation == "flash_attention_2"
        kind = self.device.type
        if flash and not torch.is_autocast_enabled(kind):
            return torch.autocast(kind, dtype=torch.bfloat16)
        return nullcontext()

    def encode(
        self,
        texts: Sequence[str],
        kind: Kind,
        *,
        token_budget: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> TokenVectors:
        """Vectors of all texts in their order; `progress` is told how many more are done.

        `token_budget` is the padded tokens of a mini-batch; None takes what suits the device.
        """
        rows = self.tokenize(texts, kind)
        return self.encode_ids(rows, kind, token_budget=token_budget, progress=progress)

    def encode_ids(
        self,
        rows: Sequence[Sequence[int]],
        kind: Kind,
        *,
        token_budget: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> TokenVectors:
        """`encode` of what `tokenize` gave."""
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = np.empty((int(offsets[-1]), self.projection.out_features), dtype=np.float32)
        with self.inference():
            for part, ids, mask in self.mini_batches(rows, kind, token_budget):
                vectors = self(ids, mask).cpu().numpy()
                for i, row in zip(part, vectors, strict=True):
                    values[offsets[i] : offsets[i + 1]] = row[: len(rows[i])]
                if progress is not None:
                    progress(len(part))
        return TokenVectors(values=values, offsets=offsets)

    @contextmanager
    def quick(self) -> Iterator[None]:
        """The quickest products and attention that a CPU has; elsewhere nothing changes."""
        with quick_products(self.device), cpu_attention(self.base):
            yield

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Evaluation mode without gradients, as quick as the device is."""
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode(), self.quick():
                yield
        finally:
            self.train(was_training)

    def mini_batches(
        self, rows: Sequence[Sequence[int]], kind: Kind, token_budget: int | None = None
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Positions in `rows` with their ids and mask, [B, L] int64, longest rows first."""
        budget = token_budget or (CPU_BUDGET if self.device.type == "cpu" else BUDGET)
        for part in batches(rows, budget, lambda tokens: self._padded_length(tokens, kind)):
            yield part, *self.padded([rows[i] for i in part], kind)

    def padded(self, rows: Sequence[Sequence[int]], kind: Kind) -> tuple[Tensor, Tensor]:
        """Ids and mask [B, L] int64 on the encoder's device, L from few lengths but on a CPU."""
        length = self._padded_length(max(map(len, rows)), kind)
        ids, mask = pad(rows, length, cast(int, self.tokenizer.pad_token_id))
        return ids.to(self.device), mask.to(self.device)

    def _padded_length(self, tokens: int, kind: Kind) -> int:
        # A CPU neither compiles nor caches by shape.
        limit = self.options.length(kind)
        return fill(tokens, 8, limit) if self.device.type == "cpu" else bucket(tokens, limit)


def pad(rows: Sequence[Sequence[int]], length: int, pad_id: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, both [rows, length] int64, filled on the right."""
    ids = torch.full((len(rows), length), pad_id, dtype=torch.int64)
    mask = torch.zeros((len(rows), length), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.as_tensor(row, dtype=torch.int64)
        mask[i, : len(row)] = 1
    return ids, mask


def bucket(tokens: int, limit: int) -> int:
    """The padded length: steps of 16 to 128, then 8 steps an octave, at most `limit`."""
    step = max(16, 1 << max(0, (tokens - 1).bit_length() - 3))
    return fill(tokens, step, limit)


def fill(tokens: int, step: int, limit: int) -> int:
    """A whole number of steps, at most `limit` where that holds the tokens."""
    return max(tokens, min(limit, -(-tokens // step) * step))


def batches(
    rows: Sequence[Sequence[int]], budget: int, padded: Callable[[int], int]
) -> Iterator[list[int]]:
    """Positions of rows, longest first (what does not fit fails at once), by padded tokens.

    `padded` gives the length that rows of so many tokens are padded to.
    """
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    part: list[int] = []
    for i in order:
        longest = padded(len(rows[part[0]])) if part else 0
        if part and longest * (len(part) + 1) > budget:
            yield part
            part = []
        part.append(i)
    if part:
        yield part
