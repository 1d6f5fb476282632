"""Random token vectors and the scores of sentence-transformers, the oracle of our scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Padded vectors of queries and documents with their masks."""

    queries: Tensor
    query_mask: Tensor
    documents: Tensor
    document_mask: Tensor

    def leaves(self) -> tuple[Tensor, Tensor]:
        """Copies of both sides that take gradients."""
        return self.queries.clone().requires_grad_(), self.documents.clone().requires_grad_()


def case(
    seed: int,
    *,
    queries: int = 5,
    query_length: int = 6,
    documents: int = 7,
    document_length: int = 9,
    dim: int = 8,
    steps: int = 0,
    padding: float = 0.3,
) -> Case:
    """Unit vectors, or with `steps` vectors on a coarse grid whose products are exact and tie."""
    generator = torch.Generator().manual_seed(seed)

    def vectors(count: int, length: int) -> Tensor:
        if steps:
            whole = torch.randint(-steps, steps + 1, (count, length, dim), generator=generator)
            return whole.float() / 4
        return torch.nn.functional.normalize(
            torch.randn(count, length, dim, generator=generator), dim=-1
        )

    def mask(count: int, length: int) -> Tensor:
        real = torch.rand(count, length, generator=generator) >= padding
        real[:, 0] = True
        return real

    return Case(
        queries=vectors(queries, query_length),
        query_mask=mask(queries, query_length),
        documents=vectors(documents, document_length),
        document_mask=mask(documents, document_length),
    )


def oracle(queries: Tensor, documents: Tensor, given: Case, k: int) -> Tensor:
    """sentence-transformers' XTR scores (queries, documents)."""
    module = pytest.importorskip("sentence_transformers.multi_vector_encoder.scoring.xtr")
    scores: Tensor = module.xtr_scores(
        queries,
        documents.unsqueeze(1),
        given.query_mask,
        given.document_mask.unsqueeze(1),
        top_k=k,
    )
    return scores


@contextmanager
def first_of_equals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch's top-k takes the first of equal values inside, where it leaves that open otherwise."""

    def topk(self: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        assert largest
        values, places = self.sort(dim=dim, descending=True, stable=True)
        return torch.return_types.topk((values.narrow(dim, 0, k), places.narrow(dim, 0, k)))

    with monkeypatch.context() as patch:
        patch.setattr(Tensor, "topk", topk)
        yield


class Largest(TorchDispatchMode):
    """Bytes of the largest storage that any operation gave back."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result
