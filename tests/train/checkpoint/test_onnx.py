"""ONNX exports: what onnxruntime computes is what torch computes, with the files ColGREP reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.train.tiny_models import TEXTS, made
from train.checkpoint.model_card import CardFacts
from train.checkpoint.onnx import export_onnx
from train.checkpoint.save_load import load_model, save_model
from train.model.encoder import Encoder, EncoderOptions
from train.model.pretrained import load_base
from xtrove.core.errors import Misuse

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow


OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)
# next-plaid's REQUIRED_FILES and the optional graph.
WANTED = {
    "model_int8.onnx",
    "model.onnx",
    "tokenizer.json",
    "config_sentence_transformers.json",
    "config.json",
    "onnx_config.json",
}


@pytest.fixture(scope="module", params=["bert", "modernbert", "t5"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Encoder, Path]:
    root = tmp_path_factory.mktemp(request.param)
    encoder = load_base(str(made(request.param, root / "base")), OPTIONS, seed=1)
    save_model(encoder, root / "model", card=CardFacts(name="tiny", base="x"))
    steps: list[str] = []
    result = export_onnx(root / "model", root / "onnx", progress=steps.append)
    assert {path.name for path in result} >= WANTED and len(steps) == 4
    return load_model(root / "model"), root / "onnx"


def _vectors(folder: Path, name: str, rows: list[list[int]], length: int) -> list[Any]:
    """As next-plaid runs a graph: the inputs `onnx_config.json` speaks of, the output `output`."""
    config = json.loads((folder / "onnx_config.json").read_text())
    session = onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
    ids = np.full((len(rows), length), config["pad_token_id"], dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    feed = {"input_ids": ids, "attention_mask": mask}
    if config["uses_token_type_ids"]:
        feed["token_type_ids"] = np.zeros_like(ids)
    assert {given.name for given in session.get_inputs()} == set(feed)
    output = session.run(["output"], feed)[0]
    assert output.shape == (len(rows), length, config["embedding_dim"])
    return [output[i, : len(row)] for i, row in enumerate(rows)]


@pytest.mark.parametrize(("texts", "length"), [(1, 64), (2, 70), (6, 65)])
def test_any_batch_and_length_as_torch(
    exported: tuple[Encoder, Path], texts: int, length: int
) -> None:
    encoder, folder = exported
    rows = encoder.tokenize(TEXTS[:texts], "document")
    expected = encoder.encode(TEXTS[:texts], "document")
    for i, vectors in enumerate(_vectors(folder, "model.onnx", rows, length)):
        assert np.abs(vectors - expected[i]).max() < 1e-4
    for i, vectors in enumerate(_vectors(folder, "model_int8.onnx", rows, length)):
        assert (vectors * expected[i]).sum(axis=1).mean() > 0.97
    assert np.abs(expected[0][1] - expected[0][2]).max() > 1e-2


def test_a_text_of_one_token(exported: tuple[Encoder, Path]) -> None:
    encoder, folder = exported
    result = _vectors(folder, "model.onnx", encoder.tokenize(["x"], "query"), 5)
    assert np.abs(result[0] - encoder.encode(["x"], "query").values).max() < 1e-4


def test_the_config_is_what_next_plaid_reads(exported: tuple[Encoder, Path]) -> None:
    from tokenizers import Tokenizer

    encoder, folder = exported
    config = json.loads((folder / "onnx_config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for kind in ("query", "document"):
        marker = config[f"{kind}_prefix_id"]
        assert tokenizer.token_to_id(config[f"{kind}_prefix"]) == marker
        # It inserts the marker behind the first token of the text cut to one less.
        for text, row in zip(TEXTS, encoder.tokenize(TEXTS, kind), strict=True):
            ids = tokenizer.encode(text.strip()).ids
            room = config[f"{kind}_length"] - 1
            if len(ids) > room:
                ids = [*ids[: room - 1], ids[-1]]
            assert [ids[0], marker, *ids[1:]] == row
    assert config["embedding_dim"] == 16 and config["do_query_expansion"] is False
    assert config["skiplist_words"] == [] and config["do_lower_case"] is False
    assert isinstance(config["mask_token_id"], int) and isinstance(config["pad_token_id"], int)


def test_the_check_is_written(exported: tuple[Encoder, Path]) -> None:
    check = json.loads((exported[1] / "onnx_check.json").read_text())
    assert 0 < check["fp32_max_abs_difference"] < 1e-4
    assert 0.9 < check["int8_min_cosine"] <= check["int8_mean_cosine"] < 1
    assert check["tokens"] > 100


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    encoder = load_base(str(made("distilbert", root / "base")), OPTIONS, seed=1)
    save_model(encoder, root / "model", card=CardFacts(name="tiny", base="x"))
    return root / "model"


def test_a_graph_that_differs_gets_no_name(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.checkpoint.onnx.MAX_DIFFERENCE", 1e-12)
    with pytest.raises(ValueError, match="model.onnx differs from torch by"):
        export_onnx(model, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_the_packages_the_remedy_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(Misuse, match=r"onnxscript: pip install -e"):
        export_onnx(model, tmp_path / "onnx")


def test_nothing_is_overwritten(model: Path, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    with pytest.raises(Misuse, match="exists already"):
        export_onnx(model, tmp_path / "onnx")


def test_a_model_without_markers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no markers"):
        export_onnx(made("bert", tmp_path / "base"), tmp_path / "onnx")
