"""Rankings to numbers: what share of questions found its answer, and how high.

Method: P@1, MRR, MRR@10, nDCG@10, Recall@k and the hit rate come from ir-measures (trec_eval's
code); the recall curve for k = 1..100 and its mean, R@100 AUC, are counted here. Each query
becomes one row of values; means, intervals (`evaluate.metrics.bootstrap_intervals`) and groups are
taken over rows. Ties: among documents with equal scores the relevant ones are put last, so that a
system that gives everything one score finds nothing at rank 1. What stands below the end of a
ranking that was cut is a miss.
R@100 AUC: mean of Recall@k over k = 1..100; with one relevant document at rank r it is
max(0, 101 - r) / 100; a list shorter than 100 is padded with misses; left out below 1,000
documents, where a chance ranking already does well.
Cost: about 0.3 ms a query of 100 hits. Limits: grades are whole numbers; a query without a
relevant document is refused, for it has no recall.
Source: Järvelin and Kekäläinen (2002) for nDCG with linear gains, as in trec_eval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RECALL_AT = (1, 5, 10, 20, 50, 100)
AUC = "R@100 AUC"
AUC_DEPTH = 100
AUC_DOCUMENTS = 1_000
"""Smaller pools get no R@100 AUC."""
NAMES: tuple[str, ...] = (
    *("P@1", "MRR", "MRR@10", "nDCG@10"),
    *(f"Recall@{k}" for k in RECALL_AT),
    *(f"Hit@{k}" for k in RECALL_AT),
    AUC,
)
"""All metrics, in the order they are shown; the last only for large pools."""

Floats = NDArray[np.float64]
Hits = Sequence[tuple[str, float]]
"""Document ids with their scores, best first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryValues:
    """One row a query."""

    queries: tuple[str, ...]
    names: tuple[str, ...]
    values: Floats
    """Shape (queries, names)."""
    recall: Floats
    """Shape (queries, 100): Recall@k for k = 1..100."""
    ranks: NDArray[np.int64]
    """Shape (queries,): 1-based rank of the first relevant document, 0 where it is not there."""
    strata: tuple[str, ...] = ()
    """The repository of each query, where means are taken within repositories; else empty."""

    def column(self, name: str) -> Floats:
        """The values of one metric, one a query."""
        return self.values[:, self.names.index(name)]

    def rows(self, chosen: Sequence[int] | NDArray[np.int64]) -> QueryValues:
        """The same for some of the queries."""
        places = np.asarray(chosen, dtype=np.int64)
        return QueryValues(
            queries=tuple(self.queries[position] for position in places.tolist()),
            names=self.names,
            values=self.values[places],
            recall=self.recall[places],
            ranks=self.ranks[places],
            strata=tuple(self.strata[position] for position in places.tolist())
            if self.strata
            else (),
        )


def quick(ranks: ArrayLike, *, documents: int | None = None) -> dict[str, float]:
    """The metrics of queries with one relevant document each, from its rank alone.

    `ranks` has shape (queries,): 1-based, 0 where the document was not found. R@100 AUC is left
    out where `documents`, the size of the pool, is below 1,000. ValueError without queries.
    """
    rank = np.asarray(ranks, dtype=np.int64)
    if rank.ndim != 1 or not rank.size or rank.min() < 0:
        raise ValueError(f"ranks of shape {rank.shape}: give one rank from 0 a query, at least one")
    ranked = rank > 0
    positions = np.where(ranked, rank, 1).astype(np.float64)
    reciprocal = np.where(ranked, 1 / positions, 0.0)
    in_ten = ranked & (rank <= 10)
    made = {
        "P@1": float((rank == 1).mean()),
        "MRR": float(reciprocal.mean()),
        "MRR@10": float((reciprocal * in_ten).mean()),
        "nDCG@10": float((in_ten / np.log2(positions + 1)).mean()),
    }
    made |= {f"Recall@{k}": float((ranked & (rank <= k)).mean()) for k in RECALL_AT}
    if documents is None or documents >= AUC_DOCUMENTS:
        above = np.maximum(0, AUC_DEPTH + 1 - rank) / AUC_DEPTH
        made[AUC] = float((above * ranked).mean())
    return made


def settle_ties(hits: Hits, relevant: Mapping[str, int]) -> list[str]:
    """Document ids by score, among equal scores the relevant last, then by id: no flattery.

    ValueError for a document that stands twice or a score that is no number.
    """
    ids = [document for document, _ in hits]
    if len(set(ids)) != len(ids):
        twice = next(identity for identity in ids if ids.count(identity) > 1)
        raise ValueError(f"document {twice!r} occurs twice in one ranking: keep its best score")
    for document, score in hits:
        if score != score:
            raise ValueError(f"document {document!r} has the score NaN: check the model")
    order = sorted(hits, key=lambda hit: (-hit[1], relevant.get(hit[0], 0) > 0, hit[0]))
    return [document for document, _ in order]


def measure_queries(
    run: Mapping[str, Hits], relevant: Mapping[str, Mapping[str, int]], *, documents: int
) -> QueryValues:
    """The metrics of every query of `relevant` (query -> document -> grade from 1), in order.

    A query without a ranking counts as one that found nothing. `documents` is the size of the
    pool. ValueError for a query without a relevant document, and for `settle_ties`'s reasons.
    """
    queries = tuple(relevant)
    for query in queries:
        if not any(grade > 0 for grade in relevant[query].values()):
            raise ValueError(f"query {query!r} has no relevant document: leave it out")
    ranked = {query: settle_ties(run.get(query, ()), relevant[query]) for query in queries}
    recall = np.stack([_recall_curve(ranked[query], relevant[query]) for query in queries])
    large = documents >= AUC_DOCUMENTS
    names = NAMES if large else NAMES[:-1]
    values = np.zeros((len(queries), len(names)))
    _fill_measured(values, ranked, relevant)
    if large:
        values[:, -1] = recall.mean(axis=1)
    return QueryValues(
        queries=queries,
        names=names,
        values=values,
        recall=recall,
        ranks=np.array([_first(ranked[query], relevant[query]) for query in queries]),
    )


def _measures() -> dict[Any, int]:
    """The measures of ir-measures and the columns of `NAMES` they fill."""
    import ir_measures

    made: dict[Any, int] = {
        ir_measures.P @ 1: 0,
        ir_measures.RR: 1,
        ir_measures.RR @ 10: 2,
        ir_measures.nDCG @ 10: 3,
    }
    for column, k in enumerate(RECALL_AT):
        made[ir_measures.R @ k] = 4 + column
        made[ir_measures.Success @ k] = 4 + len(RECALL_AT) + column
    return made


def _fill_measured(
    values: Floats, ranked: Mapping[str, list[str]], relevant: Mapping[str, Mapping[str, int]]
) -> None:
    # Imported where it is needed: who only searches has no need of it.
    import ir_measures

    columns = _measures()
    rows = {query: row for row, query in enumerate(relevant)}
    # trec_eval orders by score and then by id: scores that fall by one leave it no choice.
    scored = {
        query: {document: float(-position) for position, document in enumerate(documents)}
        for query, documents in ranked.items()
        if documents
    }
    grades = {query: dict(relevance) for query, relevance in relevant.items()}
    for metric in ir_measures.iter_calc(list(columns), grades, scored):
        values[rows[metric.query_id], columns[metric.measure]] = metric.value


def _recall_curve(ranked: Sequence[str], relevant: Mapping[str, int]) -> Floats:
    positives = {document for document, grade in relevant.items() if grade > 0}
    hits = np.zeros(AUC_DEPTH)
    for position, document in enumerate(ranked[:AUC_DEPTH]):
        hits[position] = document in positives
    return np.asarray(hits.cumsum() / len(positives), dtype=np.float64)


def _first(ranked: Sequence[str], relevant: Mapping[str, int]) -> int:
    for position, document in enumerate(ranked, start=1):
        if relevant.get(document, 0) > 0:
            return position
    return 0
