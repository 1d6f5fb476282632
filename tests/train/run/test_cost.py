"""The memory formula: activations as torch counts them, and advice that is enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.train.tiny_models import made
from train.model.encoder import Encoder, EncoderOptions
from train.model.pretrained import load_base
from train.run.cost import RESERVE, SLACK, Demand, activation_bytes, advice, saved_bytes

DEMAND = Demand(
    parameters=10_000_000,
    trained=10_000_000,
    activation_bytes=100_000.0,
    mini_batch_tokens=32_768,
    query_tokens=20_000,
    document_tokens=100_000,
    queries=1024,
    documents=1024,
    dim=128,
    score_state=16 * 20_000 * 1024,
    chunk_bytes=64 << 20,
    bf16=False,
)


@pytest.fixture(params=["modernbert", "bert"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Encoder:
    """A small encoder of each family."""
    options = EncoderOptions(dim=16, query_length=32, document_length=128)
    return load_base(str(made(request.param, tmp_path)), options, seed=0)


def test_the_line_meets_what_a_larger_batch_keeps(encoder: Encoder) -> None:
    stated = activation_bytes(encoder, 128, bf16=False) * 8 * 128
    counted = saved_bytes(encoder, 8, 128, token=0)
    assert stated == pytest.approx(counted, rel=0.1)


def test_the_parts_are_those_of_the_formula() -> None:
    parts = DEMAND.parts()
    assert parts["weights"] == 40_000_000
    assert parts["gradients"] == 40_000_000
    assert parts["optimizer"] == 80_000_000
    assert parts["activations"] == 3_276_800_000
    assert parts["cached vectors"] == 12 * 128 * 120_000
    assert DEMAND.total() == sum(parts.values())
    assert replace(DEMAND, bf16=True).parts()["weights"] == 60_000_000


@pytest.mark.parametrize("slack", [0.0, SLACK])
def test_what_is_advised_fits(slack: float) -> None:
    demand = replace(DEMAND, slack=slack)
    available = round(2_000_000_000 * (1 + slack))
    assert demand.total() > available
    one = advice(demand, available, batch_size=1024, longest=512)
    assert one.setting == "batch.mini_batch_tokens"
    assert one.value >= 512
    assert replace(demand, mini_batch_tokens=one.value).total() <= RESERVE * available
    assert "lower batch.mini_batch_tokens from 32768 to" in one.describe()
    two = advice(DEMAND, 700_000_000, batch_size=1024, longest=512)
    assert (two.setting, two.value) == ("batch.size", 512)
