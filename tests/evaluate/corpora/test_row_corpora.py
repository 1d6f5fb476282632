"""CoSQA-style, BEIR-style and dataset corpora: what is read, what is refused, the real figures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluate.corpora.beir import beir_corpus
from evaluate.corpora.corpus import Corpus
from evaluate.corpora.cosqa import cosqa_corpus
from evaluate.corpora.dataset import blocks, dataset_corpora, some_queries
from evaluate.corpora.rows import CorpusError
from evaluate.measure.run import measure_system
from evaluate.retrieval.bm25 import Bm25Searcher
from evaluate.retrieval.context import SearcherOptions
from evaluate.retrieval.factory import make_searcher
from shards.format.manifest import NotADataset
from tests.shards.builder import build, make_pair

DOCUMENTED = 'def f(a):\n    """Adds one to it."""\n    return a + 1\n'


def lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def cosqa(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    code = [{"id": f"c{n}", "code": DOCUMENTED, "language": "python"} for n in range(3)]
    lines(folder / "codebase.jsonl", code)
    rows = [
        {"id": "a", "query": "add one", "positive_id": "c0"},
        {"id": "b", "query": "Add  ONE", "positive_id": "c1", "label": 1},
        {"id": "c", "query": "wrong", "positive_id": "c2", "label": 0},
    ]
    lines(folder / "dev.jsonl", rows)
    return folder


def test_cosqa_equal_questions_are_one_and_documentation_is_cut(cosqa: Path) -> None:
    corpus = cosqa_corpus(cosqa)
    assert [(query.id, dict(query.relevant)) for query in corpus.queries] == [
        ("a", {"c0": 1, "c1": 1})
    ]
    assert {document.text for document in corpus.documents} == {"def f(a):\n    return a + 1\n"}
    kept = cosqa_corpus(cosqa, keep_documentation=True)
    assert {document.text for document in kept.documents} == {DOCUMENTED}
    assert kept.documents[0].code_sha256 == corpus.documents[0].code_sha256


def test_cosqa_refusals(cosqa: Path) -> None:
    with pytest.raises(CorpusError, match="no questions 'test'"):
        cosqa_corpus(cosqa, split="test")
    lines(cosqa / "test.jsonl", [{"query": "q", "positive_id": "c9"}])
    with pytest.raises(CorpusError, match="choose with --split"):
        cosqa_corpus(cosqa)
    with pytest.raises(CorpusError, match=r"test\.jsonl:1: 'c9' is not an id"):
        cosqa_corpus(cosqa, split="test")
    (cosqa / "test.jsonl").write_text('{"query": "q"\n')
    with pytest.raises(CorpusError, match=r"test\.jsonl:1: no JSON"):
        cosqa_corpus(cosqa, split="test")
    (cosqa / "codebase.jsonl").unlink()
    with pytest.raises(CorpusError, match=r"no codebase\.jsonl"):
        cosqa_corpus(cosqa)


def test_cosqa_ids_may_be_numbers_and_stand_once(cosqa: Path) -> None:
    lines(cosqa / "codebase.jsonl", [{"id": n, "code": DOCUMENTED} for n in range(3)])
    rows = [{"id": n, "query": f"question {n}", "positive_id": n} for n in range(3)]
    lines(cosqa / "dev.jsonl", rows)
    asked = [(query.id, dict(query.relevant)) for query in cosqa_corpus(cosqa).queries]
    assert asked == [("0", {"0": 1}), ("1", {"1": 1}), ("2", {"2": 1})]
    lines(cosqa / "dev.jsonl", [*rows, {**rows[0], "query": "another", "id": 1}])
    with pytest.raises(CorpusError, match=r"dev\.jsonl:4: the id '1' is that of line 2"):
        cosqa_corpus(cosqa)


def shares(corpus: Corpus) -> dict[str, float]:
    measured = measure_system(
        [corpus], lambda one: make_searcher("bm25", None, one, SearcherOptions())
    ).values
    means = (100 * measured.values.mean(axis=0)).tolist()
    return dict(zip(measured.names, means, strict=True))


@pytest.mark.slow
@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
def test_bm25_on_real_cosqa_is_no_straw_man() -> None:
    folder = Path(os.environ["XTROVE_DATA"]) / "eval/cosqa"
    corpus = cosqa_corpus(folder)
    assert (len(corpus.documents), len(corpus.queries)) == (6267, 500)
    result = shares(corpus)
    # A plain BM25 with split identifiers: 11.4, 20.1, 23.5, 38.4, 62.6, 53.0.
    for name, least in (
        ("P@1", 14.0), ("MRR", 23.5), ("nDCG@10", 27.0),
        ("Recall@10", 43.0), ("Recall@100", 69.0), ("R@100 AUC", 59.0),
    ):  # fmt: skip
        assert result[name] >= least, (name, result[name])


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "beir"
    lines(
        folder / "corpus.jsonl",
        [
            {"_id": "d1", "title": "Title", "text": DOCUMENTED},
            {"_id": "d2", "title": "", "text": "other words"},
        ],
    )
    lines(folder / "queries.jsonl", [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t0\n"
    )
    return folder


def test_beir_questions_have_ids_of_their_own(beir: Path) -> None:
    lines(beir / "queries.jsonl", [{"_id": "q1", "text": "one"}, {"_id": "q1", "text": "two"}])
    with pytest.raises(CorpusError, match=r"queries\.jsonl:2: a second question 'q1'"):
        beir_corpus(beir)


def test_beir_folders(beir: Path) -> None:
    corpus = beir_corpus(beir)
    assert [document.text for document in corpus.documents] == [
        f"Title\n{DOCUMENTED}",
        "other words",
    ]
    assert [(query.id, dict(query.relevant)) for query in corpus.queries] == [("q1", {"d1": 2})]
    assert corpus.facts["questions_without_answer"] == 1
    cut = beir_corpus(beir, language="python")
    assert cut.documents[0].text == "Title\ndef f(a):\n    return a + 1\n"


def test_mteb_folders_of_parquet_are_the_same(beir: Path, tmp_path: Path) -> None:
    other = tmp_path / "mteb"
    for name in ("corpus", "queries"):
        rows = [json.loads(line) for line in (beir / f"{name}.jsonl").read_text().splitlines()]
        (other / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), other / name / "part-00000.parquet")
    judged = [{"query-id": "q1", "corpus-id": "d1", "score": 2}]
    (other / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(judged), other / "data" / "test-00000-of-00001.parquet")
    left, right = beir_corpus(beir), beir_corpus(other)
    assert left.documents == right.documents
    assert left.queries == right.queries


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q9\td1\t1", ":4: 'q9' is not an id of the queries"),
        ("q1\td9\t1", ":4: 'd9' is not an id of the corpus"),
        ("q1\td1\thigh", ":4: the score 'high' is not a number"),
        ("q1\td1", ":4: 2 fields, not 3"),
    ],
)
def test_beir_judgements_that_point_nowhere_are_refused(beir: Path, line: str, words: str) -> None:
    file = beir / "qrels" / "test.tsv"
    rows = file.read_text().splitlines()
    file.write_text("\n".join([*rows[:3], line]) + "\n")
    with pytest.raises(CorpusError) as caught:
        beir_corpus(beir)
    assert words in str(caught.value)


def test_beir_refusals(beir: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no judgements for 'dev'"):
        beir_corpus(beir, split="dev")
    with pytest.raises(CorpusError, match=r"no corpus\.jsonl"):
        beir_corpus(tmp_path)
    lines(beir / "corpus.jsonl", [{"_id": "d1", "text": "a"}, {"_id": "d1", "text": "b"}])
    with pytest.raises(CorpusError, match="'d1' occurs twice there"):
        beir_corpus(beir)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [make_pair(number) for number in range(200)]
    pairs += [make_pair(number, language="go") for number in range(300, 340)]
    # Three functions answer one question.
    pairs[12:15] = [replace(pair, query="The same question for three") for pair in pairs[12:15]]
    return build(tmp_path_factory.mktemp("made"), pairs, []).path


@pytest.mark.slow
def test_a_dataset_is_asked_language_by_language(dataset: Path) -> None:
    corpora = dataset_corpora(dataset, split="train")
    assert [corpus.name for corpus in corpora] == ["dataset go", "dataset python"]
    for corpus in corpora:
        ids = {document.id for document in corpus.documents}
        assert {document.language for document in corpus.documents} == {corpus.queries[0].language}
        assert all(set(query.relevant) <= ids for query in corpus.queries)
        assert sum(len(query.relevant) for query in corpus.queries) == len(corpus.documents)
    assert dataset_corpora(dataset, split="train", languages=["go"])[0].name == "dataset go"
    with pytest.raises(CorpusError, match="no rust"):
        dataset_corpora(dataset, split="train", languages=["rust"])


def test_equal_questions_have_all_their_answers(dataset: Path) -> None:
    result = [
        len(query.relevant)
        for split in ("train", "validation", "test")
        for corpus in dataset_corpora(dataset, split=split)
        for query in corpus.queries
        if query.text == "The same question for three"
    ]
    assert sum(result) == 3


def test_blocks_hold_each_question_once_with_its_answer_and_so_many_others(dataset: Path) -> None:
    (corpus,) = dataset_corpora(dataset, split="train", languages=["python"])
    made = blocks(corpus, 29, seed=5)
    assert all(len(block.documents) == 30 for block in made)
    assert all(len({document.id for document in block.documents}) == 30 for block in made)
    asked = [query.id for block in made for query in block.queries]
    assert sorted(asked) == sorted(query.id for query in corpus.queries)
    for block in made:
        ids = {document.id for document in block.documents}
        assert all(query.relevant and set(query.relevant) <= ids for query in block.queries)
    assert [[document.id for document in block.documents] for block in made] == [
        [document.id for document in block.documents] for block in blocks(corpus, 29, seed=5)
    ]
    assert made[0].documents != blocks(corpus, 29, seed=6)[0].documents
    with pytest.raises(CorpusError, match="too few for 1000 distractors"):
        blocks(corpus, 1000)


def test_some_questions_leave_the_pools_whole(dataset: Path) -> None:
    corpora = [
        replace(corpus, by_repository=True) for corpus in dataset_corpora(dataset, split="train")
    ]
    fewer = some_queries(corpora, 10)
    assert all(corpus.by_repository for corpus in fewer)
    assert sum(len(corpus.queries) for corpus in fewer) == 10
    assert [corpus.documents for corpus in fewer] == [corpus.documents for corpus in corpora]
    assert some_queries(corpora, 10_000) == corpora


def test_a_dataset_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADataset, match="not a dataset"):
        dataset_corpora(tmp_path)


def test_bm25_over_nothing_finds_nothing() -> None:
    hits = Bm25Searcher.over(["", "  "], {"python"}).search(["anything"], 5)
    assert hits.ids.tolist() == [[-1, -1]]
