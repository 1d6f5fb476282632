"""Python source to its `ast`, silently, within bounds, and never run.

Method: `ast.parse` of text that was decoded before (a coding line in it says nothing), with the
warnings about its literals held back.
Cost: 1 to 4 MB/s a core; up to 900 bytes of memory a source byte (`a;a;a;`), 230 MB for
`MAX_SYNTAX_BYTES`.
Limits: what is accepted is decided by the running Python, whose version is `SYNTAX`. It refuses
200 open brackets, 100 levels of indentation and deep expressions; how deep depends on how deep
its caller stands, so that `MAX_DEPTH` refuses earlier, and equally everywhere.
"""

from __future__ import annotations

import ast
import sys
import threading
import warnings

MAX_SYNTAX_BYTES = 256 * 1024
MAX_DEPTH = 400
"""Nodes below each other; the interpreter stops at 3,000 less 3 for each frame of its caller."""
SYNTAX = f"ast {sys.version_info.major}.{sys.version_info.minor}"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_SILENCE = threading.Lock()
"""Two threads that leave `catch_warnings` out of turn would leave the process silenced."""


def function_nodes(text: str) -> list[FunctionNode] | None:
    """Every function of the Python file `text`, outer ones before inner ones.

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
    nodes: list[FunctionNode] = []
    level: list[ast.AST] = [module]
    for _ in range(MAX_DEPTH):
        nodes += [node for node in level if isinstance(node, FunctionNode)]
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
