"""BEIR- and MTEB-style folders: a corpus, queries and graded judgements.

    corpus.jsonl[.gz]   or corpus/*.parquet, corpus/*.jsonl      {"_id", "title", "text"}
    queries.jsonl[.gz]  or queries/*.parquet, queries/*.jsonl    {"_id", "text"}
    qrels/SPLIT.tsv     or qrels/ or data/ SPLIT*.parquet, .jsonl   query-id, corpus-id, score

Method: rows are streamed; a document is its title and text; questions without a judgement above 0
are not asked. Where the language of the documents is said, documentation is cut out of them.
Cost: reading. Limits: a judgement of a document that is not there is refused with its line, for it
could never be found.
Source: Thakur et al., "BEIR" (2021); Muennighoff et al., "MTEB" (2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evaluate.corpora.corpus import Corpus, Document, Query, code_digest
from evaluate.corpora.rows import ROW_FILES, CorpusError, bare_code, json_rows, row_text
from ingest import normalise_language

_MAX_LINE = 1 << 16
Row = tuple[str, int, Mapping[str, object]]
"""File, line or row from 1, and the row itself."""


def beir_corpus(
    folder: Path,
    *,
    split: str = "test",
    language: str = "",
    keep_documentation: bool = False,
) -> Corpus:
    """The corpus of a folder with the questions judged in a split. Raises `CorpusError`."""
    documents = _documents(folder, language, keep_documentation)
    texts: dict[str, str] = {}
    for where, line, row in _rows(folder, "queries"):
        identity = _identity(where, line, row)
        if identity in texts:
            raise CorpusError(f"{where}:{line}: a second question {identity!r}: fix its id")
        texts[identity] = row_text(Path(where), line, row, "text", "query")
    judged = _judgements(folder, split, documents, texts)
    relevant = {
        query: {document: grade for document, grade in grades.items() if grade > 0}
        for query, grades in judged.items()
    }
    queries = [
        Query(id=query, text=texts[query], relevant=grades, language=language)
        for query, grades in relevant.items()
        if grades
    ]
    if not queries:
        raise CorpusError(f"{folder}: no question of {split!r} has a judgement above 0")
    return Corpus(
        name=f"{folder.name} {split}",
        documents=list(documents.values()),
        queries=queries,
        facts={
            "kind": "beir",
            "split": split,
            "questions_without_answer": len(relevant) - len(queries),
            "documentation": "cut out" if language and not keep_documentation else "left in",
        },
    )


def _documents(folder: Path, language: str, keep: bool) -> dict[str, Document]:
    made: dict[str, Document] = {}
    for where, line, row in _rows(folder, "corpus"):
        identity = _identity(where, line, row)
        if identity in made:
            raise CorpusError(f"{where}:{line}: the id {identity!r} occurs twice there: keep one")
        title = row_text(Path(where), line, row, "title")
        text = row_text(Path(where), line, row, "text", "code")
        spoken = row_text(Path(where), line, row, "language")
        known = language or normalise_language(spoken) or spoken
        bare = bare_code(known, text)
        made[identity] = Document(
            id=identity,
            text="\n".join(filter(None, (title, text if keep else bare))),
            path="",
            name="",
            start_line=-1,
            end_line=-1,
            language=known,
            code_sha256=code_digest(bare),
        )
    if not made:
        raise CorpusError(f"{folder} has an empty corpus: name a folder with one")
    return made


def _judgements(
    folder: Path, split: str, documents: Mapping[str, object], queries: Mapping[str, object]
) -> dict[str, dict[str, int]]:
    made: dict[str, dict[str, int]] = {}
    for where, line, row in _judgement_rows(folder, split):
        query, document = str(row.get("query-id", "")), str(row.get("corpus-id", ""))
        if query not in queries:
            raise CorpusError(f"{where}:{line}: {query!r} is not an id of the queries: fix it")
        if document not in documents:
            raise CorpusError(
                f"{where}:{line}: {document!r} is not an id of the corpus: fix the judgement"
            )
        try:
            grade = int(float(str(row.get("score", ""))))
        except (ValueError, OverflowError) as error:
            raise CorpusError(
                f"{where}:{line}: the score {row.get('score')!r} is not a number"
            ) from error
        made.setdefault(query, {})[document] = grade
    return made


def _judgement_rows(folder: Path, split: str) -> Iterator[Row]:
    table = folder / "qrels" / f"{split}.tsv"
    if table.is_file():
        yield from _tsv_rows(table)
        return
    files = [
        path
        for inner in ("qrels", "data")
        if (folder / inner).is_dir()
        for path in sorted((folder / inner).iterdir())
        if path.name.startswith((f"{split}.", f"{split}-")) and _is_rows(path)
    ]
    if not files:
        raise CorpusError(
            f"{folder} has no judgements for {split!r}: qrels/{split}.tsv is expected"
        )
    for file in files:
        yield from _file_rows(file)


def _tsv_rows(path: Path) -> Iterator[Row]:
    header: list[str] = []
    try:
        with path.open("r", encoding="utf-8") as file:
            line = 0
            while text := file.readline(_MAX_LINE):
                line += 1
                cells = text.rstrip("\r\n").split("\t")
                if not header:
                    header = ["query-id", "corpus-id", "score"]
                    if cells[:1] == ["query-id"]:
                        header = cells
                        continue
                if cells == [""]:
                    continue
                if len(cells) != len(header):
                    raise CorpusError(f"{path}:{line}: {len(cells)} fields, not {len(header)}")
                yield str(path), line, dict(zip(header, cells, strict=True))
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read ({error}): check the file") from error


def _rows(folder: Path, name: str) -> Iterator[Row]:
    """The rows of `name`.jsonl, or of every file of rows in the folder `name`."""
    single = next(
        (folder / f"{name}{end}" for end in ROW_FILES if (folder / f"{name}{end}").is_file()), None
    )
    if single is not None:
        yield from _file_rows(single)
        return
    inner = folder / name
    files = sorted(path for path in inner.iterdir() if _is_rows(path)) if inner.is_dir() else []
    if not files:
        raise CorpusError(f"{folder} has no {name}.jsonl and no folder {name}: name a BEIR folder")
    for file in files:
        yield from _file_rows(file)


def _is_rows(path: Path) -> bool:
    return path.name.endswith((*ROW_FILES, ".parquet"))


def _file_rows(path: Path) -> Iterator[Row]:
    if not path.name.endswith(".parquet"):
        for line, row in json_rows(path):
            yield str(path), line, row
        return
    try:
        with pq.ParquetFile(path) as table:
            line = 0
            for batch in table.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    line += 1
                    yield str(path), line, row
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} cannot be read ({error}): check the file") from error


def _identity(where: str, line: int, row: Mapping[str, object]) -> str:
    value = row.get("_id", row.get("id"))
    if not isinstance(value, str | int) or value == "":
        raise CorpusError(f"{where}:{line}: no `_id`: give every row one")
    return str(value)
