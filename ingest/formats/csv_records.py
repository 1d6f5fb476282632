"""Records of a CSV file in which any line may be bad.

Method: the first record names the columns. A record grows line by line until its quotes are
closed; one that is whole but wrong (too few columns, not UTF-8) is one bad row. Where quotes are
never closed, or closed in the middle of a field, only the first line is given up and reading
goes on with the next one, so that a stray quote costs a line and not the rest of the file.
Cost: 17 MB/s with records of some 20 lines. Memory: one record and what was read ahead,
at most `MAX_RECORD` bytes.
Limits: UTF-8, commas, `"` doubled inside quotes; fields up to 131,072 characters (the module's
own limit) and records up to `MAX_RECORD` bytes and `MAX_LINES` lines. A line is looked at once
outside and once inside quotes, however many records were begun before it.
Lines inside a record whose quotes are broken are read as rows, and pass if they have the right
count of columns: nothing in the format tells them apart. Blank lines are no rows. Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Literal

from ingest.fault_text import digest_of
from ingest.formats.bad_row import BadRow
from xtrove.core import XtroveError

MAX_RECORD = 1_000_000
MAX_LINES = 5_000
_BROKEN = frozenset({"unclosed_quote", "invalid_csv"})
_MARK = b"\xef\xbb\xbf"


class NoHeader(XtroveError):
    """The first record cannot name the columns; the message is the reason."""


def csv_rows(lines: Iterator[bytes | None]) -> Iterator[Mapping[str, object] | BadRow]:
    """The rows of a file, from its lines with their ends (None for one over the cap).

    Raises `NoHeader`.
    """
    reader = _Records(lines)
    header = _names(reader.first())
    while (record := reader.next(len(header))) is not None:
        if isinstance(record, BadRow):
            yield record
        else:
            yield dict(zip(header, record, strict=True))


def header_of(lines: Iterator[bytes | None]) -> list[str]:
    """The names of the columns of a file. Raises `NoHeader`."""
    return _names(_Records(lines).first())


def _names(record: list[str] | BadRow | None) -> list[str]:
    if record is None:
        raise NoHeader("the file is empty")
    if isinstance(record, BadRow):
        raise NoHeader(f"the first record is no header: {record.reason}, {record.fact}")
    counts = Counter(record)
    if len(counts) < len(record):
        doubled = sorted(name for name, count in counts.items() if count > 1)
        raise NoHeader(
            f"column {record.index(doubled[0]) + 1} has a name that stands "
            f"{counts[doubled[0]]} times, {digest_of(doubled[0])}"
        )
    return record


class _Records:
    """Records with a way back: lines that did not belong to a record are read again.

    Inside quotes every line leads to the same state whatever stood before it, so that it is looked
    at once: `_scanned` lines ahead are known to leave a quote open that is open before them,
    and `_ending` says how the line after them ends it.
    """

    def __init__(self, lines: Iterator[bytes | None]) -> None:
        self._lines = lines
        self._ahead: deque[bytes] = deque()
        """Lines that were read, the first of them next; b"" for one over the cap."""
        self._scanned = 0
        self._scanned_bytes = 0
        self._ending: Literal["", "closed", "broken"] = ""

    def first(self) -> list[str] | BadRow | None:
        line = self._take()
        if line is not None:
            self._ahead.appendleft(line.removeprefix(_MARK))
        return self.next(None)

    def next(self, columns: int | None) -> list[str] | BadRow | None:
        """The next record; None at the end."""
        while (line := self._take()) is not None:
            if not line:
                return BadRow(reason="line_too_long")
            if line.strip():
                return self._record(line, columns)
        return None

    def _record(self, line: bytes, columns: int | None) -> list[str] | BadRow:
        record = line
        fields = _parse(line)
        if fields is None:
            self._scan(line)
            if self._ending != "closed" or not self._fits(line, self._ahead[self._scanned]):
                return _bad("invalid_csv" if self._ending == "broken" else "unclosed_quote", line)
            rest = list(islice(self._ahead, self._scanned + 1))
            record = b"".join([line, *rest])
            fields = _parse(record)
            if fields is None or (isinstance(fields, BadRow) and fields.reason in _BROKEN):
                # A field over the module's limit: no later record ends there either.
                self._ending = "broken"
                return fields or _bad("unclosed_quote", line)
            for _ in rest:
                self._take()
        if not isinstance(fields, BadRow) and columns not in (None, len(fields)):
            message = f"{len(fields)} columns, the header has {columns}"
            return _bad("wrong_column_count", record, message)
        return fields

    def _scan(self, line: bytes) -> None:
        """Look ahead for the line that ends the open quote, as far as a record may reach."""
        while not self._ending and self._fits(line):
            if self._scanned == len(self._ahead):
                try:
                    self._ahead.append(next(self._lines) or b"")
                except StopIteration:
                    return
            following = self._ahead[self._scanned]
            if not following:
                return
            fields = _parse_text('"' + following.decode("latin-1"))
            if fields is None:
                self._scanned += 1
                self._scanned_bytes += len(following)
            else:
                self._ending = "broken" if isinstance(fields, BadRow) else "closed"

    def _fits(self, line: bytes, last: bytes = b"") -> bool:
        size = len(line) + self._scanned_bytes + len(last)
        return self._scanned < MAX_LINES - 1 and size <= MAX_RECORD

    def _take(self) -> bytes | None:
        """The next line; b"" for one over the cap, None at the end."""
        if not self._ahead:
            try:
                return next(self._lines) or b""
            except StopIteration:
                return None
        line = self._ahead.popleft()
        if self._scanned:
            self._scanned -= 1
            self._scanned_bytes -= len(line)
        else:
            self._ending = ""
        return line


def _parse(record: bytes) -> list[str] | BadRow | None:
    """The fields of a record; None while a quote is open."""
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError:
        # A cut inside a character cannot be: records are cut at line ends only.
        if _parse_text(record.decode("utf-8", "replace")) is None:
            return None
        return _bad("not_utf8", record)
    return _parse_text(text)


def _parse_text(text: str) -> list[str] | BadRow | None:
    try:
        return next(csv.reader([text.rstrip("\r\n")], strict=True), [])
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return None
        return _bad("invalid_csv", text.encode("utf-8"))


def _bad(reason: str, record: bytes, fact: str = "") -> BadRow:
    shown = record[:120].decode("utf-8", "backslashreplace").strip()[:160]
    message = f"{fact}: " if fact else ""
    facts = f"{fact}, " if fact else ""
    return BadRow(reason=reason, detail=f"{message}{shown}", fact=f"{facts}{digest_of(record)}")
