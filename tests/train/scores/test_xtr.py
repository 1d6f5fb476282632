"""XTR scores: hand-worked, against sentence-transformers, gradients, memory, degenerate inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.train.scoring import Case, Largest, case, first_of_equals, oracle
from train.scores.xtr import xtr_scores


def ours(queries: Tensor, documents: Tensor, given: Case, k: int, **options: Any) -> Tensor:
    return xtr_scores(
        queries, given.query_mask, documents, given.document_mask, k=k, **options
    ).scores


def assert_equal_to_oracle(given: Case, k: int, chunk_bytes: int | None = None) -> None:
    """Scores, a contrastive loss and both gradients within 1e-6 of the oracle's."""
    results = []
    for score in (lambda q, d: ours(q, d, given, k, chunk_bytes=chunk_bytes), None):
        queries, documents = given.leaves()
        scores = (
            oracle(queries, documents, given, k) if score is None else score(queries, documents)
        )
        targets = torch.arange(len(queries)) % scores.shape[1]
        loss = torch.nn.functional.cross_entropy(scores, targets)
        loss.backward()
        assert queries.grad is not None and documents.grad is not None
        results.append((scores.detach(), loss.detach(), queries.grad, documents.grad))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def test_hand_worked_scores_and_counts() -> None:
    # One query of two tokens, three documents of two tokens, in one dimension each:
    #            d0: 0.9 0.8   d1: 0.7 0.1   d2: -0.5 0.2
    # q0 =  1 ->     0.9 0.8       0.7 0.1        -0.5 0.2     top 3: 0.9 0.8 (d0), 0.7 (d1)
    # q1 = -1 ->    -0.9 -0.8     -0.7 -0.1        0.5 -0.2    top 3: 0.5 -0.2 (d2), -0.1 (d1)
    # d0: 0.9 / 1 = 0.9       d1: (0.7 - 0.1) / 2 = 0.3       d2: 0.5 / 1 = 0.5
    documents = torch.tensor([[[0.9], [0.8]], [[0.7], [0.1]], [[-0.5], [0.2]]])
    result = xtr_scores(
        torch.tensor([[[1.0], [-1.0]]]),
        torch.ones(1, 2, dtype=torch.bool),
        documents,
        torch.ones(3, 2, dtype=torch.bool),
        k=3,
    )
    torch.testing.assert_close(result.scores, torch.tensor([[0.9, 0.3, 0.5]]))
    assert result.retrieved.tolist() == [[1.0, 2.0, 1.0]]
    assert (result.k, result.pool_tokens) == (3, 6)


def test_a_document_of_one_negative_token_scores_that_and_an_unretrieved_one_nothing() -> None:
    # PyLate divides by 1e-3 here and gives -500 (facts of its scores/xtr.py).
    result = xtr_scores(
        torch.tensor([[[1.0]]]),
        torch.ones(1, 1, dtype=torch.bool),
        torch.tensor([[[-0.5]], [[-0.9]]]),
        torch.ones(2, 1, dtype=torch.bool),
        k=1,
    )
    assert result.scores.tolist() == [[-0.5, 0.0]]
    assert result.retrieved.tolist() == [[1.0, 0.0]]


def test_gradients_by_hand() -> None:
    # d(score of d0)/dq0 = the winning token of d0, divided by Z = 1; nothing for the loser.
    queries = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], requires_grad=True)
    documents = torch.tensor([[[0.9, 0.1], [0.8, 0.3]]], requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    result = xtr_scores(queries, mask, documents, mask, k=1)
    # q0 takes token 0 (0.9), q1 takes token 1 (0.3): (0.9 + 0.3) / 2.
    torch.testing.assert_close(result.scores, torch.tensor([[0.6]]))
    result.scores.sum().backward()
    assert queries.grad is not None and documents.grad is not None
    torch.testing.assert_close(queries.grad, torch.tensor([[[0.45, 0.05], [0.4, 0.15]]]))
    torch.testing.assert_close(documents.grad, torch.tensor([[[0.5, 0.0], [0.0, 0.5]]]))


@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 6),
    query_length=st.integers(1, 7),
    documents=st.integers(1, 9),
    document_length=st.integers(1, 12),
    k=st.integers(1, 150),
    padding=st.floats(0.0, 0.9),
    chunk_bytes=st.sampled_from([None, 4096]),
)
def test_equal_to_sentence_transformers(
    seed: int,
    queries: int,
    query_length: int,
    documents: int,
    document_length: int,
    k: int,
    padding: float,
    chunk_bytes: int | None,
) -> None:
    given_case = case(
        seed,
        queries=queries,
        query_length=query_length,
        documents=documents,
        document_length=document_length,
        padding=padding,
    )
    assert_equal_to_oracle(given_case, k, chunk_bytes)


@pytest.mark.parametrize("chunk_bytes", [None, 4096])
def test_equal_to_sentence_transformers_at_a_training_shape(chunk_bytes: int | None) -> None:
    given_case = case(3, queries=16, query_length=16, documents=24, document_length=100, dim=32)
    assert_equal_to_oracle(given_case, 40, chunk_bytes)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 70), chunk_bytes=st.sampled_from([None, 4096]))
def test_ties_go_to_the_first_token(
    seed: int, k: int, chunk_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_case = case(seed, dim=2, steps=2)
    with first_of_equals(monkeypatch):
        expected = oracle_results(given_case, k)
    queries, documents = given_case.leaves()
    scores = ours(queries, documents, given_case, k, chunk_bytes=chunk_bytes)
    (scores * weights(scores)).sum().backward()
    for mine, theirs in zip((scores, queries.grad, documents.grad), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def weights(scores: Tensor) -> Tensor:
    return torch.arange(1.0, scores.numel() + 1).view_as(scores) / scores.numel()


def oracle_results(given: Case, k: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
    queries, documents = given.leaves()
    scores = oracle(queries, documents, given, k)
    (scores * weights(scores)).sum().backward()
    return scores.detach(), queries.grad, documents.grad


def test_all_similarities_negative() -> None:
    given_case = case(5)
    given_case.queries.abs_()
    given_case.documents.abs_().neg_()
    for k in (1, 5, 500):
        assert_equal_to_oracle(given_case, k)


def test_zero_queries_and_repeated_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    given_case = case(6, steps=3)
    given_case.queries[1] = 0.0
    given_case.documents[3] = given_case.documents[2]
    given_case.document_mask[3] = given_case.document_mask[2]
    for k in (1, 4, 11, 30, 500):
        with first_of_equals(monkeypatch):
            assert_equal_to_oracle(given_case, k)


def test_excluded_documents_take_no_place_in_that_querys_pool() -> None:
    given_case = case(7)
    excluded = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    for chunk_bytes in (None, 4096):
        queries, documents = given_case.leaves()
        result = ours(queries, documents, given_case, 9, excluded=excluded, chunk_bytes=chunk_bytes)
        (result * weights(result)).sum().backward()
        other_queries, other_documents = given_case.leaves()
        total = torch.zeros(())
        for query in range(5):
            left = (~excluded[query]).nonzero().squeeze(1)
            alone = Case(
                queries=given_case.queries[query : query + 1],
                query_mask=given_case.query_mask[query : query + 1],
                documents=given_case.documents[left],
                document_mask=given_case.document_mask[left],
            )
            scores = oracle(other_queries[query : query + 1], other_documents[left], alone, 9)
            torch.testing.assert_close(result[query, left], scores[0], rtol=1e-6, atol=1e-6)
            assert not result[query, excluded[query]].any()
            total = total + (scores[0] * weights(result)[query, left]).sum()
        total.backward()
        torch.testing.assert_close(queries.grad, other_queries.grad, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(documents.grad, other_documents.grad, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [1, 4, 1000])
def test_gradients_against_finite_differences(k: int) -> None:
    given_case = case(8, queries=2, query_length=3, documents=3, document_length=4, dim=3)
    queries, documents = (leaf.detach().double().requires_grad_() for leaf in given_case.leaves())
    assert torch.autograd.gradcheck(
        lambda q, d: ours(q, d, given_case, k), (queries, documents), eps=1e-7
    )


def test_half_precision_is_summed_in_single() -> None:
    given_case = case(9, dim=16)
    queries, documents = (leaf.detach().bfloat16() for leaf in given_case.leaves())
    queries.requires_grad_()
    documents.requires_grad_()
    scores = ours(queries, documents, given_case, 20)
    expected = ours(queries.detach().float(), documents.detach().float(), given_case, 20)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours(queries.float(), documents.float(), given_case, 20), expected)
    scores.sum().backward()
    assert queries.grad is not None and queries.grad.dtype == torch.bfloat16


def test_nothing_to_score() -> None:
    given_case = case(10)
    given_case.query_mask[2] = False
    given_case.document_mask[4] = False
    queries, documents = given_case.leaves()
    result = xtr_scores(queries, given_case.query_mask, documents, given_case.document_mask, k=6)
    assert not result.scores[2].any() and not result.retrieved[2].any()
    assert not result.scores[:, 4].any() and not result.retrieved[:, 4].any()
    result.scores.sum().backward()
    assert queries.grad is not None and not queries.grad[2].any()
    for q, d in ((0, 7), (5, 0), (0, 0)):
        empty = xtr_scores(
            queries[:q], given_case.query_mask[:q], documents[:d], given_case.document_mask[:d], k=6
        )
        assert empty.scores.shape == (q, d)
        empty.scores.sum().backward()
    none = torch.zeros_like(given_case.document_mask)
    assert not xtr_scores(queries, given_case.query_mask, documents, none, k=6).scores.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_reaches_the_scores_and_padding_does_not(value: float) -> None:
    given_case = case(11)
    given_case.documents[~given_case.document_mask] = value
    given_case.queries[~given_case.query_mask] = value
    assert ours(given_case.queries, given_case.documents, given_case, 3).isfinite().all()
    given_case.documents[0, 0, 0] = value
    assert ours(given_case.queries, given_case.documents, given_case, 3).isnan().any()


def test_what_does_not_fit_is_named() -> None:
    given_case = case(12)
    with pytest.raises(ValueError, match="k is 0"):
        ours(given_case.queries, given_case.documents, given_case, 0)
    with pytest.raises(ValueError, match=r"excluded has shape \(5, 6\): \(5, 7\) is needed"):
        ours(
            given_case.queries,
            given_case.documents,
            given_case,
            3,
            excluded=torch.zeros(5, 6, dtype=torch.bool),
        )
    with pytest.raises(ValueError, match=r"\(5, 6, 8\) with a mask of \(5, 5\)"):
        xtr_scores(
            given_case.queries,
            given_case.query_mask[:, :5],
            given_case.documents,
            given_case.document_mask,
            k=3,
        )


def test_no_tensor_is_as_large_as_the_grid() -> None:
    given_case = case(
        13, queries=32, query_length=16, documents=64, document_length=64, dim=8, padding=0.0
    )
    queries, documents = given_case.leaves()
    grid = 32 * 16 * 64 * 64 * 4
    with Largest() as largest:
        ours(queries, documents, given_case, 32, chunk_bytes=1 << 16).sum().backward()
    # Pairs: at most 512 query tokens x 32 retrieved, 8 bytes each when they are looked at.
    assert largest.bytes <= max(1 << 16, documents.nbytes, 512 * 32 * 8)
    assert largest.bytes < grid / 40
