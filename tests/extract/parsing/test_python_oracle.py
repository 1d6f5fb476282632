"""Files of the running CPython's library against `ast`: existence, span, scope, documentation.

A third of the files, chosen by a hash of their names; all of them with `--exhaustive`.
"""

from __future__ import annotations

import ast
import os
import sysconfig
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from extract.parsing.function_finder import functions

Row = tuple[int, int, str, str]
"""Lines, name after what encloses it, documentation."""

EXHAUSTIVE = bool(os.environ.get("XTROVE_EXHAUSTIVE"))
LIBRARY = Path(sysconfig.get_path("stdlib"))


def _expected(source: str) -> list[Row]:
    rows: list[Row] = []

    def walk(node: ast.AST, around: tuple[str, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            text = ast.get_docstring(node, clean=True) or ""
            rows.append((start, node.end_lineno or 0, ".".join((*around, node.name)), text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            around = (*around, node.name)
        for child in ast.iter_child_nodes(node):
            walk(child, around)

    walk(ast.parse(source), ())
    return sorted(rows)


def _library() -> Iterator[tuple[Path, bytes, list[Row]]]:
    """The files that strict UTF-8 and the parser of Python itself accept."""
    for path in sorted(LIBRARY.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        if not EXHAUSTIVE and zlib.crc32(path.name.encode()) % 3:
            continue
        content = path.read_bytes()
        try:
            expected = _expected(content.decode("utf-8-sig"))
        except (SyntaxError, ValueError):
            continue
        yield path, content, expected


@pytest.mark.slow
def test_python_equals_ast_over_the_standard_library() -> None:
    files = total = 0
    wrong: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, content, expected in _library():
            result = functions("python", path.name, content, max_bytes=1 << 27, budget=120)
            rows = [
                (
                    function.start_line,
                    function.end_line,
                    ".".join((*function.scope, function.name)),
                    function.documentation,
                )
                for function in result.functions
            ]
            files += 1
            total += len(expected)
            if sorted(rows) != expected:
                wrong.append(path.name)
    assert files > 170
    assert total > 3_300
    assert wrong == []
