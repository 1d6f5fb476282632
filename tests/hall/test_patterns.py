"""Every regular expression of the product takes linear time on hard texts of 100 kB."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.hall.pattern_child import first_slow
from tests.hall.product_patterns import HANDED_ON, ROOT


@pytest.mark.slow
@pytest.mark.timeout(1200)  # It takes 35 s of processor time, and counts nothing else.
def test_no_pattern_of_the_product_is_slow() -> None:
    """A pattern that hangs is named by the last line: the child ends by its processor limit."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hall.pattern_child"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{said[-1:]} {done.stderr}"
    assert len(said) > 300
    assert [line for line in said if line.get("slow")] == []


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
