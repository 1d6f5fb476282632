"""GradCache: equal to the plain step, dropout included, whatever the mini-batches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from train.model.encoder import batches
from train.objectives.grad_cache import MiniBatch, cached_step, plain_step
from train.objectives.loss import Loss, LossResult
from train.objectives.maxsim import MaxSim
from train.objectives.terms import LossInputs
from train.objectives.xtr import Xtr
from train.scores.unpadded import PackedTokens

Step = Callable[..., LossResult]


class Tiny(nn.Module):
    """An encoder with attention and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.2, batch_first=True)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden = self.layer(self.embedding(ids), src_key_padding_mask=~mask.bool())
        return nn.functional.normalize(hidden, dim=-1)


def texts(seed: int, count: int, longest: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(1, 50, (length,), generator=generator) for length in lengths]


def mini_batches(ids: list[Tensor], budget: int) -> list[MiniBatch]:
    result = []
    for chosen in batches(ids, budget, lambda tokens: tokens):
        padded = nn.utils.rnn.pad_sequence([ids[i] for i in chosen], batch_first=True)
        result.append(
            MiniBatch(input_ids=padded, attention_mask=padded != 0, positions=torch.tensor(chosen))
        )
    return result


def run(step: Step, query_budget: int, document_budget: int, *, train: bool) -> dict[str, Tensor]:
    torch.manual_seed(0)
    encoder, loss = Tiny().train(train), Loss(Xtr(k_train=20))

    def judge(queries: PackedTokens, documents: PackedTokens) -> LossResult:
        inputs = LossInputs(queries=queries, documents=documents, positives=torch.arange(6))
        result: LossResult = loss(inputs)
        return result

    torch.manual_seed(1)
    actual = step(
        encoder,
        mini_batches(texts(1, 6, 9), query_budget),
        mini_batches(texts(2, 10, 30), document_budget),
        judge,
    )
    gradients = {name: part.grad for name, part in encoder.named_parameters()}
    gradients["temperature"] = loss.log_temperature.grad
    assert not actual.loss.requires_grad
    assert actual.facts["k"] == 20
    return {name: part for name, part in gradients.items() if part is not None} | {
        "loss": actual.loss,
        "random": torch.rand(1),
    }


@pytest.mark.parametrize("budgets", [(1000, 1000), (12, 40), (1, 1)])
def test_equal_to_the_plain_step_with_dropout(budgets: tuple[int, int]) -> None:
    plain, cached = (run(step, *budgets, train=True) for step in (plain_step, cached_step))
    assert plain.keys() == cached.keys() and len(plain) > 10
    for name in plain:
        torch.testing.assert_close(cached[name], plain[name], rtol=1e-5, atol=1e-5, msg=name)
    assert plain["loss"].item() > 0.1 and plain["embedding.weight"].abs().max() > 1e-3


def test_the_cut_into_mini_batches_changes_nothing_without_dropout() -> None:
    whole = run(plain_step, 1000, 1000, train=False)
    parts = run(cached_step, 9, 31, train=False)
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-5, atol=1e-5, msg=name)


def test_dropout_makes_a_difference_that_the_test_above_would_see() -> None:
    with_it, without = (run(plain_step, 1000, 1000, train=train) for train in (True, False))
    assert (with_it["embedding.weight"] - without["embedding.weight"]).abs().max() > 1e-3


def test_a_side_without_texts_needs_its_width() -> None:
    loss = Loss(MaxSim())

    def judge(queries: PackedTokens, documents: PackedTokens) -> LossResult:
        assert queries.count == 0 and queries.values.shape == (0, 16)
        inputs = LossInputs(
            queries=queries, documents=documents, positives=torch.zeros(0, dtype=torch.int64)
        )
        result: LossResult = loss(inputs)
        return result

    documents = mini_batches(texts(3, 2, 4), 100)
    for step in (plain_step, cached_step):
        assert step(Tiny(), [], documents, judge, nothing=torch.zeros(0, 16)).loss.item() == 0.0
        with pytest.raises(ValueError, match="give `nothing`"):
            step(Tiny(), [], documents, judge)
