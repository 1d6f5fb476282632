"""A report page: one HTML file that requests nothing from the network and runs no script.

Method: Jinja2 templates with autoescape. The template of a kind of report is a set of blocks, one
for each section; `page.html.j2` puts them in order below headings and links. Every text is bounded
when a template prints it. When the page is complete, control characters, bidirectional controls,
invisible characters and lone surrogates are replaced by their code points, in text and attributes
alike, so that no template can forget it. The content security policy names the only style by its
SHA-256. The bytes are a function of what is shown: no time, no host. Limits: `MAX_BYTES`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from evaluate.report.charts import bar_rows, number
from xtrove.core import XtroveError

MAX_BYTES: Final = 3_000_000
MARK: Final = b'<!doctype html>\n<!-- made by "xtrove report" -->\n'
"""The first bytes of every report: a file that starts with them may be replaced by a report."""
_TEXT: Final = 1_000
_BYTES_PER_CHARACTER: Final = 8
_HIDDEN: Final = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Escaped text holds neither "<" nor ">", so the second branch is exactly one tag.
_TITLE_TAG_OR_HIDDEN: Final = re.compile(f"<title>[^<]*|<[^<>]*>|{_HIDDEN}")
Removed = Callable[[Collection[str]], Mapping[str, Mapping[str, object]]]
"""Ids of removed pairs -> the samples that are still in the work files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the caller asks for and knows beyond the folder that is reported on."""

    seed: int = 0
    """Of the samples that are drawn."""
    samples: int = 12
    reasons: Mapping[str, str] = field(default_factory=dict)
    """What the reasons in funnel and evidence mean."""
    removed: Removed | None = None
    """Finds the code of removed pairs, which is published nowhere."""
    progress: Callable[[str, int, int], None] = lambda what, done, total: None
    """Is called with what is read, how much of it is done, and of how much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The content of a report."""

    kind: str
    template: str
    title: str
    cards: Sequence[tuple[str, str]]
    """Names and values of the cards at the top."""
    sections: Mapping[str, str]
    """Blocks of the template -> their headings, in order."""
    content: Mapping[str, Any]
    """The variables of the template."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A kind of report: add one to `registry.REPORTS` and it can be asked for."""

    kind: str
    """What is reported on, for people: "Dataset"."""
    paths: str
    """Which paths it takes, for the message when none fits."""
    matches: Callable[[Path], bool]
    build: Callable[[Path, Request], Page]
    """Reads the path. Raises the errors of the modules that it reads with."""
    reads_work: bool = False
    """Whether the work folder of a build is of use."""


def render(page: Page) -> bytes:
    """The file. Raises `XtroveError`."""
    style = _environment().loader.get_source(_environment(), "style.css")[0]  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = (
        _environment()
        .get_template(page.template)
        .render(page.content, page=page, style=Markup(style), style_digest=digest)
    )
    data = MARK + visible(text).encode()
    if len(data) > MAX_BYTES:
        raise XtroveError(f"the report has {len(data):,} bytes, more than {MAX_BYTES:,}")
    return data


def macro(name: str, *arguments: Any) -> str:
    """The markup of one macro of `macros.html.j2`."""
    made: str = getattr(_environment().get_template("macros.html.j2").module, name)(*arguments)
    return visible(made)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("evaluate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: short(value, _TEXT) if isinstance(value, str) else value,
    )
    environment.filters |= {
        "short": short,
        "count": lambda value: f"{value:,}",
        "number": number,
        "breakable": lambda name: escape(name).replace("_", Markup("_<wbr>")),
    }
    environment.globals["bar_rows"] = bar_rows
    return environment


def short(text: str, limit: int) -> str:
    """At most `limit` characters of a text, fewer where their markup has more than eight bytes a
    character, with an ellipsis; markup is left as it is."""
    if isinstance(text, Markup):
        return text
    kept = text[:limit]
    while len(visible(escape(kept)).encode()) > _BYTES_PER_CHARACTER * limit:
        kept = kept[: len(kept) // 2]
    return kept if len(kept) == len(text) else f"{kept} …"


def visible(markup: str) -> str:
    """Markup in which no character is hidden: `U+202E` in text, `[U+202E]` in tags and titles."""
    return _TITLE_TAG_OR_HIDDEN.sub(_shown, markup.replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    if match[0].startswith("<"):
        return re.sub(_HIDDEN, lambda hidden: f"[{_code_point(hidden[0])}]", match[0])
    return f'<span class="ctl">{_code_point(match[0])}</span>'


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"
