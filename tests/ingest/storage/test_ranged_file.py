"""Seekable files over ranges: the same bytes as the file itself, and no more requests than said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import TransientFault
from ingest.formats.parquet import ParquetReader
from ingest.storage import ranged_file as ranged
from ingest.storage.ranged_file import MAX_GAP_BYTES, WASTE, RangedFile, join_ranges
from tests.ingest.stack_tables import row, write

DATA = bytes(i * 7 % 251 for i in range(5000))
Range = tuple[int, int]


class Asked:
    """The ranges that were fetched."""

    def __init__(self) -> None:
        self.ranges: list[Range] = []

    def fetch(self, start: int, stop: int) -> bytes:
        self.ranges.append((start, stop))
        return DATA[start:stop]


def opened() -> tuple[RangedFile, Asked]:
    asked = Asked()
    return RangedFile("x", len(DATA), asked.fetch), asked


spans = st.tuples(st.integers(0, len(DATA) - 1), st.integers(1, 900)).map(
    lambda pair: (pair[0], min(pair[0] + pair[1], len(DATA)))
)


@given(kept=st.lists(spans, max_size=6), reads=st.lists(spans, max_size=12))
def test_reads_are_those_of_the_file(kept: list[Range], reads: list[Range]) -> None:
    file, asked = opened()
    file.prefetch(kept)
    fetched = list(asked.ranges)
    for start, stop in reads:
        file.seek(start)
        assert file.read(stop - start) == DATA[start:stop]
        assert file.tell() == stop
    for start, stop in kept:
        file.seek(start)
        assert file.read(stop - start) == DATA[start:stop]
    # A read costs itself, or nothing where it was fetched ahead.
    assert set(asked.ranges[len(fetched) :]) <= set(reads)


@given(st.lists(spans, min_size=1, max_size=8))
def test_what_was_fetched_ahead_is_never_asked_for_again(kept: list[Range]) -> None:
    file, asked = opened()
    for kept_pair in kept:
        file.prefetch([kept_pair])
    asked.ranges.clear()
    for start, stop in kept:
        for first in range(start, stop, 100):
            file.seek(first)
            assert file.read(min(100, stop - first)) == DATA[first : min(first + 100, stop)]
    assert not asked.ranges


def test_a_gate_before_its_neighbours_costs_each_byte_once(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", [row(n, content=f"{n} " * 9000) for n in range(40)], 40)
    asked: list[Range] = []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return path.read_bytes()[start:stop]

    names = ["content", "lang", "max_stars_repo_licenses", "max_stars_repo_name"]
    with ParquetReader.of(cast(BinaryIO, RangedFile("t", path.stat().st_size, fetch))) as reader:
        asked.clear()
        (group,) = reader.groups(names)
        list(reader.batches(0, names[2:3], group.size, group.rows))
        list(reader.batches(0, names, group.size, group.rows))
    assert len(asked) <= 3
    covered = sorted(asked[1:])
    assert all(one[1] <= other[0] for one, other in zip(covered, covered[1:], strict=False))


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=20))
def test_joined_ranges_cover_and_waste_little(pairs: list[Range]) -> None:
    expected = [(start, start + length) for start, length in pairs]
    joined = join_ranges(expected)
    assert joined == sorted(joined)
    assert all(one[1] <= two[0] for one, two in zip(joined, joined[1:], strict=False))
    for start, stop in expected:
        assert start == stop or any(a <= start and stop <= b for a, b in joined)
    useful = _union(expected)
    assert useful <= sum(b - a for a, b in joined) <= useful * (1 + WASTE) + 1e-9


def _union(ranges: list[Range]) -> int:
    total = at = 0
    for start, stop in sorted(ranges):
        total += max(0, stop - max(start, at))
        at = max(at, stop)
    return total


def test_neighbours_become_one_request_and_far_ones_do_not() -> None:
    assert join_ranges([(0, 100), (100, 200), (150, 300)]) == [(0, 300)]
    assert join_ranges([(0, 1000), (1050, 2000)]) == [(0, 2000)]
    assert join_ranges([(0, 100), (150, 200)]) == [(0, 100), (150, 200)]
    far = 10**8
    apart = [(0, far), (far + MAX_GAP_BYTES + 1, 2 * far)]
    assert join_ranges(apart) == apart


def test_a_long_range_is_fetched_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged, "MAX_REQUEST_BYTES", 1000)
    monkeypatch.setattr(ranged, "HELD_BYTES", 1500)
    file, asked = opened()
    file.prefetch([(10, 2510), (4000, 4100)])
    assert asked.ranges == [(10, 1010), (1010, 2010), (2010, 2510), (4000, 4100)]
    file.seek(900)
    assert file.read(1500) == DATA[900:2400]
    file.prefetch([(20, 30), (4000, 4100)])
    assert len(asked.ranges) == 4
    file.drop_cache()
    file.seek(900)
    assert file.read(5) == DATA[900:905]
    assert asked.ranges[4:] == [(900, 905)]


def test_it_is_a_file_like_any() -> None:
    file, asked = opened()
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    assert file.seek(0, io.SEEK_END) == 5000
    assert file.read(10) == b""
    assert file.seek(-5, io.SEEK_CUR) == 4995
    assert file.readall() == DATA[-5:]
    assert asked.ranges == [(4995, 5000)]
    with pytest.raises(ValueError, match="before the file"):
        file.seek(-1)
    with pytest.raises(ValueError, match="outside a file of 5000"):
        file.prefetch([(4000, 5001)])
    file.seek(0)
    lines = io.BufferedReader(file, 512)
    assert lines.readline() == DATA[: DATA.index(b"\n") + 1]
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_a_fault_goes_through_unchanged() -> None:
    def fail(start: int, stop: int) -> bytes:
        raise TransientFault("x", f"{start}:{stop}")

    with pytest.raises(TransientFault, match="0:7"):
        RangedFile("x", 10, fail).read(7)


def test_a_parquet_reader_keeps_one_row_group_at_a_time(tmp_path: Path) -> None:
    data = write(tmp_path / "a.parquet", [row(i) for i in range(12)], group=4).read_bytes()
    asked: list[Range] = []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return data[start:stop]

    with ParquetReader.of(cast(BinaryIO, RangedFile("a", len(data), fetch))) as reader:
        sizes = reader.groups(["content"])
        costs: list[list[Range]] = []
        for index in (0, 0, 1, 0):
            asked.clear()
            list(reader.batches(index, ["content"], sizes[index].size, sizes[index].rows))
            costs.append(list(asked))
    assert costs[0] == costs[3] != costs[2]
    assert costs[1] == []
    assert [len(cost) for cost in costs] == [1, 0, 1, 1]
