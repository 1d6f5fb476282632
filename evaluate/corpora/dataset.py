"""A dataset's test split as corpora: each question against all functions of its language.

Method: one corpus a language; every sample is a document, every query a question, and samples of
one query group answer the same question. With `distractors`, the pool of a language is cut by a
seeded permutation into blocks of that many and one, and each question is asked of its own
block: its answer and as many others (the protocol of CodeSearchNet). A last block that is short
is filled up with functions of the others, without their questions.
Cost: one reading of the split. Limits: all of it is held in memory, 2 kB a sample; questions from
documentation flatter every system, for people ask in other words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from evaluate.corpora.corpus import Corpus, Document, Query
from evaluate.corpora.rows import CorpusError, dataset_samples, sample_document
from shards.format import Sample, text

SEED = 0


def dataset_corpora(
    source: Path | str,
    *,
    split: str = "test",
    languages: Sequence[str] | None = None,
    distractors: int | None = None,
    seed: int = SEED,
) -> list[Corpus]:
    """The corpora of a split, a language each, or a block each; `place` may be an address.

    Raises `CorpusError` where the split is empty or lacks one of `languages`.
    """
    samples: dict[str, list[Sample]] = {}
    for sample in dataset_samples(source, split):
        samples.setdefault(text(sample, "language"), []).append(sample)
    if not samples:
        raise CorpusError(f"{source} has no {split} split: build with splits.{split} above 0")
    missing = sorted(set(languages or ()) - set(samples))
    if missing:
        raise CorpusError(
            f"{source}: its {split} split has no {missing[0]}: it has {sorted(samples)}"
        )
    made = [
        _corpus(place_name(source), split, language, samples[language])
        for language in sorted(samples)
        if not languages or language in languages
    ]
    if distractors is None:
        return made
    return [block for corpus in made for block in blocks(corpus, distractors, seed)]


def place_name(source: Path | str) -> str:
    """The last part of a folder or an address, without its query."""
    return PurePosixPath(str(source).partition("?")[0]).name


def blocks(corpus: Corpus, distractors: int, seed: int = SEED) -> list[Corpus]:
    """The corpus in blocks of `distractors` + 1 documents that keep their questions.

    A question whose answers fall into several blocks is asked in the first of them. Raises
    `CorpusError` where the corpus is smaller than a block.
    """
    size = distractors + 1
    total = len(corpus.documents)
    if total < size:
        raise CorpusError(
            f"{corpus.name} has {total} documents, too few for {distractors} distractors: "
            "ask for fewer, or leave it out with --language"
        )
    order = np.random.default_rng(seed).permutation(total)
    # The last block takes what is missing from the first one.
    order = np.concatenate([order, order[: -total % size]]).reshape(-1, size)
    home: dict[str, int] = {}
    for number, row in enumerate(order.tolist()):
        for index in row:
            home.setdefault(corpus.documents[index].id, number)
    by_block: dict[int, list[Query]] = {}
    for query in corpus.queries:
        by_block.setdefault(min(home[answer] for answer in query.relevant), []).append(query)
    made: list[Corpus] = []
    for number, row in enumerate(order.tolist()):
        documents = [corpus.documents[index] for index in row]
        ids = {document.id for document in documents}
        made.append(
            Corpus(
                name=f"{corpus.name}, block {number + 1}",
                documents=documents,
                queries=[_within(query, ids) for query in by_block.get(number, ())],
                facts={**corpus.facts, "distractors": distractors, "seed": seed},
            )
        )
    return made


def some_queries(corpora: Sequence[Corpus], count: int) -> list[Corpus]:
    """The corpora with at most `count` questions in all, evenly spaced; pools stay whole."""
    total = sum(len(corpus.queries) for corpus in corpora)
    kept = {number * total // count for number in range(count)} if count < total else None
    if kept is None:
        return list(corpora)
    made: list[Corpus] = []
    at = 0
    for corpus in corpora:
        chosen = [query for number, query in enumerate(corpus.queries, start=at) if number in kept]
        at += len(corpus.queries)
        made.append(
            replace(
                corpus,
                queries=chosen,
                facts={**corpus.facts, "questions": f"{count} of {total}"},
            )
        )
    return made


def _within(query: Query, ids: set[str]) -> Query:
    relevant = {answer: grade for answer, grade in query.relevant.items() if answer in ids}
    return Query(
        id=query.id, text=query.text, relevant=relevant, language=query.language, repo=query.repo
    )


def _corpus(name: str, split: str, language: str, samples: Iterable[Sample]) -> Corpus:
    documents: list[Document] = []
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        # The query is what is asked: it never stands in the document, whatever is kept.
        documents.append(sample_document(sample))
        groups.setdefault(text(sample, "query_group"), []).append(sample)
    return Corpus(
        name=f"{name} {language}",
        documents=documents,
        queries=[_query(group, language) for group in groups.values()],
        facts={"kind": "dataset", "split": split, "documentation": "cut out"},
    )


def _query(group: Sequence[Sample], language: str) -> Query:
    first = group[0]
    return Query(
        id=text(first, "id"),
        text=text(first, "query"),
        relevant={text(sample, "id"): 1 for sample in group},
        language=language,
        repo=text(first, "repo"),
    )
