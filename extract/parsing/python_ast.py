"""Python source to its `ast`, silently, within bounds, and never run.

Method: `ast.parse` of text that was decoded before (a coding line in it says nothing), with the
warnings about its literals held back. Functions of a file that Python reads and its grammar does
not: lines and columns become bytes, and the rest (text of the documentation, code without it, name)
is worked out from the spans as for any other function. tree-sitter-python 0.25.0 takes a line that
starts further left than its block for the end of it, within brackets too, and then loses the
whole file.
Cost: 1 to 4 MB/s a core; up to 900 bytes of memory a source byte (`a;a;a;`), 230 MB for
`MAX_SYNTAX_BYTES`. Only files with a syntax error in the tree are read so.
Limits: what is accepted is decided by the running Python, whose version is `SYNTAX`. It refuses
200 open brackets, 100 levels of indentation and deep expressions; how deep depends on how deep
its caller stands, so that `MAX_DEPTH` refuses earlier, and equally everywhere. Python 2 stays what
recovery made of it; what the tree accepts is not read again.
"""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings
from bisect import bisect_right

from extract.parsing.doc_comments import Found, Span
from extract.parsing.scopes import Scope

MAX_SYNTAX_BYTES = 256 * 1024
MAX_DEPTH = 400
"""Nodes below each other; the interpreter stops at 3,000 less 3 for each frame of its caller."""
SYNTAX = f"ast {sys.version_info.major}.{sys.version_info.minor}"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_LINE = re.compile(rb"\r\n|\r|\n")
_GAP = rb"(?:[ \t\f]|\\\r?\n?)+"
_NAME = re.compile(rb"(?:async" + _GAP + rb")?(?:def|class)" + _GAP + rb"([^\s(:\[\\]+)")
_TRAILER = re.compile(rb"[ \t\f;]*#[^\r\n]*")
_AT = re.compile(rb"[ \t\f]*@")
_MARK = b"\xef\xbb\xbf"
_SILENCE = threading.Lock()
"""Two threads that leave `catch_warnings` out of turn would leave the process silenced."""


def definitions(text: str) -> list[FunctionNode | ast.ClassDef] | None:
    """Every function and class of the Python file `text`, outer ones before inner ones.

    None where this Python does not accept the file, or it is too large or too deep.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SYNTAX_BYTES:
        return None
    try:
        with _SILENCE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes: list[FunctionNode | ast.ClassDef] = []
    level: list[ast.AST] = [module]
    for _ in range(MAX_DEPTH):
        nodes += [node for node in level if isinstance(node, FunctionNode | ast.ClassDef)]
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return nodes
    return None


def literal_of(text: str) -> object:
    """The value of the literal expression `text`; raises ValueError for anything else."""
    try:
        with _SILENCE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError(f"not a literal: {text[:80]!r}") from error


def rescued_functions(content: bytes) -> tuple[list[Found], list[Scope]] | None:
    """The functions of a Python file by start, and its classes; None where Python does not accept
    it. `content` is valid UTF-8."""
    nodes = definitions(content.decode("utf-8-sig"))
    if nodes is None:
        return None
    lines = [len(_MARK) if content.startswith(_MARK) else 0]
    lines += [match.end() for match in _LINE.finditer(content)]
    rescued = [_found(content, lines, node) for node in nodes if isinstance(node, FunctionNode)]
    classes = [_scope(content, lines, node) for node in nodes if isinstance(node, ast.ClassDef)]
    return sorted(rescued, key=lambda function: (function.start, -function.end)), classes


def _scope(content: bytes, lines: list[int], node: ast.ClassDef) -> Scope:
    start, end = _span(lines, node)
    return Scope(start, end, _name(content, start))


def _name(content: bytes, start: int) -> Span:
    """The name of the function or class that starts there."""
    name = _NAME.match(content, start)
    return name.span(1) if name is not None else (start, start)


def _found(content: bytes, lines: list[int], node: FunctionNode) -> Found:
    first, end = _span(lines, node)
    trailer = _TRAILER.match(content, end)
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
        name=_name(content, first),
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
