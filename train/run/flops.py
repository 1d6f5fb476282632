"""How much arithmetic a batch is: 3 x the forward FLOPs of its real tokens.

    forward(token) = 2 x parameters outside the embeddings (adapters and projection included)
                     + 4 x width x (sum over the layers of the tokens it attends to)

A layer with a window w attends to min(length, w) tokens. The backward pass counts twice the
forward (Kaplan et al., arXiv 2001.08361), also under LoRA, where it needs less. Padding, the
score and GradCache's second forward are not counted. For ModernBERT-base at length 256 this gives
0.697 GFLOP a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.model import Encoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Arithmetic:
    """What the FLOPs of an encoder are made of."""

    dense_parameters: int
    width: int
    """Of all heads together."""
    full_layers: int
    window_layers: int
    window: int

    def training_flops(self, lengths: NDArray[np.int64]) -> float:
        """3 x forward of texts of these lengths."""
        real = lengths.astype(np.float64)
        attended = self.full_layers * real + self.window_layers * np.minimum(real, self.window)
        forward = 2 * self.dense_parameters * real + 4 * self.width * attended * real
        return float(3 * forward.sum())


def arithmetic(encoder: Encoder) -> Arithmetic:
    """The figures of an encoder, from its parameters and its config."""
    embeddings: Any = encoder.base.get_input_embeddings()
    table = int(embeddings.weight.numel())
    total = sum(parameter.numel() for parameter in encoder.parameters())
    config: Any = encoder.base.config
    layers = int(getattr(config, "num_hidden_layers", 0) or getattr(config, "num_layers", 0))
    kinds = list(getattr(config, "layer_types", None) or ["full_attention"] * layers)
    local = sum("sliding" in kind or "local" in kind for kind in kinds)
    window = getattr(config, "local_attention", None) or getattr(config, "sliding_window", None)
    heads = getattr(config, "d_kv", None)
    width = config.num_heads * heads if heads else config.hidden_size
    return Arithmetic(
        dense_parameters=total - table,
        width=int(width),
        full_layers=layers - local,
        window_layers=local,
        window=int(window or 1),
    )
