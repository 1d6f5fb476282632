"""MaxSim scores: hand-worked, against the whole grid, gradients, memory, degenerate inputs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.train.scoring import Case, Largest, case
from train.scores.maxsim import maxsim_scores


def ours(queries: Tensor, documents: Tensor, given: Case, chunk_bytes: int | None = None) -> Tensor:
    return maxsim_scores(
        queries, given.query_mask, documents, given.document_mask, chunk_bytes=chunk_bytes
    )


def whole_grid(queries: Tensor, documents: Tensor, given: Case) -> Tensor:
    grid = torch.einsum("qid,bjd->qbij", queries, documents)
    grid = grid.masked_fill(~given.document_mask[None, :, None, :], -torch.inf)
    best = grid.max(dim=3).values.masked_fill(~given.query_mask[:, None, :], 0.0)
    return best.sum(dim=2)


def test_hand_worked_scores() -> None:
    # q0 = 1, q1 = -1; d0: 0.9 -0.2, d1: 0.4 and a masked 0.99.
    # d0: 0.9 + 0.2 = 1.1; d1: 0.4 - 0.4 = 0.
    scores = maxsim_scores(
        torch.tensor([[[1.0], [-1.0]]]),
        torch.ones(1, 2, dtype=torch.bool),
        torch.tensor([[[0.9], [-0.2]], [[0.4], [0.99]]]),
        torch.tensor([[True, True], [True, False]]),
    )
    torch.testing.assert_close(scores, torch.tensor([[1.1, 0.0]]))


@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 5),
    documents=st.integers(1, 20),
    length=st.integers(1, 40),
    padding=st.floats(0.0, 0.9),
    steps=st.sampled_from([0, 2]),
    chunk_bytes=st.sampled_from([None, 4096]),
)
def test_equal_to_the_whole_grid(
    seed: int,
    queries: int,
    documents: int,
    length: int,
    padding: float,
    steps: int,
    chunk_bytes: int | None,
) -> None:
    given_case = case(
        seed,
        queries=queries,
        documents=documents,
        document_length=length,
        padding=padding,
        steps=steps,
    )
    results = []
    for score in (lambda q, d: ours(q, d, given_case, chunk_bytes), None):
        left, right = given_case.leaves()
        scores = whole_grid(left, right, given_case) if score is None else score(left, right)
        weights = torch.arange(1.0, scores.numel() + 1).view_as(scores) / scores.numel()
        (scores * weights).sum().backward()
        results.append((scores.detach(), left.grad, right.grad))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=2e-6)
    with torch.no_grad():
        plain = ours(given_case.queries, given_case.documents, given_case, chunk_bytes)
    torch.testing.assert_close(plain, results[0][0], rtol=0, atol=1e-6)


def test_gradients_against_finite_differences() -> None:
    given_case = case(1, queries=2, query_length=3, documents=3, document_length=4, dim=3)
    leaves = tuple(leaf.detach().double().requires_grad_() for leaf in given_case.leaves())
    assert torch.autograd.gradcheck(lambda q, d: ours(q, d, given_case), leaves, eps=1e-7)


def test_no_tensor_is_as_large_as_the_grid() -> None:
    given_case = case(2, queries=32, query_length=16, documents=64, document_length=64, padding=0.0)
    queries, documents = given_case.leaves()
    with Largest() as largest:
        ours(queries, documents, given_case, 1 << 16).sum().backward()
    # Pairs: 512 query tokens x 64 documents, 8 bytes each when they are looked at.
    assert largest.bytes <= 512 * 64 * 8
    assert largest.bytes < 32 * 16 * 64 * 64 * 4 / 30


def test_nothing_to_score_and_what_is_not_finite() -> None:
    given_case = case(3)
    given_case.query_mask[2] = False
    given_case.document_mask[4] = False
    queries, documents = given_case.leaves()
    scores = ours(queries, documents, given_case)
    assert not scores[2].any() and not scores[:, 4].any()
    scores.sum().backward()
    assert documents.grad is not None and not documents.grad[4].any()
    for q, d in ((0, 7), (5, 0), (0, 0)):
        empty = maxsim_scores(
            queries[:q], given_case.query_mask[:q], documents[:d], given_case.document_mask[:d]
        )
        assert empty.shape == (q, d)
        empty.sum().backward()
    broken = given_case.documents.clone()
    broken[0, 0, 0] = torch.nan
    assert ours(given_case.queries, broken, given_case).isnan().any()
    with pytest.raises(ValueError, match="with a mask of"):
        maxsim_scores(queries, given_case.query_mask[:, :2], documents, given_case.document_mask)
