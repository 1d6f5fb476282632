"""Where indexes of code are kept, and the graph that takes a question to vectors without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from evaluate.code_search import onnx_encoder as question_graph
from evaluate.code_search import store as search_store
from evaluate.code_search.onnx_encoder import CHECKS, QuestionGraph, make_graph, wanted
from evaluate.code_search.store import Store, cut_to_limit, fingerprint, store_of
from tests.train.tiny_models import bert
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import load_model, save_model
from train.model.encoder import EncoderOptions
from train.model.files import model_digest
from train.model.pretrained import load_base
from xtrove.core.errors import Misuse

ROOT = Path(__file__).resolve().parents[3]
NEEDS_ONNX = pytest.mark.skipif(
    not all(find_spec(one) for one in ("onnx", "onnxscript", "onnxruntime")),
    reason="packages of [onnx] not installed",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XTROVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of ours: markers, a projection, a query length that cuts."""
    base = bert(tmp_path_factory.mktemp("base"))
    encoder = load_base(
        str(base), EncoderOptions(dim=16, query_length=24, document_length=64), seed=1
    )
    folder = tmp_path_factory.mktemp("trained") / "model"
    save_model(encoder, folder, card=CardFacts(name="tiny", base=str(base)))
    return folder


def test_folder_and_model_and_extractor_make_the_key(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    keys = {store_of(one, None), store_of(two, None), store_of(one, trained)}
    assert store_of(one, None) in keys
    monkeypatch.setattr(search_store, "CUT", "another")
    keys.add(store_of(one, None))
    assert len(keys) == 4
    assert all(key.folder.parent == tmp_path / "cache" / "search" for key in keys)


def test_a_fingerprint_is_remembered_until_a_file_changes(tmp_path: Path, cache: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    first = fingerprint(model)
    assert first == model_digest(model)
    prints = cache / "search" / "models.json"
    known = json.loads(prints.read_text())
    [row] = known.values()
    row[1] = "remembered"
    prints.write_text(json.dumps(known))
    assert fingerprint(model) == "remembered"
    (model / "model.safetensors").write_bytes(b"WEIGHTS")
    assert fingerprint(model) == model_digest(model) != first
    (model / "vocab.txt").write_text("a")
    assert fingerprint(model) == model_digest(model)
    prints.write_text("[")
    assert fingerprint(model) == model_digest(model)


def test_an_index_never_lies_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misuse, match="XTROVE_CACHE"):
        store_of(tmp_path, None)
    # What the walk does not look into may hold it: a home folder has its .cache inside.
    monkeypatch.setenv("XTROVE_CACHE", str(tmp_path / ".cache" / "xtrove"))
    assert store_of(tmp_path, None).folder.is_relative_to(tmp_path)


def test_the_least_recently_used_go_first_and_never_one_in_use(cache: Path) -> None:
    stores = []
    for number in range(4):
        store = Store(folder=cache / "search" / f"{number:032x}")
        store.folder.mkdir(parents=True)
        (store.folder / "state.json").write_bytes(b"x" * 100)
        os.utime(store.folder, (number, number))
        stores.append(store)
    with stores[1].hold(lambda: None):
        cut_to_limit(stores[3], limit=200)
    assert [one.folder.exists() for one in stores] == [False, True, False, True]
    cut_to_limit(stores[1], limit=0)
    assert [one.folder.exists() for one in stores] == [False, True, False, False]


@pytest.mark.slow
@NEEDS_ONNX
def test_a_graph_gives_the_vectors_of_the_model(tmp_path: Path, trained: Path) -> None:
    encoder = load_model(trained)
    folder = tmp_path / "graphs" / "one"
    assert wanted(folder)
    make_graph(encoder, folder)
    assert not wanted(folder)
    graph = QuestionGraph.open(folder)
    assert graph is not None
    for text in (*CHECKS, "x", "sort the list [Q] again", "  \n", "\udcff lone"):
        expected = encoder.encode([text], "query").values
        np.testing.assert_allclose(graph(text, "query"), expected, atol=1e-4)
    assert len(graph("sort " * 99, "query")) == 24
    texts = ["def f():\n    return 1\n", "x", "sort " * 99]
    vectors, wanted_vectors = graph.encode(texts), encoder.encode(texts, "document")
    np.testing.assert_array_equal(vectors.offsets, wanted_vectors.offsets)
    np.testing.assert_allclose(vectors.values, wanted_vectors.values, atol=1e-4)


@pytest.mark.slow
@NEEDS_ONNX
def test_a_graph_is_asked_without_torch(tmp_path: Path, trained: Path) -> None:
    make_graph(load_model(trained), tmp_path / "graph")
    code = (
        "import sys; from pathlib import Path; "
        "from evaluate.code_search.onnx_encoder import QuestionGraph;"
        f"graph = QuestionGraph.open(Path({str(tmp_path / 'graph')!r}));"
        "assert len(graph('read a file', 'query')) > 3;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


@pytest.mark.slow
@NEEDS_ONNX
def test_a_graph_that_differs_is_not_used_and_not_tried_again(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question_graph, "MAX_DIFFERENCE", 0.0)
    folder = tmp_path / "graph"
    make_graph(load_model(trained), folder)
    assert QuestionGraph.open(folder) is None
    assert not wanted(folder)
    assert "differs from torch" in json.loads((folder / "question.json").read_text())["failed"]
    assert not (folder / "model.onnx").exists()


@pytest.mark.slow
@NEEDS_ONNX
def test_a_damaged_graph_is_removed(tmp_path: Path, trained: Path) -> None:
    folder = tmp_path / "graph"
    make_graph(load_model(trained), folder)
    (folder / "model.onnx").write_bytes(b"no graph")
    assert QuestionGraph.open(folder) is None
    assert wanted(folder)
    folder.mkdir()
    (folder / "question.json").write_text('{"format": "of an older version"}')
    assert wanted(folder)
    make_graph(load_model(trained), folder)
    assert QuestionGraph.open(folder) is not None


@pytest.mark.slow
@NEEDS_ONNX
def test_the_newest_graphs_are_kept(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:032x}" for number in range(4)]
    for number, name in enumerate(names[:3]):
        folder = tmp_path / "graphs" / name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(bytes(100))
        os.utime(folder, (number, number))
    monkeypatch.setattr(question_graph, "GRAPH_BYTES", 0)
    make_graph(load_model(trained), tmp_path / "graphs" / names[3])
    kept = {path.name for path in (tmp_path / "graphs").iterdir() if path.is_dir()}
    assert kept == {names[3]}
