"""The code of a function without its documentation, and whether its body says anything.

Method: byte arithmetic on the original span; the tree (or `rescue`) is asked only for the
statements of the body. Cost: linear in the function. Limits: `trivial` reads the text of a
single statement.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from extract.attach import Found, Span

# Atomic: `a?.b?.c` can be read in two ways at each "?", and the first is as good as any.
_PATH = (
    rb"(?>(?>(?:[&*$@!]*[&*@!](?=[\w$]))?)[\w$]+[?!]?(?:\(\))?"
    rb"(?:(?:\.|->|::|\?\.|\?->)[\w$#]+[?!]?)*)"
)
_QUOTED = rb"[rbuRBU]?(?:\"[^\"\\\n]*\"|'[^'\\\n]*')"
_TEXT = rb"(?:" + _QUOTED + rb"|:\w+|[-+]?[\d.][\w.]*|\[\s*\]|\{\s*\}|\(\s*\))"
_SIMPLE = rb"(?:" + _PATH + rb"|" + _TEXT + rb")"
_TRIVIAL = re.compile(
    rb"(?:(?:return\b\s*+)?" + _SIMPLE + rb"?"
    rb"|" + _PATH + rb"\s*+:?=\s*+" + _SIMPLE + rb"|\.\.\.|pass"
    rb"|(?:raise|throw)\s+(?:new\s+)?\\?[\w.\\]*(?:NotImplemented|Unsupported|NotSupported)\w*(?:\([^\n]*\))?"
    rb"|(?:unimplemented|todo)!\([^\n]*\)"
    rb")\s*+(?:;\s*+)?"
)
# A comment that could give characters back to the group around it would take exponential time.
_NOTHING = re.compile(rb"(?>(?:[ \t\f\r\n;]|#[^\n]*+|\\\r?\n)*)")
_BLANKS = re.compile(rb"[ \t]*")
_LINE_END = re.compile(rb"[ \t]*(?:\r?\n)?")
_NEXT_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\r|\n)")
_SEPARATOR = re.compile(rb"[ \t\f]*;[ \t\f]*(?=[^\s#;])")
_TRIVIAL_BYTES = 400
_HEADERS = frozenset({"parameters", "method_parameters", "identifier", "formal_parameters"})
"""What is last in a function without a body."""
_BLOCKS = frozenset(
    {"block", "body_statement", "statement_block", "compound_statement", "constructor_body"}
)


def code_without_docstring(content: bytes, start: int, end: int, docstring: Span) -> bytes:
    """A Python function without the statement `docstring`; `pass` where nothing is left."""
    first, last = docstring
    if _NOTHING.fullmatch(content, last, end):
        return content[start:first] + b"pass"
    separator = _SEPARATOR.match(content, last, end)
    if separator is not None:
        return content[start:first] + content[separator.end() : end]
    line = max(content.rfind(b"\n", start, first), content.rfind(b"\r", start, first)) + 1 or start
    # A lone carriage return ends a line too, as it does for CPython.
    newline = _NEXT_LINE.match(content, last, end)
    return content[start:line] + content[newline.end() if newline else end : end]


def code_without_comments(
    content: bytes, start: int, end: int, comments: tuple[Span, ...]
) -> bytes:
    """A function without those of its documentation comments that stand inside its span."""
    pieces = []
    at = start
    for first, last in comments:
        if first < start:
            continue
        line = content.rfind(b"\n", start, first) + 1 or start
        alone = not content[line:first].strip()
        rest = (_LINE_END if alone else _BLANKS).match(content, last, end)
        pieces.append(content[at : line if alone and line > start else first])
        at = rest.end() if rest is not None else last
    pieces.append(content[at:end])
    return b"".join(pieces)


def is_trivial(content: bytes, function: Found) -> bool:
    """Whether the body is one statement that only hands over a field or a literal, or nothing."""
    node = function.node
    spans = function.statements if node is None else _statements(node, function.name)
    if spans and function.documentation:
        first = function.documentation[0][0]
        if spans[0][0] <= first < spans[0][1]:
            spans = spans[1:]
    return not spans or (len(spans) == 1 and _only_hands_over(content, spans[0]))


def _statements(node: Node, name: Span) -> tuple[Span, ...]:
    """The statements of a function's body, or its only expression."""
    children = node.named_children
    while children and "comment" in children[-1].type:
        children.pop()
    if not children:
        return ()
    body = children[-1]
    header = body.type in _HEADERS and node.type != "arrow_function"
    if header or body.byte_range == name:
        return ()
    if body.type not in _BLOCKS:
        return (body.byte_range,)
    return tuple(one.byte_range for one in body.named_children if "comment" not in one.type)


def _only_hands_over(content: bytes, span: Span) -> bool:
    return span[1] - span[0] <= _TRIVIAL_BYTES and _TRIVIAL.fullmatch(content, *span) is not None
