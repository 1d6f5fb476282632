"""One vector a text: the mean of its projected tokens, compared by cosine.

Method: the mean over the real tokens of the encoder's projected hidden states, before they are
normalised, then to length 1; without a projection that is the mean pooling of sentence
embedding models. All documents are compared with all questions of a block.
Cost: one encoding of the corpus; 4 x dim bytes a document, in memory; 1 ms a question over 20,000.
Limits: a baseline: nothing is kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from evaluate.retrieval.context import SearchContext
from evaluate.retrieval.searcher import Hits, joined, top
from train.model import Encoder, Kind

SCORES = 1 << 24
TOKENIZED = 8_192
"""Texts whose tokens are held at once."""
Progress = Callable[[int, int], None]


class DenseSearcher:
    """Cosine with the mean vectors of documents."""

    def __init__(self, *, encoder: Encoder, documents: NDArray[np.float32]) -> None:
        self._encoder = encoder
        self._documents = documents

    @classmethod
    def build(cls, context: SearchContext) -> DenseSearcher:
        """Encodes the documents of a context."""
        vectors = mean_vectors(context.encoder, context.encoded_texts, "document", context.progress)
        return cls(encoder=context.encoder, documents=vectors)

    @property
    def bytes(self) -> int:
        """Size of the vectors."""
        return int(self._documents.nbytes)

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` documents of each question."""
        vectors = mean_vectors(self._encoder, queries, "query")
        most = max(1, SCORES // max(1, len(self._documents)))
        return joined(
            [
                top(vectors[start : start + most] @ self._documents.T, k)
                for start in range(0, len(vectors), most)
            ]
        )


def mean_vectors(
    encoder: Encoder, texts: Sequence[str], kind: Kind, progress: Progress | None = None
) -> NDArray[np.float32]:
    """The vector of each text: (texts, dim), of length 1."""
    vectors = np.zeros((len(texts), encoder.projection.out_features), dtype=np.float32)
    done = 0
    with encoder.inference():
        for start in range(0, len(texts), TOKENIZED):
            rows = encoder.tokenize(texts[start : start + TOKENIZED], kind)
            for part, ids, mask in encoder.mini_batches(rows, kind):
                vectors[[start + i for i in part]] = _means(encoder, ids, mask)
                done += len(part)
                if progress is not None:
                    progress(done, len(texts))
    return vectors


def _means(encoder: Encoder, ids: torch.Tensor, mask: torch.Tensor) -> NDArray[np.float32]:
    """Ids and mask (texts, length) to (texts, dim)."""
    # The half precision that the encoder's own `forward` takes where its attention needs it.
    with encoder._half():
        hidden = encoder.base(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(2).float()
    mean = (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
    projected = encoder.projection(mean.to(encoder.projection.weight.dtype))
    vectors: NDArray[np.float32] = (
        torch.nn.functional.normalize(projected.float(), dim=-1).cpu().numpy()
    )
    return vectors
