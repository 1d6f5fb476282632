"""A searcher over corpora to a measured system: rankings, metrics, times.

Method: every question is asked in one batch for the ranking and the rate; up to `TIMED` of them
are asked again one by one for the latency, for `TIMED_SECONDS` at most. Corpora (languages, blocks)
are searched one after the other and their questions measured together. Rankings are those of
targets (`corpus.collapse`).
Cost: the search itself, and 0.8 ms a question for the metrics at full depth. Rankings are kept as
arrays, 8 bytes a document: 200 MB for 25,000 questions of 1,000; lists are made as they are read.
Limits: questions a second and latency are of this machine, with whatever else runs on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.corpora import Corpus, CorpusError, Document, Query, collapse
from evaluate.metrics import QueryValues, measure_queries
from evaluate.retrieval import NOTHING, Hits, Searcher

DEPTH = 1_000
"""Documents of a ranking that are looked at."""
TIMED = 200
TIMED_SECONDS = 20.0
_BATCH = 1_024

Run = Mapping[str, Sequence[tuple[str, float]]]


class Rankings(Mapping[str, list[tuple[str, float]]]):
    """Query -> documents with scores, best first; a list is made when it is asked for.

    Documents that a query ignores are not in its list.
    """

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Sequence[Document], Hits, int, frozenset[str]]] = {}

    def add(self, corpus: Corpus, queries: Sequence[Query], hits: Hits) -> None:
        """The hits of some questions of a corpus."""
        for row, query in enumerate(queries):
            self._rows[query.id] = (corpus.documents, hits, row, query.ignore)

    def __getitem__(self, query: str) -> list[tuple[str, float]]:
        documents, hits, row, ignore = self._rows[query]
        pairs = zip(hits.ids[row].tolist(), hits.scores[row].tolist(), strict=True)
        ranked = [
            (documents[position].id, score) for position, score in pairs if position != NOTHING
        ]
        return [hit for hit in ranked if hit[0] not in ignore] if ignore else ranked

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast a system was here; milliseconds a question asked alone."""

    index_seconds: float
    index_bytes: int
    """-1 where the searcher does not say."""
    queries_per_second: float
    latency_p50: float
    latency_p95: float
    latency_p99: float
    timed: int
    """Questions asked alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one system did."""

    values: QueryValues
    run: Run
    """Query -> documents with scores, best first: as searched, before targets are settled."""
    speed: Speed


Measure = Callable[[Run, Sequence[Corpus]], QueryValues]


def measure_system(
    corpora: Sequence[Corpus],
    make: Callable[[Corpus], Searcher],
    *,
    depth: int = DEPTH,
    measure: Measure | None = None,
) -> Measured:
    """Builds a searcher over each corpus, asks its questions, and measures all of them together.

    Ids of questions are unique over the corpora. `CorpusError` where no corpus has a question.
    """
    if not any(corpus.queries for corpus in corpora):
        raise CorpusError("no questions: nothing can be measured")
    run = Rankings()
    times: list[float] = []
    built = searched = 0.0
    size = 0
    for corpus in corpora:
        if not corpus.queries:
            continue
        start = time.perf_counter()
        searcher = make(corpus)
        built += time.perf_counter() - start
        searched += _ask(searcher, corpus, depth, run)
        share = -(-TIMED * len(corpus.queries) // sum(len(pool.queries) for pool in corpora))
        allowed = TIMED_SECONDS * share / TIMED
        times += _latencies(searcher, corpus.queries[:share], depth, allowed)
        index_bytes = getattr(searcher, "bytes", NOTHING)
        size = size + index_bytes if index_bytes >= 0 <= size else NOTHING
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).tolist()
    return Measured(
        values=(measure or measure_targets)(run, corpora),
        run=run,
        speed=Speed(
            index_seconds=built,
            index_bytes=size,
            queries_per_second=len(run) / max(searched, 1e-9),
            latency_p50=p50,
            latency_p95=p95,
            latency_p99=p99,
            timed=len(times),
        ),
    )


def measure_targets(run: Run, corpora: Sequence[Corpus]) -> QueryValues:
    """The metrics of `evaluate.metrics.metrics` over the questions of all corpora."""
    queries = [query for corpus in corpora for query in corpus.queries]
    sizes = [len(corpus.documents) for corpus in corpora if corpus.queries]
    by_repository = corpora[0].by_repository
    # Pools of a set that is made of them count together: its figures have an R@100 AUC.
    pool = sum(sizes) if by_repository else min(sizes)
    parts: list[QueryValues] = []
    for first in range(0, len(queries), _BATCH):
        some = queries[first : first + _BATCH]
        targets = {query.id: collapse(run.get(query.id, ()), query) for query in some}
        relevant = {query.id: query.relevant for query in some}
        parts.append(measure_queries(targets, relevant, documents=pool))
    return QueryValues(
        queries=tuple(query for part in parts for query in part.queries),
        names=parts[0].names,
        values=np.concatenate([part.values for part in parts]),
        recall=np.concatenate([part.recall for part in parts]),
        ranks=np.concatenate([part.ranks for part in parts]),
        strata=tuple(query.repo for query in queries) if by_repository else (),
    )


def _ask(searcher: Searcher, corpus: Corpus, depth: int, run: Rankings) -> float:
    """Asks all questions and adds the rankings; how many seconds the searching took."""
    seconds = 0.0
    for first in range(0, len(corpus.queries), _BATCH):
        some = corpus.queries[first : first + _BATCH]
        start = time.perf_counter()
        hits = searcher.search([query.text for query in some], depth)
        seconds += time.perf_counter() - start
        run.add(corpus, some, hits)
    return seconds


def _latencies(
    searcher: Searcher, queries: Sequence[Query], depth: int, allowed: float
) -> list[float]:
    """Milliseconds of each question asked alone; one at least, then for `allowed` seconds."""
    made: list[float] = []
    end = time.perf_counter() + allowed
    for query in queries:
        if made and time.perf_counter() > end:
            break
        start = time.perf_counter()
        searcher.search([query.text], depth)
        made.append(1000 * (time.perf_counter() - start))
    return made
