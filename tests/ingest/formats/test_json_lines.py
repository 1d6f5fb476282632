"""Byte ranges of JSON lines: whatever the cuts, each line is read once."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.jsonl import LineReader, parse_object

LINE = st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"x"))
FILE = st.builds(
    lambda lines, end: b"\n".join(lines) + end,
    st.lists(LINE, max_size=12),
    st.sampled_from([b"", b"\n"]),
)


def read(data: bytes, start: int, stop: int, cap: int = 8) -> tuple[list[bytes | None], str]:
    reader = LineReader(io.BytesIO(data), start, stop, cap=cap)
    return list(reader.lines()), reader.digest


def oracle(data: bytes, cap: int = 8) -> list[bytes | None]:
    lines = data.split(b"\n")
    lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf") if len(lines[0]) <= cap else lines[0]
    return [
        None if len(line) > cap else line.strip()
        for line in lines
        if len(line) > cap or line.strip()
    ]


@given(FILE, st.lists(st.integers(0, 200), max_size=6))
def test_any_cuts_give_exactly_the_lines(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    result: list[bytes | None] = []
    for start, stop in zip(edges, edges[1:], strict=False):
        lines, digest = read(data, start, stop)
        assert digest == hashlib.sha256(data[start:stop]).hexdigest()
        result += lines
    assert result == oracle(data)


def test_a_line_belongs_to_the_range_it_starts_in() -> None:
    data = b"aaa\nbbb\nccc"
    assert read(data, 0, 4)[0] == [b"aaa"]
    assert read(data, 0, 5)[0] == [b"aaa", b"bbb"]
    assert read(data, 5, 8)[0] == []
    assert read(data, 4, 9)[0] == [b"bbb", b"ccc"]


def test_blank_lines_marks_and_carriage_returns() -> None:
    assert read(b"\xef\xbb\xbf{}\r\n\n  \n{}\r\n", 0, 15)[0] == [b"{}", b"{}"]


class Endless(io.RawIOBase):
    """A line of 100 MB that is never in memory as a whole."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.largest = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        assert (offset, whence) == (0, 0)
        return 0

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        count = min(len(view), self._left)
        self.largest = max(self.largest, count)
        view[:count] = b"x" * count
        self._left -= count
        return count


def test_a_line_of_100_mb_is_one_refusal() -> None:
    raw = Endless(100_000_000)
    reader = LineReader(io.BufferedReader(raw, 1 << 16), 0, 100_000_000)
    assert list(reader.lines()) == [None]
    assert raw.largest <= 1 << 20


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[1]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a": }', "invalid_json"),
        (b'{"a": 1', "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "invalid_json"),
        (b'{"a": "\xff"}', "not_utf8"),
    ],
)
def test_parse_object(line: bytes, expected: object) -> None:
    assert parse_object(line) == expected
