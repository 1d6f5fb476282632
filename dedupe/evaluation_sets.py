"""Evaluation sets as rows: JSON lines, plain or gzip, read once, strictly.

A row that was not understood could be the very one that leaks, so everything stops the build:
a missing file, a line that is no JSON object, a row with neither query nor code, code without a
language, a set without rows, a `language` of the config that is none of ours. Languages go by the
names that data sets give them (`js`, `golang`); one that a row gives and that is none of ours is
kept as it stands. A column that is null or "" is missing. Limits: lines of 16 MiB, sets of 2
million rows, both checked while reading; gzip is recognised by its first two bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from dedupe.options import DecontaminateSet
from ingest import LANGUAGES, digest_of, normalise_language, suggestion
from xtrove.core import Misuse

MAX_LINE_BYTES = 16 << 20
MAX_ROWS = 2_000_000

_GZIP = b"\x1f\x8b"
_DEFAULTS: dict[str, tuple[str, ...]] = {
    "query": ("query", "question", "doc", "docstring"),
    "code": ("code", "positive", "function"),
    "language": ("language", "lang"),
}


class EvaluationSetError(Misuse):
    """An evaluation set that cannot be read; `path`, `line` (0: the file) and `value` say where."""

    usual_remedy = "mend it, or leave it out of `decontaminate:`"

    def __init__(self, path: str, line: int, message: str, value: str = "") -> None:
        location = f"{path}:{line}" if line else path
        shown = f": {value[:200]!r}" if value else ""
        super().__init__(f"decontamination set {location}: {message}{shown}")
        self.path = path
        self.line = line
        self.value = value


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRow:
    """One row of an evaluation set; "" where it lacks a query, code or language."""

    item: str
    """Its `id` where it has one, else `line N`."""
    query: str
    code: str
    language: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRows:
    """All rows of a set and the SHA-256 of its uncompressed bytes."""

    rows: tuple[EvaluationRow, ...]
    digest: str


def read_set(evaluation_set: DecontaminateSet) -> EvaluationRows:
    """All rows of the set. Raises `EvaluationSetError`."""
    digest = hashlib.sha256()
    rows: list[EvaluationRow] = []
    for line, data in _lines(evaluation_set):
        digest.update(data)
        if not data.strip():
            continue
        if len(rows) >= MAX_ROWS:
            raise _error(evaluation_set, line, f"more than {MAX_ROWS} rows; split the set")
        rows.append(_row(evaluation_set, line, data))
    if not rows:
        raise _error(
            evaluation_set, 0, "it holds no rows; an empty set protects nothing: drop or fix it"
        )
    return EvaluationRows(rows=tuple(rows), digest=digest.hexdigest())


def _row(evaluation_set: DecontaminateSet, line: int, data: bytes) -> EvaluationRow:
    try:
        row = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _error(
            evaluation_set, line, f"no JSON ({error}); fix the line", _shown(data)
        ) from error
    if not isinstance(row, dict):
        raise _error(
            evaluation_set, line, "no JSON object; one row a line is expected", _shown(data)
        )
    query = _column(evaluation_set, line, row, "query")
    code = _column(evaluation_set, line, row, "code")
    stated = _column(evaluation_set, line, row, "language")
    language = _language(evaluation_set, line, stated, bool(code))
    if not query and not code:
        names = ", ".join(sorted(map(str, row)))
        raise _error(
            evaluation_set, line, "neither query nor code; name them under `columns`", names
        )
    if code and not language:
        raise _error(
            evaluation_set, line, "code without a language; set `language` for the whole set"
        )
    item = row.get("id")
    return EvaluationRow(
        item=str(item) if isinstance(item, str | int) and item != "" else f"line {line}",
        query=query,
        code=code,
        language=language,
    )


def _language(evaluation_set: DecontaminateSet, line: int, stated: str, code: bool) -> str:
    """Ours where it is one of ours, else as the row says it; "" where nothing does."""
    named = stated or evaluation_set.language or ""
    known = normalise_language(named)
    if known or stated or not named or not code:
        return known or named.strip().lower()
    near = suggestion(named)
    hint = f"did you mean {near!r}? " if near else ""
    raise _error(
        evaluation_set,
        line,
        f"code in a `language` that is none of {', '.join(LANGUAGES)}; {hint}write one of them, "
        "or leave the code out: in another language it would protect nothing",
        named,
    )


def _column(evaluation_set: DecontaminateSet, line: int, row: dict[str, object], role: str) -> str:
    named = evaluation_set.columns.get(role)
    if named is not None and named not in row:
        names = ", ".join(sorted(row))
        raise _error(evaluation_set, line, f"no column {named!r} (columns.{role}); it has", names)
    for column in _DEFAULTS[role] if named is None else (named,):
        value = row.get(column)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise _error(
                evaluation_set, line, f"column {column!r} holds no text", type(value).__name__
            )
        return value
    return ""


def _lines(evaluation_set: DecontaminateSet) -> Iterator[tuple[int, bytes]]:
    try:
        with _open(evaluation_set) as file:
            line = 0
            while data := file.readline(MAX_LINE_BYTES + 1):
                line += 1
                if len(data) > MAX_LINE_BYTES:
                    raise _error(
                        evaluation_set, line, f"longer than {MAX_LINE_BYTES} bytes; split it"
                    )
                yield line, data
    except (OSError, EOFError) as error:
        reason = f"cannot be read ({type(error).__name__}: {error}); check decontaminate.path"
        raise _error(evaluation_set, 0, reason) from error


@contextmanager
def _open(evaluation_set: DecontaminateSet) -> Iterator[BinaryIO]:
    with evaluation_set.path.open("rb") as plain:
        magic = plain.read(len(_GZIP))
        plain.seek(0)
        if magic != _GZIP:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as unpacked:
            yield cast(BinaryIO, unpacked)


def _error(
    evaluation_set: DecontaminateSet, line: int, message: str, value: str = ""
) -> EvaluationSetError:
    return EvaluationSetError(str(evaluation_set.path), line, message, value)


def _shown(data: bytes) -> str:
    return digest_of(data.rstrip(b"\r\n"))
