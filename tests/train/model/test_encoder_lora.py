"""Low-rank adapters: few weights train, and the checkpoint is a plain model that says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.train.tiny_models import FAMILIES, TEXTS, made
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import load_model, save_model
from train.model.encoder import Encoder, EncoderOptions
from train.model.lora import LoraOptions
from train.model.pretrained import load_base

OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)
CARD = CardFacts(name="tiny", base="x")


def _trained(encoder: Encoder, steps: int = 3) -> Encoder:
    """A few steps that pull two texts together."""
    encoder.eval()
    learned = [p for p in encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(learned, lr=0.5)
    ids, mask = encoder.padded(encoder.tokenize(TEXTS[:2], "query"), "query")
    for _ in range(steps):
        vectors = encoder(ids, mask)
        (-(vectors[0, :5] * vectors[1, :5]).sum()).backward()
        optimiser.step()
        optimiser.zero_grad()
    return encoder


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_checkpoint_is_plain_and_says_the_same(family: str, tmp_path: Path) -> None:
    base = str(made(family, tmp_path / "base"))
    encoder = load_base(base, OPTIONS, seed=1, lora=LoraOptions(rank=4, alpha=8))
    before = encoder.eval().encode(TEXTS, "document").values
    untouched = load_base(base, OPTIONS, seed=1).encode(TEXTS, "document").values
    assert np.abs(before - untouched).max() < 1e-6
    _trained(encoder)
    after = encoder.encode(TEXTS, "document").values
    assert np.abs(before - after).max() > 1e-3
    save_model(encoder, tmp_path / "model", card=CARD)
    back = load_model(tmp_path / "model")
    assert np.abs(back.encode(TEXTS, "document").values - after).max() < 1e-5
    names = set(load_file(tmp_path / "model" / "model.safetensors"))
    assert names == set(load_file(Path(base) / "model.safetensors"))
    assert not list((tmp_path / "model").glob("adapter*"))
    # Saving left the training as it was.
    assert np.array_equal(encoder.encode(TEXTS, "document").values, after)


def test_few_weights_train(tmp_path: Path) -> None:
    base = str(made("bert", tmp_path / "base"))
    encoder = load_base(base, OPTIONS, seed=1, lora=LoraOptions(rank=2, alpha=4))
    learned = {n: p.numel() for n, p in encoder.named_parameters() if p.requires_grad}
    adapters = sum(count for name, count in learned.items() if "lora_" in name)
    markers = sum(count for name, count in learned.items() if "token_adapter" in name)
    # 2 layers of 4 matrices 32 x 32 and 2 of 32 x 48, rank 2; 2 rows; the projection.
    assert adapters == 2 * 2 * (4 * 64 + 2 * 80)
    assert markers == 2 * 32
    assert sum(learned.values()) == adapters + markers + 16 * 32


def test_the_markers_rows_are_trained(tmp_path: Path) -> None:
    base = str(made("bert", tmp_path / "base"))
    encoder = load_base(base, OPTIONS, seed=1, lora=LoraOptions(rank=4, alpha=8))
    marker = encoder.tokenizer.convert_tokens_to_ids("[Q] ")
    start = load_base(base, OPTIONS, seed=1).base.get_input_embeddings().weight
    _trained(encoder)
    save_model(encoder, tmp_path / "model", card=CARD)
    rows: Any = load_model(tmp_path / "model").base.get_input_embeddings().weight
    changed = (rows != start).any(dim=1).nonzero().flatten().tolist()
    assert changed == [marker]


def test_the_seed_decides_the_adapters(tmp_path: Path) -> None:
    base = str(made("bert", tmp_path / "base"))
    state = torch.get_rng_state()
    result = [
        [p for n, p in load_base(base, OPTIONS, seed=s, lora=LoraOptions()).named_parameters()
         if "lora_A" in n][0]
        for s in (1, 1, 2)
    ]  # fmt: skip
    assert torch.equal(result[0], result[1]) and not torch.equal(result[0], result[2])
    assert torch.equal(state, torch.get_rng_state())
