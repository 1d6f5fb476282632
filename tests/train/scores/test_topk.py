"""Exact top-k over chunks, with ties in order of position."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from train.scores.topk import NOTHING, Best, block_shape, chunk_elements, top_tokens


def sets(best: Best) -> list[list[tuple[float, int]]]:
    """Value and token of the filled places of each row, in order of token."""
    return [
        sorted(
            ((value, token) for value, token in zip(v, t, strict=True) if value != NOTHING),
            key=lambda pair: pair[1],
        )
        for v, t in zip(best.values.tolist(), best.tokens.tolist(), strict=True)
    ]


def by_sorting(scores: Tensor, k: int) -> list[list[tuple[float, int]]]:
    """The same by a stable sort of whole rows."""
    rows = []
    for row in scores.tolist():
        order = sorted(range(len(row)), key=lambda place: (-row[place], place))[:k]
        rows.append(sorted(((row[i], i) for i in order if row[i] != NOTHING), key=lambda p: p[1]))
    return rows


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 6),
    total=st.integers(1, 400),
    k=st.integers(1, 40),
    columns=st.integers(1, 400),
    steps=st.integers(1, 30),
)
def test_equal_to_a_stable_sort_whatever_the_chunks(
    seed: int, rows: int, total: int, k: int, columns: int, steps: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(-steps, steps + 1, (total, 1), generator=generator).float()
    queries = torch.tensor([[1.0], [-1.0], [0.0], [2.0], [0.5], [-0.25]])[:rows]
    best = top_tokens(
        queries,
        tokens,
        torch.zeros(total, dtype=torch.int64),
        k=k,
        barred=None,
        chunk=torch.empty(rows * columns),
    )
    assert sets(best) == by_sorting(queries @ tokens.T, k)


def test_the_two_stages_find_all_in_a_wide_row() -> None:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(5003, 4, generator=generator)
    queries = torch.randn(3, 4, generator=generator)
    owners = torch.zeros(5003, dtype=torch.int64)
    best = top_tokens(queries, tokens, owners, k=20, barred=None, chunk=torch.empty(3 * 5003))
    assert sets(best) == by_sorting(queries @ tokens.T, 20)


def test_barred_documents_leave_their_places_to_others() -> None:
    tokens = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
    owners = torch.tensor([0, 0, 1, 1])
    barred = torch.tensor([[True, False], [False, False], [True, True]])
    best = top_tokens(torch.ones(3, 1), tokens, owners, k=2, barred=barred, chunk=torch.empty(3))
    assert sets(best) == [[(2.0, 2), (1.0, 3)], [(4.0, 0), (3.0, 1)], []]


def test_a_chunk_is_bounded_and_has_a_least_size() -> None:
    like = torch.empty(0)
    for rows, columns in ((1, 1), (32_768, 131_072), (5, 10_000_000), (100_000, 3)):
        block, width = block_shape(rows, columns, 1 << 14)
        assert block * width <= 1 << 14 or (block, width) == (1, 1)
        assert 1 <= block <= rows and 1 <= width <= columns
    assert chunk_elements(8192, like) == 2048
    with pytest.raises(ValueError, match="chunk_bytes is 100: give at least 4096"):
        chunk_elements(100, like)
