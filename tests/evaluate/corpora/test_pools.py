"""Pools: what is read and refused, and figures worked by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from evaluate.corpora.corpus import Corpus
from evaluate.corpora.pools import MAX_TARGETS, pool_corpora
from evaluate.corpora.rows import CorpusError
from evaluate.measure.evaluator import System, evaluation
from evaluate.measure.result import Evaluation
from evaluate.measure.run import measure_system
from evaluate.measure.tables import compare_tables, systems_table
from evaluate.retrieval.searcher import Hits
from xtrove.core import Misuse

Row = Mapping[str, object]
CODE = [
    {"id": id_, "pool": pool, "code": f"def {id_}(): pass", "repo": pool[0], "language": "python"}
    for pool, ids in (("a1", ("u", "v", "w")), ("b1", ("x", "y")), ("b2", ("z",)))
    for id_ in ids
]
QUESTIONS: list[dict[str, object]] = [
    {"id": "1", "pool": "a1", "query": "first", "relevant": ["u"], "repo": "a"},
    {"id": "2", "pool": "a1", "query": "third", "relevant": ["w"], "ignore": ["u"], "repo": "a"},
    {"id": "3", "pool": "b1", "query": "second", "relevant": ["y"], "repo": "b", "easy": False},
    {"id": "4", "pool": "b2", "query": "z", "relevant": ["z"], "repo": "b", "easy": True},
]


def write(
    folder: Path, code: Sequence[Row], questions: Sequence[Row], packed: bool = False
) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in (("corpus", code), ("queries", questions)):
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path = folder / f"{name}.jsonl{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


class Ordered:
    """Answers with the documents of the pool in their order, or from the last to the first."""

    def __init__(self, corpus: Corpus, backwards: bool) -> None:
        self._places = np.arange(len(corpus.documents), dtype=np.int32)
        if backwards:
            self._places = self._places[::-1]

    def search(self, queries: list[str], k: int) -> Hits:
        shape = (len(queries), len(self._places))
        scores = np.broadcast_to(-np.arange(shape[1], dtype=np.float32), shape)
        return Hits(ids=np.broadcast_to(self._places, shape), scores=scores)


def result_of(corpora: Sequence[Corpus], backwards: bool = False) -> Evaluation:
    measured = measure_system(corpora, lambda corpus: Ordered(corpus, backwards))
    system = System(name="ordered", mode="given", model="", measured=measured)
    return evaluation("set", corpora, [system], settings={}, versions={})


@pytest.mark.parametrize("packed", [False, True])
def test_each_question_has_its_own_pool(tmp_path: Path, packed: bool) -> None:
    corpora = pool_corpora(write(tmp_path / "set", CODE, QUESTIONS, packed))
    assert [[document.id for document in corpus.documents] for corpus in corpora] == [
        ["u", "v", "w"],
        ["x", "y"],
        ["z"],
    ]
    assert [[query.id for query in corpus.queries] for corpus in corpora] == [
        ["1", "2"],
        ["3"],
        ["4"],
    ]
    assert corpora[0].queries[1].ignore == {"u"}
    assert corpora[0].documents[0].text == "def u(): pass"


def test_means_are_those_of_repositories_of_hard_questions(tmp_path: Path) -> None:
    """Ranks 1, 2 (the ignored `u` has left) and 2; repository means of 1/rank 0.75 and 0.5."""
    result = result_of(pool_corpora(write(tmp_path / "set", CODE, QUESTIONS)))
    system = result.systems[0]
    assert system.ranks == [1, 2, 2, 1]
    first = system.firsts[1]
    assert first is not None and first.id == "v"
    assert system.metrics["MRR"].value == pytest.approx((0.75 + 0.5) / 2)
    assert system.metrics["P@1"].value == pytest.approx((0.5 + 0) / 2)
    groups = system.groups["difficulty"]
    assert (groups["hard"].queries, groups["easy"].queries) == (3, 1)
    assert groups["hard"].metrics == system.metrics
    assert groups["easy"].metrics["P@1"].value == 1.0
    # Pools of a set count together, and are still too few documents for it.
    assert "R@100 AUC" not in system.metrics
    assert "3 hard questions, mean over 2 repositories" in systems_table(result).title


def test_results_are_compared_hard_and_easy_within_repositories(tmp_path: Path) -> None:
    corpora = pool_corpora(write(tmp_path / "set", CODE, QUESTIONS))
    tests = compare_tables(result_of(corpora), result_of(corpora, backwards=True), ("one", "two"))
    assert [table.title.rpartition(", ")[2] for table in tests[:2]] == ["hard", "easy"]
    hard, easy = ({row[0]: row[1:] for row in table.rows} for table in tests[:2])
    # Backwards the ranks are 3, 1, 1: 1/rank 1/3 and 1, then 1.
    assert hard["MRR"][:3] == ("62.5", "83.3", "+20.8")
    assert easy["MRR"][:3] == ("100.0", "100.0", "+0.0")


def test_means_over_repositories_are_compared_with_such_only(tmp_path: Path) -> None:
    result = result_of(pool_corpora(write(tmp_path / "set", CODE, QUESTIONS)))
    other = result.model_copy(update={"by_repository": False})
    with pytest.raises(Misuse, match="like with like"):
        compare_tables(result, other, ("one", "two"))


@pytest.mark.parametrize(
    ("code", "questions", "reason"),
    [
        ({"pool": ""}, {}, r"corpus\.jsonl:1: no pool"),
        ({"id": None}, {}, r"corpus\.jsonl:1: no id"),
        ({"id": "v"}, {}, r"corpus\.jsonl:2: the id 'v' is that of line 1"),
        ({"code": " "}, {}, r"corpus\.jsonl:1: no code"),
        ({"scope": 7}, {}, r"corpus\.jsonl:1: scope is '7'"),
        ({}, {"pool": "c1"}, r"queries\.jsonl:1: 'c1' is not a pool"),
        ({}, {"query": " "}, r"queries\.jsonl:1: no query"),
        ({}, {"relevant": []}, r"queries\.jsonl:1: relevant is empty"),
        ({}, {"relevant": "u"}, r"queries\.jsonl:1: relevant must be a list"),
        ({}, {"relevant": ["u"] * (MAX_TARGETS + 1)}, r"queries\.jsonl:1: .* at most 10,000"),
        ({}, {"relevant": ["x"]}, r"queries\.jsonl:1: relevant has 'x', which is not in its pool"),
        ({}, {"relevant": [["u"]]}, r"queries\.jsonl:1: relevant has .* not in its pool"),
        ({}, {"ignore": ["x"]}, r"queries\.jsonl:1: ignore has 'x'"),
        ({}, {"ignore": ["u"]}, r"queries\.jsonl:1: a document is relevant and ignored"),
        ({}, {"easy": "no"}, r"queries\.jsonl:1: easy is 'no'"),
        ({}, {"id": "2"}, r"queries\.jsonl:2: the id '2' is that of line 1"),
    ],
)
def test_rows_that_mean_nothing_are_named(
    tmp_path: Path, code: Row, questions: Row, reason: str
) -> None:
    rows = [{**CODE[0], **code}, *CODE[1:]], [{**QUESTIONS[0], **questions}, *QUESTIONS[1:]]
    with pytest.raises(CorpusError, match=reason):
        pool_corpora(write(tmp_path / "set", *rows))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus\.jsonl"):
        pool_corpora(tmp_path)
    with pytest.raises(CorpusError, match="no question"):
        pool_corpora(write(tmp_path / "set", CODE, []))
    with pytest.raises(CorpusError, match="holds no rows"):
        pool_corpora(write(tmp_path / "set", [], QUESTIONS))
