"""What a model was trained on: digests that go into its folder and come back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.train.tiny_models import made
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import save_model
from train.checkpoint.training_digests import BATCH, trained_on, write_trained_on
from train.model.encoder import EncoderOptions
from train.model.pretrained import load_base


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_was_seen_is_known(tmp_path: Path) -> None:
    file = tmp_path / "trained_on.arrow"
    pairs = [(_digest("a"), "Owner/Name"), (_digest("b"), ""), (_digest("a"), "other/one")]
    assert write_trained_on(iter(pairs), file) == 3
    result = trained_on(tmp_path)
    assert result is not None
    assert len(result.code) == 2 and len(result.repo) == 2
    assert result.saw_code([_digest(t) for t in "abc"]).tolist() == [True, True, False]
    seen = result.saw_repo(["owner/name", "OTHER/one", "owner/nam", ""])
    assert seen.tolist() == [True, True, False, False]
    assert result.saw_code([]).tolist() == []
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_digests_that_end_or_begin_with_zeros_are_told_apart(tmp_path: Path) -> None:
    kept = ["00" * 32, "11" * 31 + "00", "00" * 31 + "11"]
    write_trained_on(((code, "r/r") for code in kept), tmp_path / "trained_on.arrow")
    result = trained_on(tmp_path)
    assert result is not None and len(result.code) == 3
    assert result.saw_code([*kept, "11" * 30 + "0000"]).tolist() == [True, True, True, False]


def test_more_than_one_batch(tmp_path: Path) -> None:
    count = BATCH + 10
    pairs = ((f"{i:064x}", f"o/{i % 7}") for i in range(count))
    assert write_trained_on(pairs, tmp_path / "trained_on.arrow") == count
    result = trained_on(tmp_path)
    assert result is not None and len(result.code) == count and len(result.repo) == 7
    assert (tmp_path / "trained_on.arrow").stat().st_size < 34 * count
    expected = np.random.default_rng(1).integers(0, 2 * count, 1000)
    seen = result.saw_code([f"{i:064x}" for i in expected])
    assert seen.tolist() == (expected < count).tolist()


def test_it_travels_with_the_checkpoint(tmp_path: Path) -> None:
    write_trained_on([(_digest("a"), "o/n")], tmp_path / "seen.arrow")
    encoder = load_base(str(made("bert", tmp_path / "base")), EncoderOptions(dim=8, document_length=64), seed=1)  # fmt: skip  # noqa: E501
    facts = CardFacts(name="tiny", base="x")
    save_model(encoder, tmp_path / "model", card=facts, trained_on=tmp_path / "seen.arrow")
    result = trained_on(tmp_path / "model")
    assert result is not None and result.saw_code([_digest("a")]).all()
    assert trained_on(tmp_path / "base") is None


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "trained_on.arrow"
    write_trained_on([(_digest("a"), "o/n")], file)
    data = file.read_bytes()
    file.write_bytes({"cut": data[:-30], "other": b"PK\x03\x04" * 100, "empty": b""}[damage])
    with pytest.raises(ValueError, match="trained_on.arrow: damaged"):
        trained_on(tmp_path)


@pytest.mark.parametrize("code", ["xyz", "aa", ""])
def test_what_is_no_digest_is_refused_and_leaves_nothing(tmp_path: Path, code: str) -> None:
    with pytest.raises(ValueError, match="code_sha256"):
        write_trained_on([(_digest("a"), "o/n"), (code, "o/n")], tmp_path / "trained_on.arrow")
    assert list(tmp_path.iterdir()) == []
