"""The first projection: principal components of the base's token vectors, against numpy's SVD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.runs import config, dataset
from tests.train.tiny_models import TEXTS, made
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import save_model
from train.data.dataset import open_reader
from train.model.encoder import EncoderOptions
from train.model.pretrained import has_projection, load_base, principal_projection
from train.run.setup import new_encoder

OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)


def test_it_spans_what_a_singular_value_decomposition_spans(tmp_path: Path) -> None:
    folder = str(made("bert", tmp_path / "base"))
    encoder = load_base(folder, OPTIONS, seed=1).eval()
    texts = [f"{text} {number}" for number in range(5) for text in TEXTS]
    weight = principal_projection(encoder, texts, texts)
    rows = []
    for kind in ("query", "document"):
        for text in texts:
            ids, mask = encoder.padded(encoder.tokenize([text], kind), kind)  # type: ignore[arg-type]
            with torch.no_grad():
                states = encoder.base(input_ids=ids, attention_mask=mask).last_hidden_state
            rows.append(states[mask.bool()].numpy())
    vectors = np.concatenate(rows).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    _, _, expected = np.linalg.svd(vectors, full_matrices=False)
    result = weight.numpy().astype(np.float64)
    np.testing.assert_allclose(result @ result.T, np.eye(16), atol=1e-5)
    # The same space: projecting onto either is projecting onto the other.
    np.testing.assert_allclose(result.T @ result, expected[:16].T @ expected[:16], atol=1e-3)
    assert (weight.gather(1, weight.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_similarities_begin_nearer_to_the_bases_than_drawn_ones(tmp_path: Path) -> None:
    data, folder = dataset(tmp_path / "data"), str(made("bert", tmp_path / "base"))
    whole = load_base(folder, EncoderOptions(dim=32, query_length=16, document_length=32), seed=1)
    with torch.no_grad():
        whole.projection.weight.copy_(torch.eye(32))
    far = {}
    for kind in ("principal", "random"):
        chosen = config(data, tmp_path / kind, base=folder, encoder={"dim": 16, "projection": kind})
        with open_reader(chosen, "train") as reader:
            encoder = new_encoder(chosen, reader)
        expected, result = (one.encode(TEXTS, "query").values for one in (whole, encoder))
        far[kind] = np.abs(expected @ expected.T - result @ result.T).mean()
    assert far["principal"] < 0.5 * far["random"], far


def test_a_projection_that_is_there_stays(tmp_path: Path) -> None:
    data, folder = dataset(tmp_path / "data"), str(made("bert", tmp_path / "base"))
    assert not has_projection(folder)
    encoder = load_base(folder, OPTIONS, seed=5)
    save_model(encoder, tmp_path / "model", card=CardFacts(name="one", base="two"))
    model = str(tmp_path / "model")
    assert has_projection(model)
    chosen = config(data, tmp_path / "run", base=model, encoder={"dim": 16})
    with open_reader(chosen, "train") as reader:
        again = new_encoder(chosen, reader)
    assert torch.equal(again.projection.weight, encoder.projection.weight)


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    encoder = load_base(str(made("bert", tmp_path / "base")), OPTIONS, seed=1)
    with pytest.raises(ValueError, match="too few for 16 dimensions"):
        principal_projection(encoder, ["a"], ["b"])
