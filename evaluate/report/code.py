"""Code in a report: highlighted, or as a diff; bounded whatever it is.

Method: Pygments only cuts the text into tokens; their markup is made here, with six kinds that have
a colour. A diff is that of difflib over lines. Cost: about 1 ms a function; Pygments is imported
with the first one (30 ms). Limits: `CHARACTERS` and `LINES` of a text, `MARKUP` bytes of markup.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from evaluate.report.page import visible

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]

CHARACTERS: Final = 4_000
LINES: Final = 120
MARKUP: Final = 32_000
_LINE: Final = 400
_DIFF_CLASSES: Final = {"+": "plus", "-": "minus", "@": "at"}


def cut(code: str) -> tuple[str, bool]:
    """The shown part of a text, and whether something is left out."""
    kept = "\n".join(code[:CHARACTERS].splitlines()[:LINES])
    return kept, len(kept) < len(code.rstrip("\n"))


def highlighted(code: str, language: str) -> Markup:
    """Code with its tokens marked."""
    kept, incomplete = cut(code)
    spans, too_large = _spans(_tokens(kept, language))
    if incomplete or too_large:
        spans += _span("c", f"\n… {len(code):,} characters in all")
    return spans


def difference(kept: str, removed: str) -> Markup:
    """The lines that turn the kept text into the removed one; a sentence where there are none."""
    first, first_incomplete = cut(kept)
    second, second_incomplete = cut(removed)
    incomplete = first_incomplete or second_incomplete
    lines = difflib.unified_diff(first.splitlines(), second.splitlines(), lineterm="")
    marked = (
        (_DIFF_CLASSES.get(line[:1], "same"), line[:_LINE] or " ")
        for line in itertools.islice(lines, 2, None)
    )
    spans, too_large = _spans(marked)
    if not spans:
        return escape("Identical" + (", as far as they are compared" if incomplete else ""))
    if incomplete or too_large:
        spans += _span("at", "… the rest is left out")
    return spans


def _spans(pieces: Iterable[tuple[str, str]]) -> tuple[Markup, bool]:
    """Spans of (class or "", text), and whether some are left out for their size."""
    spans: list[Markup] = []
    size = 0
    for kind, text in pieces:
        span = _span(kind, text) if kind else escape(text)
        size += len(visible(span).encode())
        if size > MARKUP:
            return Markup().join(spans), True
        spans.append(span)
    return Markup().join(spans), False


def _span(kind: str, text: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(kind, text)


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

    classes = (
        (Comment, "c"), (String, "s"), (Number, "m"), (Literal, "s"), (Keyword.Type, "t"),
        (Keyword, "k"), (Operator.Word, "k"), (Name.Function, "f"), (Name.Class, "t"),
        (Name.Decorator, "f"), (Name.Builtin, "t"),
    )  # fmt: skip

    def class_of(token: tuple[object, str]) -> str:
        return next((name for parent, name in classes if token[0] in parent), "")

    for kind, run in itertools.groupby(_lexer(language).get_tokens(code.rstrip("\n")), class_of):
        yield kind, "".join(text for _, text in run)


def _lexer(language: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.lexers.special import TextLexer  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    options = {"stripnl": False, "ensurenl": False}
    try:
        # Functions of PHP stand without the opening tag.
        return get_lexer_by_name(
            language, **options, **{"startinline": True} if language == "php" else {}
        )
    except ClassNotFound:
        return TextLexer(**options)
