"""Hand-written source files against hand-checked functions: name, lines, documentation, first
line of the code. Python files carry `.txt` so that no tool takes them for ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extract.parsing.function_finder import functions, may_hold_documentation
from extract.parsing.languages import LANGUAGES

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(path for path in GOLDEN.rglob("*") if path.is_file() and path.suffix != ".json")


def _row(name: str, lines: tuple[int, int], documentation: str, code: str) -> dict[str, object]:
    first = code.split("\n")[0]
    return {"name": name, "lines": [*lines], "documentation": documentation, "first_line": first}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_golden_file(path: Path) -> None:
    expected = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
    result = functions(path.parent.name, path.name, path.read_bytes())
    assert [
        _row(
            function.name,
            (function.start_line, function.end_line),
            function.documentation,
            function.code,
        )
        for function in result.functions
    ] == expected
    assert not result.has_error


@pytest.mark.parametrize("language", LANGUAGES)
def test_yield_is_not_zero(language: str) -> None:
    # Node names drift between grammar versions, and a query that finds nothing raises nothing.
    files = [path for path in FILES if path.parent.name == language]
    assert len(files) >= 3
    actual = [
        function
        for path in files
        for function in functions(language, path.name, path.read_bytes()).functions
    ]
    assert sum(1 for one in actual if one.documentation) >= 5
    assert sum(1 for one in actual if not one.documentation) >= 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_span_holds_the_code_and_never_its_documentation(path: Path) -> None:
    content = path.read_bytes()
    for function in functions(
        path.parent.name, path.name, content, want_undocumented=True
    ).functions:
        span = content[function.start_byte : function.end_byte].decode()
        assert content.count(b"\n", 0, function.start_byte) + 1 == function.start_line
        assert content.count(b"\n", 0, function.end_byte) + 1 == function.end_line
        if function.documentation:
            folded = " ".join(function.documentation.split())
            assert folded not in " ".join(function.code.split())
            assert may_hold_documentation(path.parent.name, content)
        else:
            assert function.code == span
        assert function.body_lines == sum(1 for line in function.code.split("\n") if line.strip())
