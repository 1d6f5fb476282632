"""Specs against real corpora: folders, checkouts, packages, JSONL, datasets; answers that point
nowhere."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from evaluate.corpora.corpus import Corpus, members
from evaluate.spec.resolve import spec_corpus
from evaluate.spec.spec import SpecError, load_spec
from tests.shards.builder import build

CODE = '''"""A module."""


class Tank:
    def fill(self, litres):
        """Put water in until it is full."""
        self.level += litres


class Cup:
    def fill(self, sips):
        self.level += sips * 0.02


def empty(thing):
    def drain(amount):
        thing.level -= amount

    while thing.level:
        drain(1)


if TANKS:
    def size():
        return 1000
else:
    def size():
        return 1
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "water.py").write_text(CODE)
    (folder / "sub" / "constants.py").write_text("".join(f"A{n} = {n}\n" for n in range(100)))
    (folder / "README.md").write_text("# How to pour\n\nSlowly.\n")
    (folder / "min.js").write_text("x=1;" * 30_000)
    return folder


def corpus_of(folder: Path, *relevant: str, keep: bool = False, **more: object) -> Corpus:
    spec = folder / "spec.json"
    queries = [{"query": f"question {n}", "relevant": [one]} for n, one in enumerate(relevant)]
    spec.write_text(json.dumps({"corpus": "project", "queries": queries, **more}, indent=1))
    return spec_corpus(load_spec(spec), keep_documentation=keep)


def lines_of(corpus: Corpus) -> list[list[tuple[int, int]]]:
    """The lines of the documents of each question's answers."""
    documents = {document.id: document for document in corpus.documents}
    return [
        [(documents[one].start_line, documents[one].end_line) for one in group]
        for query in corpus.queries
        for group in members(query).values()
    ]


def test_answers_are_found_by_function_method_line_and_file(project: Path) -> None:
    corpus = corpus_of(
        project.parent,
        "water.py::Tank.fill",
        "water.py::Cup.fill",
        "water.py::empty",
        "water.py::empty.drain",
        "water.py::drain",
        "water.py:17",
        "water.py:19",
        "water.py::size",
        "sub/constants.py:35",
        "sub/constants.py",
    )
    assert lines_of(corpus) == [
        [(5, 7)],
        [(11, 12)],
        [(15, 20)],
        [(16, 17)],
        [(16, 17)],
        [(16, 17)],
        [(15, 20)],
        [(24, 25), (27, 28)],
        [(1, 40), (31, 70)],
        [(1, 40), (31, 70), (61, 100)],
    ]
    assert corpus.facts["left_out"] == {"minified": 1}
    assert corpus.facts["functions"] == 6
    assert corpus.facts["windows"] == 3


def test_documentation_is_cut_out_unless_it_is_to_be_kept(project: Path) -> None:
    texts = {
        keep: next(
            document.text
            for document in corpus_of(project.parent, "water.py::empty", keep=keep).documents
            if document.name == "fill"
        )
        for keep in (False, True)
    }
    assert "Put water in" not in texts[False]
    assert "Put water in" in texts[True]
    assert "self.level += litres" in texts[False]


def test_text_files_become_windows_where_they_are_asked_for(project: Path) -> None:
    corpus = corpus_of(project.parent, "README.md", suffixes=[".md"])
    assert [document.text for document in corpus.documents if document.path == "README.md"] == [
        "# How to pour\n\nSlowly."
    ]
    with pytest.raises(SpecError, match="no file 'README.md'"):
        corpus_of(project.parent, "README.md")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("wter.py", "did you mean 'water.py'"),
        ("lib/constants.py::x", "did you mean 'sub/constants.py'"),
        ("water.py::spill", "no function 'spill' in 'water.py'"),
        ("water.py::fill", "ambiguous in 'water.py': write one of 'Cup.fill', 'Tank.fill'"),
        ("water.py::Jug.fill", "does not exist in 'water.py': write one of 'Cup.fill'"),
        ("water.py:2", "line 2 of 'water.py' stands in no function"),
        ("water.py:500", "the last ends on line 28"),
        ("min.js", "not in the corpus (minified)"),
    ],
)
def test_answers_that_point_nowhere_are_refused_with_their_line(
    project: Path, answer: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        corpus_of(project.parent, "water.py::empty", answer)
    (problem,) = caught.value.problems
    assert words in problem.message
    text = (project.parent / "spec.json").read_text().splitlines()
    assert answer in text[problem.line - 1]


def test_an_answer_inside_another_is_refused(project: Path) -> None:
    spec = project.parent / "spec.json"
    rows = [{"query": "q", "relevant": ["water.py", "water.py::empty"]}]
    spec.write_text(json.dumps({"corpus": "project", "queries": rows}))
    with pytest.raises(SpecError, match="'water.py::empty' is part of 'water.py'"):
        spec_corpus(load_spec(spec))


def test_of_a_checkout_only_what_the_commit_holds_is_read(project: Path) -> None:
    for words in (
        ("init", "-q"),
        ("add", "water.py"),
        ("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "x"),
    ):
        subprocess.run(["git", "-C", str(project), *words], check=True)
    corpus = corpus_of(project.parent, "water.py::empty")
    assert {document.path for document in corpus.documents} == {"water.py"}
    assert len(str(corpus.facts["revision"])) == 40
    with pytest.raises(SpecError, match="no file 'sub/constants.py'"):
        corpus_of(project.parent, "sub/constants.py")
    (project / ".git/HEAD").write_text("ref: refs/heads/none")
    with pytest.raises(SpecError, match="git cannot read this checkout"):
        corpus_of(project.parent, "water.py::empty")


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        ("nowhere", "no folder"),
        ("package:no-such-package-anywhere", "not installed"),
        ("project/README.md", "no JSON"),
        ("rows.jsonl", "cannot be read"),
    ],
)
def test_corpora_that_are_not_there_are_refused_with_their_line(
    project: Path, corpus: str, words: str
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        corpus_of(project.parent, "a", corpus=corpus)
    assert caught.value.problems[0].line == 2


def test_versions_are_checked(project: Path) -> None:
    corpus_of(project.parent, "water.py::empty", requires="python>=3.11")
    with pytest.raises(SpecError, match="were checked on python<3"):
        corpus_of(project.parent, "water.py::empty", requires="python<3")
    with pytest.raises(SpecError, match="pip install"):
        corpus_of(project.parent, "water.py::empty", requires="no-such-package-anywhere>=1")


def test_rows_of_jsonl_are_documents_with_ids(tmp_path: Path) -> None:
    rows = [
        {"id": "one", "code": CODE[16:110], "language": "Python", "path": "a.py", "name": "f"},
        {"text": "plain words", "path": "b.txt", "start_line": 3, "end_line": 9},
    ]
    data = "\n".join(map(json.dumps, rows)).encode()
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(data))
    corpus = corpus_of(tmp_path, "one", "a.py::f", "b.txt:5", "b.txt", corpus="rows.jsonl.gz")
    result = [next(iter(query.relevant)) for query in corpus.queries]
    assert result == ["one", "one", "line2", "line2"]
    with pytest.raises(SpecError, match="hold for code"):
        corpus_of(tmp_path, "one", corpus="rows.jsonl.gz", exclude=["a"])


def test_a_dataset_is_a_corpus(tmp_path: Path) -> None:
    built = build(tmp_path / "made")
    pair = built.kept[7]
    corpus = corpus_of(
        tmp_path, pair.id, f"{pair.repo}/{pair.path}::{pair.name}", corpus="made/dataset"
    )
    assert len(corpus.documents) == len(built.kept)
    assert [next(iter(query.relevant)) for query in corpus.queries] == [pair.id, pair.id]
    (document,) = (one for one in corpus.documents if one.id == pair.id)
    assert (document.text, document.code_sha256) == (pair.code, pair.code_sha256)


def test_a_broken_package_name_and_suffixes_of_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="suffixes hold for folders"):
        corpus_of(tmp_path, "a", corpus="stdlib:", suffixes=[".md"])
