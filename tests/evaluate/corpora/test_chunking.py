"""Files to documents: nothing lost, nothing twice, documentation out."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.corpora.chunking import LINES, STRIDE, CodeFile, cut_files, windows
from evaluate.corpora.corpus import Corpus, Query, collapse, duplicates, members
from extract.options import RowLimits

DEEP = b"".join(b" " * n + b"if x:\n" for n in range(320)) + b"name_of_it = other_name\n" * 3000
"""Indented deeper than the parser is given."""
GO = b"""package p

// Sum adds all the numbers up.
func Sum(a []int) int {
\treturn len(a)
}

func bare() int { return 1 }
"""


def test_functions_with_and_without_documentation_become_documents() -> None:
    cut = cut_files([CodeFile(path="a.go", language="go", content=GO, repo="me/mine")])
    assert [(document.id, document.name, document.repo) for document in cut.documents] == [
        ("a.go:4-6", "Sum", "me/mine"),
        ("a.go:8-8", "bare", "me/mine"),
    ]
    assert cut.documents[0].text == "func Sum(a []int) int {\n\treturn len(a)\n}"
    expected = hashlib.sha256(cut.documents[0].text.encode()).hexdigest()
    assert cut.documents[0].code_sha256 == expected


def test_comments_above_are_put_before_the_code_where_they_are_to_be_kept() -> None:
    file = CodeFile(path="a.go", language="go", content=GO)
    kept = cut_files([file], keep_documentation=True).documents
    bare = cut_files([file]).documents
    assert kept[0].text == f"Sum adds all the numbers up.\n{bare[0].text}"
    assert kept[1].text == bare[1].text
    # What was trained on is told by the code without documentation, whatever is searched.
    assert [kept_pair.code_sha256 for kept_pair in kept] == [one.code_sha256 for one in bare]


def test_the_digest_of_code_is_that_of_a_dataset_with_redaction() -> None:
    content = b'def f():\n    return "jane.doe@acme-corp.io"\n'
    (document,) = cut_files([CodeFile(path="a.py", language="python", content=content)]).documents
    assert "jane.doe@acme-corp.io" in document.text
    redacted = document.text.replace("jane.doe@acme-corp.io", "<EMAIL>")
    assert redacted != document.text
    assert document.code_sha256 == hashlib.sha256(redacted.encode()).hexdigest()


def test_what_cannot_be_searched_is_counted_with_its_reason() -> None:
    files = [
        CodeFile(path="empty.py", language="python", content=b" \n"),
        CodeFile(path="binary.py", language="python", content=b"a\0b = 1\n" * 5),
        CodeFile(path="latin.py", language="python", content="x = 'é'".encode("latin-1")),
        CodeFile(path="broken.py", language="python", content=DEEP),
    ]
    cut = cut_files(files)
    assert cut.left_out["empty.py"] == "empty"
    assert cut.left_out["binary.py"] == "null_byte"
    assert cut.left_out["latin.py"] == "not_utf8"
    assert cut.counts["files"] == 4
    # What no parser takes is still text.
    assert {document.path for document in cut.documents} == {"broken.py"}
    assert cut.counts["windows"] == 111


def test_two_functions_on_one_line_have_two_ids() -> None:
    content = b"function a() { return 1; } function b() { return 2; }\n"
    cut = cut_files([CodeFile(path="a.js", language="javascript", content=content)])
    assert [document.id for document in cut.documents] == ["a.js:1-1", "a.js:1-1#2"]


@given(st.integers(1, 200), st.booleans())
def test_windows_cover_every_line_and_stop_at_the_end(count: int, newline: bool) -> None:
    text = "\n".join(f"line {n}" for n in range(1, count + 1)) + ("\n" if newline else "")
    made = list(windows(text))
    assert {n for one in made for n in range(one.start_line, one.end_line + 1)} == set(
        range(1, count + 1)
    )
    assert all(one.end_line - one.start_line < LINES for one in made)
    assert [one.start_line for one in made] == [1 + STRIDE * n for n in range(len(made))]
    assert made[-1].end_line == count
    for one in made:
        assert one.text.split("\n")[0] == f"line {one.start_line}"
        assert one.text.split("\n")[-1] == f"line {one.end_line}"


def test_blank_windows_are_left_out() -> None:
    assert list(windows("")) == []
    assert list(windows("\n" * 100)) == []


def test_a_target_of_several_documents_counts_once_at_its_best() -> None:
    query = Query(id="q", text="", relevant={"t": 1}, aliases={"a": "t", "b": "t"})
    hits = [("x", 3.0), ("a", 2.0), ("y", 1.5), ("b", 1.0)]
    assert collapse(hits, query) == [("x", 3.0), ("t", 2.0), ("y", 1.5)]
    assert members(query) == {"t": ["a", "b"]}


def test_copies_of_an_answer_are_found_by_their_tokens() -> None:
    files = [
        CodeFile(path="a.py", language="python", content=b"def f(x):\n    return x + 1\n"),
        CodeFile(path="b.py", language="python", content=b"def f(x):\n  # other\n  return x+1\n"),
        CodeFile(path="c.py", language="python", content=b"def f(x):\n    return x + 2\n"),
    ]
    documents = cut_files(files).documents
    queries = [
        Query(id="one", text="", relevant={"a.py:1-2": 1}),
        Query(id="both", text="", relevant={"a.py:1-2": 1, "b.py:1-3": 1}),
        Query(id="none", text="", relevant={"c.py:1-2": 1}),
    ]
    corpus = Corpus(name="", documents=documents, queries=queries)
    assert duplicates(corpus) == {"one": ["b.py:1-3"]}


def test_what_syntax_errors_cost_is_covered_by_windows() -> None:
    text = (
        "import os\n\n\nfunction broken(a) {\n  let b = = a;\n  say('the lost words');\n"
        "  return b;\n}\n"
        "\nfunction sound(a) {\n  let c = a;\n  return c;\n}\n"
    )
    file = CodeFile(path="a.js", language="javascript", content=text.encode())
    cut = cut_files([file])
    assert (cut.counts["functions"], cut.counts["windows"]) == (1, 1)
    function, window = cut.documents
    assert (function.name, function.start_line, function.end_line) == ("sound", 10, 13)
    assert (window.name, window.start_line, window.end_line) == ("", 1, 8)
    assert "the lost words" in window.text


def test_a_sound_file_has_no_windows_between_its_functions() -> None:
    text = "let a = 1;\nlet b = 2;\nlet c = 3;\nfunction sound(a) {\n  return a + b;\n}\n"
    file = CodeFile(path="a.js", language="javascript", content=text.encode())
    assert cut_files([file]).counts["windows"] == 0


@pytest.mark.slow
def test_a_file_that_hangs_the_parser_costs_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # tree-sitter-python takes over 1 GB for it: see tests/extract/pipeline/test_watchdog.py.
    bomb = b"def f():\n    return 1\n" + b"/* abc /* abc /* abc\n" * 600
    good = b"def f(a):\n    b = a\n    return b\n"
    monkeypatch.setattr(
        "evaluate.corpora.chunking.RowLimits",
        lambda: RowLimits(row_seconds=60, row_memory=100_000_000),
    )
    files = [
        CodeFile(path=f"{number}.py", language="python", content=content)
        for number, content in enumerate([good, bomb, good])
    ]
    cut = cut_files(files)
    assert [document.path for document in cut.documents] == ["0.py", "2.py"]
    assert cut.left_out == {"1.py": "row_memory"}
