"""Questions of another kind than docstrings while a model trains: a bounded, fixed part of a set.

Method: pools are taken in turns over the repositories, those with most questions first, so many
that each gets `POOL_DOCUMENTS` of the bound of documents; of each, questions are evenly spaced, and
its documents are their answers and, evenly spaced, others. Questions that name their answer are
left out where there are others. Nothing is drawn by chance. Scores are exact MaxSim within the
pool, an answer's rank counts what scores as high and is neither an answer nor ignored, and means
are taken as `xtrove evaluate` takes them. Token ids are kept from the first call on.
Cost: one encoding of the part a call: 2,000 functions are 20 to 40 s for a 22M encoder on two
cores, 77 to 88 s on one busy core; reading 44,128 functions in pools took 37 s there. 36 bytes per
token are kept: 15 MB for 2,000 functions of 200 tokens.
Limits: fewer documents make questions easier: figures compare only with those of the same part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluate.corpora import (
    Corpus,
    CorpusError,
    Document,
    Query,
    beir_corpus,
    cosqa_corpus,
    pool_corpora,
)
from evaluate.measure.validation import Validation, evenly_spaced, maxsim_matrix
from evaluate.metrics import column_means
from train import DocumentTemplate, ValidationSetSection
from train.model import Encoder

POOL_DOCUMENTS = 250
"""Fewer documents a pool would make its questions too easy: fewer pools are taken instead."""
METRICS = ("P@1", "MRR")


@dataclass(kw_only=True, slots=True)
class ValidationPool:
    """Some documents and questions that are asked of them."""

    documents: Sequence[str]
    queries: Sequence[str]
    answers: Sequence[Sequence[int]]
    """Of each question, positions in `documents`; never empty."""
    ignored: Sequence[Sequence[int]]
    """Of each question, the positions that leave its ranking."""
    strata: Sequence[str]
    """Of each question, the repository whose mean it counts in."""
    token_ids: tuple[list[list[int]], list[list[int]]] | None = None
    """Of queries and documents, from the first call on."""

    def ranks(self, encoder: Encoder) -> NDArray[np.int64]:
        """Shape (queries,): 1-based rank of the first answer, 0 where it has no score."""
        if self.token_ids is None:
            self.token_ids = (
                encoder.tokenize(self.queries, "query"),
                encoder.tokenize(self.documents, "document"),
            )
        queries, documents = self.token_ids
        scores = maxsim_matrix(
            encoder.encode_ids(queries, "query"),
            encoder.encode_ids(documents, "document"),
            encoder.device,
        )
        return first_answer_ranks(scores, self.answers, self.ignored)


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationSet:
    """The pools of a set; call it with an encoder."""

    pools: Sequence[ValidationPool]

    def __call__(self, encoder: Encoder) -> dict[str, float]:
        """P@1 and MRR."""
        ranks = np.concatenate([pool.ranks(encoder) for pool in self.pools])
        reciprocal = np.divide(1.0, ranks, out=np.zeros(len(ranks)), where=ranks > 0)
        values = np.stack([(ranks == 1).astype(np.float64), reciprocal], axis=1)
        strata = [stratum for pool in self.pools for stratum in pool.strata]
        means = column_means(values, strata)
        return dict(zip(METRICS, means.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationWithSets:
    """The measures of held-out docstrings, of each set, and their mean; call it with an encoder."""

    held_out: Validation
    sets: Mapping[str, ValidationSet]
    metric: str
    """Of which the mean is taken."""

    def __call__(self, encoder: Encoder) -> dict[str, float]:
        """`MRR` and the other measures of `held_out`, `NAME P@1`, `NAME MRR`, `mean METRIC`."""
        measures = self.held_out(encoder)
        compared = [measures[self.metric]]
        for name, questions in self.sets.items():
            values = questions(encoder)
            compared.append(values[self.metric])
            measures |= {f"{name} {metric}": value for metric, value in values.items()}
        return measures | {f"mean {self.metric}": float(np.mean(compared))}


def read_validation_set(section: ValidationSetSection, template: DocumentTemplate) -> ValidationSet:
    """The part of a set that is measured. Raises `CorpusError`."""
    folder = Path(section.path)
    if section.kind == "pools":
        corpora = pool_corpora(folder)
    elif section.kind == "cosqa":
        corpora = [cosqa_corpus(folder, split=section.split)]
    else:
        split = section.split or "test"
        corpora = [beir_corpus(folder, split=split, language=section.language)]
    chosen = _chosen_pools(corpora, max(1, section.documents // POOL_DOCUMENTS))
    pools = [
        _pool(
            corpus,
            template,
            queries=max(1, section.queries // len(chosen)),
            documents=section.documents // len(chosen),
        )
        for corpus in chosen
    ]
    if not any(pool.queries for pool in pools):
        raise CorpusError(
            f"{folder}: no question has at most {section.documents // len(chosen)} answers: raise "
            f"`documents` of the validation set {section.name!r}"
        )
    return ValidationSet(pools=[pool for pool in pools if pool.queries])


def first_answer_ranks(
    scores: NDArray[np.float32],
    answers: Sequence[Sequence[int]],
    ignored: Sequence[Sequence[int]],
) -> NDArray[np.int64]:
    """1-based rank of each query's first answer, `scores` of shape (queries, documents).

    What scores as high, or is no number, counts above it; 0 where no answer has a number.
    """
    ranks = np.zeros(len(scores), dtype=np.int64)
    for row, (query_scores, own, out) in enumerate(zip(scores, answers, ignored, strict=True)):
        known = [
            query_scores[position]
            for position in own
            if query_scores[position] == query_scores[position]
        ]
        if known:
            above = ~(query_scores < max(known))
            above[[*own, *out]] = False
            ranks[row] = 1 + above.sum()
    return ranks


def _chosen_pools(corpora: Sequence[Corpus], count: int) -> list[Corpus]:
    """At most so many with questions, in turns over their repositories."""
    repositories: dict[str, list[Corpus]] = {}
    for corpus in sorted(corpora, key=lambda corpus: -len(_questions(corpus))):
        if corpus.queries:
            repositories.setdefault(corpus.queries[0].repo, []).append(corpus)
    turns = chain.from_iterable(zip_longest(*repositories.values()))
    return [corpus for corpus in turns if corpus is not None][:count]


def _questions(corpus: Corpus) -> list[Query]:
    """Those that do not name their answer, or all where all do."""
    return [query for query in corpus.queries if not query.easy] or list(corpus.queries)


def _pool(
    corpus: Corpus, template: DocumentTemplate, *, queries: int, documents: int
) -> ValidationPool:
    """A part of a corpus; its questions are those whose answers fit in."""
    questions = _questions(corpus)
    asked: list[Query] = []
    kept: set[str] = set()
    for position in evenly_spaced(len(questions), queries):
        answers = kept | questions[position].relevant.keys()
        if len(answers) <= documents:
            asked.append(questions[position])
            kept = answers
    others = [document.id for document in corpus.documents if document.id not in kept]
    room = documents - len(kept)
    kept |= {others[position] for position in evenly_spaced(len(others), room)}
    chosen = [document for document in corpus.documents if document.id in kept]
    positions = {document.id: position for position, document in enumerate(chosen)}
    return ValidationPool(
        documents=[_text(document, template) for document in chosen],
        queries=[query.text for query in asked],
        answers=[[positions[id_] for id_ in query.relevant] for query in asked],
        ignored=[[positions[id_] for id_ in query.ignore & positions.keys()] for query in asked],
        strata=[query.repo if corpus.by_repository else "" for query in asked],
    )


def _text(document: Document, template: DocumentTemplate) -> str:
    return template.render(
        code=document.text,
        path=document.path_in_repo or document.path,
        scope=document.scope,
        name=document.name,
    )
