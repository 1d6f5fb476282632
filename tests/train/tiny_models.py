"""Small random models of each family, made on the fly: nothing is fetched.

The tokenizers are trained on a page of code, so that every family splits text its own way:
WordPiece in lower case, byte-level BPE, Unigram with a leading blank.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXTS = [
    "def read_lines(path):\n    with open(path) as stream:\n        return stream.readlines()",
    "Returns the number of bytes that were written to the socket.",
    "func Sum(values []int) int {\n\ttotal := 0\n\tfor _, v := range values { total += v }\n}",
    "Café naïve: “quoted” text, 数据, and numbers 1234567890.",
    "if (x[Q] == y) { return null; } // Sort the list",
    "short",
]


def _trained(tokenizer: Tokenizer, trainer: Any) -> Tokenizer:
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def _bytes_tokenizer(first: str, last: str, pad: str, mask: str) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [first, pad, last, "<unk>", mask]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    _trained(tokenizer, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, 0), (last, 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=first,
        sep_token=last,
        pad_token=pad,
        unk_token="<unk>",
        mask_token=mask,
        model_max_length=512,
    )


def _words_tokenizer() -> Any:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    vocabulary = _trained(tokenizer, trainer).get_vocab()
    return transformers.BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=512)


def _pieces_tokenizer() -> Any:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=250,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    _trained(tokenizer, trainer)
    import json

    pieces = [(p, s) for p, s in json.loads(tokenizer.to_str())["model"]["vocab"]]
    pieces += [(f"<extra_id_{i}>", 0.0) for i in range(99, -1, -1)]
    return transformers.T5Tokenizer(vocab=pieces)


def _save(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def modernbert(folder: Path) -> Path:
    tokenizer = _bytes_tokenizer("[CLS]", "[SEP]", "[PAD]", "[MASK]")
    config = transformers.ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=1024,
        local_attention=16,
        pad_token_id=1,
        cls_token_id=0,
        bos_token_id=0,
        sep_token_id=2,
        eos_token_id=2,
    )
    return _save(folder, transformers.ModernBertModel(config), tokenizer)


def bert(folder: Path) -> Path:
    tokenizer = _words_tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
    )
    return _save(folder, transformers.BertModel(config), tokenizer)


def distilbert(folder: Path) -> Path:
    tokenizer = _words_tokenizer()
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, hidden_dim=48, n_layers=2, n_heads=2
    )
    return _save(folder, transformers.DistilBertModel(config), tokenizer)


def roberta(folder: Path) -> Path:
    tokenizer = _bytes_tokenizer("<s>", "</s>", "<pad>", "<mask>")
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=130,
        pad_token_id=1,
        type_vocab_size=1,
    )
    return _save(folder, transformers.RobertaModel(config), tokenizer)


def t5(folder: Path) -> Path:
    tokenizer = _pieces_tokenizer()
    config = transformers.T5Config(
        vocab_size=len(tokenizer) + 20,  # as T5's, rounded up
        d_model=32,
        d_kv=16,
        d_ff=48,
        num_layers=2,
        num_heads=2,
        is_encoder_decoder=False,
        use_cache=False,
    )
    return _save(folder, transformers.T5EncoderModel(config), tokenizer)


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "modernbert": modernbert,
    "bert": bert,
    "distilbert": distilbert,
    "roberta": roberta,
    "t5": t5,
}


def made(family: str, folder: Path) -> Path:
    """A folder with a random model of the family; the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return FAMILIES[family](folder)
