"""An encoder from nothing: the same from the same texts, and it can learn."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.tiny_models import TEXTS
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import load_model, save_model
from train.model.encoder import Encoder, EncoderOptions
from train.model.from_scratch import SHAPES, scratch, train_tokenizer

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)
SOURCE = Path(torch.__file__).read_text(encoding="utf-8").splitlines()[:400]


def _made(seed: int = 1) -> Encoder:
    return scratch(iter(SOURCE + TEXTS), OPTIONS, size="tiny", vocabulary=600, seed=seed).eval()


def _digest(encoder: Encoder) -> str:
    digest = hashlib.sha256(encoder.tokenizer.backend_tokenizer.to_str().encode())
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


CHILD = (
    "from tests.train.model.test_encoder_scratch import _made, _digest\n"
    "import sys; sys.stdout.write(_digest(_made()))"
)


@pytest.mark.slow
def test_the_same_in_another_process_with_other_threads_and_hash_seed() -> None:
    here = _digest(_made())
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "77",
        "RAYON_NUM_THREADS": "1",
    }
    child = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert child.stdout == here, child.stderr
    assert _digest(_made(2)) != here


def test_a_checkpoint_of_it_is_loaded(tmp_path: Path) -> None:
    encoder = _made()
    assert [len(row) for row in encoder.tokenize(["", "x"], "query")] == [3, 4]
    save_model(encoder, tmp_path / "model", card=CardFacts(name="tiny", base="scratch"))
    back = load_model(tmp_path / "model")
    ours, theirs = (e.encode(TEXTS, "document").values for e in (encoder, back))
    assert np.array_equal(ours, theirs)


def test_no_text_is_unknown() -> None:
    encoder = _made()
    text = "数据 🙂 \x00 ­ ünïcode"
    ids = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert encoder.tokenizer.decode(ids) == text
    assert encoder.tokenizer.unk_token_id not in ids
    assert len(encoder.tokenizer) <= 602 < len(encoder.tokenizer) + 300


def test_it_can_learn_two_texts_apart() -> None:
    encoder = _made()
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=1e-3)
    ids, mask = encoder.padded(encoder.tokenize(TEXTS[:2], "query"), "query")
    losses = []
    for _ in range(15):
        vectors = encoder(ids, mask)
        scores = torch.einsum("aid,bjd->abij", vectors, vectors).amax(dim=-1).mean(dim=-1)
        loss = torch.nn.functional.cross_entropy(scores / 0.05, torch.arange(2))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(("size", "expected"), [("17m", 3_903_232), ("150m", 110_331_648)])
def test_the_shapes_are_those_of_ettin_and_modernbert(size: str, expected: int) -> None:
    """Parameters beside the embeddings, as published; counted without making them."""
    from transformers import ModernBertConfig, ModernBertModel

    shape = SHAPES[size]
    config = ModernBertConfig(
        vocab_size=600,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0),
        **dict.fromkeys(("cls_token_id", "sep_token_id"), 0),
    )
    with torch.device("meta"):
        model = ModernBertModel(config)
    beside = sum(p.numel() for p in model.parameters()) - 600 * shape.hidden
    assert beside == expected


def test_only_so_much_text_is_read() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "ab " * 1000

    tokenizer = train_tokenizer(endless(), 300, max_text_bytes=1500, max_bytes=60_000)
    assert read == 41 and len(tokenizer) > 256


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="'huge' is none of tiny, small"):
        scratch(TEXTS, OPTIONS, size="huge", vocabulary=600, seed=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="vocabulary is 12: at least 300"):
        scratch(TEXTS, OPTIONS, size="tiny", vocabulary=12, seed=1)
    with pytest.raises(ValueError, match="no texts"):
        scratch([], OPTIONS, size="tiny", vocabulary=600, seed=1)
