"""A query spec: a corpus and questions with their answers, read strictly.

    {"name": "code_queries", "corpus": "stdlib:", "requires": "python>=3.11",
     "exclude": ["Lib/test"], "languages": ["python"], "suffixes": [".md"],
     "queries": [{"query": "...", "relevant": ["Lib/heapq.py::merge"], "id": "q1", "note": "..."}]}

Only `corpus` and `queries` are required, and of a question `query` and `relevant`. `corpus` is
`stdlib:`, `package:NAME`, or a path: a folder, a git checkout, a dataset or a JSONL file; a
relative path begins at the folder of the spec. `requires` says the oldest version the answers
were checked on. An answer is `path`, `path::function`, `path::Class.method`, `path:line`, or the
id of a document where the corpus has ids.
Method: every problem of the file is found and reported with its line, not only the first.
Cost: negligible. Limits: 16 MiB and 100,000 questions a file.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from evaluate.spec.json_lines import MAX_BYTES, JsonError, Placed, read_json
from evaluate.spec.json_lines import Path as Place
from extract.text import fold
from ingest import LANGUAGES, suggestion
from ingest.files import read_capped
from xtrove.core import Misuse

MAX_QUERIES = 100_000
_SPEC_KEYS = ("name", "corpus", "requires", "exclude", "languages", "suffixes", "note", "queries")
_QUERY_KEYS = ("id", "query", "relevant", "note")
_SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What is wrong with a spec, and where."""

    line: int
    message: str


class SpecError(Misuse):
    """A spec that is refused; `problems` are sorted by line."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        ordered = sorted(set(problems), key=lambda problem: (problem.line, problem.message))
        shown = [f"{path}:{problem.line}: {problem.message}" for problem in ordered[:_SHOWN]]
        if len(ordered) > _SHOWN:
            shown.append(f"and {len(ordered) - _SHOWN} more")
        super().__init__("\n".join(shown))
        self.path = path
        self.problems = tuple(ordered)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One entry of `relevant` as it stands, with its line in the spec."""

    text: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecQuery:
    """One question."""

    id: str
    text: str
    answers: tuple[Answer, ...]
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """A spec that is well formed; whether its answers exist is `evaluate.spec.resolve`'s part."""

    path: Path
    name: str
    corpus: str
    corpus_line: int
    requires: Requirement | None
    requires_line: int
    exclude: tuple[str, ...]
    languages: tuple[str, ...] | None
    suffixes: tuple[str, ...]
    queries: tuple[SpecQuery, ...]


def load_spec(path: Path) -> Spec:
    """The spec in a file. Raises `SpecError` with every problem and its line."""
    data = read_capped(str(path), MAX_BYTES)
    if data is None:
        reason = "no regular file that can be read" if not path.is_file() else "too large"
        raise SpecError(path, [Problem(line=1, message=f"{reason}: name a spec in JSON")])
    try:
        placed = read_json(data)
    except JsonError as error:
        raise SpecError(path, [Problem(line=error.line, message=error.problem)]) from error
    reader = _Reader(placed)
    spec = reader.spec(path)
    if reader.problems:
        raise SpecError(path, reader.problems)
    return spec


class _Reader:
    """Reads values by their place and collects what is wrong with them."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self.problems: list[Problem] = []

    def spec(self, path: Path) -> Spec:
        whole = self._object(self._placed.value, (), _SPEC_KEYS, required=("corpus", "queries"))
        languages = self._texts(whole, "languages")
        for index, language in enumerate(languages):
            if language not in LANGUAGES:
                near = suggestion(language)
                hint = f"did you mean {near!r}?" if near else f"one of {', '.join(LANGUAGES)}"
                self._add(("languages", index), f"unknown language {language!r}: {hint}")
        suffixes = self._texts(whole, "suffixes")
        for index, suffix in enumerate(suffixes):
            if not suffix.startswith(".") or suffix != suffix.lower():
                self._add(("suffixes", index), f"{suffix!r} is not a suffix: write one like '.md'")
        return Spec(
            path=path,
            name=self._text(whole, (), "name") or path.stem,
            corpus=self._text(whole, (), "corpus"),
            corpus_line=self._placed.line(("corpus",)),
            requires=self._requirement(whole),
            requires_line=self._placed.line(("requires",)),
            exclude=self._texts(whole, "exclude"),
            languages=languages or None,
            suffixes=suffixes,
            queries=self._queries(whole),
        )

    def _queries(self, whole: Mapping[str, object]) -> tuple[SpecQuery, ...]:
        rows = whole.get("queries", [])
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_QUERIES:
            if "queries" in whole:
                self._add(("queries",), f"queries must be a list of 1 to {MAX_QUERIES} questions")
            return ()
        made = [self._query(row, number) for number, row in enumerate(rows)]
        self._once([(fold(query.text), query.line) for query in made if query.text], "the question")
        self._once([(query.id, query.line) for query in made], "the id")
        return tuple(made)

    def _query(self, row: object, number: int) -> SpecQuery:
        place: Place = ("queries", number)
        fields = self._object(row, place, _QUERY_KEYS, required=("query", "relevant"))
        text = self._text(fields, place, "query")
        if "query" in fields and not text.strip():
            self._add((*place, "query"), "the question is empty: write one")
        return SpecQuery(
            id=self._text(fields, place, "id") or f"q{number + 1}",
            text=text.strip(),
            answers=self._answers(fields, place),
            line=self._placed.line((*place, "query")),
        )

    def _answers(self, fields: Mapping[str, object], place: Place) -> tuple[Answer, ...]:
        rows = fields.get("relevant")
        place = (*place, "relevant")
        if rows is None:
            return ()
        if not isinstance(rows, list) or not rows:
            self._add(
                place, "relevant is empty: name at least one path, path::function or path:line"
            )
            return ()
        made: list[Answer] = []
        for number, row in enumerate(rows):
            if not isinstance(row, str) or not row.strip():
                self._add(
                    (*place, number), f"{row!r} is not an answer: write text like 'a.py::name'"
                )
                continue
            made.append(Answer(text=row.strip(), line=self._placed.line((*place, number))))
        self._once([(answer.text, answer.line) for answer in made], "the answer")
        return tuple(made)

    def _requirement(self, whole: Mapping[str, object]) -> Requirement | None:
        text = self._text(whole, (), "requires")
        if not text:
            return None
        try:
            return Requirement(text)
        except InvalidRequirement:
            self._add(
                ("requires",), f"{text!r} is not a requirement: write one like 'python>=3.11'"
            )
            return None

    def _object(
        self, value: object, place: Place, known: Sequence[str], *, required: Sequence[str]
    ) -> Mapping[str, object]:
        if not isinstance(value, dict):
            self._add(
                place, f"{str(value)[:60]!r} is not an object with the keys {', '.join(required)}"
            )
            return {}
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                self._add((*place, key), f"unknown key {key!r}: {hint}")
        for key in required:
            if key not in value:
                self._add(place, f"the key {key!r} is missing")
        return value

    def _text(self, fields: Mapping[str, object], place: Place, key: str) -> str:
        value = fields.get(key, "")
        if isinstance(value, str):
            if key in fields and not value and key != "query":
                self._add((*place, key), f"{key} is empty: write it or leave it out")
            return value
        self._add((*place, key), f"{key} is {str(value)[:60]!r}: it must be text")
        return ""

    def _texts(self, fields: Mapping[str, object], key: str) -> tuple[str, ...]:
        value = fields.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        self._add((key,), f"{key} is {str(value)[:60]!r}: it must be a list of texts")
        return ()

    def _once(self, keyed: Sequence[tuple[str, int]], what: str) -> None:
        first: dict[str, int] = {}
        for key, line in keyed:
            if key in first:
                message = f"{what} {key[:80]!r} is on line {first[key]} already: keep one"
                self.problems.append(Problem(line=line, message=message))
            first.setdefault(key, line)

    def _add(self, place: Place, message: str) -> None:
        self.problems.append(Problem(line=self._placed.line(place), message=message))
