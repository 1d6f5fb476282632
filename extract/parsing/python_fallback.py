"""The functions of a Python file that Python reads and its grammar does not.

Method: `ast` finds the functions; lines and columns become bytes, and the rest (text of the
documentation, code without it, name) is worked out from the spans as for any other function.
tree-sitter-python 0.25.0 takes a line that starts further left than its block for the end of
it, within brackets too, and then loses the whole file.
Cost: that of `syntax`, for files with a syntax error in the tree alone.
Limits: those of `syntax`; Python 2 stays what recovery made of it. What the tree accepts is not
read again.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right

from extract.parsing.doc_comments import Found, Span
from extract.parsing.python_ast import FunctionNode, function_nodes

_LINE = re.compile(rb"\r\n|\r|\n")
_GAP = rb"(?:[ \t\f]|\\\r?\n?)+"
_NAME = re.compile(rb"(?:async" + _GAP + rb")?def" + _GAP + rb"([^\s(\[\\]+)")
_TRAILER = re.compile(rb"[ \t\f;]*#[^\r\n]*")
_AT = re.compile(rb"[ \t\f]*@")
_MARK = b"\xef\xbb\xbf"


def rescued_functions(content: bytes) -> list[Found] | None:
    """The functions of a Python file by start; None where Python does not accept it.

    `content` is valid UTF-8.
    """
    nodes = function_nodes(content.decode("utf-8-sig"))
    if nodes is None:
        return None
    lines = [len(_MARK) if content.startswith(_MARK) else 0]
    lines += [match.end() for match in _LINE.finditer(content)]
    rescued = [_found(content, lines, node) for node in nodes]
    return sorted(rescued, key=lambda function: (function.start, -function.end))


def _found(content: bytes, lines: list[int], node: FunctionNode) -> Found:
    first, end = _span(lines, node)
    trailer = _TRAILER.match(content, end)
    name = _NAME.match(content, first)
    documented = ast.get_docstring(node, clean=False) is not None
    start = first
    if node.decorator_list:
        start = _decorator(content, lines, _span(lines, node.decorator_list[0])[0])
    return Found(
        node=None,
        own=first,
        start=start,
        # As in the tree: a comment on the last line belongs to it.
        end=trailer.end() if trailer is not None else end,
        name=name.span(1) if name is not None else (first, first),
        documentation=(_span(lines, node.body[0]),) if documented else (),
        statements=tuple(_span(lines, statement) for statement in node.body),
    )


def _span(lines: list[int], node: ast.stmt | ast.expr) -> Span:
    last = node.end_lineno or node.lineno
    return lines[node.lineno - 1] + node.col_offset, lines[last - 1] + (node.end_col_offset or 0)


def _decorator(content: bytes, lines: list[int], expression: int) -> int:
    """The "@" before a decorator's expression, which brackets and comments may part from it.

    It is the first on its line, which no "@" in a comment or an expression is.
    """
    for at in range(bisect_right(lines, expression) - 1, -1, -1):
        at_sign = _AT.match(content, lines[at], expression)
        if at_sign is not None:
            return at_sign.end() - 1
    return expression
