"""Fusion by hand, its weight tuned, stored and read back, and files that are not ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.corpora.corpus import Corpus, Query
from evaluate.retrieval.fusion import (
    CAREFUL,
    FILE,
    GRID,
    Fusion,
    HybridSearcher,
    fuse,
    halves,
    load_fusion,
    store_fusion,
    tune,
)
from evaluate.retrieval.searcher import Hits


def hits(*rows: list[int]) -> Hits:
    """Rankings, padded."""
    width = max(map(len, rows))
    ids = np.array([row + [-1] * (width - len(row)) for row in rows], np.int32)
    return Hits(ids=ids, scores=np.zeros(ids.shape, np.float32))


class Fixed:
    """A searcher whose answers are known."""

    def __init__(self, found: Hits, size: int = -1) -> None:
        self.found = found
        if size >= 0:
            self.bytes = size

    def search(self, queries: list[str], k: int) -> Hits:
        return Hits(ids=self.found.ids[:, :k], scores=self.found.scores[:, :k])


def test_by_hand() -> None:
    result = fuse(hits([5, 3, 1]), hits([3, 9]), weight=0.25, k=10)
    expected = {
        3: 0.75 / 62 + 0.25 / 61,
        5: 0.75 / 61,
        1: 0.75 / 63,
        9: 0.25 / 62,
    }
    assert result.ids[0].tolist() == [*expected, -1, -1, -1, -1, -1, -1]
    assert result.scores[0, :4] == pytest.approx(list(expected.values()))


def test_ties_stand_in_the_order_of_the_model() -> None:
    assert fuse(hits([7, 2]), hits([2, 7]), weight=0.5, k=2).ids.tolist() == [[7, 2]]
    assert fuse(hits([2, 7]), hits([7, 2]), weight=0.5, k=2).ids.tolist() == [[2, 7]]


rankings = st.lists(st.integers(0, 12), unique=True, max_size=12)


@pytest.mark.slow
@given(rankings, rankings, st.integers(1, 15))
def test_a_weight_of_0_or_1_is_one_of_them(model: list[int], words: list[int], k: int) -> None:
    pair = hits(model), hits(words)
    for weight, alone in ((0.0, model), (1.0, words)):
        result = fuse(*pair, weight=weight, k=k).ids[0].tolist()
        assert result == (alone + [-1] * k)[:k]


@given(st.lists(st.tuples(rankings, rankings, st.integers(0, 12)), min_size=1, max_size=8))
def test_the_tuned_weight_is_never_worse_than_the_better_part(
    rows: list[tuple[list[int], list[int], int]],
) -> None:
    model, words = hits(*(one for one, _, _ in rows)), hits(*(two for _, two, _ in rows))
    answers = [{expected} for _, _, expected in rows]
    weight, mrr, alone, bm25 = tune([model], [words], [answers])
    assert weight in GRID and mrr >= max(alone, bm25)
    if mrr == max(alone, bm25):
        assert weight in (0.0, 1.0)
    result = fuse(model, words, weight=weight, k=99).ids.tolist()
    ranks = [
        (row + [expected]).index(expected) for row, (expected,) in zip(result, answers, strict=True)
    ]
    reached = [
        1 / (rank + 1) if rank < len(row) else 0.0 for rank, row in zip(ranks, result, strict=True)
    ]
    assert mrr == pytest.approx(np.mean(reached))


def test_both_together_find_what_neither_puts_first() -> None:
    # The answer, 1, is second in both lists behind different documents.
    weight, mrr, model, words = tune([hits([2, 1])], [hits([3, 1])], [[{1}]])
    assert (mrr, model, words) == (1.0, 0.5, 0.5) and 0 < weight < 1


def test_halves_are_all_questions_and_always_the_same() -> None:
    queries = [Query(id=f"q{n}", text="x", relevant={"d": 1}) for n in range(200)]
    corpus = Corpus(name="c", documents=[], queries=queries)
    first, second = halves(corpus)
    assert (
        len(first.queries) + len(second.queries) == 200
        and min(len(first.queries), len(second.queries)) > 70
    )
    assert not {query.id for query in first.queries} & {query.id for query in second.queries}
    turned = halves(replace(corpus, queries=queries[::-1]))
    assert {query.id for query in turned[0].queries} == {query.id for query in first.queries}


def test_stored_weights_are_read_back_and_others_kept(tmp_path: Path) -> None:
    assert load_fusion(tmp_path, "xtr").weight == CAREFUL
    one = Fusion(weight=0.35, mode="xtr", corpus="c", corpus_sha256="ab", queries=9, mrr=0.5)
    two = Fusion(weight=1.0, mode="maxsim")
    for fusion in (replace(one, weight=0.1), two, one):
        store_fusion(tmp_path, fusion)
    assert load_fusion(tmp_path, "xtr") == one and load_fusion(str(tmp_path), "maxsim") == two
    assert load_fusion(tmp_path, "dense").weight == CAREFUL
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def _file(row: Any) -> str:
    return json.dumps({"format": "xtrove-fusion-1", "modes": {"xtr": row}})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 50_000,
        '{"format": "xtrove-fusion-2", "modes": {}}',
        '{"format": "xtrove-fusion-1", "modes": ["xtr"]}',
        '{"format": "xtrove-fusion-1"}',
        _file([1]),
        _file({}),
        _file({"weight": 1.1}),
        _file({"weight": -0.1}),
        _file({"weight": "0.5"}),
        _file({"weight": True}),
        _file({"weight": 0.5, "queries": "many"}),
        _file({"weight": 0.5, "unknown": 1}),
        _file({"weight": 0.5}).replace("0.5", "NaN"),
        _file({"weight": 0.5}).replace("0.5", "1e999"),
        " " * (5 << 20),
    ],
    ids=range(17),
)
def test_a_file_that_is_not_ours_is_refused_and_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILE
    path.write_text(text)
    with pytest.raises(ValueError, match=FILE):
        load_fusion(tmp_path, "xtr")
    if "xtr" not in text:
        with pytest.raises(ValueError, match=FILE):
            store_fusion(tmp_path, Fusion(weight=0.5, mode="xtr"))
        assert path.read_text() == text


def test_the_hybrid_asks_both(tmp_path: Path) -> None:
    model, words = Fixed(hits([4, 2]), 10), Fixed(hits([2, 4]), 5)
    hybrid = HybridSearcher(model=model, words=words, weight=0.9)
    assert hybrid.search(["x"], 1).ids.tolist() == [[2]] and hybrid.bytes == 15
    assert HybridSearcher(model=Fixed(hits([1])), words=words, weight=0).bytes == -1
    with pytest.raises(ValueError, match="the weight of BM25 is 1.5"):
        HybridSearcher(model=model, words=words, weight=1.5)
