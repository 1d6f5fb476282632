"""`xtrove evaluate` as people call it: words, exit codes, files, comparisons."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluate.measure.result import load_result
from tests.shards.builder import build, make_pair
from tests.shards.web_server import serving
from tests.xtrove.support import xtrove
from xtrove.cli.app import app
from xtrove.commands.evaluate.request import Request
from xtrove.commands.evaluate.run import rows_of
from xtrove.core.errors import Misuse

CODE = '''def pour(water, glass):
    """Documented in words nobody asks for."""
    glass.level += water


def drink(glass):
    glass.level = 0


def wash(dishes):
    for dish in dishes:
        dish.clean = True
'''


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "kitchen").mkdir()
    (tmp_path / "kitchen" / "kitchen.py").write_text(CODE)
    path = tmp_path / "spec.json"
    queries = [
        {"query": "fill a glass with water", "relevant": ["kitchen.py::pour"]},
        {"query": "make all dishes clean", "relevant": ["kitchen.py::wash"]},
        {"query": "use up the water", "relevant": ["kitchen.py::drink"]},
    ]
    path.write_text(json.dumps({"corpus": "kitchen", "queries": queries}, indent=1))
    return path


def ran(*words: object) -> str:
    """The standard output of a call in this process that has to succeed."""
    code, output = _called(words)
    assert code == 0, output
    return output


def _called(words: tuple[object, ...]) -> tuple[int, str]:
    words = ("evaluate", *map(str, words))
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    return done.exit_code, done.output


def refused(*words: object) -> str:
    """What is shown for wrong arguments."""
    with pytest.raises(Misuse) as caught:
        _called(words)
    return f"{caught.value.message} {caught.value.remedy}"


@pytest.mark.slow
def test_a_spec_in_a_process_of_its_own(spec: Path) -> None:
    done = xtrove("evaluate", "--spec", spec, "--mode", "bm25", "--verbose")
    assert done.returncode == 0, done.stderr
    assert "spec: 3 questions, 3 documents" in done.stdout
    assert re.search(r"^ +1 +\d+\.\d+  fill a glass with water  -> kitchen\.py:1 pour$",
                     done.stdout, re.M)  # fmt: skip
    missed = next(line for line in done.stdout.splitlines() if "use up the water" in line)
    assert "| first: kitchen.py:1 pour" in missed
    assert re.search(r"^bm25 +66\.7 ±", done.stdout, re.M)


@pytest.mark.slow
def test_a_bad_spec_is_exit_2_with_line_and_reason(spec: Path) -> None:
    spec.write_text(spec.read_text().replace("kitchen.py::wash", "kitchen.py::wsh"))
    done = xtrove("evaluate", "--spec", spec)
    assert done.returncode == 2
    line = next(
        number
        for number, text in enumerate(spec.read_text().splitlines(), start=1)
        if "wsh" in text
    )
    assert f"{spec}:{line}: no function 'wsh' in 'kitchen.py'" in done.stderr
    assert "Traceback" not in done.stderr


def test_files_are_written_whole_and_never_over_others(spec: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    ran("--spec", spec, "--output", target)
    names = ["qrels.trec", "result.json", "result.md", "run.trec"]
    assert sorted(path.name for path in target.iterdir()) == names
    result = load_result(target)
    assert [query.text for query in result.queries][0] == "fill a glass with water"
    assert result.systems[0].ranks == [1, 1, 0]
    assert result.facts["corpus"] == "kitchen"
    assert (target / "run.trec").read_text().split()[:4] == ["q1", "Q0", "kitchen.py:1-3", "1"]
    assert "| bm25 | 66.7" in (target / "result.md").read_text()
    before = (target / "result.json").read_bytes()
    assert "holds a result already" in refused("--spec", spec, "--output", target)
    assert (target / "result.json").read_bytes() == before


def test_the_same_twice_but_for_the_times(spec: Path, tmp_path: Path) -> None:
    actual = []
    for name in ("one", "two"):
        ran("--spec", spec, "--output", tmp_path / name)
        text = json.loads((tmp_path / name / "result.json").read_text())
        for system in text["systems"]:
            system["times"] = None
        actual.append(text)
    assert actual[0] == actual[1]
    runs = [(tmp_path / name / "run.trec").read_bytes() for name in ("one", "two")]
    assert runs[0] == runs[1]


def test_two_results_are_compared(spec: Path, tmp_path: Path) -> None:
    ran("--spec", spec, "--output", tmp_path / "bare")
    ran("--spec", spec, "--output", tmp_path / "kept", "--keep-documentation")
    said = ran("--compare", tmp_path / "bare", tmp_path / "kept")
    assert "kept (bm25) against bare (bm25)" in said
    assert "documentation cut out or left in" in said
    assert "questions won: " in said
    same = ran("--compare", tmp_path / "bare" / "result.json", tmp_path / "bare" / "result.json")
    assert "questions won: 0" in same
    assert "questions lost: 0" in same
    said = refused("--compare", tmp_path / "bare", tmp_path / "none")
    assert "is not a result" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Exactly one corpus"),
        (("--spec", "a", "--cosqa", "b"), "Exactly one corpus"),
        (("--spec", "a", "--dataset", "b"), "Exactly one corpus"),
        (("--spec", "a", "--mode", "maxsim"), "--mode maxsim needs a model"),
        (("--spec", "a", "--hybrid"), "--hybrid needs a model"),
        (("--spec", "a", "--distractors", "9"), "--distractors does not go"),
        (("--spec", "a", "--split", "test"), "--split does not go"),
        (("--spec", "a", "--language", "go"), "--language does not go"),
        (("--dataset", "a", "--keep-documentation"), "--keep-documentation does not go"),
        (("--spec", "a", "--predictions", "b"), "--predictions does not go"),
        (("--csn", "a"), "either --dataset or --predictions"),
        (("--csn", "a", "--predictions", "b", "--mode", "bm25"), "--mode does not go"),
        (("--spec", "a", "--mode", "bm25", "--model-path", "m"), "--model-path does not go"),
        (("--spec", "a", "--base", "m", "--alone"), "--base does not go"),
        (("--spec", "a", "--device", "cpu"), "--device does not go"),
        (("--spec", "no-such-file"), "no regular file"),
        (("--dataset", "no-such-folder"), "not a dataset"),
        (("--cosqa", "/"), "no codebase.jsonl"),
        (("--pools", "/"), "no corpus.jsonl"),
        (("--pools", "/", "--document-template", "{path}"), "document template '{path}'"),
        (("--pools", "/", "--split", "dev"), "--split does not go"),
        (("--compare", "a", "b", "--spec", "c"), "nothing else"),
    ],
)
def test_words_that_do_not_go_together_are_refused(words: tuple[str, ...], said: str) -> None:
    assert said in refused(*words)


@pytest.mark.slow
def test_a_dataset_whole_and_in_blocks(tmp_path: Path) -> None:
    built = build(tmp_path)
    said = ran("--dataset", built.path, "--split", "train", "--output", tmp_path / "whole")
    assert "dataset: " in said
    whole = load_result(tmp_path / "whole")
    assert set(whole.facts["corpora"]) == {"dataset go", "dataset python"}
    assert set(whole.systems[0].groups["language"]) == {"go", "python"}
    arguments = (
        "--dataset",
        built.path,
        "--split",
        "train",
        "--distractors",
        9,
        "--language",
        "go",
    )
    ran(*arguments, "--output", tmp_path / "blocks")
    blocks = load_result(tmp_path / "blocks")
    assert blocks.pool == 10
    assert blocks.settings["distractors"] == 9
    # Fewer others to be mistaken for: no question can fall.
    ranks = dict(zip([query.id for query in whole.queries], whole.systems[0].ranks, strict=True))
    actual = zip(blocks.queries, blocks.systems[0].ranks, strict=True)
    assert sum(rank for _, rank in actual) <= sum(ranks[query.id] for query in blocks.queries)
    assert "too few for 5000 distractors" in refused(*arguments[:-3], 5000)


@pytest.mark.slow
def test_a_dataset_elsewhere_is_measured_like_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = ("--split", "train", "--output")
    ran("--dataset", built.path, *arguments, tmp_path / "here")
    with serving(built.path) as served:
        ran("--dataset", served.url, *arguments, tmp_path / "there")
        assert "has no" in refused("--dataset", f"{served.url}/none", "--split", "train")
    here, there = load_result(tmp_path / "here"), load_result(tmp_path / "there")
    assert {query.id for query in here.queries} == {query.id for query in there.queries}
    assert here.systems[0].metrics == there.systems[0].metrics


def test_fewer_questions_of_a_whole_pool(tmp_path: Path) -> None:
    built = build(tmp_path)
    arguments = ("--dataset", built.path, "--split", "train", "--language", "python")
    ran(*arguments, "--queries", 5, "--output", tmp_path / "few")
    ran(*arguments, "--output", tmp_path / "all")
    few, everything = load_result(tmp_path / "few"), load_result(tmp_path / "all")
    assert (len(few.queries), few.documents) == (5, everything.documents)


def test_pools_are_measured_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "commits"
    folder.mkdir()
    code = [
        {"id": one, "pool": pool, "code": f"def {one}(glass): pass", "path": "a.py"}
        for pool, one in (("p", "drink"), ("p", "wash"), ("q", "fill"))
    ]
    asked = [
        {"id": "1", "pool": "p", "query": "wash it", "relevant": ["wash"]},
        {"id": "2", "pool": "q", "query": "fill it", "relevant": ["fill"], "easy": True},
    ]
    for name, rows in (("corpus", code), ("queries", asked)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = ran("--pools", folder, "--output", tmp_path / "out")
    assert "commits: 2 questions, 3 documents" in said and "bm25 by difficulty" in said
    result = load_result(tmp_path / "out")
    assert result.facts["kind"] == "pools" and result.by_repository
    assert [query.easy for query in result.queries] == [False, True]


def test_given_rankings_of_the_challenge(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "Language,Query,GitHubUrl,Relevance,Notes\nPython,sort it,u1,3,\nPython,sort it,u2,1,\n"
    )
    (tmp_path / "p.csv").write_text(
        "language,query,url\npython,sort it,x\npython,sort it,u1\npython,sort it,u2\n"
    )
    said = ran("--csn", tmp_path / "a.csv", "--predictions", tmp_path / "p.csv")
    assert "NDCG within" in said
    assert re.search(r"^p\.csv +100\.0 ±0\.0 +6\d\.\d ±0\.0", said, re.M)


@pytest.mark.slow
def test_the_challenge_searched_in_a_dataset(tmp_path: Path) -> None:
    url = "https://github.com/o/r/blob/c/a.py#L1-L9"
    pairs = [replace(make_pair(number), url=f"{url}{number}") for number in range(30)]
    built = build(tmp_path, pairs, [])
    (tmp_path / "a.csv").write_text(
        "Language,Query,GitHubUrl,Relevance,Notes\n"
        f"Python,work 7,{url}7,3,\nPython,work 7,{url}8,0,\n"
        f"Python,work 7,{url}-gone,1,\nPython,nothing good,{url}9,0,\n"
    )
    ran("--csn", tmp_path / "a.csv", "--dataset", built.path, "--output", tmp_path / "out")
    result = load_result(tmp_path / "out")
    assert [query.id for query in result.queries] == ["python/work 7"]
    assert result.documents == 30
    system = result.systems[0]
    assert system.ranks == [1]
    # What is annotated and not in the pool is missing from the ranking, not from the ideal.
    ideal = 7 + 1 / math.log2(3)
    assert system.metrics["NDCG within"].value == pytest.approx(7 / ideal, abs=1e-6)


@pytest.mark.slow
@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
def test_cosqa_figures(tmp_path: Path) -> None:
    said = ran("--cosqa", Path(os.environ["XTROVE_DATA"]) / "eval/cosqa")
    assert "500 questions, 6,267 documents" in said
    assert re.search(r"^bm25 +14\.2 ±\d\.\d +23\.7 ±", said, re.M)


def test_what_stands_beside_a_model(tmp_path: Path) -> None:
    model = str(tmp_path)
    request = Request(spec=tmp_path, model=model)
    rows, notes = rows_of(request)
    assert [row.name for row in rows] == ["xtr", "maxsim", "bm25"]
    assert "does not name its base encoder" in notes[0]
    (tmp_path / "xtrove_training.json").write_text('{"base": "some/encoder"}')
    rows, notes = rows_of(replace(request, hybrid=True))
    assert [(row.name, row.model, row.hybrid) for row in rows] == [
        ("xtr + bm25", model, True),
        ("xtr", model, False),
        ("maxsim", model, False),
        ("untrained maxsim (some/encoder)", "some/encoder", False),
        ("bm25", None, False),
    ]
    assert notes == []
    assert [one.name for one in rows_of(replace(request, mode="dense"))[0]] == [
        "dense",
        "untrained dense (some/encoder)",
        "bm25",
    ]
    assert [one.name for one in rows_of(replace(request, alone=True))[0]] == ["xtr"]
    for facts in ('{"base": "scratch"}', "[]", "{", '{"base": 3}'):
        (tmp_path / "xtrove_training.json").write_text(facts)
        assert [one.name for one in rows_of(request)[0]] == ["xtr", "maxsim", "bm25"]
