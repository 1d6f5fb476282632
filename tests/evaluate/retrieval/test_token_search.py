"""MaxSim and XTR over a token index, against what their formulas say word for word."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import evaluate.index.token_index
import evaluate.retrieval.nearest_tokens
from evaluate.index.token_index import TokenIndex
from evaluate.retrieval.maxsim import MaxSimSearcher
from evaluate.retrieval.searcher import Hits
from evaluate.retrieval.xtr import XtrSearcher
from tests.evaluate.vectors import drawn, grids, indexed, numbers, packed, some
from train.cpu_matmul import quick_products
from train.model.encoder import TokenVectors

CPU = torch.device("cpu")


def xtr(index: TokenIndex, queries: TokenVectors, retrieved: int, k: int) -> Hits:
    return XtrSearcher(
        index=index, encode=lambda texts: some(queries, texts), device=CPU, retrieved=retrieved
    ).search(numbers(queries), k)


def maxsim(index: TokenIndex, queries: TokenVectors, k: int) -> Hits:
    return MaxSimSearcher(
        index=index, encode=lambda texts: some(queries, texts), device=CPU
    ).search(numbers(queries), k)


def read_formula(index: TokenIndex, grid: Any, retrieved: int) -> dict[int, float]:
    """f(Q, D) of every candidate, token by token."""
    result: dict[int, float] = {}
    rows = []
    for row in grid:
        tokens = np.argsort(-row, kind="stable")[:retrieved]
        rows.append((set(tokens.tolist()), row, row[tokens].min()))
    for document in range(len(index)):
        places = range(int(index.offsets[document]), int(index.offsets[document + 1]))
        if not any(place in taken for taken, _, _ in rows for place in places):
            continue
        best = [
            max((row[place] if place in taken else least for place in places), default=least)
            for taken, row, least in rows
        ]
        result[document] = float(np.mean(best))
    return result


def of_row(hits: Hits, row: int) -> dict[int, float]:
    """Document -> score of one question, best first."""
    pairs = zip(hits.ids[row].tolist(), hits.scores[row].tolist(), strict=True)
    return {one: score for one, score in pairs if one >= 0}


corpora = st.builds(
    lambda lengths, dim, seed, coarse: drawn(lengths, dim, seed, coarse=coarse),
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.sampled_from([2, 7]),
    st.integers(0, 99),
    st.booleans(),
)


@pytest.mark.slow
@given(corpora, st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 9))
def test_xtr_is_maxsim_where_all_tokens_are_retrieved(
    documents: TokenVectors, lengths: list[int], seed: int
) -> None:
    queries = drawn(lengths, documents.values.shape[1], seed, coarse=True)
    with tempfile.TemporaryDirectory() as folder:
        index = indexed(Path(folder, "index"), documents)
        for retrieved in (max(1, index.tokens), index.tokens + 5):
            one, two = xtr(index, queries, retrieved, 99), maxsim(index, queries, 99)
            assert one.ids.shape == two.ids.shape
            for row in range(len(queries)):
                result, expected = of_row(one, row), of_row(two, row)
                assert result.keys() == expected.keys()
                for document, score in expected.items():
                    assert result[document] == pytest.approx(score, abs=1e-5)


@pytest.mark.slow
@given(corpora, st.integers(1, 60), st.integers(1, 97), st.integers(0, 9))
def test_xtr_against_the_formula_whatever_the_blocks(
    documents: TokenVectors, retrieved: int, elements: int, seed: int
) -> None:
    queries = drawn([3, 1, 0, 5], documents.values.shape[1], seed, coarse=True)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.index.token_index, "ELEMENTS", elements)
        patch.setattr(evaluate.retrieval.nearest_tokens, "_SIMILARITIES", 3 * elements)
        index = indexed(Path(folder, "index"), documents)
        hits = xtr(index, queries, retrieved, 99)
        for row, grid in enumerate(grids(index, queries)):
            expected = read_formula(index, grid, retrieved) if index.tokens and len(grid) else {}
            result = of_row(hits, row)
            assert result.keys() == expected.keys()
            assert list(result.values()) == sorted(result.values(), reverse=True)
            for document, score in expected.items():
                assert result[document] == pytest.approx(score, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_maxsim_against_numpy_over_many_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Any
) -> None:
    monkeypatch.setattr(evaluate.index.token_index, "ELEMENTS", 24 * 50)
    documents = drawn([int(n) for n in np.random.default_rng(0).integers(1, 90, 200)], 24, 1)
    queries = drawn([5, 1, 12], 24, 2)
    index = indexed(tmp_path / "index", documents, precision)
    hits = maxsim(index, queries, 200)
    for row, grid in enumerate(grids(index, queries)):
        expected = np.maximum.reduceat(grid, index.offsets[:-1], axis=1).mean(axis=0)
        assert sorted(hits.ids[row].tolist()) == list(range(200))
        np.testing.assert_allclose(hits.scores[row], expected[hits.ids[row]], atol=2e-6)
        assert (np.diff(hits.scores[row]) <= 0).all()


def test_what_has_no_tokens_neither_finds_nor_is_found(tmp_path: Path) -> None:
    away = -np.eye(2, dtype=np.float32)[:1]
    index = indexed(tmp_path / "index", packed([away, away[:0]], 2))
    queries = packed([-away, away[:0]], 2)
    for hits in (maxsim(index, queries, 2), xtr(index, queries, 1, 2)):
        assert hits.ids.tolist() == [[0, -1], [-1, -1]]
        assert hits.scores[0, 0] == -1


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    index = indexed(tmp_path / "index", packed([], 4))
    assert maxsim(index, packed([], 0), 5).ids.shape[1] == 0
    assert xtr(index, packed([], 0), 5, 5).ids.size == 0


@pytest.mark.parametrize("searched", [maxsim, lambda *words: xtr(*words[:2], 3, words[2])])
@pytest.mark.parametrize("side", ["documents", "queries"])
def test_a_model_that_gives_no_numbers_is_refused(tmp_path: Path, searched: Any, side: str) -> None:
    documents, queries = drawn([9] * 30, 4, 0), drawn([2], 4, 1)
    (documents if side == "documents" else queries).values[-1, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        searched(indexed(tmp_path / "index", documents), queries, 5)


def test_no_token_retrieved_is_refused(tmp_path: Path) -> None:
    index = indexed(tmp_path / "index", drawn([1], 4, 0))
    with pytest.raises(ValueError, match="at least 1 token, not 0"):
        xtr(index, drawn([1], 4, 1), 0, 5)


def test_the_quick_products_are_exact_and_end(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    left, right = (torch.randn(n, 96, generator=random) for n in (70, 900))
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    with pytest.raises(KeyError), quick_products(CPU):
        torch.testing.assert_close(left @ right.T, (left.double() @ right.T.double()).float())
        raise KeyError
    assert torch.backends.mkldnn.matmul.fp32_precision == before  # type: ignore[attr-defined]
