"""The code of a function without its documentation, and whether its body says anything.

Method: byte arithmetic on the original span; the tree is asked only for the statements of the
body. Cost: linear in the function. Limits: `trivial` reads the text of a single statement.
"""

from __future__ import annotations

import re

from extract.attach import Found, Span

_PATH = rb"(?:[&*$@!]*[\w$]+[?!]?(?:\(\))?(?:(?:\.|->|::|\?\.|\?->)[\w$#]+[?!]?)*)"
_QUOTED = rb"[rbuRBU]?(?:\"[^\"\\\n]*\"|'[^'\\\n]*')"
_TEXT = rb"(?:" + _QUOTED + rb"|:\w+|[-+]?[\d.][\w.]*|\[\s*\]|\{\s*\}|\(\s*\))"
_SIMPLE = rb"(?:" + _PATH + rb"|" + _TEXT + rb")"
_TRIVIAL = re.compile(
    rb"(?:(?:return\b\s*)?" + _SIMPLE + rb"?"
    rb"|" + _PATH + rb"\s*:?=\s*" + _SIMPLE + rb"|\.\.\.|pass"
    rb"|(?:raise|throw)\s+(?:new\s+)?\\?[\w.\\]*(?:NotImplemented|Unsupported|NotSupported)\w*(?:\([^\n]*\))?"
    rb"|(?:unimplemented|todo)!\([^\n]*\)"
    rb")\s*;?\s*"
)
_NOTHING = re.compile(rb"(?:[ \t\f\r\n;]|#[^\n]*|\\\r?\n)*")
_BLANKS = re.compile(rb"[ \t]*")
_LINE_END = re.compile(rb"[ \t]*(?:\r?\n)?")
_SEPARATOR = re.compile(rb"[ \t\f]*;[ \t\f]*(?=[^\s#;])")
_TRIVIAL_BYTES = 400
_STATEMENTS = 8
_EMPTY_BODY = frozenset({"parameters", "method_parameters", "identifier", "formal_parameters"})


def code_without_docstring(content: bytes, start: int, end: int, docstring: Span) -> bytes:
    """A Python function without the statement `docstring`; `pass` where nothing is left."""
    first, last = docstring
    if _NOTHING.fullmatch(content, last, end):
        return content[start:first] + b"pass"
    separator = _SEPARATOR.match(content, last, end)
    if separator is not None:
        return content[start:first] + content[separator.end() : end]
    line = content.rfind(b"\n", start, first) + 1 or start
    newline = content.find(b"\n", last, end)
    return content[start:line] + content[newline + 1 : end]


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
    children = function.node.named_children
    while children and "comment" in children[-1].type:
        children.pop()
    if not children:
        return True
    body = children[-1]
    if (
        body.byte_range == function.name
        or body.type in _EMPTY_BODY
        and function.node.type != "arrow_function"
    ):
        return True
    if body.type not in (
        "block",
        "body_statement",
        "statement_block",
        "compound_statement",
        "constructor_body",
    ):
        return _only_hands_over(content, body.byte_range)
    if body.named_child_count > _STATEMENTS:
        return False
    spans = [child.byte_range for child in body.named_children if "comment" not in child.type]
    if spans and function.documentation:
        first = function.documentation[0][0]
        if spans[0][0] <= first < spans[0][1]:
            del spans[0]
    return not spans or (len(spans) == 1 and _only_hands_over(content, spans[0]))


def _only_hands_over(content: bytes, span: Span) -> bool:
    return span[1] - span[0] <= _TRIVIAL_BYTES and _TRIVIAL.fullmatch(content, *span) is not None
