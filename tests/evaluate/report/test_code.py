"""Code and settings in a report are shown as they are, and bounded."""

from __future__ import annotations

import pytest
from markupsafe import escape

from evaluate.report.code import CHARACTERS, MARKUP, cut, difference, highlighted
from evaluate.report.page import visible
from evaluate.report.settings import ROWS, flattened
from tests.evaluate.report_pages import HOSTILE, Parsed


@pytest.mark.parametrize("language", ["python", "php", "go", "rust", "no-such-language"])
def test_code_is_the_code_and_nothing_else(language: str) -> None:
    code = f'def f(x):\n    # {HOSTILE}\n    return "{HOSTILE}" + 1\n'
    seen = Parsed(visible(highlighted(code, language)))
    assert set(seen.tags) <= {"span"}
    assert seen.text == Parsed(visible(escape(code.rstrip("\n")))).text


def test_kinds_of_tokens_are_told_apart() -> None:
    made = highlighted("def f(x):\n    # why\n    return 'a' + 1", "python")
    for kind, value in (
        ("k", "def"),
        ("f", "f"),
        ("c", "# why"),
        ("s", "&#39;a&#39;"),
        ("m", "1"),
    ):
        assert f'<span class="{kind}">{value}</span>' in made


@pytest.mark.parametrize("piece", ["\u202e", "a = 1\n", "<", "(", "'''"])
def test_code_is_bounded_whatever_it_is(piece: str) -> None:
    made = highlighted(piece * 200_000, "python")
    assert len(visible(made).encode()) < MARKUP + 1_000
    assert "characters in all" in made
    assert len(visible(difference(piece * 200_000, "other")).encode()) < MARKUP + 1_000


def test_a_cut_is_said() -> None:
    assert cut("a\nb\n") == ("a\nb", False)
    kept, more = cut("x" * (CHARACTERS + 1))
    assert (len(kept), more) == (CHARACTERS, True)


def test_a_diff_shows_both_sides() -> None:
    made = difference("a\nb\nc", "a\nB\nc")
    assert '<span class="minus">-b</span><span class="plus">+B</span>' in made
    assert difference("a\n", "a") == "Identical"
    tail = "x" * CHARACTERS
    assert "as far as they are compared" in difference(tail + "a", tail + "b")


def test_facts_are_flat_and_name_no_folder() -> None:
    facts = {
        "a": {"b": {"c": 12345}, "list": ["x", "/home/me/secret"]}, "path": "/home/me/data/set",
        "hub": "hf://datasets/o/n", "none": None, "yes": True, "windows": "C:\\Users\\me\\set",
        "gone": 1,
    }  # fmt: skip
    assert flattened(facts, without=frozenset({"gone"})) == {
        "a.b.c": "12,345", "a.list": "x, …/secret", "path": "…/set", "hub": "hf://datasets/o/n",
        "none": "-", "yes": "yes", "windows": "…/set",
    }  # fmt: skip
    many = flattened({str(n): n for n in range(ROWS + 5)})
    assert len(many) == ROWS + 1 and many["…"] == "5 more"
