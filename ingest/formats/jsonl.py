"""JSON lines in byte ranges.

Method: a range owns the lines that start in it, so that any set of ranges that covers a file
reads each line once. A reader starts one byte early to learn whether a line begins at its
first byte, and reads past its end to finish its last line. A line over the cap is read to its
end in pieces and thrown away.
Cost: one pass; memory is one line of at most the cap. Limits: `MAX_LINE_BYTES` a line; lines
end in `\\n` (a `\\r` before it is white space); blank lines are no rows; a byte order mark at
the start of a file is left out. Source: JSON Lines, RFC 8259.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

MAX_LINE_BYTES = 8_000_000
_CHUNK = 1 << 20
_MARK = b"\xef\xbb\xbf"


class LineReader:
    """The lines that start at `start <= offset < stop` of a seekable, buffered file."""

    def __init__(self, file: BinaryIO, start: int, stop: int, *, cap: int = MAX_LINE_BYTES) -> None:
        self._file = file
        self._start = start
        self._stop = stop
        self._cap = cap
        self._at = start
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the bytes of the range; complete after the last line."""
        return self._hash.hexdigest()

    def lines(self) -> Iterator[bytes | None]:
        """Each line that is not blank, without its end; None for one over the cap."""
        if self._start > 0:
            self._file.seek(self._start - 1)
            if self._file.read(1) != b"\n":
                self._finish()
        else:
            self._file.seek(0)
        while self._at < self._stop:
            first = self._at == 0
            line = self._read(self._cap + 1)
            if not line:
                return
            if len(line) > self._cap and not line.endswith(b"\n"):
                self._finish()
                yield None
                continue
            clean = (line.removeprefix(_MARK) if first else line).strip()
            if clean:
                yield clean

    def _finish(self) -> None:
        """Read to the end of the line that is open."""
        while chunk := self._read(_CHUNK):
            if chunk.endswith(b"\n"):
                return

    def _read(self, count: int) -> bytes:
        data = self._file.readline(count)
        self._hash.update(data[: max(self._stop - self._at, 0)])
        self._at += len(data)
        return data


def parse_object(line: bytes) -> dict[str, object] | str:
    """The object of a line, or the funnel reason why there is none.

    `NaN` and infinities, which JSON does not have, are `invalid_json`; so is nesting deeper
    than the interpreter allows.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8"
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return "invalid_json"
    return value if isinstance(value, dict) else "not_an_object"


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
