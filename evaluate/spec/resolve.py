"""A spec to a corpus: the documents it names, and the documents that answer its questions.

Method: the corpus is read and cut (`code_places`, `cutting`; a dataset or JSONL gives its rows as
they are), then every answer is looked up (`answers`). What points nowhere is refused, all of it at
once, each with its line in the spec: a question whose answer is not there would count as missed.
Cost: that of reading and cutting. Limits: those of `code_places` and `row_documents`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from evaluate.corpora import (
    PACKAGE,
    ROW_FILES,
    STDLIB,
    CodePlace,
    Corpus,
    CorpusError,
    Document,
    Fact,
    Query,
    cut_files,
    dataset_documents,
    folder,
    package,
    row_documents,
    stdlib,
)
from evaluate.spec.answers import AnswerError, Answers, Target
from evaluate.spec.spec import Problem, Spec, SpecError, SpecQuery
from shards.format import MANIFEST


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pool:
    documents: Sequence[Document]
    facts: Mapping[str, Fact]
    left_out: Mapping[str, str]


def spec_corpus(spec: Spec, *, keep_documentation: bool = False) -> Corpus:
    """The corpus of a spec with its questions. Raises `SpecError`."""
    _check_version(spec)
    try:
        pool = _pool(spec, keep_documentation)
    except CorpusError as error:
        raise SpecError(spec.path, [Problem(line=spec.corpus_line, message=str(error))]) from error
    answers = Answers.over(pool.documents, pool.left_out)
    problems: list[Problem] = []
    queries = [_query(query, answers, problems.append) for query in spec.queries]
    if problems:
        raise SpecError(spec.path, problems)
    return Corpus(
        name=spec.name,
        documents=pool.documents,
        queries=queries,
        facts={
            "kind": "spec",
            "corpus": spec.corpus,
            "documentation": "left in" if keep_documentation else "cut out",
            **pool.facts,
        },
    )


def _query(query: SpecQuery, answers: Answers, refuse: Callable[[Problem], None]) -> Query:
    relevant: dict[str, int] = {}
    aliases: dict[str, str] = {}
    owner: dict[str, str] = {}
    for answer in query.answers:
        try:
            target = answers.find(answer.text)
        except AnswerError as error:
            refuse(Problem(line=answer.line, message=str(error)))
            continue
        twice = next((owner[document] for document in target.documents if document in owner), None)
        if twice is not None:
            refuse(
                Problem(line=answer.line, message=f"{answer.text!r} is part of {twice!r}: keep one")
            )
            continue
        owner.update(dict.fromkeys(target.documents, answer.text))
        relevant[target.name] = 1
        aliases.update(_aliases(target))
    languages = {answers.ids[document].language for document in owner}
    repos = {answers.ids[document].repo for document in owner}
    return Query(
        id=query.id,
        text=query.text,
        relevant=relevant,
        aliases=aliases,
        language=languages.pop() if len(languages) == 1 else "",
        repo=repos.pop() if len(repos) == 1 else "",
    )


def _aliases(target: Target) -> dict[str, str]:
    return {document: target.name for document in target.documents if document != target.name}


def _check_version(spec: Spec) -> None:
    need = spec.requires
    if need is None:
        return
    try:
        version = (
            platform.python_version() if need.name == "python" else metadata.version(need.name)
        )
    except metadata.PackageNotFoundError as error:
        message = f"the spec requires {need}, which is not installed: run `pip install '{need}'`"
        raise SpecError(spec.path, [Problem(line=spec.requires_line, message=message)]) from error
    if not need.specifier.contains(version, prereleases=True):
        message = f"the answers were checked on {need}; {version} is installed: use another spec"
        raise SpecError(spec.path, [Problem(line=spec.requires_line, message=message)])


def _pool(spec: Spec, keep: bool) -> _Pool:
    if spec.corpus == STDLIB:
        _only_folders(spec)
        return _code(stdlib(languages=spec.languages, exclude=spec.exclude), keep)
    if spec.corpus.startswith(PACKAGE):
        _only_folders(spec)
        name = spec.corpus.removeprefix(PACKAGE)
        return _code(package(name, languages=spec.languages, exclude=spec.exclude), keep)
    path = spec.path.parent / Path(spec.corpus).expanduser()
    if path.is_file() or path.name.endswith(ROW_FILES):
        _no_cutting(spec)
        return _rows(row_documents(path, keep_documentation=keep), "rows")
    if (path / MANIFEST).is_file():
        _no_cutting(spec)
        return _rows(dataset_documents(path, keep_documentation=keep), "dataset")
    source = folder(path, languages=spec.languages, exclude=spec.exclude, suffixes=spec.suffixes)
    return _code(source, keep)


def _only_folders(spec: Spec) -> None:
    if spec.suffixes:
        raise CorpusError(f"suffixes hold for folders, not for {spec.corpus!r}: leave them out")


def _no_cutting(spec: Spec) -> None:
    if spec.suffixes or spec.exclude or spec.languages:
        raise CorpusError(
            f"suffixes, exclude and languages hold for code, not for the rows of {spec.corpus!r}: "
            "leave them out"
        )


def _code(source: CodePlace, keep: bool) -> _Pool:
    cut = cut_files(source.read(), keep_documentation=keep)
    return _Pool(
        documents=cut.documents,
        facts={"revision": source.revision, **cut.facts()},
        left_out={**source.unreadable, **cut.left_out},
    )


def _rows(documents: Sequence[Document], kind: str) -> _Pool:
    languages: dict[str, int] = {}
    for document in documents:
        languages[document.language] = languages.get(document.language, 0) + 1
    facts: dict[str, Fact] = {kind: len(documents), "languages": dict(sorted(languages.items()))}
    return _Pool(documents=documents, facts=facts, left_out={})
