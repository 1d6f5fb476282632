"""The matches of a language's query, without a walk through the bodies of functions.

Method: in Python, PHP, Ruby and Rust every function has a keyword of its own. The query first runs
down to the depth at which functions stand in most files. A keyword in the text that belongs to
no function it found, and to no comment, leads to the subtree in which it stands, which is
matched whole. So no function is missed, nor what stands beside one: they share a subtree.
The other languages are matched whole.
Cost: half of the walk through the whole tree, which takes half as long as the parse.
A descent is linear in the siblings it passes: with over `MAX_DESCENTS` such keywords the tree is
matched whole.
Limits: comments and decorators inside bodies are left out where no function is near; they belong
to none. A subtree that is matched whole may give what stands at its top twice.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tree_sitter import Node, QueryCursor

from extract.parsing.tree_sitter_parse import MATCH_LIMIT, FunctionsError, Parsed

Matches = list[tuple[int, dict[str, list[Node]]]]

MAX_DESCENTS = 200
"""Files of a corpus have a few; 60,000 siblings take 0.2 ms a descent."""
_WORD_BYTES = frozenset(b for b in range(128) if chr(b).isalnum() or b == 95)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Keyword:
    """The token that every function of a language holds, and where functions stand."""

    word: bytes
    pattern: re.Pattern[bytes]
    """The word with what ends it."""
    depth: int
    """Of the tree: the first run of the query starts no match below it."""
    any_case: bool = False


_KEYWORDS: Mapping[str, _Keyword] = MappingProxyType(
    {
        "python": _Keyword(word=b"def", pattern=re.compile(rb"def\b"), depth=4),
        "php": _Keyword(
            word=b"function", pattern=re.compile(rb"function\b"), depth=4, any_case=True
        ),
        "ruby": _Keyword(word=b"def", pattern=re.compile(rb"def\b"), depth=7),
        "rust": _Keyword(word=b"fn", pattern=re.compile(rb"fn\b"), depth=3),
    }
)


def matches(parsed: Parsed) -> Matches:
    """The matches of the language's query over a tree.

    Raises FunctionsError (parse_failed) where more than `MATCH_LIMIT` are open at once.
    """
    keyword = _KEYWORDS.get(parsed.language.name)
    if keyword is None:
        return _run(parsed.tools.cursor, parsed.root)
    shallow = parsed.tools.cursor_to(keyword.depth)
    result = _run(shallow, parsed.root)
    subtrees = _unmatched(parsed, keyword, result)
    if subtrees is None:
        return _run(parsed.tools.cursor, parsed.root)
    for subtree in subtrees:
        result += _run(parsed.tools.cursor, subtree)
    return result


def _run(cursor: QueryCursor, node: Node) -> Matches:
    # Matching has no budget of its own: tree-sitter 0.26.1 crashes the process when a cursor is
    # given a progress callback. What makes it quadratic is refused by `parse`.
    matches = cursor.matches(node)
    if cursor.did_exceed_match_limit:
        raise FunctionsError("parse_failed", f"over {MATCH_LIMIT} open matches: nested too deep")
    return matches


def _unmatched(parsed: Parsed, keyword: _Keyword, captures: Matches) -> list[Node] | None:
    """The subtrees at `keyword.depth` in which a function may stand that is not in `found`.

    None where they are too many to look for one by one.
    """
    content = parsed.content.lower() if keyword.any_case else parsed.content
    comments, known = _known(content, keyword.word, captures, parsed.language.header_comments)
    subtrees: list[Node] = []
    reach = descents = 0
    for at in _words(content, keyword.pattern):
        if at < reach or at in known:
            continue
        before = bisect_right(comments, (at, len(content))) - 1
        if before >= 0 and at < comments[before][1]:
            continue
        descents += 1
        if descents > MAX_DESCENTS:
            return None
        node = _descendant(parsed.root, at, keyword.depth)
        if node is not None:
            subtrees.append(node)
            reach = node.end_byte
    return subtrees


def _known(
    content: bytes, word: bytes, captures: Matches, header_comments: bool
) -> tuple[list[tuple[int, int]], set[int]]:
    """The comments of `found` by start, and where the keywords of its functions stand."""
    comments: list[tuple[int, int]] = []
    known: set[int] = set()
    for _, captured in captures:
        if "comment" in captured:
            comments.append(captured["comment"][0].byte_range)
        elif "def" in captured and "name" in captured:
            start, name = captured["def"][0].start_byte, captured["name"][0].start_byte
            # Documentation in the head of a function stands below it in the tree.
            if not header_comments or content.find(b"/*", start, name) < 0:
                known.add(content.rfind(word, start, name))
    comments.sort()
    return comments, known


def _words(content: bytes, pattern: re.Pattern[bytes]) -> Iterator[int]:
    for match in pattern.finditer(content):
        at = match.start()
        if not at or content[at - 1] not in _WORD_BYTES:
            yield at


def _descendant(root: Node, at: int, depth: int) -> Node | None:
    """The node over the byte `at` that is `depth` levels down; None where there is none, or
    nothing below it."""
    cursor = root.walk()
    for _ in range(depth):
        if cursor.goto_first_child_for_byte(at) is None:
            return None
    node = cursor.node
    if node is None or node.start_byte > at or not node.child_count:
        return None
    return node
