"""The result of an evaluation: what was asked of what, and what each system answered.

Written as JSON (`result.json`), read back strictly for comparisons and reports.
Method: pydantic models, unknown fields refused; the values of each question are kept, so that two
results can be compared question by question without running anything again.
Cost: about 0.5 kB a question and system. Limits: 256 MiB a file when read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.files import read_capped
from xtrove.core import Misuse, write_file

FORMAT: Final = "xtrove-evaluation-1"
MAX_BYTES = 256 << 20
FILE = "result.json"
COMPARED = ("P@1", "MRR", "nDCG@10", "Recall@10", "Recall@100", "R@100 AUC")
"""Metrics whose values are kept for each question, where there are such."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Model):
    """A mean over questions with the bounds of its 95% bootstrap interval."""

    value: float
    low: float
    high: float


class Group(_Model):
    """Some of the questions."""

    queries: Annotated[int, Field(ge=1)]
    metrics: dict[str, Estimate]


class SeenShare(_Model):
    """What the model was trained on, by code or by repository."""

    answers: int
    seen_answers: int
    queries: int
    unseen_queries: int
    unseen: dict[str, Estimate] = {}
    """Metrics over the unseen questions; empty where there are none."""


class Times(_Model):
    """Of this machine."""

    index_seconds: float
    index_bytes: int
    """-1 where it is not known."""
    queries_per_second: float
    latency_ms: dict[str, float]
    """p50, p95, p99 of a question asked alone."""
    timed: int = 0
    """Questions asked alone."""


class Difference(_Model):
    """The first system of the table against this one: what it gains, and whether by chance."""

    value: float
    low: float
    high: float
    p: float
    won: int
    lost: int


class TopHit(_Model):
    """The document that stood first for a question."""

    id: str
    place: str
    score: float


class SystemResult(_Model):
    """One system."""

    name: str
    mode: str
    model: str = ""
    metrics: dict[str, Estimate]
    recall_curve: list[Estimate] = []
    """Recall@k for k = 1..100."""
    groups: dict[str, dict[str, Group]] = {}
    """language, query length, repository, difficulty -> group -> metrics."""
    seen: dict[str, SeenShare] | None = None
    """By code and repository; None where the model names nothing it was trained on."""
    duplicates_first: int = 0
    """Questions where a copy of an answer stood first and counted as wrong."""
    times: Times
    against: Difference | None = None
    """MRR of the first system minus that of this one; None for the first itself."""
    ranks: list[int]
    """Of the first relevant document, a question each; 0 where it was not found."""
    scores: list[float | None]
    """Of that document."""
    firsts: list[TopHit | None]
    values: dict[str, list[float]]
    """Metric -> value of each question."""


class QueryRecord(_Model):
    """One question."""

    id: str
    text: str
    relevant: list[str]
    """Places of the answers, for people."""
    language: str = ""
    repo: str = ""
    duplicates: int = 0
    """Copies of an answer in the pool that are no answer."""
    easy: bool = False
    """Names its answer: no part of the metrics, but of the group "easy"."""


class Evaluation(_Model):
    """The whole document."""

    format: Literal["xtrove-evaluation-1"] = FORMAT
    name: str
    documents: int
    """Of all corpora."""
    pool: int
    """Documents of the smallest corpus: what a question is at least searched in."""
    facts: dict[str, Any]
    corpus_sha256: str
    """Over ids and texts."""
    ids_sha256: str
    """Over ids alone: the same functions, whatever their text."""
    settings: dict[str, str | int | float | bool]
    versions: dict[str, str]
    by_repository: bool = False
    """Metrics are unweighted means over repositories of the means within each."""
    queries: list[QueryRecord]
    systems: list[SystemResult]

    def to_json(self) -> bytes:
        """The bytes of the file: fields and groups in their order, which is that of the tables."""
        text = json.dumps(self.model_dump(), ensure_ascii=False, indent=1)
        return text.encode("utf-8", "replace") + b"\n"


def load_result(path: Path) -> Evaluation:
    """The result in a file, or in the `result.json` of a folder. Raises `Misuse`."""
    file = path / FILE if path.is_dir() else path
    data = read_capped(str(file), MAX_BYTES)
    if data is None:
        raise Misuse(f"{file} is not a result: name a result.json of xtrove evaluate --output")
    try:
        return Evaluation.model_validate_json(data)
    except (ValidationError, RecursionError) as error:
        raise Misuse(f"{file} is not a result of this version: {str(error)[:400]}") from error


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Files of a result, each whole or not at all; the folder must not hold any of them.

    Raises `Misuse` where it does: nothing is overwritten.
    """
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise Misuse(f"{folder} holds {there[0]!r} already: name another --output")
    for name, data in files.items():
        write_file(folder / name, data)
