"""Python files that the grammar loses and Python accepts: same records as from the tree."""

from __future__ import annotations

import subprocess
import sys

import pytest

from extract.parsing.function_finder import FileFunctions, extractor_id, functions
from extract.parsing.python_ast import SYNTAX, definitions

# tree-sitter-python takes the second line for the end of the block.
BROKEN = b"def broken():\n    (bar.\nbaz)\n"
SOURCE = (
    b"# A comment first.\n"
    b"class A:\n"
    b"    @one\n"
    b"    @two(  # a@b\n"
    b"        3)\n"
    b"    async def caf\xc3\xa9(self):\n"
    b'        """Brew it.\n\n        Slowly."""\n'
    b"        def inner(): 'Say it.'; return go(1)  # here\n"
    b"        return inner\n"
    b"    # after\n"
    b"    def field(self):\n"
    b"        'Give it.'\n"
    b"        return self.x\n"
    b"def \\\n bare(): return 1\n"
)


def _both(before: bytes, source: bytes) -> tuple[FileFunctions, FileFunctions]:
    clean = functions("python", "a.py", before + source, want_undocumented=True)
    rescued = functions("python", "a.py", before + source + BROKEN, want_undocumented=True)
    return clean, rescued


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\f", b"\xef\xbb\xbfx = '\xc3\xa9'\n"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_rescued_functions_equal_those_of_the_tree(before: bytes, newline: bytes) -> None:
    clean, rescued = _both(before, SOURCE.replace(b"\n", newline))
    assert not clean.reader
    assert not clean.has_error
    assert rescued.reader == SYNTAX
    assert not rescued.has_error
    assert rescued.functions[:-1] == clean.functions
    assert [function.name for function in clean.functions] == [
        "caf\u00e9",
        "inner",
        "field",
        "bare",
    ]
    assert rescued.functions[-1].code == "def broken():\n    (bar.\nbaz)"


def test_a_decorator_in_brackets_starts_at_its_mark() -> None:
    result = functions("python", "a.py", BROKEN + b"@(  # x @ y\n  one)\ndef f():\n    'D.'\n")
    assert result.functions[1].code.startswith("@(  # x @ y")
    assert result.functions[1].start_line == 4


def test_the_extractor_names_the_reader_and_recovery_keeps_its_error() -> None:
    assert extractor_id("python", "a.py", SYNTAX) == f"{extractor_id('python', 'a.py')} {SYNTAX}"
    result = functions("python", "a.py", b"def f():\n    'D.'\n    print 'a' 'b', >> (\n")
    assert result.has_error
    assert result.reader == ""


def test_invalid_escapes_are_read_in_silence() -> None:
    result = functions("python", "a.py", BROKEN + b"def f():\n    'A \\d.'\n")
    assert result.functions[1].documentation == "A \\d."


def test_too_deep_and_too_large_files_are_not_rescued() -> None:
    assert definitions("x" + ".a" * 350) == []
    assert definitions("x" + ".a" * 450) is None
    assert definitions("x = 1\n" * 60_000) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    ["'('*10**5", "'['*199+']'*199", "'-'*10**5+'1'", "'a'+'.b'*10**5", "'1'+'+1'*10**5",
     "'lambda:'*30000+'1'", "'a;'*10**5", "'\\n'.join(' '*i+f'def f{i}():' for i in range(500))",
     "'def f(): 1\\n'*10**4", "'@('+'#@'*10**5+'\\na)\\ndef f(): 1'"],
)  # fmt: skip
def test_hostile_depth_does_not_crash_the_interpreter(unit: str) -> None:
    program = (
        "from extract.parsing.python_ast import definitions, rescued_functions\n"
        f"text = {unit}\n"
        "definitions(text); rescued_functions(text.encode())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False)
    assert done.returncode == 0


def test_one_line_functions_of_a_file_that_starts_with_a_comment_keep_their_end() -> None:
    (actual,) = functions(
        "python", "a.py", b"# first\ndef f(x): return g(x)\n", want_undocumented=True
    ).functions
    assert actual.code == "def f(x): return g(x)"
