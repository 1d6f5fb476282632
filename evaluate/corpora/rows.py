"""Documents that are rows already: a dataset's samples, a JSONL file of functions.

A row of JSONL is an object with `code` (or `text`, `positive`, `function`) and, where known, `id`,
`path`, `scope` (names of what encloses it), `name`, `language`, `repo`, `start_line`, `end_line`;
plain or gzip. Documentation in
its code is cut out by the extractor, unless it is to be kept; a dataset's code never holds any.
Method: strict: a line that is not understood stops the reading, with its number.
Cost: 0.1 ms a Python row for the parse. Limits: lines of 16 MiB, 2 million rows.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from evaluate.corpora.corpus import Document, code_digest
from extract import RowLimits
from extract.parsing import LANGUAGES, strip_code_documentation
from extract.pipeline import Stopped, shared
from ingest import normalise_language
from shards.access import is_remote
from shards.format import SPLITS, Sample, number, text
from shards.loader import PlanError, Reader, Select
from shards.read import Dataset
from xtrove.core import Misuse

ROW_FILES = (".jsonl", ".jsonl.gz")
MAX_LINE_BYTES = 16 << 20
MAX_ROWS = 2_000_000
_CODE = ("code", "text", "positive", "function")
_GZIP = b"\x1f\x8b"


class CorpusError(Misuse):
    """What is to be searched cannot be read; the message names file, line and remedy."""


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of a JSON-lines file, plain or gzip, with their lines. Raises `CorpusError`."""
    try:
        with _open(path) as file:
            line = 0
            while data := file.readline(MAX_LINE_BYTES + 1):
                line += 1
                if len(data) > MAX_LINE_BYTES:
                    raise CorpusError(f"{path}:{line}: over {MAX_LINE_BYTES} bytes: split the row")
                if line > MAX_ROWS:
                    raise CorpusError(f"{path}: over {MAX_ROWS} rows: take fewer")
                if data.strip():
                    yield line, _object(path, line, data)
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(
            f"{path} cannot be read ({type(error).__name__}): check the path"
        ) from error


def row_documents(path: Path, *, keep_documentation: bool = False) -> list[Document]:
    """The functions of a JSONL file, ids unique. Raises `CorpusError`."""
    made: dict[str, Document] = {}
    for line, row in json_rows(path):
        document = row_document(path, line, row, keep_documentation=keep_documentation)
        if document.id in made:
            raise CorpusError(f"{path}:{line}: the id {document.id!r} occurs twice there: keep one")
        made[document.id] = document
    if not made:
        raise CorpusError(f"{path} holds no rows: name a file with some")
    return list(made.values())


def dataset_documents(
    path: Path, *, split: str | None = None, keep_documentation: bool = False
) -> list[Document]:
    """The samples of a dataset, in its order; `path` of each begins with its repository."""
    return [sample_document(sample, keep_documentation) for sample in dataset_samples(path, split)]


def dataset_samples(source: Path | str, split: str | None) -> Iterator[Sample]:
    """The samples of a dataset (a folder or an address) or one of its splits.

    Raises `ManifestError`, `DamagedData`; of an address `SourceError`, `TransientFault` too.
    """
    try:
        if isinstance(source, str) and is_remote(source):
            yield from _remote_samples(source, split)
        else:
            yield from Dataset.open(Path(source)).samples(split=split)
    except OSError as error:
        raise CorpusError(f"{source}: {error}") from error


def _remote_samples(source: str, split: str | None) -> Iterator[Sample]:
    try:
        reader = Reader.open(source, select=Select(splits=(split,) if split else SPLITS))
    except PlanError:
        # No sample is left: what a folder without them answers too.
        return
    with reader:
        yield from reader.iterate()


def sample_document(sample: Sample, keep_documentation: bool = False) -> Document:
    """A sample as a document; its query put before the code where documentation is to stay."""
    code = text(sample, "code")
    repo, path = text(sample, "repo"), text(sample, "path")
    return Document(
        id=text(sample, "id"),
        text=f"{text(sample, 'query')}\n{code}" if keep_documentation else code,
        path=f"{repo}/{path}" if repo and path else path or repo,
        path_in_repo=path,
        scope=text(sample, "scope"),
        name=text(sample, "name"),
        start_line=number(sample, "start_line"),
        end_line=number(sample, "end_line"),
        language=text(sample, "language"),
        repo=repo,
        code_sha256=text(sample, "code_sha256"),
    )


def bare_code(language: str, code: str) -> str:
    """Code of a known language without its documentation; any other as it is, and so is code
    that takes too much time or memory to parse (`extract.pipeline.watchdog`)."""
    if language not in LANGUAGES:
        return code
    bare = shared().call(_without_documentation, code, RowLimits(), language)
    return code if isinstance(bare, Stopped) else bare


def _without_documentation(code: str, language: str) -> str:
    return strip_code_documentation(language, code)[0]


def row_text(path: Path, line: int, row: Mapping[str, object], *names: str) -> str:
    """The first of these fields that is there, as text; "" where none is."""
    for name in names:
        value = row.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise CorpusError(f"{path}:{line}: {name} is {str(value)[:60]!r}: it must be text")
        return value
    return ""


def row_id(path: Path, line: int, row: Mapping[str, object], name: str) -> str:
    """An id, text or a whole number; "" where there is none."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return row_text(path, line, row, name)


def row_document(
    path: Path, line: int, row: Mapping[str, object], *, keep_documentation: bool
) -> Document:
    """The function of a row; its id is its line where it has none. Raises `CorpusError`."""
    code = row_text(path, line, row, *_CODE)
    if not code.strip():
        raise CorpusError(f"{path}:{line}: no code: one of {', '.join(_CODE)} must hold it")
    language = row_text(path, line, row, "language", "lang")
    language = normalise_language(language) or language.lower()
    bare = bare_code(language, code)
    identity = row.get("id", row.get("_id"))
    return Document(
        id=str(identity) if isinstance(identity, str | int) and identity != "" else f"line{line}",
        text=code if keep_documentation else bare,
        path=row_text(path, line, row, "path"),
        scope=row_text(path, line, row, "scope"),
        name=row_text(path, line, row, "name"),
        start_line=_number(row.get("start_line")),
        end_line=_number(row.get("end_line")),
        language=language,
        repo=row_text(path, line, row, "repo"),
        code_sha256=code_digest(bare),
    )


def _number(value: object) -> int:
    return value if type(value) is int and value > 0 else -1


def _object(path: Path, line: int, data: bytes) -> dict[str, object]:
    try:
        row = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}:{line}: no JSON ({error}): fix the line") from error
    if not isinstance(row, dict):
        raise CorpusError(f"{path}:{line}: no JSON object: one row a line is expected")
    return row


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        magic = plain.read(len(_GZIP))
        plain.seek(0)
        if magic != _GZIP:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as unpacked:
            yield cast(BinaryIO, unpacked)
