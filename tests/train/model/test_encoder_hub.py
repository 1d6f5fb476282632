"""A base by its name on the Hub: fetched at a revision, weights and configs only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.train.model_hub import serving
from tests.train.tiny_models import made
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import save_model
from train.model.encoder import EncoderOptions
from train.model.pretrained import load_base

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)
CHILD = """
import sys
from train.model.pretrained import load_base
from train.model.encoder import EncoderOptions
options = EncoderOptions(dim=16, query_length=20, document_length=64)
try:
    encoder = load_base(sys.argv[1], options, seed=5)
except ValueError as error:
    sys.exit(str(error))
sys.stdout.write(" ".join(float(v).hex() for v in encoder.encode(["x"], "query").values[-1]))
"""


def _child(endpoint: str, cache: Path, base: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The endpoint is read when huggingface_hub is imported, so in a process of its own."""
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    return subprocess.run(
        [sys.executable, "-c", CHILD, base], env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As google/xtr-base-en: T5, its projection a PyTorch archive, code and pickles beside."""
    root = tmp_path_factory.mktemp("hub")
    encoder = load_base(str(made("t5", root / "base")), OPTIONS, seed=1)
    save_model(encoder, root / "model", card=CardFacts(name="tiny", base="x"))
    dense = root / "model" / "1_Dense"
    weight = encoder.projection.weight.detach().clone()
    torch.save({"linear.weight": weight}, dense / "pytorch_model.bin")
    (dense / "model.safetensors").unlink()
    (root / "model" / "modeling_evil.py").write_text("raise SystemExit(3)\n")
    (root / "model" / "pytorch_model.bin").write_bytes(b"\\x80\\x04.")
    return root / "model"


@pytest.mark.slow
def test_weights_and_configs_are_fetched_and_nothing_else(model: Path, tmp_path: Path) -> None:
    with serving(model, "tests/tiny") as (endpoint, asked):
        result = _child(endpoint, tmp_path, "tests/tiny@main")
        assert result.returncode == 0, result.stderr
        fetched = set(asked)
    assert {"config.json", "model.safetensors", "1_Dense/pytorch_model.bin"} <= fetched
    assert not fetched & {"pytorch_model.bin", "modeling_evil.py", "README.md"}
    local = load_base(str(model), OPTIONS, seed=5).encode(["x"], "query").values[-1]
    assert [float(v).hex() for v in local] == result.stdout.split()
    again = _child("http://127.0.0.1:9", tmp_path, "tests/tiny@main", HF_HUB_OFFLINE="1")
    assert again.stdout == result.stdout, "the cache serves without a network"


@pytest.mark.slow
def test_a_name_that_is_not_there_is_named_with_the_remedy(model: Path, tmp_path: Path) -> None:
    with serving(model, "tests/tiny") as (endpoint, _):
        result = _child(endpoint, tmp_path, "tests/other")
    assert result.returncode == 1
    assert "tests/other: " in result.stderr and "base: scratch" in result.stderr
