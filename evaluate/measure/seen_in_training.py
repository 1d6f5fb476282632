"""Which answers the model was trained on, so that memory is not taken for skill.

Method: a function was seen if its `code_sha256` is among those the model's folder names
(`train.checkpoint.training_digests`), a repository by its name. A question counts as unseen if none
of its answers was; the metrics are then taken over the unseen questions alone.
Cost: a bisection an answer. Limits: a function that was changed by a character, or built with
other redaction than the default, is not recognised by its code; its repository is. Windows are
known by their repository only. A model without the list says nothing, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluate.corpora import Corpus, Document, members
from train.checkpoint import TrainedOn

BY = ("code", "repository")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What was seen, by code or by repository."""

    answers: int
    """Documents that answer a question, each counted once."""
    seen_answers: int
    unseen_queries: NDArray[np.bool_]
    """Shape (queries,), in the order of the corpora."""


def seen_answers(corpora: Sequence[Corpus], known: TrainedOn) -> dict[str, Seen]:
    """For "code" and "repository": what the model was trained on."""
    answers = [_answers(corpus) for corpus in corpora]
    flat = [document for corpus in answers for query in corpus for document in query]
    saw = {
        "code": _saw_code(flat, known),
        "repository": known.saw_repo([document.repo for document in flat]),
    }
    return {by: _seen(answers, flat, saw[by]) for by in BY}


def _answers(corpus: Corpus) -> list[list[Document]]:
    """The documents that answer each question."""
    documents = {document.id: document for document in corpus.documents}
    return [
        [documents[document_id] for group in members(query).values() for document_id in group]
        for query in corpus.queries
    ]


def _saw_code(documents: Sequence[Document], known: TrainedOn) -> NDArray[np.bool_]:
    saw = np.zeros(len(documents), dtype=np.bool_)
    rows = [row for row, document in enumerate(documents) if document.code_sha256]
    if rows:
        saw[rows] = known.saw_code([documents[row].code_sha256 for row in rows])
    return saw


def _seen(
    answers: Sequence[Sequence[Sequence[Document]]],
    flat: Sequence[Document],
    saw: NDArray[np.bool_],
) -> Seen:
    distinct = {document.id: bool(hit) for document, hit in zip(flat, saw, strict=True)}
    unseen: list[bool] = []
    at = 0
    for query in (query for corpus in answers for query in corpus):
        unseen.append(not saw[at : at + len(query)].any())
        at += len(query)
    return Seen(
        answers=len(distinct),
        seen_answers=sum(distinct.values()),
        unseen_queries=np.array(unseen, dtype=np.bool_),
    )
