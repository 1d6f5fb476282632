"""What a Parquet file holds by the headers of its pages, before anything of it is unpacked.

Method: footer and page headers are Thrift structures in the compact protocol; this walks them in
the mapped file and keeps the few numbers that bound what a reader will allocate. The metadata
alone does not: a row group may state fewer values and bytes than its pages have, and pyarrow 26
ends the process (an exception that nobody catches) when it is asked for the metadata of a column
whose statistics are damaged. Fields of another wire type than the format's are passed over, as
Arrow does. Cost: about 25 us a column of a row group and 10 us a page. Limits: a footer of at most
16 MiB; encrypted files and columns in other files are refused.
Sources: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xtrove.core import DamagedData

MOST_FOOTER_BYTES: Final = 1 << 24
MOST_PAGES: Final = 1 << 20
"""Of a file."""
_MAGIC: Final = b"PAR1"
_DEPTH: Final = 32
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(
    13
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnPages:
    """One column of a row group."""

    values: int
    """What its pages hold, dictionaries included, by their headers or by its metadata: the more."""
    bytes: int
    """Uncompressed, all pages."""
    least: str | None
    """Statistics; None where there are none, or none that are text."""
    most: str | None


def read_pages(path: Path) -> list[list[ColumnPages]]:
    """The columns of each row group, in the order of the schema. `DamagedData`, `OSError`."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        if size < 12:
            raise DamagedData(f"{size} bytes are no Parquet file")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            length = int.from_bytes(data[-8:-4], "little")
            if data[-4:] != _MAGIC or length > min(size - 12, MOST_FOOTER_BYTES):
                raise DamagedData(f"its footer of {length} bytes cannot be read")
            walk = _Walk(data, size - 8 - length, size - 8)
            pages = []
            budget = [MOST_PAGES]
            for _ in walk.only((4, _LIST)):
                pages = [_group(walk, budget) for _ in walk.structs()]
            return pages


class _Walk:
    """A place in a mapped file that moves over Thrift's compact protocol."""

    def __init__(self, data: mmap.mmap, position: int, end: int) -> None:
        self.data = data
        self.position = position
        self.end = end

    def byte(self) -> int:
        if self.position >= self.end:
            raise DamagedData("a header ends too early")
        self.position += 1
        return self.data[self.position - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise DamagedData("a number of a header is too long")

    def number(self, bits: int) -> int:
        """A signed integer that must fit: readers cut off what does not."""
        value = self.varint()
        value = (value >> 1) ^ -(value & 1)
        if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            raise DamagedData(f"a number of a header has more than {bits} bits")
        return value

    def binary(self) -> bytes:
        size = self.varint()
        self.forward(size)
        return self.data[self.position - size : self.position]

    def fields(self) -> Iterator[tuple[int, int]]:
        """Number and type of each field of a struct; the caller reads or skips its value."""
        number = 0
        while (head := self.byte()) != _STOP:
            number = number + (head >> 4) if head >> 4 else self.number(16)
            yield number, head & 0x0F

    def only(self, *fields: tuple[int, int]) -> Iterator[int]:
        """The numbers of these fields (number, type) of a struct; the caller reads their values."""
        for number, kind in self.fields():
            if (number, kind) in fields:
                yield number
            else:
                self.skip(kind)

    def structs(self) -> Iterator[int]:
        """The place of each struct in a list of them; the caller reads each."""
        size, kind = self._elements()
        if size and kind != _STRUCT:
            raise DamagedData(f"a list of the footer has elements of type {kind}")
        yield from range(size)

    def skip(self, kind: int, depth: int = 0) -> None:
        """Passes over a value."""
        if depth > _DEPTH:
            raise DamagedData("a header is nested too deeply")
        if kind == _BYTE:
            self.forward(1)
        elif kind in (_I16, _I32, _I64):
            self.varint()
        elif kind == _DOUBLE:
            self.forward(8)
        elif kind == _BINARY:
            self.forward(self.varint())
        elif kind in (_LIST, _SET):
            size, inner = self._elements()
            for _ in range(size):
                self._skip_element(inner, depth)
        elif kind == _MAP:
            size = self.varint()
            kinds = self.byte() if size else 0
            for _ in range(size):
                self._skip_element(kinds >> 4, depth)
                self._skip_element(kinds & 0x0F, depth)
        elif kind == _STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind not in (_TRUE, _FALSE):
            raise DamagedData(f"a header has a field of type {kind}")

    def _skip_element(self, kind: int, depth: int) -> None:
        if kind in (_TRUE, _FALSE):
            self.forward(1)
        else:
            self.skip(kind, depth + 1)

    def _elements(self) -> tuple[int, int]:
        head = self.byte()
        size = head >> 4 if head >> 4 < 15 else self.varint()
        return size, head & 0x0F

    def forward(self, size: int) -> None:
        if size > self.end - self.position:
            raise DamagedData("a header ends too early")
        self.position += size


def _group(walk: _Walk, budget: list[int]) -> list[ColumnPages]:
    columns: list[ColumnPages] = []
    for _ in walk.only((1, _LIST)):
        columns = [_column(walk, budget) for _ in walk.structs()]
    return columns


def _column(walk: _Walk, budget: list[int]) -> ColumnPages:
    numbers: dict[int, int] = {}
    limits: dict[int, bytes] = {}
    for field in walk.only((1, _BINARY), (3, _STRUCT)):
        if field == 1:
            raise DamagedData("a column lies in another file")
        for inner in walk.only(
            *((field_number, _I64) for field_number in (5, 6, 7, 9, 11)), (12, _STRUCT)
        ):
            if inner == 12:
                _statistics(walk, limits)
            else:
                numbers[inner] = walk.number(64)
    start, dictionary = numbers.get(9, -1), numbers.get(11, 0)
    if 0 < dictionary < start:
        start = dictionary
    stop = start + numbers.get(7, -1)
    if not 0 <= start <= stop <= len(walk.data):
        raise DamagedData(f"a column lies at bytes {start} to {stop} of {len(walk.data)}")
    values, size = _pages(walk.data, start, stop, budget)
    return ColumnPages(
        values=max(values, numbers.get(5, 0)),
        bytes=max(size, numbers.get(6, 0)),
        least=_text(limits.get(6)),
        most=_text(limits.get(5)),
    )


def _statistics(walk: _Walk, limits: dict[int, bytes]) -> None:
    for number in walk.only((5, _BINARY), (6, _BINARY)):
        limits[number] = walk.binary()


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("ascii")
    except UnicodeDecodeError:
        return None


def _pages(data: mmap.mmap, start: int, stop: int, budget: list[int]) -> tuple[int, int]:
    """Values and uncompressed bytes of the pages of one column."""
    values = size = 0
    walk = _Walk(data, start, stop)
    while walk.position < stop:
        budget[0] -= 1
        if budget[0] < 0:
            raise DamagedData(f"it has more than {MOST_PAGES} pages")
        numbers: dict[int, int] = {}
        page_values = 0
        for number in walk.only(
            (2, _I32), (3, _I32), *((field_number, _STRUCT) for field_number in (5, 7, 8))
        ):
            if number in (2, 3):
                numbers[number] = walk.number(32)
            else:
                page_values = max(page_values, _page_values(walk))
        if min(numbers.get(2, -1), numbers.get(3, -1), page_values) < 0:
            raise DamagedData(f"a page states the sizes {numbers} and {page_values} values")
        walk.forward(numbers[3])
        values += page_values
        size += numbers[2]
    return values, size


def _page_values(walk: _Walk) -> int:
    page_values = 0
    for _ in walk.only((1, _I32)):
        page_values = walk.number(32)
    return page_values
