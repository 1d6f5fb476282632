"""Token vectors of one language on disk, block by block, and the search in them.

Method: blocks of `BLOCK` documents, each one safetensors file (fp16 token vectors, offsets, the
pooled fp32 vector of each document), written once and mapped after that; a block that stands is
not encoded again. Candidates of a query are the documents nearest to its pooled vector by a scan
over all pooled vectors with a running top-N; their exact MaxSim is taken from the mapped vectors.
Cost: 2 x dim bytes a document token on disk (26 kB a function of 100 tokens at dim 128), 4 x dim
bytes a document in memory, and one block while it is encoded. fp16 rounds a similarity by about
0.001.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from train.model import Encoder, TokenVectors
from xtrove.core import write_file

BLOCK: Final = 2048
_SCAN: Final = 65_536
"""Pooled vectors compared at once."""


class VectorStore:
    """The vectors of documents 0..n-1 of one language."""

    def __init__(self, folder: Path, documents: int) -> None:
        self._folder = folder
        self.documents = documents
        self._blocks: list[tuple[torch.Tensor, NDArray[np.int64]]] = []
        self.pooled = torch.empty(0)

    def path(self, block: int) -> Path:
        """The file of a block."""
        return self._folder / f"vectors-{block:06}.safetensors"

    def build(
        self,
        encoder: Encoder,
        texts: Callable[[int, int], Sequence[str]],
        encode: Callable[[Sequence[str]], TokenVectors],
        progress: Callable[[int], None],
    ) -> None:
        """Encodes what is missing; `texts(start, stop)` gives the documents of a block."""
        from safetensors.torch import save

        for block, start in enumerate(range(0, self.documents, BLOCK)):
            stop = min(start + BLOCK, self.documents)
            if not self.path(block).exists():
                vectors = encode(texts(start, stop))
                data = save(
                    {
                        "values": torch.from_numpy(vectors.values).half(),
                        "offsets": torch.from_numpy(vectors.offsets),
                        "pooled": pooled(vectors),
                    }
                )
                write_file(self.path(block), data, tmp=self._folder / "tmp")
            progress(stop - start)
        self._open(encoder.options.dim)

    def _open(self, dim: int) -> None:
        from safetensors import safe_open

        pieces = []
        for block in range(-(-self.documents // BLOCK)):
            opener: Any = safe_open(self.path(block), framework="pt")
            with opener as file:
                # Tensors of a file that is mapped: pages are read as they are touched.
                self._blocks.append((file.get_tensor("values"), file.get_tensor("offsets").numpy()))
                pieces.append(file.get_tensor("pooled").clone())
        self.pooled = torch.cat(pieces) if pieces else torch.empty(0, dim)

    def tokens(self, document: int) -> torch.Tensor:
        """The token vectors of a document, [tokens, dim] fp16, on the CPU."""
        values, offsets = self._blocks[document // BLOCK]
        row = document % BLOCK
        return values[int(offsets[row]) : int(offsets[row + 1])]


def pooled(vectors: TokenVectors) -> torch.Tensor:
    """The mean of each text's token vectors, of length 1; [texts, dim] fp32."""
    values = torch.from_numpy(vectors.values)
    counts = torch.from_numpy(np.diff(vectors.offsets))
    owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
    sums = torch.zeros(len(counts), values.shape[1]).index_add_(0, owner, values)
    return torch.nn.functional.normalize(sums, dim=-1)


def nearest(
    queries: torch.Tensor, documents: torch.Tensor, count: int, device: torch.device
) -> torch.Tensor:
    """The `count` documents nearest to each pooled query, [queries, count] int64, on the CPU."""
    count = min(count, len(documents))
    on_device = queries.to(device)
    best = torch.full((len(queries), 0), 0.0, device=device)
    positions = torch.zeros((len(queries), 0), dtype=torch.int64, device=device)
    for start in range(0, len(documents), _SCAN):
        scores = on_device @ documents[start : start + _SCAN].to(device).T
        block = torch.arange(start, start + scores.shape[1], device=device).expand_as(scores)
        best, kept = torch.cat((best, scores), dim=1).topk(
            min(count, best.shape[1] + scores.shape[1]), dim=1
        )
        positions = torch.cat((positions, block), dim=1).gather(1, kept)
    return positions.cpu()


def exact_scores(
    query: torch.Tensor, store: VectorStore, documents: Sequence[int], device: torch.device
) -> torch.Tensor:
    """MaxSim of one query [tokens, dim] with some documents, divided by its tokens; [documents].

    The mean over the query's tokens, so that a ratio of scores means the same for all queries.
    """
    parts = [store.tokens(document) for document in documents]
    owner = torch.repeat_interleave(
        torch.arange(len(parts)), torch.tensor([len(part) for part in parts])
    ).to(device)
    similar = query.to(device) @ torch.cat(parts).to(device).float().T
    best = torch.full((len(query), len(parts)), -2.0, device=device)
    best.scatter_reduce_(1, owner.expand_as(similar), similar, "amax")
    return best.mean(dim=0).cpu()
