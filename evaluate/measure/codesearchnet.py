"""The CodeSearchNet challenge: 99 queries, graded annotations by URL, NDCG within and over all.

Method: the formula of the reference (`relevanceeval.py`): gains 2^relevance - 1, discount
log2(rank + 1), relevance of a URL the mean of its annotations. "within" ranks the annotated URLs
among themselves, as if nothing else had been returned; "all" keeps the places of the others.
A query without a positive annotation has no ideal and is left out; at most 300 URLs a query count.
Rankings come from a CSV (language, query, url) or from searching a dataset whose samples
have URLs.
Cost: negligible. Limits: only 4,006 annotations: what is not annotated counts as irrelevant in
"all". A URL that is returned twice is refused here; the reference counts its gain twice.
Source: Husain et al., "CodeSearchNet Challenge" (2019).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluate.corpora import Corpus, CorpusError, Document, Query, dataset_samples, sample_document
from evaluate.measure.run import Measure, Run
from evaluate.metrics import QueryValues
from evaluate.retrieval import NOTHING, Hits
from ingest import normalise_language
from shards.format import text

NAMES = ("NDCG within", "NDCG all")
MAX_URLS = 300

Relevance = dict[str, float]
"""URL -> mean relevance."""
Annotations = dict[str, dict[str, Relevance]]
"""Language -> lower-case query -> URLs."""
Predictions = dict[str, dict[str, list[str]]]
"""Language -> lower-case query -> URLs, best first."""


def read_annotations(path: Path) -> Annotations:
    """annotationStore.csv: Language, Query, GitHubUrl, Relevance. Raises `CorpusError`."""
    relevances: dict[tuple[str, str, str], list[float]] = {}
    for line, row in _csv_rows(path, ("Language", "Query", "GitHubUrl", "Relevance")):
        try:
            relevance = float(row["Relevance"])
        except ValueError as error:
            raise CorpusError(
                f"{path}:{line}: relevance {row['Relevance']!r} is not a number"
            ) from error
        relevances.setdefault((row["Query"], row["Language"], row["GitHubUrl"]), []).append(
            relevance
        )
    made: Annotations = {}
    for (query, language, url), values in sorted(relevances.items()):
        urls = made.setdefault(language.lower(), {}).setdefault(query.lower(), {})
        urls[url] = sum(values) / len(values)
    return made


def read_predictions(path: Path) -> Predictions:
    """A CSV of language, query, url, in the order of the ranking. Raises `CorpusError`."""
    made: Predictions = {}
    for line, row in _csv_rows(path, ("language", "query", "url")):
        ranked = made.setdefault(row["language"].lower(), {}).setdefault(row["query"].lower(), [])
        if row["url"] in ranked:
            raise CorpusError(f"{path}:{line}: {row['url']!r} occurs twice for {row['query']!r}")
        ranked.append(row["url"])
    return made


def ndcg(ranked: Sequence[str], relevance: Mapping[str, float], *, within: bool) -> float | None:
    """NDCG of one ranking of URLs; None where no annotation is positive."""
    ideal = _gain(sorted(relevance.values(), reverse=True))
    if ideal == 0:
        return None
    cut = ranked[:MAX_URLS]
    kept = [url for url in cut if url in relevance] if within else cut
    return _gain([relevance.get(url, 0.0) for url in kept]) / ideal


def prediction_corpora(annotations: Annotations, predictions: Predictions) -> list[Corpus]:
    """Corpora of nothing but URLs, a language each: to measure rankings that are given."""
    made: list[Corpus] = []
    for language, ranked in sorted(predictions.items()):
        urls = {url for query in annotations.get(language, {}).values() for url in query}
        urls |= {url for urls_of_query in ranked.values() for url in urls_of_query}
        documents = [_bare(url, language) for url in sorted(urls)]
        made.append(_corpus(language, documents, annotations.get(language, {})))
    return made


def dataset_corpora(annotations: Annotations, dataset: Path | str) -> list[Corpus]:
    """The functions of a dataset with a URL, a language each, with the queries annotated for it.

    Raises `CorpusError` where the dataset has none.
    """
    documents: dict[str, dict[str, Document]] = {}
    for sample in dataset_samples(dataset, None):
        url = text(sample, "url")
        if url:
            document = sample_document(sample)
            fields = {name: getattr(document, name) for name in Document.__slots__}
            documents.setdefault(document.language, {})[url] = Document(**{**fields, "id": url})
    made = [
        _corpus(language, list(by_url.values()), annotations[language])
        for language, by_url in sorted(documents.items())
        if language in annotations
    ]
    if not any(corpus.queries for corpus in made):
        raise CorpusError(f"{dataset} has no function with an annotated language and a URL")
    return made


class GivenRankings:
    """A searcher that answers with the rankings of a file, for one language."""

    def __init__(self, *, corpus: Corpus, ranked: Mapping[str, Sequence[str]]) -> None:
        self._places = {document.id: position for position, document in enumerate(corpus.documents)}
        self._ranked = ranked

    def search(self, queries: list[str], k: int) -> Hits:
        """The ranking of each query; scores fall by one."""
        ids = np.full((len(queries), min(k, len(self._places))), NOTHING, dtype=np.int32)
        for row, query in enumerate(queries):
            positions = [self._places[url] for url in self._ranked.get(query.lower(), ())]
            positions = positions[: ids.shape[1]]
            ids[row, : len(positions)] = positions
        falling = -np.arange(ids.shape[1], dtype=np.float32)
        return Hits(ids=ids, scores=np.broadcast_to(falling, ids.shape))


def measure_ndcg(annotations: Annotations) -> Measure:
    """A measure for `evaluate.measure.run`: both NDCGs of every query with an ideal."""

    def measure(run: Run, corpora: Sequence[Corpus]) -> QueryValues:
        queries = [(query, query.id) for corpus in corpora for query in corpus.queries]
        rows: list[tuple[float, float]] = []
        ranks: list[int] = []
        for query, identity in queries:
            ranked = [url for url, _ in run.get(identity, ())]
            relevance = annotations[query.language][query.text.lower()]
            both = [ndcg(ranked, relevance, within=within) for within in (True, False)]
            rows.append((both[0] or 0.0, both[1] or 0.0))
            ranks.append(_first(ranked, relevance))
        return QueryValues(
            queries=tuple(identity for _, identity in queries),
            names=NAMES,
            values=np.array(rows).reshape(len(rows), len(NAMES)),
            recall=np.zeros((len(rows), 0)),
            ranks=np.array(ranks, dtype=np.int64),
        )

    return measure


def _gain(relevances: Iterable[float]) -> float:
    gains = (
        (2.0**relevance - 1) / math.log2(rank + 1)
        for rank, relevance in enumerate(relevances, start=1)
    )
    return math.fsum(gains)


def _first(ranked: Sequence[str], relevance: Mapping[str, float]) -> int:
    ranks = (rank for rank, url in enumerate(ranked, start=1) if relevance.get(url, 0) > 0)
    return next(ranks, 0)


def _corpus(
    language: str, documents: Sequence[Document], annotated: Mapping[str, Relevance]
) -> Corpus:
    ids = {document.id for document in documents}
    queries: list[Query] = []
    for query, relevance in annotated.items():
        if ndcg((), relevance, within=True) is None:
            continue
        # What the pool lacks still counts in the ideal: the reference asks for it too.
        grades = {url: round(grade) for url, grade in relevance.items() if grade > 0 and url in ids}
        queries.append(
            Query(
                id=f"{language}/{query}",
                text=query,
                relevant={url: max(1, grade) for url, grade in grades.items()},
                language=language,
            )
        )
    return Corpus(
        name=f"CodeSearchNet challenge {language}",
        documents=documents,
        queries=queries,
        facts={"kind": "csn"},
    )


def _bare(url: str, language: str) -> Document:
    return Document(
        id=url,
        text="",
        path=url,
        name="",
        start_line=-1,
        end_line=-1,
        language=normalise_language(language) or language,
    )


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open("r", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise CorpusError(f"{path}:1: no column {missing[0]!r}: it has {reader.fieldnames}")
            for row in reader:
                if any(row.get(name) is None for name in columns):
                    raise CorpusError(f"{path}:{reader.line_num}: a field is missing: fix the line")
                yield reader.line_num, {name: row[name] for name in columns}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read ({error}): check the file") from error
