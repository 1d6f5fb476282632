"""The CodeSearchNet challenge: hand-worked values, and an oracle that follows the reference."""

from __future__ import annotations

import csv
import math
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from evaluate.corpora.rows import CorpusError
from evaluate.measure.codesearchnet import (
    GivenRankings,
    measure_ndcg,
    ndcg,
    prediction_corpora,
    read_annotations,
    read_predictions,
)
from evaluate.measure.run import measure_system

ANNOTATIONS = """Language,Query,GitHubUrl,Relevance,Notes
Python,Sort a list,u1,3,
Python,Sort a list,u2,1,fine
Python,Sort a list,u2,2,
Python,Sort a list,u3,0,
Python,priority queue,u4,0,
Python,read file,u5,1,
Go,sort a list,g1,2,
"""
PREDICTIONS = """language,query,url
python,sort a list,u9
python,sort a list,u2
Python,Sort A List,u3
python,sort a list,u1
python,read file,u8
go,sort a list,g1
"""


def written(tmp_path: Path) -> tuple[Path, Path]:
    annotations, predictions = tmp_path / "annotations.csv", tmp_path / "predictions.csv"
    annotations.write_text(ANNOTATIONS)
    predictions.write_text(PREDICTIONS)
    return annotations, predictions


def reference(
    predictions: Mapping[str, Sequence[str]],
    relevance: Mapping[str, Mapping[str, float]],
    *,
    all_: bool,
) -> float:
    """The reference's loop, written out again: ranks move on for others only where `all_`."""
    total = count = 0.0
    for query, annotated in relevance.items():
        rank, dcg = 1, 0.0
        for url in list(predictions.get(query, ()))[:300]:
            if url in annotated:
                dcg += (2 ** annotated[url] - 1) / np.log2(rank + 1)
                rank += 1
            elif all_:
                rank += 1
        ideal = 0.0
        for place, one in enumerate(sorted(annotated.values(), reverse=True), start=1):
            ideal += (2**one - 1) / np.log2(place + 1)
        if ideal == 0:
            continue
        count += 1
        total += dcg / ideal
    return float(total / count)


def mean_ndcg(
    predictions: Mapping[str, Sequence[str]],
    annotations: Mapping[str, Mapping[str, float]],
    *,
    within: bool,
) -> float:
    """The mean over the annotated queries that have an ideal."""
    values = [
        ndcg(predictions.get(query, ()), relevance, within=within)
        for query, relevance in annotations.items()
    ]
    return float(np.mean([value for value in values if value is not None]))


def test_hand_worked_values(tmp_path: Path) -> None:
    paths = written(tmp_path)
    annotations, predictions = read_annotations(paths[0]), read_predictions(paths[1])
    python = annotations["python"]
    assert python["sort a list"] == {"u1": 3.0, "u2": 1.5, "u3": 0.0}
    ranked = predictions["python"]["sort a list"]
    assert ranked == ["u9", "u2", "u3", "u1"]
    ideal = 7 + (2**1.5 - 1) / math.log2(3)
    within = (2**1.5 - 1) + 7 / math.log2(4)
    everything = (2**1.5 - 1) / math.log2(3) + 7 / math.log2(5)
    assert ndcg(ranked, python["sort a list"], within=True) == pytest.approx(within / ideal)
    assert ndcg(ranked, python["sort a list"], within=False) == pytest.approx(everything / ideal)
    # "priority queue" has no positive annotation; nothing annotated was found for "read file".
    assert ndcg(["u4"], python["priority queue"], within=True) is None
    mean = mean_ndcg(predictions["python"], python, within=True)
    assert mean == pytest.approx(within / ideal / 2)
    assert mean_ndcg(predictions["go"], annotations["go"], within=False) == 1


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_reference_on_random_runs(seed: int) -> None:
    draw = random.Random(seed)
    urls = [f"u{n}" for n in range(500)]
    relevance = {
        f"q{n}": {url: draw.choice((0, 0, 1, 1.5, 2, 3)) for url in draw.sample(urls, 30)}
        for n in range(20)
    }
    relevance["nothing positive"] = {"u1": 0}
    predictions = {f"q{n}": draw.sample(urls, 400) for n in range(0, 20, 2)}
    for all_ in (False, True):
        ours = mean_ndcg(predictions, relevance, within=not all_)
        assert ours == pytest.approx(reference(predictions, relevance, all_=all_), abs=1e-12)


def test_only_300_urls_count() -> None:
    relevance = {"yes": 1.0}
    ranked = [f"no{n}" for n in range(299)]
    assert ndcg([*ranked, "yes"], relevance, within=True) == 1
    assert ndcg([*ranked, "no", "yes"], relevance, within=True) == 0


def test_given_rankings_are_measured_like_any_system(tmp_path: Path) -> None:
    annotations, predictions = written(tmp_path)
    known, given = read_annotations(annotations), read_predictions(predictions)
    corpora = prediction_corpora(known, given)
    measured = measure_system(
        corpora,
        lambda corpus: GivenRankings(corpus=corpus, ranked=given[corpus.queries[0].language]),
        measure=measure_ndcg(known),
    )
    values = measured.values
    assert values.names == ("NDCG within", "NDCG all")
    assert sorted(values.queries) == ["go/sort a list", "python/read file", "python/sort a list"]
    python = [row for row, one in enumerate(values.queries) if one.startswith("python/")]
    for place, within in enumerate((True, False)):
        mean = mean_ndcg(given["python"], known["python"], within=within)
        assert values.values[python, place].mean() == pytest.approx(mean)
    assert values.ranks.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("predictions", "language,query\n", "no column 'url'"),
        ("predictions", "language,query,url\npython,a,u\npython,A,u\n", ":3: 'u' occurs twice"),
        ("predictions", "language,query,url\npython,a\n", ":2: a field is missing"),
        (
            "annotations",
            "Language,Query,GitHubUrl,Relevance\nGo,a,u,much\n",
            ":2: relevance",
        ),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text)
    with pytest.raises(CorpusError) as caught:
        (read_annotations if name == "annotations" else read_predictions)(path)
    assert words in str(caught.value)


@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
def test_the_real_annotations(tmp_path: Path) -> None:
    path = Path(os.environ["XTROVE_DATA"]) / "eval/csn-challenge/annotationStore.csv"
    known = read_annotations(path)
    assert {language: sum(map(len, one.values())) for language, one in known.items()}.keys() == {
        "go", "java", "javascript", "php", "python", "ruby",
    }  # fmt: skip
    assert len({query for one in known.values() for query in one}) == 99
    # A ranking by the annotations themselves is ideal, its reverse is not.
    ideal = {q: sorted(r, key=lambda url: -r[url]) for q, r in known["python"].items()}
    assert mean_ndcg(ideal, known["python"], within=True) == pytest.approx(1)
    assert mean_ndcg(ideal, known["python"], within=False) == pytest.approx(1)
    worst = {q: ranked[::-1] for q, ranked in ideal.items()}
    assert mean_ndcg(worst, known["python"], within=True) < 0.8
    with path.open(newline="", encoding="utf-8") as file:
        assert sum(1 for _ in csv.reader(file)) == 4007
