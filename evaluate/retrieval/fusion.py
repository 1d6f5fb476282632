"""Keyword search and a model together: reciprocal rank fusion with a weight that was tuned.

Method (Cormack et al., 2009): a document scores (1 - w) / (60 + rank in the model's list) + w /
(60 + rank in BM25's list); one that a list does not hold gets nothing from it. Equal weights make a
good model worse (7 points of P@1 on CoSQA, measured), so w is tuned on questions that are not the
measured ones, and stored beside the model; a weight that does not beat the better of the two on
them is not taken: w is then 0 or 1. Without a stored weight w is `CAREFUL`.
Cost: two searches. Limits: one weight for all questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluate.corpora import Corpus, Query, members
from evaluate.retrieval.searcher import NOTHING, Hits, Searcher, joined
from train import ModelError
from train.model import read_json
from xtrove.core import write_json

CONSTANT: Final = 60
CAREFUL: Final = 0.05
DEPTH: Final = 1_000
"""Documents of each list that are fused."""
FILE: Final = "xtrove_fusion.json"
FORMAT: Final = "xtrove-fusion-1"
REMEDY: Final = "remove it, and tune anew with --hybrid --tune"
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "weight": (int, float),
    "mode": str,
    "corpus": str,
    "corpus_sha256": str,
    "queries": int,
    "mrr": (int, float),
    "mrr_model": (int, float),
    "mrr_bm25": (int, float),
}
GRID: Final = tuple(round(0.05 * step, 2) for step in range(21))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fusion:
    """A weight and where it comes from."""

    weight: float
    """Of BM25, 0 (the model alone) to 1 (BM25 alone)."""
    mode: str = ""
    """The model's mode it was tuned for; "" for the careful default."""
    corpus: str = ""
    corpus_sha256: str = ""
    queries: int = 0
    mrr: float = -1.0
    """On the questions it was tuned on, as are the next two; -1 where it was not tuned."""
    mrr_model: float = -1.0
    mrr_bm25: float = -1.0


class HybridSearcher:
    """Two searchers fused; `weight` is that of `words`."""

    def __init__(self, *, model: Searcher, words: Searcher, weight: float) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"the weight of BM25 is {weight}: give 0 to 1")
        self._model = model
        self._words = words
        self._weight = weight

    @property
    def bytes(self) -> int:
        """Size of both indexes; -1 where one does not say."""
        sizes = [getattr(searcher, "bytes", NOTHING) for searcher in (self._model, self._words)]
        return sum(sizes) if min(sizes) >= 0 else NOTHING

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` of both lists together."""
        depth = max(k, DEPTH)
        lists = self._model.search(queries, depth), self._words.search(queries, depth)
        return fuse(*lists, weight=self._weight, k=k)


def fuse(model: Hits, words: Hits, *, weight: float, k: int) -> Hits:
    """Both lists of each question as one of `k`; a list of weight 0 adds no document."""
    rows = [
        _fused(model_ids, word_ids, weight, k)
        for model_ids, word_ids in zip(model.ids, words.ids, strict=True)
    ]
    return joined(rows)


def tune(
    model: Sequence[Hits], words: Sequence[Hits], answers: Sequence[Sequence[set[int]]]
) -> tuple[float, float, float, float]:
    """The best weight, its MRR, the model's and BM25's, over questions of one or more corpora.

    `answers` holds, for each corpus, the places of the relevant documents of each question.
    """
    mrr = {weight: _mrr(model, words, answers, weight) for weight in GRID}
    alone = max((mrr[0.0], 0.0), (mrr[1.0], 1.0), key=lambda pair: pair[0])
    best = max(GRID, key=lambda weight: (mrr[weight], -weight))
    if mrr[best] <= alone[0]:
        best = alone[1]
    return best, mrr[best], mrr[0.0], mrr[1.0]


def halves(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """The corpus with one half of its questions, and with the other: by a hash of their ids."""
    first: list[Query] = []
    second: list[Query] = []
    for query in corpus.queries:
        digest = hashlib.sha256(query.id.encode("utf-8", "surrogatepass")).digest()
        (second if digest[0] & 1 else first).append(query)
    return replace(corpus, queries=first), replace(corpus, queries=second)


def answer_places(corpus: Corpus) -> list[set[int]]:
    """The places of the documents that answer each question."""
    places = {document.id: position for position, document in enumerate(corpus.documents)}
    return [
        {
            places[document]
            for group in members(query).values()
            for document in group
            if document in places
        }
        for query in corpus.queries
    ]


def load_fusion(model: str | Path, mode: str) -> Fusion:
    """What is stored beside a model for a mode; the careful default where nothing is."""
    path = Path(model).expanduser() / FILE
    row = _stored(path).get(mode)
    if row is None:
        return Fusion(weight=CAREFUL)
    if not isinstance(row, dict):
        raise ModelError(f"{path}: {mode} is {str(row)[:100]!r}", remedy=REMEDY)
    for key, value in row.items():
        kind = _KINDS.get(key)
        if kind is None or isinstance(value, bool) or not isinstance(value, kind):
            raise ModelError(
                f"{path}: {mode}: {key[:100]!r} is {str(value)[:100]!r}", remedy=REMEDY
            )
    weight = row.get("weight")
    if weight is None or not 0 <= weight <= 1:
        raise ModelError(f"{path}: {mode}: the weight {weight!r} is not in 0..1", remedy=REMEDY)
    return Fusion(**row)


def store_fusion(model: Path, fusion: Fusion) -> Path:
    """Writes the weight of a mode beside the model, the other modes' kept."""
    data = {"format": FORMAT, "modes": {**_stored(model / FILE), fusion.mode: asdict(fusion)}}
    write_json(model / FILE, data)
    return model / FILE


def _stored(path: Path) -> dict[str, object]:
    """The modes of a file; none where there is no file, `ModelError` where it is not ours."""
    stored = read_json(path, {})
    modes = stored.get("modes") if stored.get("format") == FORMAT else None
    if isinstance(modes, dict):
        return modes
    if stored:
        raise ModelError(f"{path} is not a file of this version", remedy=REMEDY)
    return {}


def _fused(model: NDArray[np.int32], words: NDArray[np.int32], weight: float, k: int) -> Hits:
    parts = [
        (ids[ids != NOTHING], share)
        for ids, share in ((model, 1 - weight), (words, weight))
        if share > 0
    ]
    ids = np.concatenate([ranked for ranked, _ in parts])
    gains = np.concatenate(
        [share / (CONSTANT + 1.0 + np.arange(len(ranked))) for ranked, share in parts]
    )
    documents, owner = np.unique(ids, return_inverse=True)
    scores = np.bincount(owner, weights=gains, minlength=len(documents))
    # Equal scores in the order of the model's list.
    order = np.lexsort((_places(documents, parts[0][0]), -scores))[:k]
    row = np.full((1, k), NOTHING, dtype=np.int32)
    best = np.zeros((1, k), dtype=np.float32)
    row[0, : len(order)] = documents[order]
    best[0, : len(order)] = scores[order]
    return Hits(ids=row, scores=best)


def _places(documents: NDArray[np.int32], ranked: NDArray[np.int32]) -> NDArray[np.int64]:
    """The place of each document in a list; behind all others where it is not in it."""
    places = np.full(len(documents), len(ranked), dtype=np.int64)
    listed = np.flatnonzero(np.isin(documents, ranked))
    order = np.argsort(ranked, kind="stable")
    places[listed] = order[np.searchsorted(ranked, documents[listed], sorter=order)]
    return places


def _mrr(
    model: Sequence[Hits],
    words: Sequence[Hits],
    answers: Sequence[Sequence[set[int]]],
    weight: float,
) -> float:
    values: list[float] = []
    for model_hits, word_hits, relevant_sets in zip(model, words, answers, strict=True):
        fused = fuse(model_hits, word_hits, weight=weight, k=DEPTH)
        for ids, relevant in zip(fused.ids.tolist(), relevant_sets, strict=True):
            rank = next((rank for rank, document in enumerate(ids, 1) if document in relevant), 0)
            values.append(1 / rank if rank else 0.0)
    return float(np.mean(values)) if values else 0.0
