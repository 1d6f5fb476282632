"""The frame: loads nothing, runs nothing, can be read by everybody, the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markupsafe import Markup, escape

from evaluate.report import page as page_module
from evaluate.report.page import MARK, MAX_BYTES, Page, Request, render, short, visible
from evaluate.report.training import training_page
from tests.evaluate import report_pages
from tests.evaluate.report_pages import DARK, HOSTILE, LIGHT, SHEET, Made, Parsed
from xtrove.core.errors import XtroveError

TEXTS = (
    *("ink", "quiet", "link", "keyword", "string", "comment", "number", "function", "type"),
    "mark",
)
MARKS = ("edge", "focus", "s0", "s1", "s2", "s3", "s4", "s5", "kept", "dropped")


@pytest.fixture(params=["dataset", "training", "evaluation"])
def page(request: pytest.FixtureRequest, pages: dict[str, bytes]) -> str:
    """The text of each page."""
    return pages[request.param].decode()


def test_nothing_is_loaded_run_or_sent(page: str) -> None:
    assert page.encode().startswith(MARK)
    assert len(page) < MAX_BYTES
    seen = Parsed(page)
    allowed = {
        *("html", "head", "meta", "title", "style", "body", "a", "header", "main", "footer", "nav"),
        *("section", "article", "details", "summary", "h1", "h2", "h3", "p", "ul", "ol", "li"),
        *("dl", "dt", "dd", "div", "span", "small", "code", "pre", "blockquote", "table"),
        *("caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "path"),
        *("rect", "wbr"),
    }
    assert set(seen.tags) <= allowed
    names = {name for name, _ in seen.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"src", "srcset", "style", "action", "data", "background", "xlink:href"}
    links = [value for name, value in seen.attributes if name == "href"]
    assert all(value is not None and value.startswith("#") for value in links)
    assert "url(" not in SHEET and "@import" not in SHEET


def test_the_policy_names_the_one_style(page: str) -> None:
    styles = re.findall(r"<style>(.*?)</style>", page, flags=re.S)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    result = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert result is not None
    assert result[1] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_it_can_be_found_ones_way_in(page: str) -> None:
    seen = Parsed(page)
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = {value[1:] for name, value in seen.attributes if name == "href" and value}
    named = {value for name, value in seen.attributes if name == "aria-labelledby"}
    assert links | named <= set(ids)
    levels = [int(tag[1]) for tag in seen.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert '<html lang="en">' in page
    assert page.count("<table") == page.count("<caption")
    assert not re.findall(r"<th(?![a-z])(?![^>]*scope=)", page)
    pictures = re.findall(r"<svg[^>]*>", page)
    assert pictures
    assert all('aria-hidden="true"' in picture or 'aria-label="' in picture for picture in pictures)


def test_what_means_harm_is_shown(page: str) -> None:
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page
    assert '<span class="ctl">U+202E</span>' in page
    assert not set("\u202e\u2066\x1b\u200b") & set(page)


def test_no_folder_of_this_machine_is_named(page: str, tmp_path: Path) -> None:
    assert str(tmp_path.parents[1]) not in page
    assert "/home/me" not in page


def test_the_same_data_has_the_same_bytes(pages: dict[str, bytes], tmp_path: Path) -> None:
    again = report_pages.dataset(tmp_path)
    run = report_pages.run(tmp_path, again.path)
    assert render(again.page()) == pages["dataset"]
    assert render(training_page(run, Request())) == pages["training"]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 has it."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast_is_enough(palette: dict[str, str]) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert LIGHT.keys() == DARK.keys()
    for ground in ("ground", "raised"):
        for name in TEXTS:
            assert contrast(palette[name], palette[ground]) >= 4.5, (name, ground)
    for name in MARKS:
        assert contrast(palette[name], palette["ground"]) >= 3, name
    for name in ("added", "removed"):
        assert contrast(palette["ink"], palette[name]) >= 4.5, name
    assert set(re.findall(r"var\(--(\w+)\)", SHEET)) <= palette.keys()


def test_a_page_that_is_too_large_is_refused(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(render(made.page()))
    monkeypatch.setattr(page_module, "MAX_BYTES", size)
    render(made.page())
    monkeypatch.setattr(page_module, "MAX_BYTES", size - 1)
    with pytest.raises(XtroveError, match="bytes, more than"):
        render(made.page())


def test_hidden_characters_are_shown() -> None:
    shown = visible(str(escape(HOSTILE)))
    seen = Parsed(shown)
    assert set(seen.tags) == {"span"}
    for code in ("U+202E", "U+2066", "U+001B", "U+200B"):
        assert code in seen.text
    assert not set("\u202e\u2066\u200b\x1b") & set(shown)
    assert visible("a\r\nb\tc\r") == 'a\nb\tc<span class="ctl">U+000D</span>'
    assert visible('<p title="\u202e\ud800">') == '<p title="[U+202E][U+D800]">'
    assert visible("<title>\u202e</title>\u202e").startswith("<title>[U+202E]</title><span")
    visible("\ud800 \U000e0041").encode()


@given(st.text(st.characters(codec=None, exclude_categories=())), st.integers(1, 50))
def test_any_text_is_text_and_bounded(text: str, limit: int) -> None:
    shown = visible(str(escape(short(text, limit))))
    assert set(Parsed(shown).tags) <= {"span"}
    assert len(shown.encode()) <= 8 * limit + 4
    seen = Parsed(visible(str(Markup('<p title="{0}">{0}</p>').format(text))))
    assert set(seen.tags) <= {"p", "span"}
    assert {name for name, _ in seen.attributes} <= {"title", "class"}


@pytest.mark.parametrize("text", [HOSTILE, "\u202e\u2066<&" * 4_000])
def test_a_template_escapes_and_bounds_every_text(text: str) -> None:
    """Nothing that a page says about itself can act as markup, hide or grow."""
    page = Page(
        kind="Training run",
        template="training.html.j2",
        title=text,
        cards=[(text, text)],
        sections={"curves": "Curves"},
        content={"log_file": text},
    )
    plain = replace(page, title="x", cards=[("x", "x")], content={"log_file": "x"})
    seen, expected = Parsed(render(page).decode()), Parsed(render(plain).decode())
    assert [tag for tag in seen.tags if tag != "span"] == expected.tags
    assert len(render(page)) < len(render(plain)) + 30_000
    assert not set("\u202e\u2066\u200b\x1b") & set(render(page).decode())


def test_a_page_that_misses_a_value_is_an_error(made: Made) -> None:
    page = made.page()
    content = {name: page.content[name] for name in page.content if name != "seed"}
    with pytest.raises(UndefinedError, match="seed"):
        render(replace(page, content=content))
