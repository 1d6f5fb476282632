"""The frame of a report: one HTML file that asks the network for nothing and runs no script.

Method: sections with headings in order, a list of links to them, a skip link, one style element
whose SHA-256 the content security policy names: nothing else may load, run or be sent, not even
an inline style. The bytes are a function of what is shown: no time, no host.
Limits: `MAX_BYTES`; what goes into a page is bounded where it is made.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from evaluate.report.html.markup import Html, joined, short, tag
from evaluate.report.html.style import SHEET

MAX_BYTES: Final = 3_000_000
"""No page is larger."""
MARK: Final = b'<!doctype html>\n<!-- made by "xtrove report" -->\n'
"""What every report begins with: a file that begins so may be replaced by another report."""
_CELL: Final = 300


class PageTooLarge(ValueError):
    """A page that is larger than `MAX_BYTES`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of a page with its own heading."""

    id: str
    title: str
    body: Html


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A whole report."""

    kind: str
    """What is reported on: "Dataset"..."""
    title: str
    facts: Sequence[tuple[str, str]]
    """Names and values of the cards at its top."""
    sections: Sequence[Section]


def render(page: Page) -> bytes:
    """The file. Raises `PageTooLarge`."""
    digest = base64.b64encode(hashlib.sha256(SHEET.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = short(page.title, 200)
    head = (
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"{tag('title', f'{page.title[:200]} · {page.kind} · xtrove')}\n<style>{SHEET}</style>\n"
    )
    body = joined(
        [
            tag("a", "Skip to the report", class_="skip", href="#main"),
            tag("header", tag("p", page.kind, class_="kind"), tag("h1", title), _links(page)),
            tag("main", cards(page.facts), *map(_section, page.sections), id="main", tabindex=-1),
            tag("footer", "Made by xtrove report. This page loads nothing and runs no script."),
        ],
        between="\n",
    )
    text = f'<html lang="en">\n<head>\n{head}</head>\n<body>\n{body}\n</body>\n</html>\n'
    data = MARK + text.encode()
    if len(data) > MAX_BYTES:
        raise PageTooLarge(f"the report has {len(data):,} bytes, more than {MAX_BYTES:,}")
    return data


def _links(page: Page) -> Html:
    items = [tag("li", tag("a", section.title, href=f"#{section.id}")) for section in page.sections]
    return tag("nav", tag("ul", *items), aria_label="Sections")


def _section(section: Section) -> Html:
    heading = tag("h2", section.title, id=f"{section.id}-title")
    return tag(
        "section", heading, section.body, id=section.id, aria_labelledby=f"{section.id}-title"
    )


def cards(facts: Iterable[tuple[str, str]]) -> Html:
    """Names with one large value each."""
    items = [tag("div", tag("dt", name), tag("dd", short(value, _CELL))) for name, value in facts]
    return tag("dl", *items, class_="cards") if items else Html("")


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Sequence[int] = (0,),
) -> Html:
    """A table whose first column names its rows; columns that are not `words` are numbers.

    Cells are text (cut at 300 characters) or markup. On a narrow screen it scrolls by itself,
    with the keyboard too.
    """
    head = [
        tag("th", name, scope="col", class_=None if place in words else "n")
        for place, name in enumerate(header)
    ]
    body = [tag("tr", *_cells(row, words)) for row in rows]
    made = tag(
        "table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body)
    )
    return scrolling(made, caption)


def _cells(row: Sequence[str], words: Sequence[int]) -> list[Html]:
    cells = [one if isinstance(one, Html) else short(one, _CELL) for one in row]
    return [
        tag("th", one, scope="row")
        if not place
        else tag("td", one, class_=None if place in words else "n")
        for place, one in enumerate(cells)
    ]


def scrolling(content: Html, name: str) -> Html:
    """What may be wider than the screen, in a region that scrolls with the keyboard."""
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label=name[:200])


def folded(summary: str, *content: Html, boxed: bool = False, opened: bool = False) -> Html:
    """What is shown when it is asked for."""
    return tag(
        "details", tag("summary", summary), *content, class_="box" if boxed else None, open=opened
    )


def paragraph(*parts: str, quiet: bool = False) -> Html:
    """A paragraph."""
    return tag("p", *parts, class_="quiet" if quiet else None)


def facts_table(caption: str, facts: Mapping[str, str]) -> Html:
    """Names and values, both as text."""
    return table(caption, ("name", "value"), list(facts.items()), words=(0, 1))
