"""Which line of a JSON text each value stands on, for errors that people can find.

Method: `json` reads and judges the text; a second pass over its tokens, which are then known to
be well formed, notes the line of every value and key. Keys that stand twice in an object are
errors here: `json` would silently keep the last.
Cost: one regular-expression token at a time, about 5 MB/s. Limits: `MAX_BYTES` of text.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from xtrove.core import XtroveError

MAX_BYTES = 16 << 20

Path = tuple[str | int, ...]
"""Keys and positions from the outermost value inwards; () is the whole text."""

_TOKEN = re.compile(r'"(?>(?:[^"\\]|\\.)*)"?|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_NEWLINE = re.compile(r"\n")


class JsonError(XtroveError):
    """A text that is no JSON; `line` is where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.problem = message


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A value with the line (from 1) of everything in it."""

    value: object
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of a value, or of the nearest value around it that is there."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


@dataclass(kw_only=True, slots=True)
class _Frame:
    """An object or array that is open."""

    path: Path
    is_object: bool
    at: int = 0
    key: str | None = None
    keys: set[str] = field(default_factory=set)


def read_json(data: bytes) -> Placed:
    """The value in these bytes with its lines. Raises `JsonError`."""
    if len(data) > MAX_BYTES:
        raise JsonError(1, f"{len(data)} bytes, at most {MAX_BYTES}: split the file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JsonError(
            line, f"byte {data[error.start]:#04x} is not UTF-8: save as UTF-8"
        ) from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise JsonError(error.lineno, f"no JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise JsonError(1, "no JSON that can be read: nested too deeply") from error
    except ValueError as error:
        raise JsonError(1, f"no JSON: {error}") from error
    return Placed(value=value, lines=dict(_lines(text)))


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is not a JSON number")


def _lines(text: str) -> Iterator[tuple[Path, int]]:
    newlines = [match.start() for match in _NEWLINE.finditer(text)]
    open_: list[_Frame] = []
    for match in _TOKEN.finditer(text):
        token, line = match[0], bisect_right(newlines, match.start()) + 1
        if token in "}]":
            open_.pop()
            continue
        if token in ",:":
            continue
        top = open_[-1] if open_ else None
        if top is not None and top.is_object and top.key is None:
            _take_key(top, json.loads(token), line)
            continue
        path = _next_path(top)
        yield path, line
        if token in "{[":
            open_.append(_Frame(path=path, is_object=token == "{"))


def _take_key(frame: _Frame, key: str, line: int) -> None:
    if key in frame.keys:
        raise JsonError(line, f"the key {key!r} occurs twice in one object: keep one")
    frame.keys.add(key)
    frame.key = key


def _next_path(frame: _Frame | None) -> Path:
    """The path of the value that comes next, and on to the one after it."""
    if frame is None:
        return ()
    if frame.is_object:
        key, frame.key = frame.key or "", None
        return (*frame.path, key)
    frame.at += 1
    return (*frame.path, frame.at - 1)
