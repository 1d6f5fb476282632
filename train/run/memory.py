"""How much memory a step needs, by a formula, before the first step.

    weights + gradients + optimizer   4 P + 4 T + 8 T     P all, T trained parameters, fp32
    bf16 copies under autocast        2 P
    activations                       a x mini-batch tokens, a in bytes a token
    cached vectors                    3 x 4 x dim x (query + document tokens)
    top-k state of XTR                16 x query tokens x min(k, documents) + 3 chunks of scores
    scores                            4 x 4 x queries x documents
    allocator, on a CPU only          1.2 x (activations + cached vectors + top-k state)

`a` is counted, not guessed: one forward of a few short texts on the CPU under saved-tensor hooks
adds up the distinct storages that the backward pass keeps, at two lengths, and the line through
them is taken at the longest document. Cached vectors are three: the values, their gradient and
the copy in the order of the batch; of the top-k the winner of every document that a query token
retrieved is held, and a chunk of scores with its candidates.
The C library keeps what mini-batches of many shapes leave between each other (`SLACK`, measured by
benchmarks/train_memory.py; handing it back at once costs half of the speed).
Cost: two forwards of 8 texts, 0.05 s for a 22M encoder. Limits: fragmentation of a card's allocator
is not in it (`RESERVE` stays free for that), nor is what a process holds once torch is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

RESERVE: Final = 0.9
"""Share of the free memory that a plan may use."""
SLACK: Final = 1.2
"""What a CPU's allocator holds beyond the parts that come and go, as a share of these."""
_PROBE_ROWS: Final = 4


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
    k: int
    chunk_bytes: int
    bf16: bool
    slack: float = 0.0
    """`SLACK` on a CPU."""

    def parts(self) -> dict[str, int]:
        """Name -> bytes, largest terms of a step."""
        vectors = 12 * self.dim * (self.query_tokens + self.document_tokens)
        activations = round(self.activation_bytes * self.mini_batch_tokens)
        top_k = 16 * self.query_tokens * min(self.k, self.documents) + 3 * self.chunk_bytes
        return {
            "weights": 4 * self.parameters + (2 * self.parameters if self.bf16 else 0),
            "gradients": 4 * self.trained,
            "optimizer": 8 * self.trained,
            "activations": activations,
            "cached vectors": vectors,
            "top-k state": top_k,
            "scores": 16 * self.queries * self.documents,
            "allocator": round(self.slack * (activations + vectors + top_k)),
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

    def words(self) -> str:
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
    held: dict[int, int] = {}
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
            # Alive until all are counted: a freed address could come again.
            kept.append(tensor)
        return tensor

    ids = torch.full((rows, length), token, dtype=torch.long, device=device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = encoder(ids, torch.ones_like(ids))
    del out
    return sum(held.values())


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
