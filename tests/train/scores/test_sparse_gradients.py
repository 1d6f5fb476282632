"""The two ways to add weighted rows give the same sums."""

from __future__ import annotations

import pytest
import torch

import train.scores.sparse_gradients
from train.scores.sparse_gradients import add_by_owner, add_in_bags, add_in_slices


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("slice_size", [3, 1000])
def test_bags_and_slices_are_the_written_out_sum(
    weighted: bool, slice_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.scores.sparse_gradients, "_SLICE", slice_size)
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(0, 6, (40,), generator=generator).sort().values
    columns = torch.randint(0, 9, (40,), generator=generator)
    weights = torch.randn(40, generator=generator) if weighted else None
    values = torch.randn(9, 5, generator=generator)
    expected = torch.ones(6, 5)
    for pair, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        expected[row] += values[column] * (1.0 if weights is None else weights[pair])
    counts = torch.bincount(rows, minlength=6)
    bags, slices = torch.ones(6, 5), torch.ones(6, 5)
    add_in_bags(bags, counts, columns, weights, values)
    add_in_slices(slices, rows, columns, weights, values)
    torch.testing.assert_close(bags, expected)
    torch.testing.assert_close(slices, expected)


def test_rows_are_added_to_their_owners_and_to_no_other() -> None:
    total = torch.zeros(5, 2)
    add_by_owner(total, torch.tensor([1, 1, 3]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert total.tolist() == [[0, 0], [4, 6], [0, 0], [5, 6], [0, 0]]
    add_by_owner(total[:0], torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2))
