"""Code in a report: highlighted, or as a diff; bounded whatever it is.

Method: Pygments only cuts the text into tokens; the markup is made here, so that every token is
escaped and hidden characters are shown. Six kinds of tokens have a colour. A diff is that of
difflib over lines. Cost: about 1 ms a function; Pygments is imported with the first one (30 ms).
Limits: `CHARACTERS` and `LINES` of a text are shown, and at most `MARKUP` bytes of markup.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from evaluate.report.html.markup import Html, escaped, joined, tag

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]

CHARACTERS: Final = 4_000
LINES: Final = 120
MARKUP: Final = 32_000
_LINE: Final = 400
_CONTEXT: Final = 3


def cut(code: str) -> tuple[str, bool]:
    """What is shown of a text, and whether something is left out."""
    kept = "\n".join(code[:CHARACTERS].splitlines()[:LINES])
    return kept, len(kept) < len(code.rstrip("\n"))


def highlighted(code: str, language: str, name: str) -> Html:
    """A block of code; `name` says what it is to those who cannot see it."""
    kept, more = cut(code)
    pieces: list[Html] = []
    size = 0
    for kind, value in _tokens(kept, language):
        piece = tag("span", value, class_=kind) if kind else escaped(value)
        size += len(piece.encode())
        if size > MARKUP:
            more = True
            break
        pieces.append(piece)
    if more:
        pieces.append(tag("span", f"\n… {len(code):,} characters in all", class_="c"))
    return _block(tag("code", *pieces), name)


def _block(content: Html, name: str) -> Html:
    return tag("pre", content, tabindex=0, role="region", aria_label=name[:200])


def _tokens(code: str, language: str) -> Iterator[tuple[str, str]]:
    """Runs of one class ("" for plain text) in order."""
    from pygments.token import (  # type: ignore[import-untyped]
        Comment,
        Keyword,
        Literal,
        Name,
        Number,
        Operator,
        String,
    )

    kinds = (
        (Comment, "c"), (String, "s"), (Number, "m"), (Literal, "s"), (Keyword.Type, "t"),
        (Keyword, "k"), (Operator.Word, "k"), (Name.Function, "f"), (Name.Class, "t"),
        (Name.Decorator, "f"), (Name.Builtin, "t"),
    )  # fmt: skip
    held, before = "", ""
    for token, value in _lexer(language).get_tokens(code):
        kind = next((name for parent, name in kinds if token in parent), "")
        if kind != before and held:
            yield before, held
            held = ""
        held, before = held + value, kind
    if held.strip("\n"):
        yield before, held.rstrip("\n")


def _lexer(language: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.lexers.special import TextLexer  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    options = {"stripnl": False, "ensurenl": False}
    try:
        if language == "php":
            return get_lexer_by_name("php", startinline=True, **options)
        return get_lexer_by_name(language, **options)
    except ClassNotFound:
        return TextLexer(**options)


def difference(kept: str, dropped: str, name: str) -> Html:
    """What turns the kept text into the dropped one, line by line."""
    first, more = cut(kept)
    second, too = cut(dropped)
    lines = difflib.unified_diff(
        first.splitlines(), second.splitlines(), n=_CONTEXT, lineterm=""
    )  # fmt: skip
    rows: list[Html] = []
    size = 0
    for place, line in enumerate(lines):
        if place < 2:
            continue
        row = _diff_line(line)
        size += len(row.encode())
        if size > MARKUP:
            more = True
            break
        rows.append(row)
    if not rows:
        same = "the same to the letter" + (", as far as it is compared" if more or too else "")
        return tag("p", f"{name}: {same}", class_="quiet")
    if more or too:
        rows.append(tag("span", "… the rest is left out", class_="at"))
    return _block(tag("code", joined(rows), class_="diff"), name)


def _diff_line(line: str) -> Html:
    kind = {"+": "plus", "-": "minus", "@": "at"}.get(line[:1])
    return tag("span", line[:_LINE] or " ", class_=kind)
