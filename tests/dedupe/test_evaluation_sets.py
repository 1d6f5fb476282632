"""Reading evaluation sets: what is accepted, and that every doubt stops the build by name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from dedupe import evaluation_sets
from dedupe.evaluation_sets import EvaluationSetError, read_set
from dedupe.options import DecontaminateSet

ROW: dict[str, object] = {"id": "a1", "query": "add two", "code": "a + b", "language": "Python"}


def written(folder: Path, *rows: object, name: str = "set.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_are_read_with_their_defaults(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        ROW,
        {"question": "q", "positive": "p", "language": "go"},
        {"id": 7, "doc": "d", "code": None},
        {"docstring": "s", "function": "f", "lang": "ruby"},
    ]
    result = read_set(DecontaminateSet(name="x", path=written(tmp_path, *rows))).rows
    assert [(row.item, row.query, row.code, row.language) for row in result] == [
        ("a1", "add two", "a + b", "python"),
        ("line 2", "q", "p", "go"),
        ("7", "d", "", ""),
        ("line 4", "s", "f", "ruby"),
    ]


def test_columns_and_language_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"text": "q", "query": "not this", "body": "c"})
    evaluation_set = DecontaminateSet(
        name="x", path=path, columns={"query": "text", "code": "body"}, language="java"
    )
    row = read_set(evaluation_set).rows[0]
    assert (row.query, row.code, row.language) == ("q", "c", "java")


def test_languages_go_by_the_names_that_data_sets_use(tmp_path: Path) -> None:
    names = ["JS", "golang", "Python3", " tsx ", "cobol"]
    rows: list[dict[str, object]] = [{**ROW, "language": name} for name in names]
    result = read_set(DecontaminateSet(name="x", path=written(tmp_path, *rows))).rows
    languages = [row.language for row in result]
    assert languages == ["javascript", "go", "python", "typescript", "cobol"]
    path = written(tmp_path, {"code": "c"}, {"query": "q"})
    for name, expected in (("js", "javascript"), ("Golang", "go")):
        evaluation_set = DecontaminateSet(name="x", path=path, language=name)
        assert {row.language for row in read_set(evaluation_set).rows} == {expected}


def test_code_in_a_stated_language_that_is_none_of_ours_stops(tmp_path: Path) -> None:
    path = written(tmp_path, {"query": "q"}, {"code": "c"})
    evaluation_set = DecontaminateSet(name="x", path=path, language="pyhton")
    with pytest.raises(EvaluationSetError, match=r":2: .*did you mean 'python'.*'pyhton'"):
        read_set(evaluation_set)
    asks = written(tmp_path, {"query": "q"}, name="queries.jsonl")
    assert read_set(DecontaminateSet(name="x", path=asks, language="cobol")).rows[0].query == "q"


def test_gzip_holds_the_same_set(tmp_path: Path) -> None:
    plain = written(tmp_path, ROW)
    packed = tmp_path / "set.bin"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one = read_set(DecontaminateSet(name="x", path=plain))
    assert read_set(DecontaminateSet(name="x", path=packed)) == one


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "a"', r"set\.jsonl:2: no JSON .*fix the line: 'sha256 3aa092773b9530f5'"),
        ("[1]", r"set\.jsonl:2: no JSON object"),
        ('{"url": "x"}', r"neither query nor code; name them under `columns`: 'url'"),
        ('{"query": "", "code": null}', "neither query nor code"),
        ('{"code": "x"}', "code without a language; set `language`"),
        ('{"query": 5}', "column 'query' holds no text: 'int'"),
        ("[" * 100_000, "no JSON"),
        ('{"query": "\xff', "no JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n" + line.encode("latin-1") + b"\n")
    with pytest.raises(EvaluationSetError, match=message) as caught:
        read_set(DecontaminateSet(name="x", path=path))
    assert caught.value.line == 2 and caught.value.path == str(path)


def test_a_named_column_must_be_there(tmp_path: Path) -> None:
    evaluation_set = DecontaminateSet(
        name="x", path=written(tmp_path, ROW), columns={"code": "body"}
    )
    with pytest.raises(EvaluationSetError, match=r"no column 'body'.*code, id, language, query"):
        read_set(evaluation_set)


def test_a_missing_file_an_empty_set_and_a_broken_archive_stop(tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.jsonl", tmp_path / "broken.gz"
    empty.write_text("\n")
    broken.write_bytes(gzip.compress(json.dumps(ROW).encode() * 99)[:-12])
    for path, message in (
        (tmp_path / "none.jsonl", "FileNotFoundError"),
        (tmp_path, "IsADirectoryError"),
        (empty, "holds no rows"),
        (broken, "EOFError"),
    ):
        with pytest.raises(EvaluationSetError, match=message):
            read_set(DecontaminateSet(name="x", path=path))


def test_long_lines_and_many_rows_are_refused_before_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, ROW, ROW, ROW)
    monkeypatch.setattr(evaluation_sets, "MAX_ROWS", 2)
    with pytest.raises(EvaluationSetError, match=r":3: more than 2 rows"):
        read_set(DecontaminateSet(name="x", path=path))
    monkeypatch.setattr(evaluation_sets, "MAX_LINE_BYTES", 40)
    with pytest.raises(EvaluationSetError, match=r":1: longer than 40 bytes"):
        read_set(DecontaminateSet(name="x", path=path))
