"""The code of a function without its documentation, and whether its body says anything.

Method: byte arithmetic on the original span; the tree (or `python_ast`) is asked only for the
statements of the body.

A body is trivial when it is empty; when its one statement hands over or sets a field, a variable or
a literal; when it sets one and returns its object (a fluent setter); when it is a stub: it raises
an error of not being implemented, by the class or by the message. A call is a delegation, and
says something: `dispose()`, and in Ruby `records.count` and `save!` too, while a bare `name` or
`self.name` may be an attribute and counts as one. So does a string with something interpolated.
Cost: linear in the function. Limits: `trivial` reads the text of at most two statements.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from extract.parsing.doc_comments import Found, Span

# Atomic: `a?.b?.c` can be read in two ways at each "?", and the first is as good as any.
_PATH = (
    rb"(?>(?>(?:[&*$@!]*[&*@!](?=[\w$]))?)[\w$]+[?!]?"
    rb"(?:(?:\.|->|::|\?\.|\?->)[\w$#]+[?!]?)*)"
)
_QUOTED = rb"[rbuRBU]?(?:\"[^\"\\\n]*\"|'[^'\\\n]*')"
_TEXT = rb"(?:" + _QUOTED + rb"|:\w+|[-+]?[\d.][\w.]*|\[\s*\]|\{\s*\}|\(\s*\))"
_SIMPLE = rb"(?:" + _PATH + rb"|" + _TEXT + rb")"
_TRIVIAL = re.compile(
    rb"(?:(?:return\b\s*+)?" + _SIMPLE + rb"?"
    rb"|(?:return\b\s*+)?(?:Ok|Some)\(" + _TEXT + rb"\)"
    rb"|return\s+" + _SIMPLE + rb"(?:\s*+,\s*+nil)+"
    rb"|" + _PATH + rb"\s*+:?=\s*+" + _SIMPLE + rb"|\.\.\.|pass|(?:super|this)\(\)"
    rb"|(?:unimplemented|todo)!\([^\n]*\)|TODO\([^\n]*\)|\?\?\?"
    rb")\s*+(?:;\s*+)?"
)
_SETTER = re.compile(
    rb"(@{1,2}\w+|\$?\w+(?=\.|->))(?:(?:\.|->)[\w$]+)*\s*+=\s*+" + _SIMPLE + rb"\s*+(?:;\s*+)?"
)
_ITSELF = re.compile(rb"(?:return\s+)?([$@]?[\w$]+)\s*+(?:;\s*+)?")
_RAISES = re.compile(
    rb"(?:raise|fail|throw)\b[ (]|(?:panic!?|fatalError)\s*\("
    rb"|return\s+(?:nil,\s*)?(?:errors\.New|fmt\.Errorf)\("
)
_STUB = re.compile(
    rb"(?:NotImplemented|Unimplemented|Unsupported|NotSupported|AbstractMethod)\w*\b"
    rb"|(?i:not (?:yet )?(?:been )?implemented|unimplemented|abstract method"
    rb"|must (?:be )?(?:implement|overrid|define)"
    rb"|(?:should|has to|needs to) be (?:implement|overrid)"
    rb"|subclass(?:es)? (?:must|should|has to|have to|needs? to)"
    rb"|(?:implement|override) (?:this|me)\b)"
)
_CONDITION = re.compile(rb"\b(?:if|unless|while|until|rescue|and|or)\b")
_STRINGS = re.compile(_QUOTED)
_RUBY_CALL = re.compile(rb"(?:return\s+)?!?(?:@{0,2}\w+[?!]?(?:\.|&\.)|\w+!)")
_RUBY_OWN = re.compile(rb"(?:return\s+)?!?self\.\w+[?]?\s*+\Z")
_INTERPOLATED = {"ruby": re.compile(rb'"[^"]*#\{'), "php": re.compile(rb'"[^"]*(?:\$\w|\{\$)')}
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
    {
        "block",
        "body_statement",
        "statement_block",
        "compound_statement",
        "constructor_body",
        "function_body",
        "indented_block",
        "arrow_expression_clause",
    }
)
_INNER = frozenset({"statement_list", "statements"})
"""What holds the statements of a block as its only child."""


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


def is_trivial(language: str, content: bytes, function: Found) -> bool:
    """Whether the body only hands over or sets a field or a literal, is a stub, or is empty."""
    node = function.node
    spans = function.statements if node is None else _statements(node, function.name)
    if spans and function.documentation:
        first = function.documentation[0][0]
        if spans[0][0] <= first < spans[0][1]:
            spans = spans[1:]
    if len(spans) > 2 or sum(last - first for first, last in spans) > _TRIVIAL_BYTES:
        return False
    parts = [content[first:last] for first, last in spans]
    if not parts:
        return True
    return _is_stub(parts) or _is_fluent(language, parts) or _only_hands_over(language, parts)


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
    inside = body.named_children
    while len(inside) == 1 and (
        inside[0].type in _INNER or (body.type == "function_body" and inside[0].type == "block")
    ):
        body = inside[0]
        inside = body.named_children
    return tuple(comment.byte_range for comment in inside if "comment" not in comment.type)


def _only_hands_over(language: str, parts: list[bytes]) -> bool:
    if len(parts) > 1 or _TRIVIAL.fullmatch(parts[0]) is None:
        return False
    if language in _INTERPOLATED and _INTERPOLATED[language].search(parts[0]):
        return False
    return language != "ruby" or not _calls(parts[0])


def _calls(statement: bytes) -> bool:
    """Whether what a Ruby statement returns or assigns comes from a call of another object."""
    value = statement.rpartition(b"=")[2].strip()
    return _RUBY_CALL.match(value) is not None and _RUBY_OWN.match(value) is None


def _is_fluent(language: str, parts: list[bytes]) -> bool:
    """Whether the body sets one field and returns what holds it."""
    if len(parts) != 2:
        return False
    setter, itself = _SETTER.fullmatch(parts[0]), _ITSELF.fullmatch(parts[1])
    if setter is None or itself is None or (language == "ruby" and _calls(parts[0])):
        return False
    holder = b"self" if setter[1].startswith(b"@") else setter[1]
    return itself[1] == holder


def _is_stub(parts: list[bytes]) -> bool:
    """Whether the body does nothing but say that it is not implemented."""
    if len(parts) > 1 or _RAISES.match(parts[0]) is None or _STUB.search(parts[0]) is None:
        return False
    return _CONDITION.search(_STRINGS.sub(b"", parts[0])) is None
