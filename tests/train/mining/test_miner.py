"""Mined negatives: right by brute force, never an answer in disguise, resumable, in the loss."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dedupe.shingling import jaccard, shingles
from shards.loader.reader import Reader, Select
from tests.shards.builder import build, make_pair, near_copy
from tests.train.runs import config, dataset, steps
from train.checkpoint.save_load import load_model
from train.data.batch_feed import feed
from train.data.collate import Collate, TokenBatch
from train.distributed import Processes
from train.mining import miner as mining
from train.mining.hard_negatives import load_negatives
from train.mining.miner import MineOptions, mine
from train.mining.vector_store import nearest
from train.model.encoder import Encoder
from train.model.files import model_digest
from train.run.loop import train
from xtrove.core.errors import Misuse

ROUNDING = 2e-3
OPTIONS = MineOptions(per_query=3, candidates=1000, ratio=0.95)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs with near-duplicates, equal code and equal queries among them."""
    pairs = [make_pair(number) for number in range(60)]
    pairs += [replace(near_copy(pairs[n], 300 + n), repo="owner/repo3") for n in range(20)]
    pairs += [make_pair(400 + n, query=pairs[n].query) for n in range(20, 30)]
    pairs += [make_pair(500 + n, code=pairs[n].code) for n in range(30, 40)]
    pairs += [make_pair(number, language="go") for number in range(100, 130)]
    return build(tmp_path_factory.mktemp("data"), pairs, []).path


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few steps that reads paths."""
    output = tmp_path_factory.mktemp("model") / "run"
    encoder = {"dim": 16, "document_length": 64, "document_template": "{path}\n{code}"}
    train(config(data, output, steps=3, encoder=encoder))
    return output


@pytest.fixture(scope="module")
def mined(data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The negatives of that model."""
    output = tmp_path_factory.mktemp("mined") / "negatives"
    made = mine(str(data), load_model(model), output, OPTIONS, model=model_digest(model))
    assert made.parts == 2
    return output


def _rows(output: Path) -> list[dict[str, Any]]:
    files = sorted((output / "negatives").glob("part-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def _scores(encoder: Encoder, query: str, codes: list[str]) -> np.ndarray[Any, Any]:
    """MaxSim by its definition."""
    asked = encoder.encode([query], "query")[0]
    vectors = encoder.encode(codes, "document")
    return np.array([(asked @ vectors[n].T).max(axis=1).mean() for n in range(len(codes))])


@pytest.mark.slow
def test_negatives_are_the_best_that_are_no_answer(data: Path, model: Path, mined: Path) -> None:
    encoder = load_model(model)
    rows = {row["id"]: row for row in _rows(mined)}
    with Reader.open(data, select=Select(languages=("python",))) as reader:
        samples = list(reader.iterate())
    codes = [f"{one['path']}\n{one['code']}" for one in samples]
    dropped = 0
    for sample in samples:
        scores = _scores(encoder, str(sample["query"]), codes)
        own = scores[samples.index(sample)]
        mine_of = shingles("python", str(sample["code"]))
        allowed: dict[str, float] = {}
        for place, score in enumerate(scores.tolist()):
            other = samples[place]
            same = any(sample[name] == other[name] for name in ("query_group", "code_sha256"))
            shared, union = jaccard(mine_of, shingles("python", str(other["code"])))
            if same or shared / union >= 0.7:
                dropped += other is not sample
            else:
                allowed[str(other["id"])] = score
        row = rows[str(sample["id"])]
        assert row["positive_score"] == pytest.approx(own, abs=ROUNDING)
        result = dict(zip(row["negatives"], row["scores"], strict=True))
        assert result == {name: pytest.approx(allowed[name], abs=ROUNDING) for name in result}
        assert all(score < 0.95 * own + ROUNDING for score in result.values())
        # Nothing better was left out, but for what fp16 cannot tell from the border.
        least = min(result.values(), default=-1.0) if len(result) == 3 else -1.0
        better = {name for name, one in allowed.items() if least + ROUNDING < one}
        assert {name for name in better if allowed[name] < 0.95 * own - ROUNDING} <= set(result)
    assert dropped > 20, "nothing was there to be dropped"


def test_every_sample_of_the_train_split_has_a_row_of_its_language(data: Path, mined: Path) -> None:
    with Reader.open(data) as reader:
        languages = {str(one["id"]): one["language"] for one in reader.iterate()}
        facts = json.loads((mined / "mine.json").read_text())
        assert facts["dataset"] == reader.digest
    rows = _rows(mined)
    assert sorted(row["id"] for row in rows) == sorted(languages)
    for row in rows:
        assert {languages[one] for one in row["negatives"]} <= {languages[row["id"]]}
    assert facts["complete"]
    assert facts["queries"] == len(rows)
    assert facts["settings"]["ratio"] == 0.95
    assert not (mined / "work").exists()


def test_mining_goes_on_part_by_part(
    data: Path, model: Path, mined: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "PART", 32)
    output, encoder, digest = tmp_path / "out", load_model(model), model_digest(model)
    calls = 0

    def stop(what: str, done: int, total: int) -> None:
        nonlocal calls
        calls += "mining" in what
        if calls == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mine(str(data), encoder, output, OPTIONS, model=digest, progress=stop)
    there = {path: path.stat().st_mtime_ns for path in output.rglob("part-*.parquet")}
    assert there
    made = mine(str(data), encoder, output, OPTIONS, model=digest)
    assert made.reused == len(there)
    assert all(path.stat().st_mtime_ns == time for path, time in there.items())
    key = _by_id(_rows(output))
    for name, row in _by_id(_rows(mined)).items():
        assert key[name]["scores"] == pytest.approx(row["scores"], abs=1e-4)


def _by_id(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows}


def test_other_negatives_are_not_overwritten(
    data: Path, model: Path, mined: Path, tmp_path: Path
) -> None:
    encoder, digest = load_model(model), model_digest(model)
    with pytest.raises(Misuse, match="another settings"):
        mine(str(data), encoder, mined, replace(OPTIONS, ratio=0.9), model=digest)
    with pytest.raises(Misuse, match="another model"):
        mine(str(data), encoder, mined, OPTIONS, model="0" * 64)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(Misuse, match="holds something else"):
        mine(str(data), encoder, tmp_path, OPTIONS, model=digest)


def test_nearest_in_pieces_is_nearest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(5, 8, generator=generator)
    documents = torch.randn(100, 8, generator=generator)
    expected = (queries @ documents.T).topk(10, dim=1).indices
    monkeypatch.setattr("train.mining.vector_store._SCAN", 7)
    result = nearest(queries, documents, 10, torch.device("cpu"))
    assert torch.equal(result, expected)
    assert nearest(queries, documents[:3], 10, torch.device("cpu")).shape == (5, 3)


def _batches(data: Path, model: Path, mined: Path, seed: int, epoch: int = 0) -> list[TokenBatch]:
    chosen = config(data, data, epochs=epoch + 1, steps=None)
    with Reader.open(data) as reader:
        negatives = load_negatives(
            mined,
            reader.key_hashes(),
            partial(Reader.open, data),
            dataset=reader.digest,
            per_query=2,
            seed=seed,
        )
        made = Collate(tokenize=load_model(model).text_tokenizer, negatives=negatives)
        fed = feed(chosen, made, start=None, group=Processes())
        return [one.batch for one in fed if one.batch.epoch == epoch]


def test_batches_carry_their_own_negatives(data: Path, model: Path, mined: Path) -> None:
    rows = _by_id(_rows(mined))
    with Reader.open(data) as reader:
        codes = {str(one["id"]): str(one["code_sha256"]) for one in reader.iterate()}
    batches = _batches(data, model, mined, seed=1)
    for batch in batches:
        count = len(batch.queries)
        assert batch.owners is not None
        assert batch.teacher is not None
        assert len(batch.documents) == count + len(batch.owners) == len(batch.codes)
        for place, owner in enumerate(batch.owners.tolist()):
            row = rows[batch.ids[owner]]
            known = {int(codes[one][:16], 16) for one in row["negatives"]}
            assert int(batch.codes[count + place].astype(np.uint64)) in known
        for number, name in enumerate(batch.ids):
            assert batch.teacher[number, 0] == pytest.approx(rows[name]["positive_score"])
            given = batch.teacher[number, 1:]
            given = given[~np.isnan(given)]
            assert set(given.tolist()) <= set(rows[name]["scores"])
            assert len(given) == min(2, len(rows[name]["scores"]))
    again = _batches(data, model, mined, seed=1)
    drawn = [batch.codes.tolist() for batch in batches]
    assert [batch.codes.tolist() for batch in again] == drawn
    assert [batch.codes.tolist() for batch in _batches(data, model, mined, seed=2)] != drawn


@pytest.mark.slow
def test_negatives_enter_the_loss(data: Path, mined: Path, tmp_path: Path) -> None:
    extra = {"negatives": {"path": str(mined), "per_query": 2}}
    train(config(data, tmp_path / "plain", steps=4, objective={"kind": "maxsim"}))
    train(config(data, tmp_path / "hard", steps=4, objective={"kind": "maxsim"}, **extra))
    train(config(data, tmp_path / "kd", steps=4, objective={"kind": "kd"}, **extra))
    plain, hard = steps(tmp_path / "plain")[0], steps(tmp_path / "hard")[0]
    assert plain["language"] == hard["language"]
    # More columns in the softmax of the same untrained encoder: the loss can only be higher.
    # A negative of several queries, or one that is a document of the batch, stands there once.
    pools = [
        sum(row["pool_tokens"] for row in steps(tmp_path / name)) for name in ("plain", "hard")
    ]
    assert pools[1] > pools[0]
    assert hard["loss"] > plain["loss"] + 0.05
    assert np.isfinite([row["loss"] for row in steps(tmp_path / "kd")]).all()
    assert steps(tmp_path / "kd")[0]["loss"] > 0


def test_negatives_of_another_dataset_or_damaged_are_refused(
    data: Path, mined: Path, tmp_path: Path
) -> None:
    other = dataset(tmp_path / "other", python=40, go=0)
    extra = {"negatives": {"path": str(mined)}}
    with pytest.raises(Misuse, match="of another dataset"):
        train(config(other, tmp_path / "run", **extra))
    copy = tmp_path / "copy"
    shutil.copytree(mined, copy)
    part = sorted((copy / "negatives").iterdir())[0]
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(Misuse, match="cannot be read"):
        train(config(data, tmp_path / "run2", negatives={"path": str(copy)}))


def test_scores_are_fp32_where_encoding_is_bf16(data: Path, model: Path, tmp_path: Path) -> None:
    made = mine(
        str(data),
        load_model(model),
        tmp_path / "out",
        replace(OPTIONS, languages=("go",)),
        model=model_digest(model),
        autocast=lambda: torch.autocast("cpu", torch.bfloat16),
    )
    assert made.queries > 10
    for row in _rows(tmp_path / "out"):
        assert all(score < 0.95 * row["positive_score"] for score in row["scores"])


def test_a_fingerprint_is_that_of_the_weights(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy, ignore=shutil.ignore_patterns("trainer_state"))
    assert model_digest(copy) == model_digest(model)
    weights = copy / "1_Dense" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert model_digest(copy) != model_digest(model)
    assert len(model_digest(copy)) == hashlib.sha256().digest_size * 2
