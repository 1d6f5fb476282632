"""Every regular expression of the product takes linear time on hard texts of 100 kB."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.xtrove.pattern_child import first_slow
from tests.xtrove.product_patterns import HANDED_ON, ROOT


@pytest.mark.slow
@pytest.mark.timeout(1200)  # It takes 35 s of processor time, and counts nothing else.
def test_no_pattern_of_the_product_is_slow() -> None:
    """A pattern that hangs is named by the last line: the child ends by its processor limit."""
    assert len(_tried("pattern_child")) > 150


@pytest.mark.slow
@pytest.mark.timeout(1200)  # 30 s of processor time.
def test_no_hard_text_or_file_is_slow() -> None:
    """What reads documentation, code, tables, licences and whole files of strangers."""
    assert len(_tried("text_child")) > 150


def _tried(child: str) -> list[str]:
    """The names of what a child tried; fails with what was slow, or what it was at as it ended."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.xtrove.{child}"], cwd=ROOT, capture_output=True, text=True
    )
    output = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{output[-1:]} {done.stderr}"
    assert [line for line in output if line.get("slow")] == []
    return [line["tried"] for line in output if "tried" in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        rb"(?:[ \t\f\r\n;]|#[^\n]*|\\\r?\n)*",
        r"(?<![A-Za-z0-9])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]{8,}+",
        r"(?:a|a)*b",
        r"(\w+)+!",
        r"\s*,?\s*$",
        r"\*+/\Z",
        r"<[^>]*>",
        r'"(?:[^"\\]|\\.)*"',
        r"-----BEGIN[\s\S]{1,30000}?END",
        r"(?:[\w$]+[?!]?(?:\?\.|\.))*;",
    ],
)
def test_slow_patterns_are_found(pattern: str | bytes) -> None:
    assert first_slow(re.compile(pattern), HANDED_ON, attempts=1)


@pytest.mark.parametrize(
    "pattern", [r"(?>(?:[ \t\f\r\n;]|#[^\n]*+)*)", r"<[^<>]*+>", r"(?<!\*)\*+/\Z", r"[\w-]{8,64}"]
)
def test_linear_patterns_are_not(pattern: str) -> None:
    assert first_slow(re.compile(pattern), HANDED_ON) == ""
