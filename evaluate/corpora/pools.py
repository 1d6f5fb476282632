"""Questions that are each asked of their own pool: commits of repositories, issues of projects.

    corpus.jsonl[.gz]    {"id", "pool", "code", "repo", "language", "path", "name", "scope",
                          "start_line", "end_line"}; id, pool and code are needed
    queries.jsonl[.gz]   {"id", "pool", "query", "relevant", "ignore", "repo", "language", "easy"};
                         id, pool, query and relevant are needed

Method: a corpus a pool, in the order of the rows. `relevant` are ids of documents that answer, all
alike; `ignore` are ids that are neither right nor wrong and leave the ranking; `easy` questions
name their answer and are measured apart. Means are taken within each repository (that of the
question, else its pool), then over the repositories. The code is searched as it is.
Cost: reading. Limits: those of `json_rows`; `MAX_TARGETS` ids a list; an id that is not in the
question's pool is refused with its line, for it could never be found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluate.corpora.corpus import Corpus, Document, Query
from evaluate.corpora.rows import ROW_FILES, CorpusError, json_rows, row_document, row_id, row_text

MAX_TARGETS = 10_000


def pool_corpora(folder: Path) -> list[Corpus]:
    """The pools of a folder, with their questions. Raises `CorpusError`."""
    pools = _pools(_file(folder, "corpus"))
    path = _file(folder, "queries")
    questions = _questions(path, {name: set(pool) for name, pool in pools.items()})
    if not questions:
        raise CorpusError(f"{path} holds no question: name a folder with some")
    return [
        Corpus(
            name=f"{folder.name} {pool}",
            documents=list(documents.values()),
            queries=questions.get(pool, []),
            facts={"kind": "pools", "documentation": "left in", "mean": "over repositories"},
            by_repository=True,
        )
        for pool, documents in pools.items()
    ]


def _file(folder: Path, name: str) -> Path:
    for end in ROW_FILES:
        if (folder / f"{name}{end}").is_file():
            return folder / f"{name}{end}"
    raise CorpusError(f"{folder} has no {name}.jsonl: name a folder of pools")


def _pools(path: Path) -> dict[str, dict[str, Document]]:
    """Pool -> id -> document."""
    pools: dict[str, dict[str, Document]] = {}
    lines: dict[str, int] = {}
    for line, row in json_rows(path):
        _claim(path, line, _needed(path, line, row, "id"), lines)
        document = row_document(path, line, row, keep_documentation=True)
        pools.setdefault(_needed(path, line, row, "pool"), {})[document.id] = document
    if not pools:
        raise CorpusError(f"{path} holds no rows: name a folder with some")
    return pools


def _questions(path: Path, pools: Mapping[str, set[str]]) -> dict[str, list[Query]]:
    """Pool -> its questions."""
    questions: dict[str, list[Query]] = {}
    lines: dict[str, int] = {}
    for line, row in json_rows(path):
        pool = _needed(path, line, row, "pool")
        if pool not in pools:
            raise CorpusError(f"{path}:{line}: {pool!r} is not a pool of the corpus: fix it")
        easy = row.get("easy", False)
        if not isinstance(easy, bool):
            raise CorpusError(f"{path}:{line}: easy is {str(easy)[:60]!r}: true or false")
        query = Query(
            id=_needed(path, line, row, "id"),
            text=_needed(path, line, row, "query"),
            relevant=dict.fromkeys(_targets(path, line, row, "relevant", pools[pool]), 1),
            ignore=frozenset(_targets(path, line, row, "ignore", pools[pool])),
            language=row_text(path, line, row, "language"),
            repo=row_text(path, line, row, "repo") or pool,
            easy=easy,
        )
        if not query.relevant:
            raise CorpusError(f"{path}:{line}: relevant is empty: leave the question out")
        if query.ignore & query.relevant.keys():
            raise CorpusError(f"{path}:{line}: a document is relevant and ignored: choose one")
        _claim(path, line, query.id, lines)
        questions.setdefault(pool, []).append(query)
    return questions


def _targets(
    path: Path, line: int, row: Mapping[str, object], name: str, pool: set[str]
) -> list[str]:
    """The ids of a list, all of them in the question's pool."""
    ids = row.get(name) or []
    if not isinstance(ids, list) or len(ids) > MAX_TARGETS:
        raise CorpusError(f"{path}:{line}: {name} must be a list of at most {MAX_TARGETS:,} ids")
    known = [str(id_) for id_ in ids]
    for target in known:
        if target not in pool:
            raise CorpusError(
                f"{path}:{line}: {name} has {target[:100]!r}, which is not in its pool: fix it"
            )
    return known


def _needed(path: Path, line: int, row: Mapping[str, object], name: str) -> str:
    value = row_id(path, line, row, name)
    if not value.strip():
        raise CorpusError(f"{path}:{line}: no {name}: every row needs one")
    return value


def _claim(path: Path, line: int, identity: str, lines: dict[str, int]) -> None:
    if lines.setdefault(identity, line) != line:
        raise CorpusError(
            f"{path}:{line}: the id {identity[:100]!r} is that of line {lines[identity]}: fix one"
        )
