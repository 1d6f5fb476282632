"""Measured systems to a result: intervals, groups, what was seen, who stood first instead.

Method: intervals by bootstrap (`evaluate.metrics.bootstrap_intervals`); groups by language, by
words of the question and by repository, those of fewer than `SMALLEST` questions left out; every
further system is compared with the first, question by question. The first system is what was asked
for, the others are what it must be judged beside. Questions that name their answer (`easy`) are a
group beside the headline, unless there are no others.
Cost: 0.15 s for 1,000 questions, once for the whole and once for each group of each system.
Limits: `REPOSITORIES` repositories, the ones most asked about.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.corpora import Corpus, Document, Query, duplicates, members
from evaluate.measure.result import (
    COMPARED,
    Difference,
    Estimate,
    Evaluation,
    Group,
    QueryRecord,
    SeenShare,
    SystemResult,
    Times,
    TopHit,
)
from evaluate.measure.run import Measured
from evaluate.measure.seen_in_training import Seen, seen_answers
from evaluate.metrics import (
    LEVEL,
    RESAMPLES,
    SEED,
    Floats,
    QueryValues,
    bootstrap,
    column_means,
    paired,
)
from train.checkpoint import TrainedOn

SMALLEST = 5
REPOSITORIES = 20
_LENGTHS = ((3, "1-3 words"), (7, "4-7 words"), (15, "8-15 words"))
_LONGEST = "16 words or more"
_DIGITS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """A system that was measured."""

    name: str
    mode: str
    model: str
    measured: Measured
    known: TrainedOn | None = None
    """What its model says it was trained on."""


def evaluation(
    name: str,
    corpora: Sequence[Corpus],
    systems: Sequence[System],
    *,
    settings: Mapping[str, str | int | float | bool],
    versions: Mapping[str, str],
) -> Evaluation:
    """The result of systems over corpora; at least one system."""
    duplicate_ids = {query: ids for corpus in corpora for query, ids in duplicates(corpus).items()}
    records: list[QueryRecord] = []
    for corpus in corpora:
        documents = (
            {document.id: document for document in corpus.documents} if corpus.queries else {}
        )
        records += [_record(query, documents, duplicate_ids) for query in corpus.queries]
    first = systems[0].measured.values
    return Evaluation(
        name=name,
        documents=len({document.id for corpus in corpora for document in corpus.documents}),
        pool=min(len(corpus.documents) for corpus in corpora if corpus.queries),
        facts=_facts(corpora),
        corpus_sha256=_joined(corpus.digest() for corpus in corpora),
        ids_sha256=_joined(document.id for corpus in corpora for document in corpus.documents),
        settings={**settings, "resamples": RESAMPLES, "level": LEVEL, "seed": SEED},
        versions=dict(versions),
        by_repository=corpora[0].by_repository,
        queries=records,
        systems=[
            _system(system, corpora, duplicate_ids, None if number == 0 else first)
            for number, system in enumerate(systems)
        ],
    )


def estimates(values: QueryValues) -> dict[str, Estimate]:
    """The mean of each metric with its interval."""
    return dict(zip(values.names, _means(values.values, values.strata), strict=True))


def length_group(text: str) -> str:
    """How long a question is, for people."""
    words = len(text.split())
    return next((label for most, label in _LENGTHS if words <= most), _LONGEST)


def _system(
    system: System,
    corpora: Sequence[Corpus],
    duplicate_ids: Mapping[str, list[str]],
    first: QueryValues | None,
) -> SystemResult:
    values, speed = system.measured.values, system.measured.speed
    queries = [query for corpus in corpora for query in corpus.queries]
    rows = headline([query.easy for query in queries])
    hard = values.rows(rows)
    estimated = _means(np.hstack([hard.values, hard.recall]), hard.strata)
    return SystemResult(
        name=system.name,
        mode=system.mode,
        model=system.model,
        metrics=dict(zip(values.names, estimated, strict=False)),
        recall_curve=estimated[len(values.names) :],
        groups=_groups(hard, [queries[row] for row in rows]) | _difficulty(values, queries),
        seen=_seen(values, rows, seen_answers(corpora, system.known)) if system.known else None,
        duplicates_first=_duplicates_first(system.measured, duplicate_ids),
        times=Times(
            index_seconds=round(speed.index_seconds, 3),
            index_bytes=speed.index_bytes,
            queries_per_second=round(speed.queries_per_second, 1),
            latency_ms={
                "p50": round(speed.latency_p50, 3),
                "p95": round(speed.latency_p95, 3),
                "p99": round(speed.latency_p99, 3),
            },
            timed=speed.timed,
        ),
        against=_against(hard, first.rows(rows)) if first is not None else None,
        ranks=values.ranks.tolist(),
        scores=_scores(system.measured, queries),
        firsts=_firsts(system.measured, corpora),
        values={
            name: [round(value, _DIGITS) for value in values.column(name).tolist()]
            for name in values.names
            if name in COMPARED or len(values.names) <= len(COMPARED)
        },
    )


def _against(values: QueryValues, first: QueryValues) -> Difference:
    name = "MRR" if "MRR" in values.names else values.names[0]
    test = paired(values.column(name), first.column(name), values.strata)
    return Difference(
        value=test.difference,
        low=test.low,
        high=test.high,
        p=test.p,
        won=test.won,
        lost=test.lost,
    )


def headline(easy: Sequence[bool]) -> list[int]:
    """The questions whose means are the metrics: those that are not easy; all, if only such."""
    return [row for row, is_easy in enumerate(easy) if not is_easy] or list(range(len(easy)))


def _means(table: Floats, strata: Sequence[str]) -> list[Estimate]:
    """Each column's mean with its interval; one bootstrap for all of them."""
    means = column_means(table, strata)
    low, high = bootstrap(table, strata)
    return [_estimate(*column) for column in zip(means, low, high, strict=True)]


def _difficulty(values: QueryValues, queries: Sequence[Query]) -> dict[str, dict[str, Group]]:
    """The headline and, however few they are, the easy questions beside it."""
    easy = [row for row, query in enumerate(queries) if query.easy]
    if not 0 < len(easy) < len(queries):
        return {}
    parts = {"hard": headline([query.easy for query in queries]), "easy": easy}
    made = {
        label: Group(queries=len(rows), metrics=estimates(values.rows(rows)))
        for label, rows in parts.items()
    }
    return {"difficulty": made}


def _groups(values: QueryValues, queries: Sequence[Query]) -> dict[str, dict[str, Group]]:
    repositories = [query.repo for query in queries]
    often = {repo for repo, _ in Counter(filter(None, repositories)).most_common(REPOSITORIES)}
    labels = {
        "language": [query.language for query in queries],
        "query length": [length_group(query.text) for query in queries],
        "repository": [repo if repo in often else "" for repo in repositories],
    }
    order = [label for _, label in _LENGTHS] + [_LONGEST]
    made = {
        kind: _grouped(values, names, order if kind == "query length" else sorted(set(names)))
        for kind, names in labels.items()
    }
    return {kind: groups for kind, groups in made.items() if len(groups) > 1}


def _grouped(values: QueryValues, labels: Sequence[str], order: Sequence[str]) -> dict[str, Group]:
    made: dict[str, Group] = {}
    for label in filter(None, order):
        rows = [row for row, name in enumerate(labels) if name == label]
        if len(rows) >= SMALLEST:
            made[label] = Group(queries=len(rows), metrics=estimates(values.rows(rows)))
    return made


def _seen(
    values: QueryValues, headline_rows: Sequence[int], by_kind: Mapping[str, Seen]
) -> dict[str, SeenShare]:
    """What was trained on, and the metrics of the headline questions whose answers were not."""
    made: dict[str, SeenShare] = {}
    for by, seen in by_kind.items():
        rows = [row for row in headline_rows if seen.unseen_queries[row]]
        made[by] = SeenShare(
            answers=seen.answers,
            seen_answers=seen.seen_answers,
            queries=len(headline_rows),
            unseen_queries=len(rows),
            unseen=estimates(values.rows(rows)) if rows else {},
        )
    return made


def _duplicates_first(measured: Measured, duplicate_ids: Mapping[str, list[str]]) -> int:
    tops = ((query, measured.run.get(query, ())) for query in duplicate_ids)
    return sum(bool(hits) and hits[0][0] in duplicate_ids[query] for query, hits in tops)


def _scores(measured: Measured, queries: Sequence[Query]) -> list[float | None]:
    """The score of the best relevant document of each question."""
    made: list[float | None] = []
    for query in queries:
        relevant = {document for group in members(query).values() for document in group}
        scores = (
            score for document, score in measured.run.get(query.id, ()) if document in relevant
        )
        made.append(max(scores, default=None))
    return made


def _firsts(measured: Measured, corpora: Sequence[Corpus]) -> list[TopHit | None]:
    made: list[TopHit | None] = []
    for corpus in corpora:
        places = {document.id: document for document in corpus.documents} if corpus.queries else {}
        for query in corpus.queries:
            hits = measured.run.get(query.id, ())
            made.append(_first(hits[0], places[hits[0][0]]) if hits else None)
    return made


def _first(hit: tuple[str, float], document: Document) -> TopHit:
    return TopHit(id=hit[0], place=document.place(), score=round(hit[1], _DIGITS))


def _record(
    query: Query, documents: Mapping[str, Document], duplicate_ids: Mapping[str, list[str]]
) -> QueryRecord:
    return QueryRecord(
        id=query.id,
        text=query.text,
        relevant=[_place(target, group, documents) for target, group in members(query).items()],
        language=query.language,
        repo=query.repo,
        duplicates=len(duplicate_ids.get(query.id, ())),
        easy=query.easy,
    )


def _place(target: str, group: Sequence[str], documents: Mapping[str, Document]) -> str:
    return documents[group[0]].place() if len(group) == 1 else target


def _facts(corpora: Sequence[Corpus]) -> dict[str, object]:
    """The facts of one corpus, or of each where they are few."""
    if len(corpora) == 1:
        return dict(corpora[0].facts)
    shared = dict(corpora[0].facts)
    for corpus in corpora:
        shared = {key: value for key, value in shared.items() if corpus.facts.get(key) == value}
    sizes = {corpus.name: len(corpus.documents) for corpus in corpora}
    return {**shared, "corpora": sizes if len(sizes) <= REPOSITORIES else len(sizes)}


def _joined(parts: Iterable[str]) -> str:
    made = hashlib.sha256()
    for part in parts:
        made.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return made.hexdigest()


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(
        value=round(float(value), _DIGITS),
        low=round(float(low), _DIGITS),
        high=round(float(high), _DIGITS),
    )
