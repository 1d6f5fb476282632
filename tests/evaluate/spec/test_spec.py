"""Specs: what is refused, on which line and why; what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.spec.json_lines import JsonError, read_json
from evaluate.spec.spec import SpecError, load_spec

GOOD = """{
  "corpus": "stdlib:",
  "queries": [
    {"query": "first question",
     "relevant": ["Lib/heapq.py::merge"]},
    {"query": "second question",
     "relevant": ["Lib/heapq.py:12",
                  "Lib/csv.py"]}
  ]
}
"""


def refused(tmp_path: Path, text: str | bytes) -> list[tuple[int, str]]:
    path = tmp_path / "spec.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(path) in str(caught.value)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_a_good_spec_is_read_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "good.json"
    path.write_text(GOOD)
    spec = load_spec(path)
    assert (spec.name, spec.corpus, spec.corpus_line) == ("good", "stdlib:", 2)
    assert [(query.id, query.text, query.line) for query in spec.queries] == [
        ("q1", "first question", 4),
        ("q2", "second question", 6),
    ]
    assert [(answer.text, answer.line) for answer in spec.queries[1].answers] == [
        ("Lib/heapq.py:12", 7),
        ("Lib/csv.py", 8),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('"Lib/heapq.py::merge"', "", 5, "relevant is empty"),
        ('["Lib/heapq.py::merge"]', "[12]", 5, "12 is not an answer"),
        ('"second question"', '"First  QUESTION"', 6, "is on line 4 already"),
        ('"second question"', '" "', 6, "question is empty"),
        ('"Lib/csv.py"', '"Lib/heapq.py:12"', 8, "is on line 7 already"),
        ('"corpus"', '"corpsu"', 2, "did you mean 'corpus'"),
        ('"query": "second', '"querry": "second', 6, "did you mean 'query'"),
        ('"stdlib:",', '"stdlib:" ', 3, "no JSON"),
        ('"stdlib:"', "7", 2, "corpus is '7': it must be text"),
        ('"stdlib:",', '"stdlib:", "corpus": "x",', 2, "occurs twice in one object"),
        ('"stdlib:",', '"stdlib:", "languages": ["pyton"],', 2, "did you mean 'python'"),
        ('"stdlib:",', '"stdlib:", "requires": "python >> 3",', 2, "not a requirement"),
        ('"stdlib:",', '"stdlib:", "suffixes": ["md"],', 2, "not a suffix"),
        ('"stdlib:",', '"stdlib:", "exclude": "Lib/test",', 2, "must be a list of texts"),
        ('"stdlib:",', '"stdlib:", "name": NaN,', 1, "NaN is not a JSON number"),
    ],
)
def test_bad_specs_are_refused_with_line_and_reason(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in GOOD
    problems = refused(tmp_path, GOOD.replace(old, new, 1))
    assert any(at == line and words in message for at, message in problems), problems


def test_all_problems_are_told_at_once_and_in_order(tmp_path: Path) -> None:
    text = GOOD.replace('"Lib/heapq.py::merge"', "").replace('"corpus"', '"corps"')
    text = text.replace('"second question"', '""')
    lines = [line for line, _ in refused(tmp_path, text)]
    assert lines == sorted(lines)
    assert len(lines) == 4  # unknown key, missing key, empty relevant, empty question


def test_duplicates_on_one_line_are_found(tmp_path: Path) -> None:
    rows = [{"query": "same", "relevant": ["a"]}, {"query": "same", "relevant": ["b"]}]
    problems = refused(tmp_path, json.dumps({"corpus": "stdlib:", "queries": rows}))
    assert [line for line, _ in problems] == [1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"[]", "not an object"),
        (b'{"corpus": "stdlib:", "queries": []}', "1 to"),
        (b'{"corpus": "stdlib:", "queries": {}}', "1 to"),
        (b'{"corpus": "stdlib:", "queries": [3]}', "not an object"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"corpus": "stdlib:"}', "'queries' is missing"),
    ],
)
def test_hostile_and_empty_files_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    assert any(words in message for _, message in refused(tmp_path, data))


def test_a_missing_spec_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SpecError, match="no regular file"):
            load_spec(path)


def test_lines_of_every_value() -> None:
    placed = read_json(b'{"a": [1,\n {"b}": "\\"]{"},\n\n -2.5e3],\n "c": {}}')
    assert placed.lines == {
        (): 1,
        ("a",): 1,
        ("a", 0): 1,
        ("a", 1): 2,
        ("a", 1, "b}"): 2,
        ("a", 2): 4,
        ("c",): 5,
    }
    assert placed.line(("a", 1, "not", "there")) == 2


def test_a_key_that_stands_twice_is_told_with_its_line() -> None:
    with pytest.raises(JsonError, match="line 2: the key 'a' occurs twice"):
        read_json(b'{"a": 1,\n "a": 2}')
