"""Bytes to a tree, with every bound that hostile input needs.

Method: one parser, query and cursor per grammar and process, made at first use. Every file is
parsed through a callable with a progress callback, because the binding ignores the callback for
bytes, under a budget of two seconds: scanners of indentation look ahead over comments, which
makes 50 KB of "#" and blank lines after an indented block quadratic (2.4 s), 256 KB a minute.
After a cancelled parse the same parser would resume the old file on the next call and hand its
tree over as the new file's: the parser is reset after every call.
Cost: 12 to 20 MB/s a core to parse, the callable 1 to 2% of it; about 180 bytes of memory a
source byte at worst.
Limits: 1 MB a file; which files run out of time depends on the machine (of 20,819 real ones
none did); no 4,096 punctuation bytes or keywords in a row (matching is quadratic in
them), no tree of 65,536 levels, no 300 levels of indentation in Python (its scanner crashes at
511 and a string); the binding holds the interpreter lock, so parallelism is by processes, and a
parser must not be shared between threads.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser, Query, QueryCursor

from extract.parsing.languages import LANGUAGES, RULES_VERSION, Language, capsule_of, language_row
from xtrove.core import XtroveError

MAX_BYTES = 1_000_000
"""Larger files are refused before they come here."""
BUDGET_SECONDS = 2.0
"""Processor time for the parse of one file; real ones of 1 MB take 0.1 s."""
MATCH_LIMIT = 128
"""Matches that are open at once; real files stay under 64. A chain of 24,000 calls in Ruby opens
as many, and each step looks at all of them: 9 s for 48 kB."""
_CHUNK_BYTES = 16 * 1024
_CHARACTER_BYTES = 4
_MAX_RUN = 4096
_MAX_LEVELS = 1 << 15
"""Of a tree: what is refused is at least so deep, and at most twice."""
_WHITE = b" \t\r\n\f"
_SHAPE = bytes(40 if 33 <= code < 127 and not chr(code).isalnum() else 97 for code in range(256))
"""Every punctuation byte to "(", every other to "a"."""
_SHAPE_OR_WHITE = bytes(40 if code in _WHITE else _SHAPE[code] for code in range(256))
_SAMPLE = 256


class FunctionsError(XtroveError):
    """A file gives no functions. `reason` is one of parse_timeout, not_utf8, parse_failed."""

    def __init__(self, reason: str, value: str) -> None:
        super().__init__(f"{reason}: {value}. Count the file under this reason and leave it out.")
        self.reason = reason
        self.value = value


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What reads one grammar; owned by one thread."""

    parser: Parser
    query: Query
    cursor: QueryCursor
    window: bytearray
    """What the parser is reading of a file."""
    cursors: dict[int, QueryCursor]
    """By the depth below which no match starts."""

    def cursor_to(self, depth: int) -> QueryCursor:
        """The cursor that starts no match below `depth`."""
        cursor = self.cursors.get(depth)
        if cursor is None:
            cursor = self.cursors[depth] = QueryCursor(self.query, match_limit=MATCH_LIMIT)
            cursor.set_max_start_depth(depth)
        return cursor


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """The tree of one file, kept alive by `root`, and what reads it (`tree_sitter_matches`)."""

    root: Node
    content: bytes
    language: Language
    tools: Tools


@functools.cache
def tools(language: str, capsule: str) -> Tools:
    """Parser and cursor of a grammar, made once per process."""
    row = language_row(language)
    build: Callable[[], object] = getattr(importlib.import_module(row.module), capsule)
    grammar = Grammar(build())
    query = Query(grammar, row.query)
    cursor = QueryCursor(query, match_limit=MATCH_LIMIT)
    if row.max_depth:
        cursor.set_max_start_depth(row.max_depth)
    return Tools(parser=Parser(grammar), query=query, cursor=cursor, window=bytearray(), cursors={})


def parse(
    language: str,
    path: str,
    content: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    budget: float = BUDGET_SECONDS,
) -> Parsed:
    """Parses `content`.

    Raises FunctionsError: parse_timeout when the parse takes longer than `budget` seconds of
    processor time, parse_failed when the file is above `max_bytes`, indented deeper than its
    grammar bears, nested deeper than a cursor bears, or of a shape on which matching is quadratic.
    """
    if len(content) > max_bytes:
        raise FunctionsError("parse_failed", f"{len(content)} bytes, at most {max_bytes}")
    row = language_row(language)
    if row.max_indents and _indent_levels(content) > row.max_indents:
        raise FunctionsError("parse_failed", f"over {row.max_indents} levels of indentation")
    if _may_hold_run(content) and b"(" * _MAX_RUN in content.translate(_SHAPE, _WHITE):
        raise FunctionsError("parse_failed", f"over {_MAX_RUN} punctuation bytes in a row")
    kit = tools(language, capsule_of(row, path))
    root = _tree(kit, content, budget)
    _refuse_depth(root)
    if root.has_error:
        _refuse_runs(root)
    return Parsed(root=root, content=content, language=row, tools=kit)


def _may_hold_run(content: bytes) -> bool:
    """Whether every byte of a sample is punctuation or white space for as long as `_MAX_RUN`."""
    sample = content[::_SAMPLE].translate(_SHAPE_OR_WHITE)
    return b"(" * (_MAX_RUN // _SAMPLE) in sample


def _refuse_depth(root: Node) -> None:
    """Refuses trees of 65,536 levels: below those, which the cursor counts in 16 bits, matching
    is quadratic (60,000 `?a` in Ruby take 9 s).

    Depth grows by one a node at most, so that one node in `_MAX_LEVELS` tells.
    """
    cursor = root.walk()
    for index in range(_MAX_LEVELS, root.descendant_count, _MAX_LEVELS):
        cursor.goto_descendant(index)
        if cursor.depth >= _MAX_LEVELS:
            raise FunctionsError("parse_failed", f"over {_MAX_LEVELS} levels in the tree")


def _refuse_runs(root: Node) -> None:
    """Refuses trees on which matching is quadratic: long runs of keywords in broken code.

    For every node the cursor looks ahead for the next named sibling: 60,000 open brackets
    take 1.3 s and 1 MB of them six minutes. Only nodes that hold an error are visited.
    """
    stack = [root]
    while stack:
        node = stack.pop()
        run = 0
        for child in node.children:
            run = 0 if child.is_named else run + 1
            if run > _MAX_RUN:
                raise FunctionsError("parse_failed", f"over {_MAX_RUN} keywords in a row")
            if child.has_error:
                stack.append(child)


_DEEP = re.compile(rb"\n[ \t\f\r]{32}|\n[ \t\f\r]*\\\r?\n")
_INDENT = re.compile(rb"^[ \t\f\r]+", re.M)
_CONTINUED = re.compile(rb"^[ \t\f\r]*\\\r?$", re.M)


def _indent_levels(content: bytes) -> int:
    """An upper bound of the indentation levels open at once; 0 where it cannot be high.

    The scanner of tree-sitter-python 0.25.0 writes past its 1,024 bytes of state, two a level
    and one an open string, and takes the process down: 511 levels and one string do it.
    A line of up to 32 white-space bytes has at most 256 different widths.
    """
    if _DEEP.search(content) is None:
        return 0
    return len(set(_INDENT.findall(content))) + len(_CONTINUED.findall(content))


def _tree(kit: Tools, content: bytes, budget: float) -> Node:
    deadline, allowed = time.monotonic() + budget, time.thread_time() + budget
    view, window = memoryview(content), kit.window

    def read(offset: int, _point: object) -> bytearray:
        # tree-sitter 0.26.1 never gives back the reference to what it is given here: a new chunk
        # each time would stay for ever, all that was ever parsed. It lets go of the bytes before
        # it asks for more (else the next line raises), so one window serves all files.
        # A scanner that looks ahead to the end of the file comes back to a new offset each time:
        # chunks end at multiples of their size, so that it is not given the whole rest again.
        end = offset - offset % _CHUNK_BYTES + _CHUNK_BYTES
        if end - offset < _CHARACTER_BYTES:
            # The parser asks again for a character that a border cuts: it must be whole.
            end += _CHUNK_BYTES
        window[:] = view[offset:end]
        return window

    def late(_offset: int, _error: bool) -> bool:
        # The second clock is a system call, and right: a process that was stopped is not late.
        return time.monotonic() > deadline and time.thread_time() > allowed

    try:
        return kit.parser.parse(read, progress_callback=late).root_node
    except ValueError as error:
        reason = "parse_timeout" if late(0, False) else "parse_failed"
        raise FunctionsError(reason, f"{len(content)} bytes: {error}") from error
    finally:
        kit.parser.reset()


def _distribution(row: Language) -> str:
    return row.module.replace("_", "-")


@functools.cache
def grammar_versions() -> dict[str, str]:
    """Distribution name to installed version, of tree-sitter and every grammar."""
    names = ["tree-sitter", *(_distribution(row) for row in LANGUAGES.values())]
    return {name: importlib.metadata.version(name) for name in sorted(names)}


def extractor_id(language: str, path: str, reader: str = "") -> str:
    """What cut the functions of a file, e.g. "tree-sitter-python 0.25.0 q:1a2b3c4d5e6f".

    The digest covers the query, the patterns of the row and `RULES_VERSION`. `reader` (that of
    `functions.FileFunctions`) follows where it is not "": "... q:1a2b3c4d5e6f ast 3.11".
    """
    row = language_row(language)
    grammar = _extractor_id(row, capsule_of(row, path))
    return f"{grammar} {reader}" if reader else grammar


@functools.cache
def _extractor_id(row: Language, capsule: str) -> str:
    digest = hashlib.sha256(f"{RULES_VERSION}\0{capsule}".encode())
    for field in fields(row):
        value = getattr(row, field.name)
        text = (
            value.pattern + b"%d" % value.flags
            if isinstance(value, re.Pattern)
            else str(value).encode()
        )
        digest.update(b"\0" + text)
    name = _distribution(row)
    return f"{name} {grammar_versions()[name]} q:{digest.hexdigest()[:12]}"
