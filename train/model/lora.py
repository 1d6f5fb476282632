"""Low-rank adapters on the encoder, and the plain model they amount to.

Method: peft puts an adapter beside every linear layer of the transformer and trains the rows of the
two markers in the embeddings; all other weights of the transformer are frozen. The projection is
trained whole. For a checkpoint a copy is merged, so that what is saved is an ordinary model and the
training goes on undisturbed (merging and unmerging in place would round the weights).

Cost: `rank * (in + out)` weights a layer; a merge holds one more copy of the model on the CPU.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from train.model.encoder import Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraOptions:
    """The adapters' size."""

    rank: int = 16
    alpha: int = 32
    """The adapters' product is scaled by alpha / rank."""
    dropout: float = 0.0


def with_lora(encoder: Encoder, options: LoraOptions) -> Encoder:
    """Puts adapters into the encoder, in place, and freezes the rest of its transformer.

    The adapters are drawn from torch's global generator.
    """
    import peft

    markers = [
        encoder.tokenizer.get_added_vocab()[p]
        for p in (encoder.options.query_prefix, encoder.options.document_prefix)
        if p
    ]
    config = peft.LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules="all-linear",
        # It has no part in token vectors: an adapter there would never get a gradient.
        exclude_modules=["pooler.dense"] if getattr(encoder.base, "pooler", None) else None,
        trainable_token_indices=markers or None,
        bias="none",
    )
    with warnings.catch_warnings():
        # peft 0.21 asks transformers for what it renamed.
        warnings.simplefilter("ignore", FutureWarning)
        encoder.base = cast(Any, peft.get_peft_model(encoder.base, config))
    return encoder


def plain_base(encoder: Encoder) -> PreTrainedModel:
    """The transformer without adapters: itself, or a merged copy on the CPU."""
    import peft

    base: Any = encoder.base
    if not isinstance(base, peft.PeftModel):
        return encoder.base
    merged: Any = copy.deepcopy(base).to("cpu").merge_and_unload()
    return cast("PreTrainedModel", merged)
