"""From searchers to a result: measured, compared, written, read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import ir_measures
import numpy as np
import pytest

import evaluate.measure.run
from evaluate.corpora.corpus import Corpus, Document, Query
from evaluate.corpora.rows import CorpusError
from evaluate.measure.evaluator import System, evaluation, length_group
from evaluate.measure.result import Evaluation, load_result, write_files
from evaluate.measure.run import Measured, measure_system
from evaluate.measure.seen_in_training import seen_answers
from evaluate.measure.tables import (
    compare_tables,
    duplicate_line,
    group_tables,
    markdown,
    question_lines,
    seen_lines,
    systems_table,
)
from evaluate.retrieval.searcher import Hits
from tests.evaluate.report_pages import RANKS, SIZE, GivenRanks
from train.checkpoint.training_digests import trained_on, write_trained_on
from xtrove.commands.evaluate.output import qrels_lines, trec_lines
from xtrove.core.errors import Misuse


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def document(number: int) -> Document:
    # 7 is a copy of 6 but for a comment.
    shown = 6 if number == 7 else number
    text = f"def f{shown}(x):\n    return x + {shown}\n" + ("# copied\n" if number == 7 else "")
    return Document(
        id=f"a file.py:{number}",
        text=text,
        path="a file.py",
        name=f"f{number}",
        start_line=number,
        end_line=number,
        language="python" if number % 2 else "go",
        repo=f"owner/r{number % 3}",
        code_sha256=sha(text),
    )


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    documents = [document(number) for number in range(SIZE)]
    queries = [
        Query(
            id=f"q{number}",
            text=" ".join(["word"] * (1 + number % 20)),
            relevant={f"a file.py:{number}": 1},
            language=documents[number].language,
            repo=documents[number].repo,
        )
        for number in range(40)
    ]
    return Corpus(name="made", documents=documents, queries=queries, facts={"kind": "made"})


def measured(corpus: Corpus, ranks: Sequence[int]) -> Measured:
    return measure_system([corpus], lambda _: GivenRanks(ranks), depth=200)


def result_of(corpus: Corpus, runs: Mapping[str, Sequence[int]], **more: object) -> Evaluation:
    systems = [
        System(name=name, mode="made", model="", measured=measured(corpus, ranks))
        for name, ranks in runs.items()
    ]
    return evaluation("made", [corpus], systems, settings={}, versions={"x": "1"})


@pytest.fixture(scope="module")
def result(corpus: Corpus) -> Evaluation:
    return result_of(corpus, RANKS)


def test_metrics_intervals_and_differences(result: Evaluation) -> None:
    good, bad = result.systems
    assert good.metrics["P@1"].value == 0.75
    assert good.metrics["P@1"].low < 0.75 < good.metrics["P@1"].high
    assert good.metrics["MRR"].value == pytest.approx((3 + 0.5) / 4)
    assert bad.metrics["R@100 AUC"].value == pytest.approx((1 + 0.98) / 4)
    assert good.recall_curve[1].value == 1
    assert good.against is None
    assert bad.against is not None
    expected = (3.5 - (1 + 1 / 3 + 0 + 1 / 120)) / 4
    assert bad.against.value == pytest.approx(expected, abs=1e-6)
    assert (bad.against.won, bad.against.lost) == (30, 0)
    assert bad.against.p < 0.001
    assert bad.ranks[:4] == [1, 3, 0, 120]
    assert bad.scores[2] is None
    assert bad.scores[1] == -2.0


def test_groups_by_language_length_and_repository(result: Evaluation) -> None:
    groups = result.systems[0].groups
    assert {label: one.queries for label, one in groups["language"].items()} == {
        "go": 20, "python": 20,
    }  # fmt: skip
    assert groups["language"]["go"].metrics["P@1"].value == 1  # even questions
    assert groups["language"]["python"].metrics["P@1"].value == 0.5
    assert sum(group.queries for group in groups["query length"].values()) == 40
    assert list(groups["query length"]) == [
        "1-3 words", "4-7 words", "8-15 words", "16 words or more",
    ]  # fmt: skip
    assert set(groups["repository"]) == {"owner/r0", "owner/r1", "owner/r2"}
    assert [length_group(" ".join("a" * n)) for n in (1, 3, 4, 7, 8, 15, 16)] == [
        "1-3 words", "1-3 words", "4-7 words", "4-7 words", "8-15 words", "8-15 words",
        "16 words or more",
    ]  # fmt: skip


def test_times_are_told(result: Evaluation) -> None:
    times = result.systems[0].times
    assert times.queries_per_second > 0
    assert 0 < times.latency_ms["p50"] <= times.latency_ms["p95"] <= times.latency_ms["p99"]
    assert times.index_bytes == -1
    assert times.timed == 40


def test_questions_are_asked_alone_for_a_bounded_time(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate.measure.run, "TIMED_SECONDS", 0.0)
    assert measured(corpus, [1] * 40).speed.timed == 1


def test_copies_of_answers_are_reported(corpus: Corpus) -> None:
    ranks = [2] * 40
    actual = result_of(corpus, {"one": ranks})
    assert [query.id for query in actual.queries if query.duplicates] == []
    # 6 is Go and 7 Python by the rule above: a copy in another language is none.
    same = [one for one in corpus.documents if one.id not in ("a file.py:6", "a file.py:7")]
    duplicate_ids = [
        Document(
            id=f"twin{n}",
            text="def g(x):\n    return x\n" + "# again\n" * n,
            path="twins.py",
            name="g",
            start_line=1,
            end_line=2,
            language="python",
        )
        for n in range(2)
    ]
    queries = [Query(id="t", text="the same", relevant={"twin0": 1})]
    pool = Corpus(name="twins", documents=[*duplicate_ids, *same], queries=queries)

    class Second:
        def search(self, queries: list[str], k: int) -> Hits:
            return Hits(
                ids=np.array([[1, 0]], dtype=np.int32), scores=np.array([[2, 1]], dtype=np.float32)
            )

    one = System(
        name="second", mode="made", model="", measured=measure_system([pool], lambda _: Second())
    )
    reported = evaluation("twins", [pool], [one], settings={}, versions={})
    assert reported.queries[0].duplicates == 1
    assert reported.systems[0].duplicates_first == 1
    assert "1 questions have a copy" in duplicate_line(reported)
    assert "second 1" in duplicate_line(reported)


def test_it_is_written_and_read_back(result: Evaluation, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_files(folder, {"result.json": result.to_json()})
    assert load_result(folder) == result
    assert load_result(folder / "result.json") == result
    with pytest.raises(Misuse, match="already"):
        write_files(folder, {"result.json": b""})
    assert sorted(path.name for path in folder.iterdir()) == ["result.json"]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": "xtrove-evaluation-9"}', b"[" * 99_999])
def test_what_is_no_result_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(data)
    with pytest.raises(Misuse, match="not a result"):
        load_result(path)
    with pytest.raises(Misuse, match="not a result"):
        load_result(tmp_path / "none.json")


def test_comparison_shows_won_and_lost_and_the_test(corpus: Corpus) -> None:
    one = result_of(corpus, {"old": [2, 1, 1, 0]})
    two = result_of(corpus, {"new": [1, 1, 3, 5]})
    tests, won, lost = compare_tables(one, two, ("a", "b"))
    assert tests.rows[0][:4] == ("P@1", "50.0", "50.0", "+0.0")
    assert tests.rows[0][6:] == ("10", "10")
    assert won.title == "questions won: 20"
    assert lost.title == "questions lost: 10"
    assert [row[:2] for row in won.rows] == [("2", "1")] * 10 + [("-", "5")] * 10
    assert {row[:2] for row in lost.rows} == {("1", "3")}


def test_only_like_is_compared_with_like(corpus: Corpus) -> None:
    one = result_of(corpus, {"a": [1]})
    fewer = Corpus(name="made", documents=corpus.documents, queries=corpus.queries[:30])
    with pytest.raises(Misuse, match="different questions"):
        compare_tables(one, result_of(fewer, {"a": [1]}), ("a", "b"))
    smaller = one.model_copy(update={"ids_sha256": "0" * 64})
    with pytest.raises(Misuse, match="different documents"):
        compare_tables(one, smaller, ("a", "b"))
    kept = one.model_copy(update={"corpus_sha256": "0" * 64})
    assert "other texts" in compare_tables(one, kept, ("a", "b"))[0].title


def test_a_line_a_question(result: Evaluation) -> None:
    lines = list(question_lines(result, result.systems[1]))
    assert len(lines) == 40
    assert lines[0].split()[0] == "1"
    assert "first:" not in lines[0]
    assert lines[1].split()[0] == "3"
    assert "-> a file.py:1 f1" in lines[1]
    assert "| first: a file.py f0 (-0.000)" in lines[1]
    assert lines[2].split()[0] == "-"


def test_tables_and_markdown(result: Evaluation) -> None:
    table = systems_table(result)
    assert [row[0] for row in table.rows] == ["good", "bad"]
    assert table.rows[0][1].startswith("75.0 ±")
    assert {len(row) for row in table.rows} == {len(table.header)}
    text = markdown(result, [table, *group_tables(result.systems[0])], ["a note"])
    assert "| good | 75.0 ±" in text
    assert "- a note" in text
    rows = [line for line in text.splitlines() if line.startswith("| good")]
    assert rows[0].count(" | ") == len(table.header) - 1


def test_run_files_are_read_by_others_with_the_same_numbers(corpus: Corpus, tmp_path: Path) -> None:
    one = measured(corpus, [1, 3, 0, 120])
    text = "\n".join(trec_lines(one.run, corpus.queries, "made"))
    assert text.splitlines()[0].split() == ["q0", "Q0", "a%20file.py:0", "1", "-0.0", "made"]
    judged = "\n".join(qrels_lines({query.id: query.relevant for query in corpus.queries}))
    (tmp_path / "run.trec").write_text(text)
    (tmp_path / "qrels.trec").write_text(judged)
    theirs = ir_measures.calc_aggregate(
        [ir_measures.P @ 1, ir_measures.RR, ir_measures.R @ 100],
        ir_measures.read_trec_qrels(str(tmp_path / "qrels.trec")),
        ir_measures.read_trec_run(str(tmp_path / "run.trec")),
    )
    for measure, name in (("P@1", "P@1"), ("RR", "MRR"), ("R@100", "Recall@100")):
        ours = one.values.column(name).mean()
        assert theirs[ir_measures.parse_measure(measure)] == pytest.approx(ours)
    rows = [line.split() for line in text.splitlines()]
    documents = [unquote(row[2]) for row in rows if row[0] == "q1"]
    assert documents == [document for document, _ in one.run["q1"]]


def test_what_the_model_was_trained_on_is_set_apart(corpus: Corpus, tmp_path: Path) -> None:
    seen = [one for one in corpus.documents[:40] if one.id in ("a file.py:0", "a file.py:1")]
    write_trained_on([(one.code_sha256, "Owner/R2") for one in seen], tmp_path / "trained_on.arrow")
    known = trained_on(tmp_path)
    assert known is not None
    actual = seen_answers([corpus], known)
    assert (actual["code"].answers, actual["code"].seen_answers) == (40, 2)
    assert actual["code"].unseen_queries.tolist() == [False, False] + [True] * 38
    by_repo = [query.repo != "owner/r2" for query in corpus.queries]
    assert actual["repository"].unseen_queries.tolist() == by_repo
    ranks = [1, 1] + [2] * 38
    system = System(
        name="m", mode="made", model="folder", measured=measured(corpus, ranks), known=known
    )
    reported = evaluation("made", [corpus], [system], settings={}, versions={})
    share = reported.systems[0].seen
    assert share is not None
    assert share["code"].unseen["P@1"].value == 0
    assert share["code"].unseen_queries == 38
    lines = seen_lines(reported)
    assert lines[0] == ("m: P@1 0.05 (unseen 0.00, 38 of 40); trained on 2 of 40 answers by code")
    assert json.loads(reported.to_json())["systems"][0]["seen"]["repository"]["seen_answers"] == 13


def test_a_model_that_says_nothing_is_said_to(corpus: Corpus) -> None:
    system = System(name="m", mode="made", model="folder", measured=measured(corpus, [1]))
    reported = evaluation("made", [corpus], [system], settings={}, versions={})
    assert reported.systems[0].seen is None
    assert seen_lines(reported) == ["m: the model does not say what it was trained on"]


def test_all_seen_has_no_unseen_number(corpus: Corpus, tmp_path: Path) -> None:
    write_trained_on(
        [(one.code_sha256, "x") for one in corpus.documents], tmp_path / "trained_on.arrow"
    )
    system = System(
        name="m",
        mode="made",
        model="folder",
        measured=measured(corpus, [1]),
        known=trained_on(tmp_path),
    )
    reported = evaluation("made", [corpus], [system], settings={}, versions={})
    assert "(unseen -, 0 of 40); trained on 40 of 40 answers by code" in seen_lines(reported)[0]


def test_nothing_to_ask_is_refused(corpus: Corpus) -> None:
    empty = Corpus(name="empty", documents=corpus.documents, queries=[])
    with pytest.raises(CorpusError, match="no questions"):
        measured(empty, [1])
