"""Validation sets: ranks against the evaluator's metrics, what a bound leaves, the mean of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from evaluate.corpora.rows import CorpusError
from evaluate.measure.validation import validation_measure
from evaluate.measure.validation_sets import (
    ValidationPool,
    ValidationWithSets,
    first_answer_ranks,
    read_validation_set,
)
from evaluate.metrics.bootstrap_intervals import column_means
from evaluate.metrics.metrics import measure_queries
from tests.evaluate.corpora.test_pools import write
from tests.evaluate.measure.test_validation import Rows
from tests.train.tiny_models import made
from train.config import ValidationSetSection
from train.document_template import DocumentTemplate
from train.model.encoder import Encoder, EncoderOptions
from train.model.pretrained import load_base

Row = Mapping[str, object]


def section(folder: Path, **changes: object) -> ValidationSetSection:
    values = {"name": "commits", "kind": "pools", "path": str(folder), **changes}
    return ValidationSetSection.model_validate(values)


def pools(folder: Path, counts: Mapping[str, int]) -> Path:
    """Pool -> number of functions; every second one is asked for, the first by its name."""
    code: list[Row] = []
    questions: list[Row] = []
    for pool, count in counts.items():
        for n in range(count):
            place = {"pool": pool, "repo": pool[0], "language": "python"}
            code.append({"id": f"{pool}-{n}", "code": f"def {pool}_{n}(): return {n}", **place})
            if n % 2 == 0:
                asked = {"query": f"gives {n} of {pool}", "relevant": [f"{pool}-{n}"]}
                ignored = {"ignore": [f"{pool}-1"], "easy": n == 0}
                questions.append({"id": f"q-{pool}-{n}", **place, **asked, **ignored})
    return write(folder, code, questions)


def test_ranks_are_those_of_the_evaluator() -> None:
    generator = np.random.default_rng(3)
    # Few values: many ties.
    scores = generator.integers(0, 6, (60, 12)).astype(np.float32)
    answers = [sorted({int(n) for n in generator.integers(0, 12, 3)}) for _ in scores]
    ignored = [
        [int(n) for n in generator.integers(0, 12, 2) if int(n) not in own] for own in answers
    ]
    run = {
        str(q): [(str(d), float(scores[q, d])) for d in range(12) if d not in ignored[q]]
        for q in range(60)
    }
    relevant = {str(q): {str(d): 1 for d in own} for q, own in enumerate(answers)}
    expected = measure_queries(run, relevant, documents=12)
    np.testing.assert_array_equal(first_answer_ranks(scores, answers, ignored), expected.ranks)


def test_an_answer_without_a_number_is_not_found() -> None:
    scores = np.array([[np.nan, 1.0, 2.0], [1.0, np.nan, 0.5]], dtype=np.float32)
    assert first_answer_ranks(scores, [[0], [0]], [[], []]).tolist() == [0, 2]


def test_a_bound_takes_pools_in_turns_and_keeps_the_answers(tmp_path: Path) -> None:
    folder = pools(tmp_path / "set", {"a3": 2, "a1": 260, "a2": 30, "b1": 20})
    chosen = read_validation_set(
        section(folder, queries=30, documents=500), DocumentTemplate("{path}\n{code}")
    )
    # Two pools of 250: the largest of each repository.
    assert [pool.documents[0] for pool in chosen.pools] == [
        "def a1_0(): return 0",
        "def b1_0(): return 0",
    ]
    assert [len(pool.documents) for pool in chosen.pools] == [250, 20]
    assert [len(pool.queries) for pool in chosen.pools] == [15, 9]
    assert set(chosen.pools[0].strata) == {"a"}
    for pool in chosen.pools:
        for query, answers, ignored in zip(pool.queries, pool.answers, pool.ignored, strict=True):
            number, name = query.split()[1], query.split()[-1]
            assert number != "0"
            assert [pool.documents[at] for at in answers] == [
                f"def {name}_{number}(): return {number}"
            ]
            assert [pool.documents[at] for at in ignored] in ([f"def {name}_1(): return 1"], [])


def test_answers_beyond_the_bound_are_refused(tmp_path: Path) -> None:
    code = [{"id": str(n), "pool": "p", "code": f"def f{n}(): pass"} for n in range(5)]
    question = {"id": "q", "pool": "p", "query": "all", "relevant": [str(n) for n in range(5)]}
    folder = write(tmp_path / "set", code, [question])
    with pytest.raises(CorpusError, match="at most 4 answers: raise `documents`"):
        read_validation_set(section(folder, documents=4), DocumentTemplate())


@pytest.mark.slow
def test_the_mean_is_over_the_docstrings_and_each_set(tmp_path: Path) -> None:
    base = made("modernbert", tmp_path / "base")
    options = EncoderOptions(dim=16, query_length=32, document_length=64)
    encoder = load_base(str(base), options, seed=1)
    folder = pools(tmp_path / "set", {"a1": 9, "b1": 6})
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_text(
        '{"_id": "x", "text": "def x(): pass"}\n{"_id": "y", "text": "def y(): pass"}\n'
    )
    (beir / "queries.jsonl").write_text('{"_id": "1", "text": "which"}\n')
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ty\t1\n")
    measure = ValidationWithSets(
        held_out=validation_measure(Rows(list("abcdef"), list("abcdef"))),
        sets={
            "commits": read_validation_set(section(folder), DocumentTemplate()),
            "web": read_validation_set(section(beir, kind="beir"), DocumentTemplate()),
        },
        metric="MRR",
    )
    values = measure(encoder)
    parts = [values[name] for name in ("MRR", "commits MRR", "web MRR")]
    assert values["mean MRR"] == pytest.approx(sum(parts) / 3)
    assert values["commits MRR"] == pytest.approx(_by_hand(encoder, measure.sets["commits"].pools))
    # From the ids that were kept.
    assert measure(encoder) == values


def _by_hand(encoder: Encoder, pools: Sequence[ValidationPool]) -> float:
    """MRR from one text at a time, within repositories, then over them."""
    rows: list[list[float]] = []
    strata: list[str] = []
    for pool in pools:
        documents = [encoder.encode([text], "document")[0] for text in pool.documents]
        for query, (answer,), ignored, stratum in zip(
            pool.queries, pool.answers, pool.ignored, pool.strata, strict=True
        ):
            tokens = encoder.encode([query], "query")[0]
            scores = [float((tokens @ document.T).max(axis=1).sum()) for document in documents]
            above = [
                at
                for at, score in enumerate(scores)
                if at != answer and at not in ignored and score >= scores[answer] - 1e-6
            ]
            rows.append([1 / (1 + len(above))])
            strata.append(stratum)
    return float(column_means(np.array(rows), strata)[0])
