"""An encoder from nothing but texts: a tokenizer trained on them and a small random ModernBERT.

For machines without network. Method: byte-level BPE (no text has an unknown token) over the texts
in their order, then a ModernBERT of a stated size with a third of its layers global and the rest
local (128 tokens), drawn from the seed. Same texts, options and seed give the same encoder.

Cost: about 1 MB of text a second and core; memory is that of the distinct words of at most 64 MB of
text (under 1 GB). Limits: nothing is pretrained, so it needs far more pairs than a pretrained
encoder; 17m and 150m have the shapes of Ettin-17m and ModernBERT-base.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from train.errors import ModelError
from train.model.encoder import Encoder
from train.model.pretrained import add_entries, drawn_from, linear_of
from train.model.tokenizer import EncoderOptions, cut_bytes

Size = Literal["tiny", "small", "17m", "150m"]
MAX_BYTES = 64 << 20
MAX_POSITIONS = 8192
MIN_VOCABULARY = 300
MAX_TOKEN_CHARS = 32
PAD, CLS, SEP, MASK, UNK = "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Sizes of a ModernBERT."""

    hidden: int
    intermediate: int
    layers: int
    heads: int


SHAPES: dict[str, Shape] = {
    "tiny": Shape(hidden=64, intermediate=96, layers=3, heads=2),
    "small": Shape(hidden=256, intermediate=384, layers=4, heads=4),
    "17m": Shape(hidden=256, intermediate=384, layers=7, heads=4),
    "150m": Shape(hidden=768, intermediate=1152, layers=22, heads=12),
}


def scratch(
    texts: Iterable[str],
    options: EncoderOptions,
    *,
    size: Size,
    vocabulary: int,
    seed: int,
) -> Encoder:
    """An untrained encoder on the CPU. `vocabulary` counts the special tokens, not the markers.

    Raises `ModelError` for an unknown size, too small a vocabulary, or no texts.
    """
    if size not in SHAPES:
        raise ModelError(f"size {size!r} is none of {', '.join(SHAPES)}")
    if max(options.query_length, options.document_length) > MAX_POSITIONS:
        raise ModelError(f"a length is more than {MAX_POSITIONS} tokens")
    tokenizer = train_tokenizer(texts, vocabulary, max_text_bytes=options.max_text_bytes)
    model = _modernbert(SHAPES[size], tokenizer, seed)
    with drawn_from(seed):
        add_entries(model, tokenizer, options, seed)
    linear = linear_of(None, SHAPES[size].hidden, options.dim, seed)
    return Encoder(base=model, projection=linear, tokenizer=tokenizer, options=options)


def train_tokenizer(
    texts: Iterable[str], vocabulary: int, *, max_text_bytes: int, max_bytes: int = MAX_BYTES
) -> Any:
    """A `PreTrainedTokenizerFast` of byte-level BPE over the first `max_bytes` of the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if vocabulary < MIN_VOCABULARY:
        raise ModelError(f"vocabulary is {vocabulary}: at least {MIN_VOCABULARY} (256 bytes)")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[PAD, CLS, SEP, MASK, UNK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_CHARS,
        show_progress=False,
    )
    read = _Read(max_bytes)
    tokenizer.train_from_iterator(read.some(texts, max_text_bytes), trainer)
    if not read.bytes:
        raise ModelError("no texts to train a tokenizer on: the selection of the data is empty")
    ends = [(token, tokenizer.token_to_id(token)) for token in (CLS, SEP)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", pair=f"{CLS} $A {SEP} $B {SEP}", special_tokens=ends
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
        unk_token=UNK,
        model_max_length=MAX_POSITIONS,
    )


class _Read:
    """Counts what a tokenizer was given, and stops."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0

    def some(self, texts: Iterable[str], max_text_bytes: int) -> Iterator[str]:
        for text in texts:
            cut = cut_bytes(text, max_text_bytes)
            self.bytes += len(cut.encode("utf-8", errors="replace"))
            if self.bytes > self.limit:
                return
            yield cut


def _modernbert(shape: Shape, tokenizer: Any, seed: int) -> Any:
    from transformers import ModernBertConfig, ModernBertModel

    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in (PAD, CLS, SEP)}
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=MAX_POSITIONS,
        pad_token_id=ids[PAD],
        bos_token_id=ids[CLS],
        cls_token_id=ids[CLS],
        eos_token_id=ids[SEP],
        sep_token_id=ids[SEP],
    )
    with drawn_from(seed):
        return ModernBertModel(config)
