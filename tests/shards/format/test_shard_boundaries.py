"""Shard boundaries: the formula, the bound, and an exhaustive look at small cases."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shards.format.sample import tar_size
from shards.format.shard_sizes import (
    ShardOptions,
    archive_bytes,
    plan_ranges,
    plan_shards,
    tar_sizes,
)
from xtrove.core.byte_sizes import parse_bytes


@given(
    sizes=st.lists(st.integers(min_value=1, max_value=50), max_size=80),
    max_bytes=st.integers(min_value=1, max_value=400),
)
def test_ranges_cover_everything_within_the_bound(sizes: list[int], max_bytes: int) -> None:
    array = np.array(sizes, dtype=np.int64)
    ranges = plan_ranges(array, max_bytes)
    covered = [row for start, stop in ranges for row in range(start, stop)]
    assert covered == list(range(len(sizes)))
    for start, stop in ranges:
        assert stop > start
        if stop - start > 1:
            assert sum(sizes[start:stop]) < max_bytes + sizes[stop - 1]
            assert max(sizes[start:stop]) <= max_bytes
    if sizes and max(sizes) <= max_bytes:
        assert len(ranges) == -(-sum(sizes) // max_bytes)


@given(st.lists(st.integers(min_value=1, max_value=90), min_size=1, max_size=60))
def test_shards_are_nearly_equal(sizes: list[int]) -> None:
    ranges = plan_ranges(np.array(sizes, dtype=np.int64), 100)
    target = sum(sizes) / len(ranges)
    for start, stop in ranges:
        assert stop - start == 1 or sum(sizes[start:stop]) < target + max(sizes) + 1


def test_a_giant_is_alone_and_the_runs_beside_it_are_cut_by_the_formula() -> None:
    sizes = np.array([4, 4, 4, 99, 4, 50, 3], dtype=np.int64)
    assert plan_ranges(sizes, 10) == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7)]


def test_large_samples_leave_no_shard_empty() -> None:
    assert plan_ranges(np.array([1, 100], dtype=np.int64), 100) == [(0, 1), (1, 2)]
    assert plan_ranges(np.array([100, 1], dtype=np.int64), 100) == [(0, 1), (1, 2)]
    assert plan_ranges(np.empty(0, dtype=np.int64), 100) == []


def test_totals_beyond_32_bits() -> None:
    sizes = np.full(2_000_000, 50_000, dtype=np.int64)
    ranges = plan_ranges(sizes, 256_000_000)
    assert len(ranges) == -(-100_000_000_000 // 256_000_000)
    assert max(stop - start for start, stop in ranges) <= 5120


@pytest.mark.parametrize("ids", [["b", "a"], ["a", "a"], ["a"]])
def test_ids_must_ascend_and_fit(ids: list[str]) -> None:
    with pytest.raises(ValueError, match=r"ascend|one size an id"):
        plan_shards(ids, np.array([1, 1], dtype=np.int64), 10)


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="0 bytes"):
        plan_ranges(np.array([0], dtype=np.int64), 10)


def test_archive_bytes_is_what_tarfile_writes() -> None:
    for length in (0, 1, 7000, 8000, 8192, 8193, 20_000):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            info = tarfile.TarInfo("a.json")
            info.size = length
            tar.addfile(info, io.BytesIO(bytes(length)))
        assert len(buffer.getvalue()) == archive_bytes(tar_size(length))


def test_tar_sizes_is_tar_size_of_each() -> None:
    lengths = np.array([0, 1, 511, 512, 513], dtype=np.int64)
    assert tar_sizes(lengths).tolist() == [tar_size(n) for n in lengths.tolist()]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256MB", 256_000_000),
        ("1.5 GB", 1_500_000_000),
        ("64MiB", 64 << 20),
        ("2kib", 2048),
        ("4096", 4096),
        ("0.1kb", 100),
        (12345, 12345),
    ],
)
def test_sizes_in_words(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1XB", "1e6", "١MB", None, True, 1.5])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="no size"):
        parse_bytes(text)


def test_options() -> None:
    assert ShardOptions().max_bytes == 256_000_000
    assert ShardOptions.model_validate({"max_bytes": "64MiB"}).max_bytes == 64 << 20
    for wrong in ({"max_bytes": "1KB"}, {"max_bytes": "lots"}, {"max_byte": 5}):
        with pytest.raises(ValidationError):
            ShardOptions.model_validate(wrong)
