"""The trainer's validation measure: the pool it chooses, exact scores, an encoder of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluate.measure.validation import answer_ranks, maxsim_matrix, validation_measure
from shards.loader.reader import Reader, Select
from tests.shards.builder import build
from tests.train.tiny_models import made
from train.model.encoder import Encoder, EncoderOptions, TokenVectors
from train.model.pretrained import load_base
from xtrove.core.errors import Misuse


class Rows:
    """Samples in a list, as a reader gives them."""

    def __init__(self, groups: Sequence[str], codes: Sequence[str]) -> None:
        self._rows = list(zip(groups, codes, strict=True))

    def __len__(self) -> int:
        return len(self._rows)

    def samples(self, positions: Sequence[int]) -> list[Mapping[str, object]]:
        return [
            {
                "query": f"question {self._rows[position][0]}",
                "code": f"code {self._rows[position][1]}",
                "query_group": self._rows[position][0],
                "code_sha256": self._rows[position][1],
            }
            for position in positions
        ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = made("modernbert", tmp_path_factory.mktemp("model") / "base")
    options = EncoderOptions(dim=16, query_length=32, document_length=64)
    return load_base(str(folder), options, seed=1)


def test_every_question_has_one_answer_and_the_choice_is_fixed() -> None:
    rows = Rows([f"g{n // 2}" for n in range(100)], [f"c{n % 90}" for n in range(100)])
    measure = validation_measure(rows, queries=10, documents=60)
    again = validation_measure(rows, queries=10, documents=60)
    assert measure.queries == again.queries
    assert len(measure.queries) == 10
    assert len(measure.documents) <= 60
    assert len(set(measure.documents)) == len(measure.documents)
    for query, place in zip(measure.queries, measure.answers.tolist(), strict=True):
        number = int(query.removeprefix("question g"))
        code = int(measure.documents[place].removeprefix("code c"))
        assert code in {(2 * number) % 90, (2 * number + 1) % 90}


def test_bounds_and_empty_splits_are_refused() -> None:
    with pytest.raises(Misuse, match="split is empty"):
        validation_measure(Rows([], []))
    with pytest.raises(ValueError, match="bounds from 1"):
        validation_measure(Rows(["a"], ["b"]), queries=0)


def vectors(generator: np.random.Generator, lengths: Sequence[int]) -> TokenVectors:
    values = generator.standard_normal((sum(lengths), 8)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return TokenVectors(values=values, offsets=np.cumsum([0, *lengths]))


def test_scores_are_exact_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluate.measure.validation._QUERY_BLOCK", 3)
    monkeypatch.setattr("evaluate.measure.validation._DOCUMENT_BLOCK", 4)
    generator = np.random.default_rng(1)
    queries = vectors(generator, [3, 1, 5, 2, 4, 4, 1])
    documents = vectors(generator, [7, 2, 9, 4, 1, 30, 3, 3, 8])
    result = maxsim_matrix(queries, documents, torch.device("cpu"))
    expected = [
        [(queries[q] @ documents[d].T).max(axis=1).sum() for d in range(len(documents))]
        for q in range(len(queries))
    ]
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.slow
def test_a_model_that_finds_copies_of_the_question(encoder: Encoder) -> None:
    texts = [f"def name_{n}(value_{n * 7}): return {n}" for n in range(12)]
    # Query and document have other markers: the answer is the same text all the same.
    ranks = answer_ranks(encoder, texts[:6], texts, np.arange(6))
    assert (ranks == 1).mean() > 0.5


def test_equal_scores_count_above_the_answer(encoder: Encoder) -> None:
    ranks = answer_ranks(encoder, ["a question"], ["same text"] * 5, np.array([2]))
    assert ranks.tolist() == [5]


def test_a_model_without_numbers_finds_nothing(encoder: Encoder) -> None:
    broken = load_base_like(encoder)
    with torch.no_grad():
        broken.projection.weight.fill_(float("nan"))
    ranks = answer_ranks(broken, ["a", "b"], ["x", "y", "z"], np.array([0, 1]))
    assert ranks.tolist() == [0, 0]


def load_base_like(encoder: Encoder) -> Encoder:
    """A copy that can be broken."""
    import copy

    return copy.deepcopy(encoder)


@pytest.mark.slow
def test_over_a_dataset(encoder: Encoder, tmp_path: Path) -> None:
    built = build(tmp_path)
    select = Select(splits=("validation",))
    with Reader.open(built.path, select=select) as reader:
        measure = validation_measure(reader, queries=5, documents=20)
    result = measure(encoder)
    assert set(result) >= {"P@1", "MRR", "nDCG@10", "Recall@10"}
    assert "R@100 AUC" not in result
    assert 0 <= result["P@1"] <= result["MRR"] <= 1
    assert result == measure(encoder)
