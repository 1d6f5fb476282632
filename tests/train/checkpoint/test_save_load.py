"""Checkpoints: what is saved is what is loaded, by us and by sentence-transformers."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
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
from train.model.pretrained import load_base
from xtrove.core.errors import Misuse

OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)
CARD = CardFacts(
    name="tiny",
    base="tests/random",
    data={"dataset": "installed", "samples": 3},
    metrics={"P@1": 0.5, "bad": float("nan")},
    config={"seed": 1, "note": "```"},
    progress={"step": 7},
)


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def saved(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Encoder, Path]:
    root = tmp_path_factory.mktemp(request.param)
    encoder = load_base(str(made(request.param, root / "base")), OPTIONS, seed=1).eval()
    encoder.encode(TEXTS, "query")  # leaves its cut in the tokenizer
    save_model(encoder, root / "checkpoint", card=CARD)
    return encoder, root / "checkpoint"


@pytest.mark.slow
def test_what_is_saved_is_loaded(saved: tuple[Encoder, Path]) -> None:
    encoder, folder = saved
    back = load_model(folder)
    assert back.options == OPTIONS and not back.training
    for kind in ("query", "document"):
        assert back.tokenize(TEXTS, kind) == encoder.tokenize(TEXTS, kind)
        ours, theirs = encoder.encode(TEXTS, kind), back.encode(TEXTS, kind)
        assert np.array_equal(ours.values, theirs.values)
    assert np.std(ours.values) > 0.1


@pytest.mark.slow
def test_training_goes_on_from_a_checkpoint(saved: tuple[Encoder, Path]) -> None:
    encoder, folder = saved
    again = load_base(str(folder), OPTIONS, seed=99)
    assert torch.equal(again.projection.weight, encoder.projection.weight)
    assert len(again.tokenizer) == len(encoder.tokenizer)
    ours = encoder.encode(TEXTS, "document").values
    assert np.array_equal(ours, again.encode(TEXTS, "document").values)


def test_the_layout_is_pylates(saved: tuple[Encoder, Path]) -> None:
    encoder, folder = saved
    modules = json.loads((folder / "modules.json").read_text())
    assert [(m["path"], m["type"]) for m in modules] == [
        ("", "sentence_transformers.models.Transformer"),
        ("1_Dense", "pylate.models.Dense.Dense"),
    ]
    dense = load_file(folder / "1_Dense" / "model.safetensors")
    assert {name: tuple(t.shape) for name, t in dense.items()} == {"linear.weight": (16, 32)}
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    assert settings["model_type"] == "ColBERT" and settings["similarity_fn_name"] == "MaxSim"
    assert settings["do_query_expansion"] is False and settings["skiplist_words"] == []
    assert (settings["query_prefix"], settings["document_prefix"]) == ("[Q] ", "[D] ")
    lengths = json.loads((folder / "sentence_bert_config.json").read_text())
    assert lengths == {"max_seq_length": 63, "do_lower_case": False}
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    assert tokenizer["truncation"] is None and tokenizer["padding"] is None
    names = {path.name for path in folder.rglob("*")}
    assert "model.safetensors" in names
    assert not [n for n in names if n.endswith((".bin", ".pt", ".pkl", ".py"))]


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None, reason="no sentence-transformers"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of sentence-transformers itself
def test_sentence_transformers_gives_the_same_vectors(saved: tuple[Encoder, Path]) -> None:
    from sentence_transformers import MultiVectorEncoder

    encoder, folder = saved
    theirs: Any = MultiVectorEncoder(str(folder), device="cpu")
    for kind, result in (
        ("query", theirs.encode_query(TEXTS)),
        ("document", theirs.encode_document(TEXTS)),
    ):
        ours = encoder.encode(TEXTS, kind)  # type: ignore[arg-type]
        for i, vectors in enumerate(result):
            assert ours[i].shape == vectors.shape
            assert np.abs(ours[i] - np.asarray(vectors)).max() < 1e-6


PYLATE = os.environ.get("XTROVE_PYLATE_PYTHON", "")
SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks/peers/check_checkpoint.py"


@pytest.mark.skipif(not PYLATE, reason="XTROVE_PYLATE_PYTHON names no Python with pylate 1.6.0")
def test_pylate_gives_the_same_vectors(saved: tuple[Encoder, Path], tmp_path: Path) -> None:
    _, folder = saved
    reference = tmp_path / "reference.npz"
    root = os.environ | {"PYTHONPATH": str(SCRIPT.parent.parent.parent)}
    without = {key: value for key, value in root.items() if key != "PYTHONPATH"}
    for python, what, environment in (
        (sys.executable, "write", root),
        (PYLATE, "compare", without),
    ):
        arguments = [python, str(SCRIPT), what, str(folder), str(reference)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "pylate 1.6.0: document: 8 texts" in done.stdout


def test_the_card_tells_the_facts(saved: tuple[Encoder, Path]) -> None:
    _, folder = saved
    card = (folder / "README.md").read_text()
    assert card.startswith("---\n") and "\n---\n\n# tiny\n" in card
    for expected in ("| samples | `3` |", "| P@1 | `0.5000` |", "| step | `7` |", '"seed": 1'):
        assert expected in card
    assert "````json" in card
    facts = json.loads((folder / "xtrove_training.json").read_text())
    assert facts["data"] == {"dataset": "installed", "samples": 3}
    assert facts["metrics"] == {"P@1": 0.5, "bad": None}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = made("bert", tmp_path_factory.mktemp("small") / "base")
    return load_base(str(folder), OPTIONS, seed=1).eval()


def test_two_saves_give_the_same_bytes(small: Encoder, tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_model(small, tmp_path / name, card=CARD)
        small.encode(TEXTS, "document")
    for path in sorted((tmp_path / "one").rglob("*")):
        if path.is_file():
            other = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert path.read_bytes() == other.read_bytes(), path.name


def test_a_folder_is_whole_or_absent(
    small: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    save_model(small, tmp_path / "kept", card=CARD)
    before = (tmp_path / "kept" / "model.safetensors").read_bytes()
    monkeypatch.setattr("xtrove.core.atomic.os.fsync", full)
    for name in ("new", "kept"):
        with pytest.raises(OSError, match="No space"):
            save_model(small, tmp_path / name, card=CARD, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "model.safetensors").read_bytes() == before


def test_nothing_is_overwritten_unasked(small: Encoder, tmp_path: Path) -> None:
    save_model(small, tmp_path / "model", card=CARD)
    with pytest.raises(Misuse, match="exists already"):
        save_model(small, tmp_path / "model", card=CARD)
    other = CardFacts(name="other", base="x")
    save_model(small, tmp_path / "model", card=other, replace=True)
    assert "# other" in (tmp_path / "model" / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_plain_encoder_is_the_untrained_baseline(tmp_path: Path) -> None:
    folder = made("bert", tmp_path / "base")
    encoder = load_model(folder)
    assert encoder.options.query_prefix == "" and encoder.options.dim == 32
    batch = encoder.tokenizer(TEXTS[:1], return_tensors="pt")
    with torch.no_grad():
        hidden = encoder.base(**batch).last_hidden_state[0]
    expected = torch.nn.functional.normalize(hidden, dim=-1).numpy()
    assert np.abs(encoder.encode(TEXTS[:1], "document").values - expected).max() < 1e-6


def test_another_dimension_than_the_projections_is_refused(small: Encoder, tmp_path: Path) -> None:
    save_model(small, tmp_path / "model", card=CARD)
    with pytest.raises(ValueError, match="has 16 dimensions, dim says 48.*set dim: 16"):
        load_base(str(tmp_path / "model"), EncoderOptions(dim=48), seed=1)


def test_stacked_linear_layers_are_one(small: Encoder, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "model"
    save_model(small, folder, card=CARD)
    second = torch.randn(8, 16, generator=torch.Generator().manual_seed(1))
    residual = torch.randn(8, 16, generator=torch.Generator().manual_seed(2))
    shutil.copytree(folder / "1_Dense", folder / "2_Dense")
    tensors = {"linear.weight": second, "residual.weight": residual}
    save_file(tensors, folder / "2_Dense" / "model.safetensors")
    config = json.loads((folder / "1_Dense" / "config.json").read_text())
    config |= {"in_features": 16, "out_features": 8, "use_residual": True}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config))
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": modules[1]["type"]})
    (folder / "modules.json").write_text(json.dumps(modules))
    encoder = load_model(folder)
    expected = (second + residual) @ small.projection.weight
    assert encoder.options.dim == 8
    assert torch.allclose(encoder.projection.weight, expected, atol=1e-6)
