"""`xtrove evaluate --hybrid --tune`: the weight of BM25 beside a model, from half of the questions.

Method: the questions are halved by a hash of their ids; on the first half every weight of
`evaluate.retrieval.fusion.GRID` is tried over lists that are searched once, the best is stored in
the model's folder, and the evaluation goes on with the second half, which the weight has not seen.
Limits: one weight for a model and mode: the last tuning is what later evaluations take.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluate.corpora import Corpus
from evaluate.retrieval import (
    DEPTH,
    Fusion,
    Hits,
    SearcherOptions,
    answer_places,
    halves,
    make_searcher,
    store_fusion,
    tune,
)
from xtrove.core import Misuse

FEWEST = 20
"""Questions in each half, at least."""


def tune_fusion(
    corpora: Sequence[Corpus], model: str, mode: str, options: SearcherOptions
) -> tuple[list[Corpus], str]:
    """Stores the weight; returns the corpora with the questions that are left, and what was found.

    `Misuse` where there are too few questions, or where the model is no local folder.
    """
    if not Path(model).is_dir():
        raise Misuse(
            f"--tune stores the weight in the model's folder, and {model} is not a local folder",
            remedy="Name a local folder with --model-path.",
        )
    parts = [halves(corpus) for corpus in corpora]
    fewest = min(sum(len(part[side].queries) for part in parts) for side in (0, 1))
    if fewest < FEWEST:
        raise Misuse(
            f"--tune halves the questions, and {fewest} in a half are too few",
            remedy=f"Name a corpus with {2 * FEWEST} questions or more.",
        )
    tuned = [part[0] for part in parts if part[0].queries]
    questions = [[query.text for query in corpus.queries] for corpus in tuned]
    alone = replace(options, hybrid=False)

    def ranked(mode: str) -> list[Hits]:
        return [
            make_searcher(mode, model, corpus, alone).search(texts, DEPTH)
            for corpus, texts in zip(tuned, questions, strict=True)
        ]

    weight, mrr, mrr_model, mrr_words = tune(
        ranked(mode), ranked("bm25"), [answer_places(corpus) for corpus in tuned]
    )
    digests = "".join(corpus.digest() for corpus in tuned)
    fusion = Fusion(
        weight=weight,
        mode=mode,
        corpus=tuned[0].name if len(tuned) == 1 else f"{tuned[0].name} and {len(tuned) - 1} more",
        corpus_sha256=hashlib.sha256(digests.encode()).hexdigest(),
        queries=sum(map(len, questions)),
        mrr=mrr,
        mrr_model=mrr_model,
        mrr_bm25=mrr_words,
    )
    path = store_fusion(Path(model), fusion)
    note = (
        f"weight of BM25 {weight:g}, tuned on {fusion.queries} other questions "
        f"(MRR {100 * mrr:.1f}; {mode} alone {100 * mrr_model:.1f}, "
        f"bm25 alone {100 * mrr_words:.1f}), stored in {path}"
    )
    return [part[1] for part in parts], note
