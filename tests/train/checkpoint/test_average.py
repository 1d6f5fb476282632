"""The mean of two models: its weights, what it says of itself, what has none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from evaluate.measure.validation import validation_measure
from tests.train.runs import config, dataset
from tests.train.tiny_models import made
from train.checkpoint.average import SHARES, average_models
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import load_model, save_model
from train.checkpoint.training_digests import trained_on, write_trained_on
from train.data.dataset import open_reader
from train.model.encoder import Encoder, EncoderOptions
from train.model.pretrained import load_base
from xtrove.cli.app import app
from xtrove.core import Misuse

OPTIONS = EncoderOptions(dim=16, query_length=16, document_length=32)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def save(encoder: Encoder, folder: Path, seen: str) -> Path:
    digests = folder.with_suffix(".arrow")
    write_trained_on([(digest("both"), "o/both"), (digest(seen), f"o/{seen}")], digests)
    card = CardFacts(name=folder.name, base="org/base", data={"samples": 2}, license="mit")
    save_model(encoder, folder, card=card, trained_on=digests)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("models")
    encoder = load_base(str(made("bert", root / "bert")), OPTIONS, seed=1)
    first = save(encoder, root / "first", "one")
    torch.manual_seed(3)
    with torch.no_grad():
        for value in encoder.parameters():
            value.add_(torch.randn_like(value))
    return first, save(encoder, root / "second", "two")


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.5, 0.25])
def test_weights_lie_between(models: tuple[Path, Path], tmp_path: Path, weight: float) -> None:
    average_models(*models, tmp_path / "mean", weight=weight)
    one, two, mean = (load_model(path).state_dict() for path in (*models, tmp_path / "mean"))
    assert one.keys() == mean.keys()
    assert not torch.equal(one["projection.weight"], two["projection.weight"])
    for name, value in mean.items():
        if weight in (0.0, 1.0):
            assert torch.equal(value, (one, two)[int(weight)][name])
        else:
            expected = (1 - weight) * one[name].double() + weight * two[name].double()
            assert torch.allclose(value.double(), expected, atol=1e-6)


def test_it_says_what_it_is_and_what_either_was_trained_on(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    arguments = [str(models[0]), str(models[1]), "--output", str(tmp_path / "mean")]
    result = CliRunner().invoke(app, ["average", *arguments, "--weight", "0.25"])
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "mean" / "xtrove_training.json").read_text())
    assert (facts["base"], facts["license"]) == ("org/base", "mit")
    assert facts["progress"]["weights"] == "0.75 of first + 0.25 of second"
    assert "0.75 of first" in (tmp_path / "mean" / "README.md").read_text()
    known = trained_on(tmp_path / "mean")
    assert known is not None
    codes = [digest(text) for text in ("both", "one", "two", "three")]
    assert known.saw_code(codes).tolist() == [True, True, True, False]
    assert known.saw_repo(["o/both", "o/one", "o/two", "o/three"]).tolist() == [True] * 3 + [False]
    again = CliRunner().invoke(app, ["average", *arguments])
    assert isinstance(again.exception, Misuse) and "exists already" in str(again.exception)


@pytest.mark.slow
def test_the_best_mean_of_five_is_chosen(models: tuple[Path, Path], tmp_path: Path) -> None:
    data = dataset(tmp_path / "data")
    chosen = config(data, tmp_path / "run", validation={"every": 4, "queries": 8, "pool": 30})
    file = tmp_path / "config.json"
    file.write_text(chosen.model_dump_json())
    words = ["average", *map(str, models), "--choose", str(file)]
    result = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "mean")])
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "mean" / "xtrove_training.json").read_text())
    # Each mean written on its own, loaded, and measured.
    values = {}
    with open_reader(chosen, "validation") as reader:
        measure = validation_measure(reader, queries=8, documents=30)
    for share in SHARES:
        average_models(*models, tmp_path / f"{share}", weight=share)
        values[share] = measure(load_model(tmp_path / f"{share}"))["MRR"]
    best = max(values, key=lambda share: (values[share], -share))
    assert len(set(values.values())) > 1
    assert facts["progress"]["weights"] == f"{1 - best:g} of first + {best:g} of second"
    assert facts["metrics"]["MRR"] == values[best]
    both = CliRunner().invoke(app, [*words, "--weight", "0.5", "--output", str(tmp_path / "m")])
    assert isinstance(both.exception, Misuse)


def test_models_of_other_shapes_lengths_and_tokenizers_are_refused(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    base = made("bert", tmp_path / "bert")
    for options, reason in (
        (replace(OPTIONS, dim=8), "differ in dim"),
        (replace(OPTIONS, document_prefix="[E] "), "differ in document_prefix"),
    ):
        other = save(load_base(str(base), options, seed=1), tmp_path / reason, "one")
        with pytest.raises(ValueError, match=reason):
            average_models(models[0], other, tmp_path / "mean")
    family = load_base(str(made("modernbert", tmp_path / "modern")), OPTIONS, seed=1)
    with pytest.raises(ValueError, match="configurations differ"):
        average_models(models[0], save(family, tmp_path / "m", "one"), tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_tokenizers_that_differ_are_refused(models: tuple[Path, Path], tmp_path: Path) -> None:
    encoder = load_model(models[0])
    other = save(encoder, tmp_path / "other", "one")
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    words = tokenizer["model"]["vocab"]
    last = sorted(words, key=words.get)[-20:-18]
    words[last[0]], words[last[1]] = words[last[1]], words[last[0]]
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match="tokenizers differ"):
        average_models(models[0], other, tmp_path / "mean")
