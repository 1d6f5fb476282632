"""Which comment belongs to which function: a linear merge over byte offsets.

Method: matches become two sorted arrays, functions and what may stand above them. From each
function the merge walks back over adjacent comments, decorators and overload signatures of the
same name, and stops at the first gap that holds code or a blank line (one is bridged before
documentation, where the language's own tools do), or at a comment that trails code. What the head
of a file says of the file is no function's.
Cost: one pass over the matches and a short walk per function; 20,000 comment lines take well
under 0.1 s. Limits: a gap over `_REACH` bytes is never bridged, so that no input makes the
walk quadratic.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

from tree_sitter import Node

from extract.parsing.languages import Language
from extract.parsing.tree_sitter_matches import Matches

_COMMENT, _DECORATOR, _SKIP = 0, 1, 2
_KINDS = {"decorator": _DECORATOR, "skip": _SKIP}
_REACH = 4096
_BLOCK_STARTS = (b"/*", b"=b")
_BRACKETS = frozenset(b"(){}=;")
_ATTRIBUTES = 256
"""Bytes in front of a module in which its attributes are looked for."""
_CFG_TEST_FILE = re.compile(rb"\s*(?://[^\n]*\n\s*)*#!\[\s*cfg\s*\(\s*test\s*\)\s*\]")
_CFG_TEST = re.compile(
    rb"#\[\s*cfg\s*\(\s*(?:test|all\s*\(\s*test\s*,[^\[\]]*+\))\s*\)\s*\]"
    rb"(?:\s|//[^\n]*\n|#\[[^\[\]]*+\])*\Z"
)

Span = tuple[int, int]
Item = tuple[int, int, int, bytes]
"""Start, end, kind, and the name of an overload signature (else b"")."""
_OF_THE_FILE = re.compile(
    rb"@(?:file|fileoverview|overview|license|licence|module|package|packageDocumentation|copyright"
    rb"|flow|jest-environment)\b|\bcopyright\b|\blicen[sc]ed? |SPDX-License-Identifier",
    re.I,
)
_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?(?:#![^\n]*+\n)?\s*+(?:<\?php\b)?\s*+")


@dataclass(kw_only=True, slots=True)
class Found:
    """A function as it is put together from its matches; one object per function and file."""

    node: Node | None
    """None where `python_ast` found the function: `statements` tells of its body then."""
    own: int
    """Start of the function itself, without wrappers and decorators."""
    start: int
    """Of the outermost wrapper or first decorator."""
    end: int
    name: Span
    documentation: tuple[Span, ...] = ()
    """In file order: comments and attributes, or the first statement of a Python body."""
    statements: tuple[Span, ...] = ()
    """Of the body; filled in by `python_ast` alone."""
    in_tests: bool = False
    """Inside a Rust module that is compiled for tests only."""


_BY_START = attrgetter("start")


def found_functions(row: Language, content: bytes, matches: Matches) -> list[Found]:
    """The functions of a file by start, an outer before an inner one, each with its wrappers
    and documentation."""
    spans, items = _collect(content, matches)
    functions = sorted(spans.values(), key=_BY_START)
    if row.placement == "body":
        for function in functions:
            _drop_last_comments(content, function)
    elif items:
        _attach(row, content, functions, _outermost(items))
        functions.sort(key=_BY_START)
    if row.name == "rust":
        _mark_tests(content, functions, matches)
    return functions


def _mark_tests(content: bytes, functions: list[Found], matches: Matches) -> None:
    whole = _CFG_TEST_FILE.match(content) is not None
    spans = sorted(
        nodes[0].byte_range for _, captured in matches if (nodes := captured.get("module"))
    )
    reach, at = -1, 0
    for function in functions:
        while at < len(spans) and spans[at][0] < function.own:
            start, end = spans[at]
            at += 1
            if end > reach and _CFG_TEST.search(content, max(0, start - _ATTRIBUTES), start):
                reach = end
        function.in_tests = whole or function.own < reach


def _outermost(items: list[Item]) -> list[Item]:
    """Sorted by start, without what stands inside a decorator or an exported signature."""
    items.sort()
    kept: list[Item] = []
    reach = 0
    for item in items:
        if item[0] >= reach:
            kept.append(item)
            if item[2] != _COMMENT:
                reach = item[1]
    return kept


def _drop_last_comments(content: bytes, function: Found) -> None:
    """The Python grammar counts comments after the last statement to the body; `ast` does not."""
    node, end = function.node, function.end
    while node is not None and _last_line(content, function.start, end).startswith(b"#"):
        children = node.named_children
        while children and children[-1].type == "comment":
            del children[-1]
        if not children:
            break
        node = children[-1]
        end = node.end_byte
    # A comment takes the \r of its line end with it.
    function.end = end - content.endswith(b"\r", function.start, end)


def _last_line(content: bytes, start: int, end: int) -> bytes:
    line = max(content.rfind(b"\n", start, end) + 1, start)
    return content[line:end].lstrip()


def _collect(content: bytes, matches: Matches) -> tuple[dict[Span, Found], list[Item]]:
    """One entry per function: several patterns match it, each knows a part."""
    spans: dict[Span, Found] = {}
    items: list[Item] = []
    for _, captured in matches:
        nodes = captured.get("comment")
        if nodes is not None:
            items.append((*nodes[0].byte_range, _COMMENT, b""))
            continue
        nodes = captured.get("def")
        if nodes is None and not _is_item(content, captured):
            continue
        if nodes is None:
            kind = "decorator" if "decorator" in captured else "skip"
            named = captured.get("signature")
            name = content[named[0].start_byte : named[0].end_byte] if named else b""
            items.append((*captured[kind][0].byte_range, _KINDS[kind], name))
            continue
        span = nodes[0].byte_range
        function = spans.get(span)
        if function is None:
            start, end = span
            function = Found(node=nodes[0], own=start, start=start, end=end, name=(start, start))
            spans[span] = function
        if "name" in captured:
            function.name = captured["name"][0].byte_range
        if "anchor" in captured:
            function.start = min(function.start, captured["anchor"][0].start_byte)
        if "doc" in captured and _is_docstring(content, captured["doc"][0]):
            function.documentation = (captured["doc"][0].byte_range,)
    return spans, items


def _is_docstring(content: bytes, node: Node) -> bool:
    """Whether the first statement of a body is a string alone, with nothing before it.

    A string with a comma behind it is the first part of a tuple; before one in broken code may
    stand what the parser skipped, which `languages.Language.marker` does not look behind.
    """
    if node.next_sibling is not None:
        return False
    while node.type == "parenthesized_expression":
        inner = [child for child in node.named_children if child.type != "comment"]
        if not inner:
            return False
        node = inner[0]
    start = node.start_byte
    before = content[max(0, start - _REACH) : start].rstrip(b" \t\f(")
    return before[-1:] in b"\n\r:\\"


def _is_item(content: bytes, captured: Mapping[str, list[Node]]) -> bool:
    """False for scopes and for the calls that are no signature of Sorbet's."""
    called = captured.get("called")
    if called is not None:
        return content[called[0].start_byte : called[0].end_byte] == b"sig"
    return "scope" not in captured


def _attach(row: Language, content: bytes, functions: list[Found], items: list[Item]) -> None:
    starts = [item[0] for item in items]
    last = len(items)
    for function in functions:
        if row.anchor_on_line and b"\n" in content[function.start : function.own]:
            function.start = function.own
        at = bisect_left(starts, function.start)
        if at:
            _walk(row, content, function, items, at - 1)
        if row.header_comments and at < last and starts[at] < function.name[0]:
            _read_header(row, content, function, items, at)


def _walk(row: Language, content: bytes, function: Found, items: list[Item], at: int) -> None:
    """Walks back from the function; `edge` is where the last accepted item starts."""
    docs: list[Span] = []
    edge = function.start
    closed = crossed = is_bare = False
    while at >= 0:
        start, end, kind, name = items[at]
        at -= 1
        if end > edge:
            continue
        if edge - end > _REACH:
            break
        if kind == _COMMENT and content[end - 1] == 10:
            # The Rust grammar ends a doc line after its newline.
            end -= 1
        gap = content[end:edge]
        if gap and not gap.isspace() and (kind != _SKIP or gap.strip(b" \t\r\n\f;,")):
            break
        if name and name != content[slice(*function.name)]:
            break
        lines = gap.count(b"\n")
        crossed = crossed or lines > 0
        if kind != _COMMENT:
            if row.documented_attribute and row.documented_attribute.match(content, start, end):
                docs.append((start, end))
            elif kind == _DECORATOR:
                function.start = start
            edge = start
            continue
        is_doc = row.documentation is not None and row.documentation.match(content, start, end)
        bridged = is_doc and row.bridges_blank_line and not is_bare
        bridged = bridged and (row.accumulates or not docs)
        if closed or lines > (2 if bridged else 1):
            break
        if lines == 2 and _is_of_the_file(content, start, end):
            break
        if crossed and start and content[start - 1] != 10 and not _alone(content, items, at, start):
            break
        if row.directive is not None and row.directive.match(content, start, end):
            pass
        elif is_doc:
            is_block = content[start : start + 2] in _BLOCK_STARTS
            if docs and is_block and row.line_runs_apart:
                break
            docs.append((start, end))
            closed = not row.accumulates and is_block
        elif docs and not row.accumulates:
            break
        else:
            is_bare = True
        crossed = crossed or b"\n" in content[start:end]
        edge = start
    if docs:
        function.documentation = tuple(reversed(docs))


def _is_of_the_file(content: bytes, start: int, end: int) -> bool:
    """Whether a comment opens the file and tells of it, not of what follows."""
    head = _HEAD.match(content)
    opens = head is not None and head.end() >= start
    return opens and _OF_THE_FILE.search(content, start, end) is not None


def _alone(content: bytes, items: list[Item], before: int, start: int) -> bool:
    """Whether nothing but white space and other comments stands before `start` on its line."""
    line = content.rfind(b"\n", max(0, start - _REACH), start) + 1
    if not line and start > _REACH:
        return False
    if before >= 0 and items[before][2] == _COMMENT and line < items[before][1] <= start:
        line = items[before][1]
    prefix = content[line:start].strip()
    return not prefix or prefix.endswith(b"<?php") or (line == 0 and prefix == b"\xef\xbb\xbf")


def _read_header(
    row: Language, content: bytes, function: Found, items: list[Item], at: int
) -> None:
    """Documentation between the modifiers and the name counts when there is none above."""
    name = function.name[0]
    while at < len(items) and items[at][0] < name and not function.documentation:
        start, end, kind, _ = items[at]
        at += 1
        if kind != _COMMENT or not row.documentation:
            continue
        # A comment among the arguments of an annotation is not the function's.
        own = _BRACKETS.isdisjoint(content[end:name][:_REACH])
        if own and row.documentation.match(content, start, end):
            function.documentation = ((start, end),)
