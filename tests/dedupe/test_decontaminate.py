"""Decontamination: injected copies by class, brute force, and the real set where it is here."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from benchmarks.injection import FORMS, documented, embedded, hits_of, injected
from benchmarks.recall import library_functions, plant
from dedupe.decontaminate import EvaluationIndex, Hit, evaluation_facts
from dedupe.fingerprint import fingerprints
from dedupe.lexer import tokens
from dedupe.options import DecontaminateSet, DedupeOptions
from extract.parsing.function_finder import strip_code_documentation

OPTIONS = DedupeOptions()
PROTECTED = 150
FLOORS = {
    "original": 1.0,
    "exact": 1.0,
    "re-indented": 1.0,
    "re-commented": 1.0,
    "documented": 1.0,
    "embedded": 1.0,
    "comments stripped": 1.0,
    "reformatted": 0.95,
    "reordered": 0.93,
    "edited": 0.98,
    "renamed": 0.8,
}
"""Least share of the injected copies that is found; measured: 1 but for reformatted (0.987),
reordered (0.973) and renamed (0.827: a name that stands in most lines of a short function leaves
few 5-grams)."""


def index_of(path: Path, rows: Sequence[dict[str, str]], **fields: float) -> EvaluationIndex:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    required = DecontaminateSet.model_validate({"name": "held", "path": path, **fields})
    return EvaluationIndex.build([required], OPTIONS)


@pytest.fixture(scope="module")
def functions() -> list[str]:
    return library_functions(2 * PROTECTED)


@pytest.fixture(scope="module")
def index(functions: list[str], tmp_path_factory: pytest.TempPathFactory) -> EvaluationIndex:
    rows = [
        {"id": f"e{number}", "code": documented(code), "language": "python"}
        for number, code in enumerate(functions[:PROTECTED])
    ]
    return index_of(tmp_path_factory.mktemp("held") / "set.jsonl", rows)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMS)
def test_injected_copies_are_found(kind: str, functions: list[str], index: EvaluationIndex) -> None:
    protected, others = functions[:PROTECTED], functions[PROTECTED:]
    codes = injected(kind, protected, others)
    result = hits_of(index, codes)
    assert len(codes) == PROTECTED
    recall = sum(hit is not None for hit in result) / len(codes)
    assert recall >= FLOORS[kind]


@pytest.mark.slow
def test_near_and_contained_are_those_of_brute_force(
    functions: list[str], index: EvaluationIndex
) -> None:
    """Both ways: nothing above the bounds is missed and nothing below them is a hit."""
    planted = [planted.code for planted in plant(functions[:60], seed=2)]
    codes = planted + functions[PROTECTED:] + [embedded(code, "") for code in functions[:40]]
    items = [sets_of(form) for code in functions[:PROTECTED] for form in (documented(code), code)]
    result = hits_of(index, codes)
    for code, hit in zip(codes, result, strict=True):
        mine = sets_of(code)
        best = Fraction(0)
        for theirs in items:
            shared, union = len(mine & theirs), len(mine | theirs)
            if Fraction(shared, union) >= Fraction(7, 10):
                best = max(best, Fraction(shared, union))
            elif Fraction(shared, len(theirs)) >= Fraction(1, 2):
                best = max(best, Fraction(shared, len(theirs)))
        assert (hit is not None) == (best > 0)
        if hit is not None and hit.layer != "exact":
            assert hit.score == float(best)
    layers = {hit.layer for hit in result if hit is not None}
    assert layers == {"exact", "near", "contained"} and None in result


def sets_of(code: str) -> frozenset[tuple[str, ...]]:
    words = tokens("python", code)
    return frozenset(tuple(words[at : at + 5]) for at in range(len(words) - 4))


def test_queries_are_compared_folded_whatever_the_language(tmp_path: Path) -> None:
    rows = [{"id": "q1", "query": "Sort a  LIST"}, {"query": "x", "code": ""}]
    index = index_of(tmp_path / "set.jsonl", rows)
    hit = hits_of(index, ["a = 1"], query=" sort a list\n")[0]
    assert hit == Hit(set="held", item="q1", layer="query", score=1.0)
    assert hits_of(index, ["a = 1"], query="sort a lists") == [None]
    assert hits_of(index, ["a = 1"], query="") == [None]


def test_short_functions_are_protected_by_their_tokens_in_their_language_only(
    tmp_path: Path,
) -> None:
    code = 'def f(a):\n    """Doc."""\n    return a + 1\n'
    index = index_of(tmp_path / "set.jsonl", [{"id": "s", "code": code, "language": "python"}])
    bare = "def f( a ):\n\treturn a + 1  # more\n"
    other = code.replace("Doc.", "Another one.")
    assert [hit and hit.layer for hit in hits_of(index, [bare, other])] == ["exact", "exact"]
    assert hits_of(index, [bare.replace("1", "2"), "# nothing"]) == [None, None]
    around = f"class A:\n    x = 1\n\n    {bare.strip()}\n\n    y = 2\n"
    assert [hit and hit.layer for hit in hits_of(index, [around])] == ["contained"]
    # Every 5-gram stands there, and never all of them in one run.
    apart = "def f(a): return a + 2\ndef g(a): return a + 1\n"
    split = "def f(a): return a\nlambda f(a): return a + 1\nx(a): return a + 1\n"
    assert hits_of(index, [apart, split, around.replace("+ 1", "+ 3")]) == [None, None, None]
    foreign = fingerprints([("ruby", bare, "")], OPTIONS)[0]
    assert index.match("ruby", bare, "", foreign) is None


def test_near_matches_stay_in_their_language(functions: list[str], index: EvaluationIndex) -> None:
    code = max(functions[:PROTECTED], key=len)
    assert index.match("ruby", code, "", fingerprints([("python", code, "")], OPTIONS)[0])
    renamed = code.replace("def ", "def very_", 1)
    result = fingerprints([("python", renamed, "")], OPTIONS)[0]
    assert index.match("python", renamed, "", result) is not None
    assert index.match("ruby", renamed, "", result) is None


def test_unknown_languages_and_counts(tmp_path: Path) -> None:
    rows = [
        {"query": "a", "code": "x y", "language": "cobol"},
        {"query": "b", "code": "x y", "language": "go"},
    ]
    counts = index_of(tmp_path / "set.jsonl", rows).counts()
    expected = {"rows": 2, "queries": 2, "functions": 2, "unknown_language": 1}
    assert counts == {"held": expected}


def test_the_digest_moves_with_contents_and_options_and_not_with_the_place(tmp_path: Path) -> None:
    row = {"query": "a", "code": "x y", "language": "go"}
    (tmp_path / "deep").mkdir()
    one = index_of(tmp_path / "set.jsonl", [row])
    moved = index_of(tmp_path / "deep" / "other.jsonl", [row])
    assert one.digest() == moved.digest()
    changed = [
        index_of(tmp_path / "set.jsonl", [row, row]),
        index_of(tmp_path / "set.jsonl", [row], containment=0.6),
        EvaluationIndex.build([], OPTIONS),
        EvaluationIndex.build([], DedupeOptions(ngram=4)),
    ]
    assert len({one.digest(), *(index.digest() for index in changed)}) == 5


def test_an_empty_index_matches_nothing() -> None:
    assert hits_of(EvaluationIndex.build([], OPTIONS), library_functions(3)) == [None] * 3


@pytest.mark.slow
def test_every_function_and_query_of_cosqa_is_found() -> None:
    data = os.environ.get("XTROVE_DATA")
    if not data:
        pytest.skip("XTROVE_DATA is not set")
    folder = Path(data) / "eval" / "cosqa"
    sets = [
        DecontaminateSet(name=name, path=folder / f"{name}.jsonl") for name in ("codebase", "dev")
    ]
    index = EvaluationIndex.build(sets, OPTIONS)
    assert index.counts()["codebase"]["functions"] == 6267
    rows = [json.loads(line) for line in (folder / "dev.jsonl").read_text().splitlines()]
    for row in rows:
        bare, _ = strip_code_documentation("python", row["code"])
        layers = [hit and hit.layer for hit in hits_of(index, [row["code"], bare + "  # x"])]
        assert layers == ["exact", "exact"]
        hit = hits_of(index, ["pass"], query=row["query"].upper())[0]
        assert hit is not None and hit.layer == "query"


def test_the_digest_needs_no_index(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"query": "count the doors", "code": "def f(x):\\n    return x"}\n', "utf-8")
    sets = [DecontaminateSet(name="one", path=path, language="python")]
    for options in (DedupeOptions(), DedupeOptions(threshold=0.8)):
        whole = EvaluationIndex.build(sets, options).digest()
        assert evaluation_facts(sets, options).digest == whole


def test_code_of_other_languages_is_counted_and_aliases_protect(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    code = "function add(first, second) { return first + second; }"
    rows = [
        {"id": "js", "code": code, "language": "js"},
        {"code": "MOVE A TO B", "language": "COBOL"},
        {"code": "x = 1", "language": "perl"},
        {"query": "no code", "language": "perl"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    sets = [DecontaminateSet(name="one", path=path)]
    assert evaluation_facts(sets, OPTIONS).unknown == (("one", 2, ("cobol", "perl")),)
    result = fingerprints([("javascript", code, "")], OPTIONS)[0]
    hit = EvaluationIndex.build(sets, OPTIONS).match("javascript", code, "", result)
    assert hit == Hit(set="one", item="js", layer="exact", score=1.0)
