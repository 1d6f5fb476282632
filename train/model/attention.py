"""Which attention an encoder runs with: FlashAttention 2 where it is installed, else SDPA.

FlashAttention 2 lets ModernBERT drop the padding inside the transformer (variable length); it needs
CUDA, half precision (the encoder sees to that) and the `flash-attn` package. Cost: a look for the
package. Limits: chosen for ModernBERT only.
"""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch

Attention = Literal["flash_attention_2", "sdpa", "eager"]
# These have no SDPA path in transformers: a bias is added to the scores, or the maths differ.
EAGER_ONLY = frozenset({"deberta", "deberta-v2", "funnel", "fnet", "convbert", "mpnet"})


def attention_for(device: str | torch.device, model_type: str = "modernbert") -> Attention:
    """The implementation for a device ("cpu", "cuda:0", "mps") and a kind of transformer."""
    if model_type in EAGER_ONLY:
        return "eager"
    installed = importlib.util.find_spec("flash_attn") is not None
    if torch.device(device).type == "cuda" and installed and model_type == "modernbert":
        return "flash_attention_2"
    return "sdpa"
