"""BM25: the words of code and questions, and what is found with them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluate.retrieval.bm25 import K1, B, Bm25Searcher
from evaluate.retrieval.searcher import top
from evaluate.retrieval.tokenize import code_words, query_words, stem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parseHTTPResponse", ["parsehttpresponse", "pars", "http", "respons"]),
        ("max_line_length", ["max_line_length", "max", "lin", "length"]),
        ("__init__", ["init"]),
        ("utf8 = sha256(x)", ["utf8", "utf", "8", "sha256", "sha", "256", "x"]),
        ("größe = naïve", ["größ", "naïv"]),
        ("", []),
        ("+-*/", []),
    ],
)
def test_words_of_code(text: str, words: list[str]) -> None:
    assert code_words(text) == words


def test_words_of_questions_leave_languages_out() -> None:
    assert query_words("How to sort a list in Python?", {"python"}) == ["sort", "list"]
    assert query_words("sort a list in python", {"go"}) == ["sort", "list", "python"]
    assert query_words("go to the next page", {"go"}) == ["next", "pag"]
    # A question of nothing else keeps what it has.
    assert query_words("python", {"python"}) == ["python"]


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        (("file", "files"), "fil"),
        (("match", "matches", "matched", "matching"), "match"),
        (("query", "queries"), "query"),
        (("stop", "stopped", "stopping"), "stop"),
        (("class", "classes"), "class"),
        (("status",), "status"),
        (("is",), "is"),
    ],
)
def test_forms_of_a_word_meet(forms: tuple[str, ...], expected: str) -> None:
    assert {stem(form) for form in forms} == {expected}


def test_scores_are_those_of_the_formula() -> None:
    texts = ["alpha beta", "alpha alpha gamma", "delta"]
    hits = Bm25Searcher.over(texts, ()).search(["alpha"], 3)
    assert hits.ids[0].tolist() == [1, 0, -1]
    lengths, mean = [2, 3, 1], 2.0
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    for place, count in ((1, 2), (0, 1)):
        norm = K1 * (1 - B + B * lengths[place] / mean)
        expected = idf * count / (count + norm)
        at = hits.ids[0].tolist().index(place)
        assert hits.scores[0, at] == pytest.approx(expected, rel=1e-5)


def test_what_shares_no_word_is_not_found() -> None:
    hits = Bm25Searcher.over(["alpha", "beta"], ()).search(["gamma", "beta"], 2)
    assert hits.ids.tolist() == [[-1, -1], [1, -1]]


def test_an_index_says_its_size() -> None:
    assert Bm25Searcher.over(["alpha beta gamma"], ()).bytes > 0


def test_top_keeps_the_best_in_order_and_refuses_nan() -> None:
    scores = np.array([[1.0, 3.0, 3.0, 2.0]], dtype=np.float32)
    hits = top(scores, 3)
    assert hits.ids.tolist() == [[1, 2, 3]]
    assert hits.scores.tolist() == [[3.0, 3.0, 2.0]]
    assert top(scores, 9, above=2.5).ids.tolist() == [[1, 2, -1, -1]]
    with pytest.raises(ValueError, match="NaN"):
        top(np.array([[np.nan]], dtype=np.float32), 1)
