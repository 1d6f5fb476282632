"""Objectives: hand-worked losses, against sentence-transformers', facts, masks, bad values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from tests.train.scoring import case, oracle
from train.objectives.all_gather import duplicates_mask
from train.objectives.base import Objective, train_k
from train.objectives.distillation import Distillation
from train.objectives.loss import Loss, LossResult
from train.objectives.maxsim import MaxSim
from train.objectives.mix import Mix
from train.objectives.registry import AnyObjective
from train.objectives.terms import LossInputs
from train.objectives.xtr import Xtr
from train.scores.maxsim import maxsim_scores
from train.scores.unpadded import pack_tokens
from train.scores.xtr import xtr_scores


def loss_of(
    loss: Loss,
    queries: Tensor,
    query_mask: Tensor,
    documents: Tensor,
    document_mask: Tensor,
    **known: Any,
) -> LossResult:
    """The loss of padded vectors."""
    inputs = LossInputs(
        queries=pack_tokens(queries, query_mask),
        documents=pack_tokens(documents, document_mask),
        **known,
    )
    result: LossResult = loss(inputs)
    return result


def result(objective: Objective, seed: int = 1, **known: Any) -> LossResult:
    given = case(seed)
    known.setdefault("positives", torch.arange(5))
    return loss_of(
        Loss(objective),
        given.queries,
        given.query_mask,
        given.documents,
        given.document_mask,
        **known,
    )


def one_dimension(values: list[list[float]]) -> tuple[Tensor, Tensor]:
    vectors = torch.tensor(values).unsqueeze(2)
    return vectors, torch.ones(vectors.shape[:2], dtype=torch.bool)


def test_hand_worked_xtr_loss() -> None:
    # Scores 0.9, 0.3, 0.5 (worked in test_xtr_score.py), temperature 0.5, the positive is d1:
    # -log(e^0.6 / (e^1.8 + e^0.6 + e^1.0)).
    queries, query_mask = one_dimension([[1.0, -1.0]])
    documents, document_mask = one_dimension([[0.9, 0.8], [0.7, 0.1], [-0.5, 0.2]])
    given = loss_of(
        Loss(Xtr(k_train=3, temperature=0.5)),
        queries,
        query_mask,
        documents,
        document_mask,
        positives=torch.tensor([1]),
    )
    expected = math.log(math.exp(1.8) + math.exp(0.6) + math.exp(1.0)) - 0.6
    assert given.loss.item() == pytest.approx(expected, abs=1e-6)
    # d1 was retrieved by both of the two query tokens.
    assert given.facts == pytest.approx(
        {
            "queries": 1,
            "pool_tokens": 6,
            "k": 3,
            "temperature": 0.5,
            "empty_positives": 0,
            "mean_z": 1,
        }
    )


def test_hand_worked_maxsim_loss_is_of_means() -> None:
    # d0: (0.9 - 0.8) / 2 = 0.05, d1: (0.7 - 0.1) / 2 = 0.3; temperature 0.1.
    queries, query_mask = one_dimension([[1.0, -1.0]])
    documents, document_mask = one_dimension([[0.9, 0.8], [0.7, 0.1]])
    given = loss_of(
        Loss(MaxSim(temperature=0.1)),
        queries,
        query_mask,
        documents,
        document_mask,
        positives=torch.tensor([0]),
    )
    assert given.loss.item() == pytest.approx(math.log(1 + math.exp(2.5)), abs=1e-6)


def test_a_positive_of_which_nothing_was_retrieved_is_counted() -> None:
    queries, query_mask = one_dimension([[1.0], [1.0]])
    documents, document_mask = one_dimension([[0.9, 0.8], [0.1, 0.2]])
    given = loss_of(
        Loss(Xtr(k_train=2)),
        queries,
        query_mask,
        documents,
        document_mask,
        positives=torch.tensor([0, 1]),
    )
    assert given.facts["empty_positives"] == 0.5
    assert given.facts["mean_z"] == 0.5


@pytest.mark.parametrize("k", [3, 12, 1000])
def test_xtr_loss_and_gradients_are_those_of_sentence_transformers(k: int) -> None:
    given = case(2)
    results = []
    for theirs in (False, True):
        queries, documents = given.leaves()
        if theirs:
            scores = oracle(queries, documents, given, k) * 20.0
            loss = torch.nn.functional.cross_entropy(scores, torch.arange(5))
        else:
            loss = loss_of(
                Loss(Xtr(k_train=k)),
                queries,
                given.query_mask,
                documents,
                given.document_mask,
                positives=torch.arange(5),
            ).loss
        loss.backward()
        results.append((loss.detach(), queries.grad, documents.grad))
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-6)


def test_the_mix_lies_between_its_parts() -> None:
    xtr, maxsim = (result(part).loss for part in (Xtr(k_train=9), MaxSim()))
    mixed = result(Mix(k_train=9, mix=0.25)).loss
    torch.testing.assert_close(mixed, 0.25 * xtr + 0.75 * maxsim)
    assert xtr.item() != pytest.approx(maxsim.item())


@pytest.mark.parametrize("student", ["xtr", "maxsim"])
def test_distillation_is_the_divergence_from_the_teacher(student: Any) -> None:
    given = case(3)
    teacher = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    teacher[:, 5:] = torch.nan
    loss = Loss(Distillation(student=student, k_train=15, temperature=0.5))
    queries, documents = given.leaves()
    arguments = (queries, given.query_mask, documents, given.document_mask)
    actual = loss_of(loss, *arguments, positives=torch.arange(5), teacher=teacher)
    if student == "xtr":
        scores = xtr_scores(*arguments, k=15).scores
    else:
        scores = maxsim_scores(*arguments) / given.query_mask.sum(dim=1, keepdim=True)
    student_log = (scores[:, :5] / 0.5).log_softmax(dim=1)
    expected = torch.nn.functional.kl_div(
        student_log, teacher[:, :5].softmax(dim=1), reduction="batchmean"
    )
    torch.testing.assert_close(actual.loss, expected)
    actual.loss.backward()
    assert queries.grad is not None and queries.grad.isfinite().all()
    assert documents.grad is not None and documents.grad.any()


def test_a_perfect_student_has_no_divergence_and_the_teacher_may_be_scaled() -> None:
    given = case(4)
    arguments = (given.queries, given.query_mask, given.documents, given.document_mask)
    scores = xtr_scores(*arguments, k=15).scores
    perfect = Loss(Distillation(k_train=15, temperature=0.5))
    loss = loss_of(perfect, *arguments, positives=torch.arange(5), teacher=scores / 0.5).loss
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    scaled = Loss(Distillation(k_train=15, normalize_teacher=True, teacher_temperature=0.2))
    one, other = (
        loss_of(scaled, *arguments, positives=torch.arange(5), teacher=teacher).loss
        for teacher in (scores, 40.0 * scores - 3.0)
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", [Xtr(k_train=8), MaxSim(), Mix(k_train=8)])
def test_excluded_documents_count_for_nothing(objective: Objective) -> None:
    given = case(5, queries=3, documents=6)
    excluded = torch.zeros(3, 6, dtype=torch.bool)
    excluded[:, 4:] = True
    masked = loss_of(
        Loss(objective),
        given.queries,
        given.query_mask,
        given.documents,
        given.document_mask,
        positives=torch.arange(3),
        excluded=excluded,
    )
    without = loss_of(
        Loss(objective),
        given.queries,
        given.query_mask,
        given.documents[:4],
        given.document_mask[:4],
        positives=torch.arange(3),
    )
    torch.testing.assert_close(masked.loss, without.loss)


def test_hard_negatives_are_columns_of_nobody() -> None:
    given = case(6, queries=2, documents=4)
    scores = oracle(given.queries, given.documents, given, 10)
    loss = loss_of(
        Loss(Xtr(k_train=10)),
        given.queries,
        given.query_mask,
        given.documents,
        given.document_mask,
        positives=torch.tensor([0, 2]),
    ).loss
    expected = torch.nn.functional.cross_entropy(scores * 20.0, torch.tensor([0, 2]))
    torch.testing.assert_close(loss, expected)


def test_a_document_without_tokens_is_no_negative() -> None:
    given = case(7, queries=2, documents=3)
    given.document_mask[2] = False
    whole = Loss(Xtr(k_train=5))
    arguments = (given.queries, given.query_mask)
    positives = torch.arange(2)
    with_empty = loss_of(
        whole, *arguments, given.documents, given.document_mask, positives=positives
    )
    without = loss_of(
        whole, *arguments, given.documents[:2], given.document_mask[:2], positives=positives
    )
    torch.testing.assert_close(with_empty.loss, without.loss)


def test_duplicates_are_masked_but_never_the_positive() -> None:
    # Columns: positives of queries 0, 1, 2, then a negative of query 0, then one of everybody's.
    big = np.array([2**64 - 1], dtype=np.uint64).view(np.int64)[0].item()
    excluded = duplicates_mask(
        torch.tensor([big, 8, big]),
        torch.tensor([1, 2, 3]),
        positives=torch.tensor([0, 1, 2]),
        document_groups=torch.tensor([big, 8, big, 0, 0]),
        document_hashes=torch.tensor([1, 2, 3, 2, 0]),
        negatives_of=torch.tensor([-1, -1, -1, 0, -1]),
    )
    assert excluded.tolist() == [
        [False, False, True, False, False],
        [False, False, False, True, False],
        [True, False, False, True, False],
    ]


def test_an_unknown_group_or_code_equals_nothing() -> None:
    zeros = torch.zeros(2, dtype=torch.int64)
    excluded = duplicates_mask(
        zeros, zeros, positives=torch.arange(2), document_groups=zeros, document_hashes=zeros
    )
    assert not excluded.any()


def test_k_follows_the_pool_within_its_bounds() -> None:
    assert [train_k(pool) for pool in (10, 640, 50_000, 1_000_000)] == [10, 64, 500, 2048]
    assert train_k(1_000_000, 300) == 300
    assert train_k(50_000, None, 4.0) == 2000
    assert train_k(50_000, 256, 2.5) == 640
    assert train_k(100, 256) == 100
    with pytest.raises(ValueError, match="the factor of k is 0"):
        train_k(100, None, 0)
    assert result(Xtr()).facts["k"] == min(64, result(Xtr()).facts["pool_tokens"])
    assert result(Xtr(k_train=5), k_factor=3.0).facts["k"] == 15


def test_the_temperature_is_learned_and_kept_in_range() -> None:
    loss = Loss(Xtr(k_train=9))
    assert loss.temperature().item() == pytest.approx(0.05)
    given = case(8)
    optimizer = torch.optim.SGD(loss.parameters(), lr=100.0)
    for _ in range(3):
        optimizer.zero_grad()
        actual = loss_of(
            loss,
            given.queries,
            given.query_mask,
            given.documents,
            given.document_mask,
            positives=torch.arange(5),
        )
        actual.loss.backward()
        assert loss.log_temperature.grad is not None and loss.log_temperature.grad.abs() > 0
        assert 0.00999 < actual.facts["temperature"] < 1.00001
        optimizer.step()
    fixed = Loss(Xtr(learn_temperature=False))
    assert not any(parameter.requires_grad for parameter in fixed.parameters())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "cosine"}, "'cosine'"),
        ({"kind": "kd", "student": "dense"}, "student"),
        ({"kind": "mix", "mix": 1.5}, "mix.mix"),
        ({"mix": 0.5}, "Extra inputs"),
        ({"kind": "maxsim", "k_train": 9}, "Extra inputs"),
        ({"k_train": 0}, "k_train"),
        ({"temperature": 2.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"kind": "kd", "teacher_temperature": 0.0}, "teacher_temperature"),
    ],
)
def test_an_objective_out_of_range_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TypeAdapter(AnyObjective).validate_python(options)


@pytest.mark.parametrize(
    ("objective", "options", "said"),
    [
        (Xtr(), {"positives": torch.tensor([0, 1, 2, 3, 7])}, "positives lie in 0..7"),
        (Xtr(), {"positives": torch.arange(4)}, r"positives has shape \(4,\)"),
        (Xtr(), {"teacher": torch.zeros(5, 7)}, "teacher scores"),
        (Distillation(), {}, "teacher scores"),
        (Distillation(), {"teacher": torch.zeros(5, 6)}, r"teacher has shape \(5, 6\)"),
        (Xtr(), {"excluded": torch.ones(5, 7, dtype=torch.bool)}, "positive is excluded"),
        (
            Distillation(),
            {"teacher": torch.full((5, 7), torch.nan)},
            "query 0 has no teacher score",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    objective: Objective, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        result(objective, **options)


def test_no_queries_is_no_loss_but_has_a_graph() -> None:
    given = case(9)
    queries, documents = given.leaves()
    for objective in (Xtr(), MaxSim(), Mix()):
        actual = loss_of(
            Loss(objective),
            queries[:0],
            given.query_mask[:0],
            documents,
            given.document_mask,
            positives=torch.zeros(0, dtype=torch.int64),
        )
        assert actual.loss.item() == 0.0
        actual.loss.backward()
        assert documents.grad is not None and not documents.grad.any()


def test_what_is_kept_until_the_backward_pass() -> None:
    size = {"query_tokens": 100, "documents": 50, "pool_tokens": 10_000}
    xtr, maxsim = Xtr(k_train=10, k_warmup=2.0), MaxSim()
    assert xtr.state_bytes(**size) == 16 * 100 * 20
    assert maxsim.state_bytes(**size) == 4 * 100 * 50
    assert Mix(k_train=10, k_warmup=2.0).state_bytes(**size) == 32_000 + 20_000
    student = Distillation(student="maxsim", k_train=10)
    assert (student.state_bytes(**size), student.k(10_000)) == (20_000, 0)
    assert (maxsim.k(10_000), maxsim.k_start, Xtr().k(10_000)) == (0, 1.0, 100)
