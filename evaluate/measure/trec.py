"""Rankings as TREC run files, which trec_eval, ir-measures and ranx read.

A line is `query Q0 document rank score system`. The format parts fields at white space, so white
space and "%" in ids are percent-encoded. Scores are written in full, so that reading gives the
same ranking; ties are written in the order the metrics count them.
Cost: 60 bytes a line. Limits: ids are compared by bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote

from evaluate.corpora import Query, collapse
from evaluate.measure.run import Run
from evaluate.metrics import settle_ties

_UNSAFE = re.compile(r"[\s%\x00-\x1f\x7f]")


def trec_lines(run: Run, queries: Iterable[Query], system: str) -> Iterator[str]:
    """The lines of one system, question by question, without line ends."""
    for query in queries:
        hits = collapse(run.get(query.id, ()), query)
        scores = dict(hits)
        for rank, document in enumerate(settle_ties(hits, query.relevant), start=1):
            fields = (query.id, "Q0", document, str(rank), repr(scores[document]), system)
            yield " ".join(_safe(field) for field in fields)


def qrels_lines(relevant: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """The judgements beside a run: `query 0 document grade`."""
    for query, grades in relevant.items():
        for document, grade in grades.items():
            yield f"{_safe(query)} 0 {_safe(document)} {grade}"


def read_run(text: str) -> dict[str, list[tuple[str, float]]]:
    """The rankings of a run file. ValueError for a line that is none."""
    made: dict[str, list[tuple[str, float]]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if len(fields) != 6:
            raise ValueError(f"line {number}: {len(fields)} fields, a run has 6: {line[:80]!r}")
        made.setdefault(unquote(fields[0]), []).append((unquote(fields[2]), float(fields[4])))
    return made


def _safe(field: str) -> str:
    return _UNSAFE.sub(lambda match: quote(match[0], safe=""), field) or "%20"
