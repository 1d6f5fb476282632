"""CoSQA-style code bases: real questions, one code base, one right function each.

A folder with `codebase.jsonl` (`id`, `code`, `language`) and files of questions (`dev.jsonl`:
`query` and `positive_id`, which names a row of the code base; rows with `label` 0 are no answer).
Method: documentation is cut out of the code by the extractor: left in it flatters by 8 points of
P@1. Equal questions are one, with all their answers. Cost: 0.3 s for 6,267 Python functions.
Limits: labels of CoSQA are noisy: good systems find 20 to 40% at rank 1.
Source: Huang et al., "CoSQA: 20,000+ web queries for code search and question answering" (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluate.corpora.corpus import Corpus, Document, Query
from evaluate.corpora.rows import CorpusError, json_rows, row_documents, row_id, row_text
from extract.text import fold

CODE_BASE = ("codebase.jsonl", "codebase.jsonl.gz")


def cosqa_corpus(
    folder: Path, *, split: str | None = None, keep_documentation: bool = False
) -> Corpus:
    """The code base of a folder with the questions of a split (its only one where not named).

    Raises `CorpusError` for files that are missing or rows that name nothing.
    """
    code = next((folder / name for name in CODE_BASE if (folder / name).is_file()), None)
    if code is None:
        raise CorpusError(f"{folder} holds no {CODE_BASE[0]}: name a CoSQA-style folder")
    file = _questions(folder, split)
    documents = row_documents(code, keep_documentation=keep_documentation)
    known = {document.id: document for document in documents}
    queries = _queries(file, known)
    if not queries:
        raise CorpusError(f"{file} holds no question with an answer: check its `label` column")
    return Corpus(
        name=f"{folder.name} {file.name.partition('.')[0]}",
        documents=documents,
        queries=queries,
        facts={
            "kind": "cosqa",
            "documentation": "left in" if keep_documentation else "cut out",
        },
    )


def _questions(folder: Path, split: str | None) -> Path:
    files = sorted(
        file
        for file in folder.iterdir()
        if file.name.endswith((".jsonl", ".jsonl.gz")) and file.name not in CODE_BASE
    )
    names = ", ".join(file.name.partition(".")[0] for file in files)
    if split is not None:
        named = [file for file in files if file.name.partition(".")[0] == split]
        if not named:
            raise CorpusError(f"{folder} has no questions {split!r}: it has {names or 'none'}")
        return named[0]
    if len(files) != 1:
        raise CorpusError(f"{folder} has the questions {names or 'none'}: choose with --split")
    return files[0]


def _queries(file: Path, known: Mapping[str, Document]) -> list[Query]:
    made: dict[str, tuple[str, str, dict[str, int]]] = {}
    lines: dict[str, int] = {}
    for line, row in json_rows(file):
        text = row_text(file, line, row, "query", "question")
        answer = row_id(file, line, row, "positive_id")
        if not text or not answer:
            raise CorpusError(f"{file}:{line}: a question needs `query` and `positive_id`")
        if row.get("label", 1) == 0:
            continue
        if answer not in known:
            raise CorpusError(
                f"{file}:{line}: {answer!r} is not an id of the code base: fix positive_id"
            )
        identity = row_id(file, line, row, "id") or f"line{line}"
        if lines.setdefault(identity, line) != line:
            raise CorpusError(
                f"{file}:{line}: the id {identity!r} is that of line {lines[identity]}: fix one"
            )
        question = made.setdefault(fold(text), (identity, text, {}))
        question[2][answer] = 1
    return [
        Query(
            id=identity,
            text=text,
            relevant=relevant,
            language=known[next(iter(relevant))].language,
        )
        for identity, text, relevant in made.values()
    ]
