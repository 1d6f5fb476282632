"""Functions in functions, and chains of calls: what they give is bounded."""

from __future__ import annotations

import time

import pytest

from extract.parsing.function_finder import (
    CODE_BYTES,
    CODE_FACTOR,
    FunctionsError,
    functions,
    strip_code_documentation,
)
from extract.parsing.languages import LANGUAGES
from extract.parsing.tree_sitter_parse import BUDGET_SECONDS
from tests.xtrove.hard_files import nested

LANGUAGE_NAMES = sorted(LANGUAGES)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGE_NAMES)
def test_the_code_of_nested_functions_is_bounded(language: str) -> None:
    """138 kB of JavaScript gave 2,000 times their size in code, in 4.9 s; the longest go."""
    if language in ("go", "c"):  # They have no functions in functions, but in values.
        return
    name = "typescript" if language == "tsx" else language
    content = nested(name, 250 if name == "python" else 1_000).encode()
    begin = time.process_time()
    result = functions(language, "a", content)
    assert time.process_time() - begin < 2
    total = sum(function.end_byte - function.start_byte for function in result.functions)
    assert total <= max(CODE_BYTES, CODE_FACTOR * len(content))
    assert len(result.functions) + result.left_out == (250 if name == "python" else 1_000)
    assert result.left_out > 100
    lengths = [function.end_byte - function.start_byte for function in result.functions]
    assert lengths == sorted(lengths, reverse=True)
    assert result.functions[-1].documentation.startswith("Say it")
    assert all(function.nested for function in result.functions)
    assert result == functions(language, "a", content)


def test_real_nesting_loses_nothing() -> None:
    content = nested("javascript", 30).encode()
    result = functions("javascript", "a", content)
    assert (len(result.functions), result.left_out) == (30, 0)
    assert [function.start_line for function in result.functions] == list(range(2, 62, 2))
    last = content.count(b"\n")
    assert [function.end_line for function in result.functions] == list(
        range(last - 1, last - 61, -2)
    )


def test_what_keeps_too_many_matches_open_is_refused() -> None:
    """A chain of 24,000 calls took 9 s; one that may hold a function is looked into."""
    content = b"# Say it.\ndef f\n go\nend\nx = (def g; end).\n" + b"a.\n" * 24_000 + b"a\n"
    functions("ruby", "a", b"")
    begin = time.process_time()
    with pytest.raises(FunctionsError, match="nested too deep") as caught:
        functions("ruby", "a", content)
    assert time.process_time() - begin < 1
    assert caught.value.reason == "parse_failed"


@pytest.mark.parametrize("calls", [50, 24_000])
def test_a_long_chain_of_calls_is_read(calls: int) -> None:
    content = b"# Say it.\ndef f\n go\nend\nx = " + b"a.\n" * calls + b"a\n"
    functions("ruby", "a", b"")
    begin = time.process_time()
    assert len(functions("ruby", "a", content).functions) == 1
    assert time.process_time() - begin < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "opening", "unit"),
    [
        ("ruby", b"# Say it.\ndef f\n if a", b"?ed"),
        ("python", b"a", b"+a"),
        ("java", b"class A { int a = a", b"+a"),
        ("go", b"package a\nvar a = a", b"+a"),
        ("php", b"<?php a", b"+a"),
        ("javascript", b"a", b"<a"),
        ("rust", b"fn f() { a", b"+a"),
        ("typescript", b"a", b"<a"),
    ],
)
def test_a_tree_too_deep_for_matching_is_refused(
    language: str, opening: bytes, unit: bytes
) -> None:
    """Found by `benchmarks/fuzz.py`: below 65,536 levels matching is quadratic, 9 s for these."""
    ending = b"\nend\n" if language == "ruby" else b"\n"
    begin = time.process_time()
    with pytest.raises(FunctionsError, match="32768 levels in the tree") as caught:
        functions(language, "a", opening + unit * 70_000 + ending)
    assert caught.value.reason == "parse_failed"
    assert time.process_time() - begin < 3
    # A chain of 10,000 is read.
    functions(language, "a", opening + unit * 10_000 + ending)


@pytest.mark.slow
def test_a_pair_that_takes_too_long_to_parse_is_tried_once() -> None:
    code = "def f():\n  if x:\n    a = 1\n" + "# c\n\n" * 60_000
    begin = time.process_time()
    assert strip_code_documentation("python", code) == (code, "")
    assert time.process_time() - begin < 1.9 * BUDGET_SECONDS
