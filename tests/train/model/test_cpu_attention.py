"""Attention by blocks of heads, against the formula in float64 and torch's own in models."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import train.model.cpu_attention
from tests.train.tiny_models import FAMILIES, TEXTS, made
from train.model.cpu_attention import NAME, attend, blocks_of_heads, cpu_attention, gradients
from train.model.encoder import Encoder, EncoderOptions
from train.model.pretrained import load_base

OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)


def formula(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Word for word, in float64: [B, L, H, d]."""
    scores = query.double() @ key.double().transpose(2, 3) * scale
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return (weights @ value.double()).transpose(1, 2)


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    scores=st.integers(1, 400),
    seed=st.integers(0, 1 << 30),
    kind=st.sampled_from(["none", "bool", "added"]),
)
def test_blocks_are_the_formula(
    shape: tuple[int, int, int, int], scores: int, seed: int, kind: str
) -> None:
    count, heads, length, dim = shape
    random = torch.Generator().manual_seed(seed)
    query, key, value = (torch.randn(count, heads, length, dim, generator=random) for _ in "qkv")
    mask = torch.rand(count, 1, length, length, generator=random) < 0.6
    mask[..., 0] = True
    least = torch.finfo(torch.float32).min
    given_mask = {
        "none": None,
        "bool": mask,
        "added": torch.zeros(mask.shape).masked_fill_(~mask, least),
    }[kind]
    expected = formula(query, key, value, mask if kind != "none" else torch.ones_like(mask), 0.7)
    before, train.model.cpu_attention.SCORES = train.model.cpu_attention.SCORES, scores
    try:
        result = blocks_of_heads(query, key, value, given_mask, 0.7)
    finally:
        train.model.cpu_attention.SCORES = before
    torch.testing.assert_close(result.double(), expected, atol=2e-6, rtol=1e-5)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 8), st.integers(1, 8)),
    scores=st.integers(1, 300),
    seed=st.integers(0, 1 << 30),
)
def test_gradients_are_those_of_the_formula(
    shape: tuple[int, int, int, int], scores: int, seed: int
) -> None:
    count, heads, length, dim = shape
    random = torch.Generator().manual_seed(seed)
    some = [torch.randn(count, heads, length, dim, generator=random) for _ in "qkv"]
    given_gradient = torch.randn(count, length, heads, dim, generator=random)
    mask = torch.rand(count, 1, length, length, generator=random) < 0.6
    mask[..., 0] = True
    exact = [one.double().requires_grad_() for one in some]
    formula(*exact, mask, 0.7).backward(given_gradient.double())
    before, train.model.cpu_attention.SCORES = train.model.cpu_attention.SCORES, scores
    try:
        made = blocks_of_heads(*some, mask, 0.7)
        result = gradients(*some, mask, 0.7, made, given_gradient)
    finally:
        train.model.cpu_attention.SCORES = before
    for one, other in zip(result, exact, strict=True):
        assert other.grad is not None
        torch.testing.assert_close(one.double(), other.grad, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_model_learns_the_same_by_either(family: str, tmp_path: Path) -> None:
    encoder = load_base(str(made(family, tmp_path / "base")), OPTIONS, seed=1).eval()
    ids, mask = encoder.padded(encoder.tokenize(TEXTS, "document"), "document")
    real, result = mask.bool(), []
    for quick in (nullcontext(), encoder.quick()):
        encoder.zero_grad()
        with quick:
            encoder(ids, mask)[real][:, :3].sum().backward()
        result.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    assert result[0].keys() == result[1].keys()
    for name, one in result[0].items():
        torch.testing.assert_close(one, result[1][name], atol=2e-4, rtol=1e-3, msg=name)


def test_a_row_that_attends_to_nothing_is_a_number() -> None:
    some = torch.randn(1, 1, 3, 4)
    mask = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    assert blocks_of_heads(some, some, some, mask, 1.0).isfinite().all()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_vectors_are_those_of_torchs_attention(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_base(str(made(family, tmp_path / "base")), OPTIONS, seed=1).eval()
    texts = [*TEXTS, *("def f(x): return x\n" * n for n in range(1, 9))]
    rows = encoder.tokenize(texts, "document")
    ids, mask = encoder.padded(rows, "document")
    with torch.inference_mode():
        expected = encoder(ids, mask)
    seen: list[torch.dtype] = []

    def spy(*words: torch.Tensor) -> torch.Tensor:
        seen.append(words[0].dtype)
        return blocks_of_heads(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(train.model.cpu_attention, "blocks_of_heads", spy)
    monkeypatch.setattr(train.model.cpu_attention, "SCORES", 1 << 10)
    with torch.inference_mode(), encoder.quick():
        result = encoder(ids, mask)
    # T5 adds a bias by position, which is torch's.
    assert bool(seen) == (family != "t5")
    for row, one, other in zip(rows, result, expected, strict=True):
        torch.testing.assert_close(one[: len(row)], other[: len(row)], atol=3e-6, rtol=1e-5)


def test_it_is_given_back(tmp_path: Path) -> None:
    encoder: Encoder = load_base(str(made("bert", tmp_path / "base")), OPTIONS, seed=1)
    before = encoder.base.config._attn_implementation
    with pytest.raises(KeyError), cpu_attention(encoder.base):
        assert encoder.base.config._attn_implementation == NAME
        ids, mask = encoder.padded(encoder.tokenize(TEXTS, "query"), "query")
        encoder(ids, mask).sum().backward()
        raise KeyError
    assert encoder.base.config._attn_implementation == before
    assert all(parameter.grad is not None for parameter in encoder.projection.parameters())


def test_causal_attention_is_torchs() -> None:
    some = torch.randn(1, 2, 5, 4)
    with torch.inference_mode():
        result, _ = attend(torch.nn.Identity(), some, some, some, None, is_causal=True)
    expected = torch.nn.functional.scaled_dot_product_attention(some, some, some, is_causal=True)
    torch.testing.assert_close(result, expected.transpose(1, 2))
