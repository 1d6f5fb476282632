"""The trainer's validation measure: questions of held-out pairs against a pool, by exact MaxSim.

Method: at most `documents` samples, evenly spaced over the split (whose order is that of hashes),
each normalised code and each query group once, so that every question has one answer; the
questions are those of evenly spaced documents of the pool. Nothing is drawn by chance: two runs
over one dataset answer the same questions. Both sides are encoded by the encoder as it stands
and scored in blocks of similar length; the rank of the answer counts everything that scores as
high, so a model that gives all the same score, or none at all, finds nothing.
Cost: one encoding of the pool and queries x documents MaxSim scores: with the defaults (500
questions against 2,000 functions) 20 to 40 s for a 22M encoder on two cores, 1 s on a GPU.
Limits: languages share the pool; the numbers of two pools are not comparable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from evaluate.metrics import quick
from train import DocumentTemplate
from train.model import Encoder, TokenVectors
from train.scores import PackedTokens, packed_maxsim_scores
from xtrove.core import Misuse

_QUERY_BLOCK = 256
_DOCUMENT_BLOCK = 2_048
"""Of 200 tokens and 128 dimensions each: 0.2 GB on the device."""


class Samples(Protocol):
    """What a reader of one split offers (`shards.loader.reader.Reader`)."""

    def __len__(self) -> int: ...

    def samples(self, positions: Sequence[int]) -> Sequence[Mapping[str, object]]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Questions, a pool and the place of each question's answer in it; call it with an encoder."""

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    answers: NDArray[np.int64]
    """Shape (queries,): position of the answer in `documents`."""

    def __call__(self, encoder: Encoder) -> dict[str, float]:
        """The metrics of `evaluate.metrics.metrics.quick`; R@100 AUC only from 1,000 documents."""
        ranks = answer_ranks(encoder, self.queries, self.documents, self.answers)
        return quick(ranks, documents=len(self.documents))


def validation_measure(
    reader: Samples,
    *,
    queries: int = 500,
    documents: int = 2_000,
    template: DocumentTemplate | None = None,
) -> Validation:
    """The measure over a reader of the validation split; documents are their code, or `template`.

    `Misuse` where the split is empty, ValueError where a bound is below 1.
    """
    if min(queries, documents) < 1:
        raise ValueError(
            f"validation needs bounds from 1: {queries} queries, {documents} documents"
        )
    if not len(reader):
        raise Misuse(
            "the validation split is empty",
            remedy="set validation.every: null, or build with shards.splits.validation above 0",
        )
    chosen: list[tuple[str, str]] = []
    groups: set[object] = set()
    codes: set[object] = set()
    for sample in reader.samples(evenly_spaced(len(reader), documents)):
        if sample["query_group"] in groups or sample["code_sha256"] in codes:
            continue
        groups.add(sample["query_group"])
        codes.add(sample["code_sha256"])
        chosen.append((str(sample["query"]), (template or DocumentTemplate()).of_sample(sample)))
    positions = evenly_spaced(len(chosen), queries)
    return Validation(
        queries=tuple(chosen[position][0] for position in positions),
        documents=tuple(code for _, code in chosen),
        answers=np.array(positions, dtype=np.int64),
    )


def answer_ranks(
    encoder: Encoder,
    queries: Sequence[str],
    documents: Sequence[str],
    answers: NDArray[np.int64],
) -> NDArray[np.int64]:
    """1-based rank of each query's answer, equal scores counted above it; 0 where it has none.

    `answers` has shape (queries,).
    """
    scores = maxsim_matrix(
        encoder.encode(queries, "query"), encoder.encode(documents, "document"), encoder.device
    )
    own = scores[np.arange(len(queries)), answers]
    # What is no number counts as above the answer; an answer that is none was not found.
    above = (~(scores < own[:, None])).sum(axis=1)
    return np.where(np.isnan(own), 0, above).astype(np.int64)


def maxsim_matrix(
    queries: TokenVectors, documents: TokenVectors, device: torch.device
) -> NDArray[np.float32]:
    """Exact MaxSim of all queries with all documents; shape (queries, documents)."""
    scores = np.empty((len(queries), len(documents)), dtype=np.float32)
    with torch.inference_mode():
        for block in _blocks(len(documents), _DOCUMENT_BLOCK):
            pool = _packed(documents, block, device)
            for rows in _blocks(len(queries), _QUERY_BLOCK):
                block_scores = packed_maxsim_scores(_packed(queries, rows, device), pool)
                scores[rows.start : rows.stop, block.start : block.stop] = (
                    block_scores.cpu().numpy()
                )
    return scores


def evenly_spaced(total: int, most: int) -> list[int]:
    """At most `most` of 0..total-1, ascending."""
    count = min(total, most)
    return [number * total // count for number in range(count)]


def _blocks(total: int, size: int) -> Iterator[range]:
    for start in range(0, total, size):
        yield range(start, min(start + size, total))


def _packed(vectors: TokenVectors, block: range, device: torch.device) -> PackedTokens:
    bounds = vectors.offsets[block.start : block.stop + 1]
    owners = np.repeat(np.arange(len(block)), np.diff(bounds))
    return PackedTokens(
        values=torch.from_numpy(vectors.values[bounds[0] : bounds[-1]]).to(device),
        owners=torch.from_numpy(owners).to(device),
        count=len(block),
    )
