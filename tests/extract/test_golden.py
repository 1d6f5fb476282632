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
        _row(one.name, (one.start_line, one.end_line), one.documentation, one.code)
        for one in result.functions
    ] == expected
    assert not result.has_error


@pytest.mark.parametrize("language", LANGUAGES)
def test_yield_is_not_zero(language: str) -> None:
    # Node names drift between grammar versions, and a query that finds nothing raises nothing.
    files = [path for path in FILES if path.parent.name == language]
    assert len(files) >= 3
    found = [
        one for path in files for one in functions(language, path.name, path.read_bytes()).functions
    ]
    assert sum(1 for one in found if one.documentation) >= 5
    assert sum(1 for one in found if not one.documentation) >= 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_span_holds_the_code_and_never_its_documentation(path: Path) -> None:
    content = path.read_bytes()
    for one in functions(path.parent.name, path.name, content, want_undocumented=True).functions:
        span = content[one.start_byte : one.end_byte].decode()
        assert content.count(b"\n", 0, one.start_byte) + 1 == one.start_line
        assert content.count(b"\n", 0, one.end_byte) + 1 == one.end_line
        if one.documentation:
            folded = " ".join(one.documentation.split())
            assert folded not in " ".join(one.code.split())
            assert may_hold_documentation(path.parent.name, content)
        else:
            assert one.code == span
        assert one.body_lines == sum(1 for line in one.code.split("\n") if line.strip())
