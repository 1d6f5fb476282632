"""What a step costs: arithmetic, memory by a formula, and what to lower where memory is short.

Memory of a step, before the first one:

    weights + gradients + optimizer   4 P + 4 T + 8 T     P all, T trained parameters, fp32
    bf16 copies under autocast        2 P
    activations                       a x mini-batch tokens, a in bytes a token
    cached vectors                    3 x 4 x dim x (query + document tokens)
    score state                       `Objective.state_bytes` + 3 chunks of scores
    scores                            4 x 4 x queries x documents
    allocator, on a CPU only          1.2 x (activations + cached vectors + score state)

`a` is counted, not guessed: one forward of a few short texts on the CPU under saved-tensor hooks
adds up the distinct storages that the backward pass keeps, at two lengths, and the line through
them is taken at the longest document. Cached vectors are three: the values, their gradient and
the copy in the order of the batch; the objective says what it keeps of the scores, beside a chunk
of them with its candidates. The C library keeps what mini-batches of many shapes leave between each
other (`SLACK`, measured by benchmarks/train_memory.py; handing it back at once halves the speed).
Cost: two forwards of 8 texts, 0.05 s for a 22M encoder. Limits: fragmentation of a card's allocator
is not in it (`RESERVE` stays free for that), nor is what a process holds once torch is imported.

Arithmetic is 3 x the forward FLOPs of the real tokens:

    forward(token) = 2 x parameters outside the embeddings (adapters and projection included)
                     + 4 x width x (sum over the layers of the tokens it attends to)

A layer with a window w attends to min(length, w) tokens. The backward pass counts twice the
forward (Kaplan et al., arXiv 2001.08361), also under LoRA, where it needs less. Padding, the
score and GradCache's second forward are not counted. For ModernBERT-base at length 256 this gives
0.697 GFLOP a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from train.config import TrainConfig
from train.device import Device
from train.errors import TrainingFault
from train.model import Encoder

RESERVE: Final = 0.9
"""Share of the free memory that a plan may use."""
SLACK: Final = 1.2
"""What a CPU's allocator holds beyond the parts that come and go, as a share of these."""
_PROBE_ROWS: Final = 4
_OUT_OF_MEMORY: Final = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What one step holds; tokens are those of one process."""

    parameters: int
    trained: int
    activation_bytes: float
    """Bytes a token of a mini-batch keeps for the backward pass."""
    mini_batch_tokens: int
    query_tokens: int
    document_tokens: int
    queries: int
    documents: int
    dim: int
    score_state: int
    """Bytes the objective keeps until the backward pass."""
    chunk_bytes: int
    bf16: bool
    slack: float = 0.0
    """`SLACK` on a CPU."""

    def parts(self) -> dict[str, int]:
        """Name -> bytes, largest terms of a step."""
        vectors = 12 * self.dim * (self.query_tokens + self.document_tokens)
        activations = round(self.activation_bytes * self.mini_batch_tokens)
        score_state = self.score_state + 3 * self.chunk_bytes
        return {
            "weights": 4 * self.parameters + (2 * self.parameters if self.bf16 else 0),
            "gradients": 4 * self.trained,
            "optimizer": 8 * self.trained,
            "activations": activations,
            "cached vectors": vectors,
            "score state": score_state,
            "scores": 16 * self.queries * self.documents,
            "allocator": round(self.slack * (activations + vectors + score_state)),
        }

    def total(self) -> int:
        """Bytes of a step."""
        return sum(self.parts().values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """A setting to lower and to what."""

    setting: str
    value: int
    now: int

    def describe(self) -> str:
        """For people."""
        return f"lower {self.setting} from {self.now} to {self.value}"


def advice(demand: Demand, available: int, *, batch_size: int, longest: int) -> Advice:
    """What makes a demand fit into `available` bytes, or the nearest to it.

    The mini-batch first (it changes no result), then the batch.
    """
    parts = demand.parts()
    whole = 1 + demand.slack
    rest = demand.total() - whole * parts["activations"]
    budget = RESERVE * available - rest
    tokens = int(budget / max(1.0, whole * demand.activation_bytes)) // 256 * 256
    if tokens >= max(longest, 256):
        return Advice(
            setting="batch.mini_batch_tokens",
            value=min(tokens, demand.mini_batch_tokens // 2),
            now=demand.mini_batch_tokens,
        )
    return Advice(setting="batch.size", value=max(2, batch_size // 2), now=batch_size)


def saved_bytes(encoder: torch.nn.Module, rows: int, length: int, *, token: int) -> int:
    """Bytes that the backward pass of one forward of (rows, length) keeps, parameters left out."""
    device = next(encoder.parameters()).device
    own = {p.untyped_storage().data_ptr() for p in encoder.parameters()}
    storages: dict[int, int] = {}
    tensors: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
            # Alive until all are counted: a freed address could come again.
            tensors.append(tensor)
        return tensor

    ids = torch.full((rows, length), token, dtype=torch.long, device=device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = encoder(ids, torch.ones_like(ids))
    del out
    return sum(storages.values())


def activation_bytes(
    encoder: torch.nn.Module, longest: int, *, bf16: bool, token: int = 0
) -> float:
    """Bytes a token keeps at length `longest`: a line through two short lengths.

    Under bf16 autocast about 0.6 of the fp32 figure stays (the normalisations keep fp32).
    """
    short, long = 32, 96
    low = saved_bytes(encoder, _PROBE_ROWS, short, token=token) / (_PROBE_ROWS * short)
    high = saved_bytes(encoder, _PROBE_ROWS, long, token=token) / (_PROBE_ROWS * long)
    slope = max(0.0, (high - low) / (long - short))
    return (low + slope * (max(longest, short) - short)) * (0.6 if bf16 else 1.0)


@contextmanager
def explained(config: TrainConfig, device: Device) -> Iterator[None]:
    """Turns an allocator's error into a `TrainingFault` with the setting to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise out_of_memory(config, device, error) from error
    except RuntimeError as error:
        # The CPU's and MPS's allocators raise a plain RuntimeError.
        if not any(sign in str(error) for sign in _OUT_OF_MEMORY):
            raise
        raise out_of_memory(config, device, error) from error


def out_of_memory(config: TrainConfig, device: Device, error: BaseException) -> TrainingFault:
    """The mini-batch is halved while a text fits into it; then the batch; then the texts."""
    first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    longest = max(config.encoder.query_length, config.encoder.document_length)
    now, batch = config.batch.mini_batch_tokens, config.batch.size
    if now // 2 >= max(longest, 256):
        advice = f"lower batch.mini_batch_tokens from {now} to {now // 2}: no result changes"
    elif batch > 2:
        advice = f"lower batch.size from {batch} to {max(2, batch // 2)}"
    else:
        advice = f"lower encoder.document_length from {longest} to {max(8, longest // 2)}"
    return TrainingFault(f"out of memory on {device.torch}: {first}", remedy=advice)


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
