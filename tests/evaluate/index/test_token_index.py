"""The index on disk: rounding, damage, deaths, two writers, the cache's limit, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluate.index.cache import IndexCache
from evaluate.index.token_index import META, TokenIndex, build_index, quantize
from tests.evaluate.vectors import drawn, indexed, numbers, some
from train.model.encoder import TokenVectors
from train.model.files import model_digest
from xtrove.core.errors import DamagedData

CPU = torch.device("cpu")
KEY = "c0ffee" * 6
CHILD = Path(__file__).with_name("index_child.py")


def test_float16_moves_a_similarity_by_less_than_half_a_thousandth(tmp_path: Path) -> None:
    documents, queries = drawn([50] * 40, 96, 0), drawn([500], 96, 1)
    index = indexed(tmp_path / "index", documents)
    moved = queries.values @ (index.vectors(0, 2000, CPU).numpy() - documents.values).T
    assert 0 < np.abs(moved).max() <= 2**-11


def test_int8_moves_a_similarity_by_less_than_is_said(tmp_path: Path) -> None:
    documents, queries = drawn([50] * 40, 96, 0), drawn([500], 96, 1)
    index = indexed(tmp_path / "index", documents, "int8")
    result = index.vectors(0, 2000, CPU).numpy()
    largest = np.abs(documents.values).max(axis=1)
    moved = np.abs(queries.values @ (result - documents.values).T)
    assert (moved <= np.sqrt(96) * largest / 254 + 1e-6).all()
    assert 0 < moved.mean() < 0.002


def test_vectors_of_zeros_and_of_one_large_component_are_kept() -> None:
    small, scales = quantize(np.array([[0, 0], [1, -1], [1e-30, 0]], np.float32))
    assert small.tolist() == [[0, 0], [127, -127], [127, 0]]
    assert scales[0] == 0 and (small * scales[:, None])[1].tolist() == [1, -1]


def test_blocks_hold_every_document_once_and_no_more_than_they_may(tmp_path: Path) -> None:
    lengths = [3, 0, 5, 9, 1, 1, 1, 0, 4, 12, 2, 0]
    index = indexed(tmp_path / "index", drawn(lengths, 4, 0))
    for most in (1, 2, 3, 5, 9, 12, 37, 38, 99):
        blocks = list(index.blocks(most))
        assert [one for block in blocks for one in block] == list(range(len(lengths)))
        for block in blocks:
            assert len(block) == 1 or sum(lengths[one] for one in block) <= most
    assert len(list(index.blocks(38))) == 1


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_runs_and_single_documents_are_what_was_written(tmp_path: Path, precision: Any) -> None:
    documents = drawn([3, 0, 5, 1], 4, 0, coarse=True)
    index = indexed(tmp_path / "index", documents, precision)
    run, picked = index.packed(range(1, 4), CPU), index.some([2, 1, 0], CPU)
    rounding = 0.01 if precision == "int8" else 0
    np.testing.assert_allclose(run.values, documents.values[3:], atol=rounding)
    assert run.owners.tolist() == [1] * 5 + [2] and run.count == 3
    expected = np.concatenate([documents[2], documents[0]])
    np.testing.assert_allclose(picked.values, expected, atol=rounding)
    assert picked.owners.tolist() == [0] * 5 + [2] * 3 and picked.count == 3


DAMAGE: dict[str, Any] = {
    "no meta": lambda place: (place / META).unlink(),
    "no values": lambda place: (place / "values.bin").unlink(),
    "values cut": lambda place: os.truncate(place / "values.bin", 100),
    "values longer": lambda place: (place / "values.bin").write_bytes(bytes(73)),
    "scales cut": lambda place: os.truncate(place / "scales.bin", 0),
    "offsets that fall": lambda place: _offsets(place, [0, 9, 4, 12]),
    "offsets that end elsewhere": lambda place: _offsets(place, [0, 4, 8, 11]),
    "offsets that start elsewhere": lambda place: _offsets(place, [1, 4, 8, 12]),
    "meta of another format": lambda place: _meta(place, format="xtrove-tokens-0"),
    "no JSON": lambda place: (place / META).write_bytes(b"\xff{"),
    "deep JSON": lambda place: (place / META).write_text("[" * 50_000),
    "a list": lambda place: (place / META).write_text("[]"),
    "large meta": lambda place: (place / META).write_text(" " * 70_000),
    "negative": lambda place: _meta(place, documents=-1),
    "true": lambda place: _meta(place, documents=True),
    "a product of 2^64": lambda place: _meta(place, tokens=1 << 60, dim=16),
    "wider than any model": lambda place: _meta(place, tokens=0, dim=1 << 62),
    "other precision": lambda place: _meta(place, precision="fp16"),
    "precision of another kind": lambda place: _meta(place, precision=["int8"]),
    "one document fewer": lambda place: _fewer(place),
}


def _meta(place: Path, **changed: object) -> None:
    held = json.loads((place / META).read_text())
    (place / META).write_text(json.dumps({**held, **changed}))


def _offsets(place: Path, offsets: list[int]) -> None:
    np.array(offsets, "<i8").tofile(place / "offsets.bin")


def _fewer(place: Path) -> None:
    _meta(place, documents=2)
    _offsets(place, [0, 4, 12])


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_index_is_refused_and_made_anew(tmp_path: Path, name: str) -> None:
    documents = drawn([4, 4, 4], 6, 0)
    cache = IndexCache(folder=tmp_path / "cache")
    asked: list[int] = []

    def encode(texts: Any) -> TokenVectors:
        asked.append(len(texts))
        return some(documents, texts)

    def index() -> TokenIndex:
        return cache.index(KEY, numbers(documents), encode, precision="int8")

    before = np.array(index().values)
    assert (index().values == before).all() and asked == [3]
    DAMAGE[name](tmp_path / "cache" / KEY)
    if name != "one document fewer":
        with pytest.raises(DamagedData):
            TokenIndex.open(tmp_path / "cache" / KEY)
    assert (index().values == before).all() and asked == [3, 3]
    assert (index().values == before).all() and asked == [3, 3]


def test_the_least_recently_used_goes_and_the_newest_stays(tmp_path: Path) -> None:
    documents = drawn([10] * 10, 8, 0)

    def made(letter: str, limit: int) -> TokenIndex:
        cache = IndexCache(folder=tmp_path, limit=limit)
        encode = lambda texts: some(documents, texts)  # noqa: E731
        return cache.index(letter * 32, numbers(documents), encode, precision="fp16")

    def there() -> list[str]:
        return sorted(path.name[0] for path in tmp_path.iterdir() if path.is_dir())

    size = sum(
        path.stat().st_size for path in (made("a", 1 << 30), tmp_path / ("a" * 32))[1].iterdir()
    )
    made("b", 1 << 30)
    for age, letter in enumerate("ba"):
        os.utime(tmp_path / (letter * 32), (age + 1, age + 1))
    kept = made("b", 1 << 30)  # Used again: now `a` is the oldest.
    made("c", 2 * size + 10)
    assert there() == ["b", "c"]
    again = TokenIndex.open(tmp_path / ("b" * 32))
    assert kept.values[-1].tolist() == again.values[-1].tolist()
    made("d", 1)
    assert there() == ["d"]
    assert len(kept.vectors(0, 100, CPU)) == 100


def test_an_error_while_encoding_leaves_nothing(tmp_path: Path) -> None:
    def fails(texts: Any) -> TokenVectors:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(tmp_path / "cache" / "key", ["0"], fails)
    assert list((tmp_path / "cache").iterdir()) == []


def _child(*words: object) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_two_processes_that_make_the_same_index_end_with_one(tmp_path: Path) -> None:
    children = [_child("both", tmp_path) for _ in range(2)]
    for child in children:
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0 and out == "whole\n"
    assert {path.name for path in tmp_path.iterdir()} == {KEY, "lock"}


@pytest.mark.slow
def test_a_search_is_held_to_its_memory(tmp_path: Path) -> None:
    """100 MB of index, 400 MB in float32, with 160 MB of memory beside the libraries'."""
    random = np.random.default_rng(0)

    def encode(texts: Any) -> TokenVectors:
        values = random.standard_normal((len(texts) * 100, 100), dtype=np.float32)
        return TokenVectors(values=values, offsets=np.arange(len(texts) + 1) * 100)

    build_index(tmp_path / "index", ["x"] * 10_000, encode, precision="int8")
    for mode in ("maxsim", "xtr"):
        child = _child(mode, tmp_path / "index", 160 << 20)
        out, _ = child.communicate(timeout=100)
        assert child.returncode == 0 and out == "5\n", mode


def test_every_file_that_makes_vectors_is_in_the_key(tmp_path: Path) -> None:
    for name in ("config.json", "model-00001-of-00002.safetensors", "1_Dense/model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    digests = [model_digest(tmp_path)]
    for path in sorted(tmp_path.rglob("*.*s*")):
        path.write_text("changed")
        digests.append(model_digest(tmp_path))
    assert len(set(digests)) == len(digests) == 4
    (tmp_path / "xtrove_fusion.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "model.safetensors").write_text("another model")
    assert model_digest(tmp_path) == digests[-1]
