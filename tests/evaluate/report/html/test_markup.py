"""Nothing that stands in a report can act as markup, hide, or grow without bound."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.report.html.code import CHARACTERS, MARKUP, cut, difference, highlighted
from evaluate.report.html.markup import Html, escaped, joined, short, tag
from evaluate.report.settings import ROWS, flattened
from tests.evaluate.report_pages import HOSTILE


class Seen(HTMLParser):
    """Elements and text of markup."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_plain_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>", Html("<i></i>")) == "<p>&lt;b&gt;<i></i></p>"
    assert tag("p", "x", title='"><script>', class_="a") == (
        '<p title="&quot;&gt;&lt;script&gt;" class="a">x</p>'
    )
    assert joined(["<", "&"], between="<") == "&lt;&lt;&amp;"
    assert tag("details", open=True, hidden=False, id=None) == "<details open></details>"


@pytest.mark.parametrize("name", ["", "a b", "p>", "1", "a/b", "on=x"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        tag(name)
    with pytest.raises(ValueError, match="no name"):
        tag("p", **{name: "x"})


def test_hidden_characters_are_shown() -> None:
    seen = Seen(escaped(HOSTILE))
    assert set(seen.tags) == {"span"}
    for code in ("U+202E", "U+2066", "U+001B", "U+200B"):
        assert code in seen.text
    assert not set("\u202e\u2066\u200b\x1b") & set(escaped(HOSTILE))
    assert escaped("a\r\nb\tc\r") == 'a\nb\tc<span class="ctl">U+000D</span>'
    assert tag("p", title="\u202e\ud800") == '<p title="[U+202E][U+D800]"></p>'
    escaped("\ud800 \U000e0041").encode()


@given(st.text(st.characters(codec=None, exclude_categories=())), st.integers(1, 50))
def test_any_text_is_text_and_bounded(text: str, limit: int) -> None:
    made = short(text, limit)
    assert set(Seen(made).tags) <= {"span"}
    assert len(made.encode()) <= 8 * limit + 4
    assert set(Seen(tag("p", text, title=text)).tags) <= {"p", "span"}
    assert [name for name, _ in Seen(tag("p", "", title=text)).attributes] == ["title"]


@pytest.mark.parametrize("language", ["python", "php", "go", "rust", "no-such-language"])
def test_code_is_the_code_and_nothing_else(language: str) -> None:
    code = f'def f(x):\n    # {HOSTILE}\n    return "{HOSTILE}" + 1\n'
    seen = Seen(highlighted(code, language, "code"))
    assert set(seen.tags) <= {"pre", "code", "span"}
    plain = Seen(escaped(code.rstrip("\n"))).text
    assert seen.text == plain
    assert ("role", "region") in seen.attributes and ("tabindex", "0") in seen.attributes


def test_kinds_of_tokens_are_told_apart() -> None:
    made = highlighted("def f(x):\n    # why\n    return 'a' + 1", "python", "code")
    for kind, value in (
        ("k", "def"),
        ("f", "f"),
        ("c", "# why"),
        ("s", "&#x27;a&#x27;"),
        ("m", "1"),
    ):
        assert f'<span class="{kind}">{value}</span>' in made


@pytest.mark.parametrize("piece", ["\u202e", "a = 1\n", "<", "(", "'''"])
def test_code_is_bounded_whatever_it_is(piece: str) -> None:
    made = highlighted(piece * 200_000, "python", "code")
    assert len(made.encode()) < MARKUP + 1_000
    assert "characters in all" in made
    assert len(difference(piece * 200_000, "other", "diff").encode()) < MARKUP + 1_000


def test_a_cut_is_said() -> None:
    assert cut("a\nb\n") == ("a\nb", False)
    kept, more = cut("x" * (CHARACTERS + 1))
    assert (len(kept), more) == (CHARACTERS, True)


def test_a_diff_shows_both_sides() -> None:
    made = difference("a\nb\nc", "a\nB\nc", "diff")
    assert '<span class="minus">-b</span><span class="plus">+B</span>' in made
    assert "the same to the letter" in difference("a\n", "a", "The code")
    tail = "x" * CHARACTERS
    assert "as far as it is compared" in difference(tail + "a", tail + "b", "The code")


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
