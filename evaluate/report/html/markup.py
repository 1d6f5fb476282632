"""Markup for reports: text is escaped by its type, what could deceive the eye is shown.

Method: `tag` escapes every child that is a plain `str`; only `Html`, which only this module's
functions make, passes as it stands, so that forgetting to escape is impossible. Control
characters, bidirectional controls, invisible characters and lone surrogates are written as their
code points. Cost: about 20 ns a character. Limits: `short` bounds what a text adds to a page,
whatever it consists of (eight bytes a character at most).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_BYTES_A_CHARACTER: Final = 8
_CUT: Final = " …"


class Html(str):
    """Markup that is safe as it stands."""

    __slots__ = ()


def escaped(text: str) -> Html:
    """Text as markup: special characters escaped, hidden ones shown as `U+202E`."""
    plain = html.escape(text.replace("\r\n", "\n"), quote=True)
    return Html(
        _HIDDEN.sub(lambda found: f'<span class="ctl">{_code_point(found[0])}</span>', plain)
    )


def attribute(text: str) -> str:
    """Text as the value of an attribute, without its quotes."""
    plain = html.escape(text, quote=True)
    return _HIDDEN.sub(lambda found: f"[{_code_point(found[0])}]", plain)


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def short(text: str, limit: int) -> Html:
    """At most `limit` characters of a text, and of its markup in proportion, with an ellipsis."""
    kept = text[:limit]
    made = escaped(kept)
    while len(made.encode()) > _BYTES_A_CHARACTER * limit:
        kept = kept[: len(kept) // 2]
        made = escaped(kept)
    return made if len(kept) == len(text) else Html(made + _CUT)


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Parts one after the other; those that are plain text are escaped."""
    return Html(_safe(between).join(_safe(part) for part in parts))


def tag(name: str, *children: str, **attributes: str | int | float | bool | None) -> Html:
    """An element. `class_` and `for_` lose the line, other lines become hyphens; None and False
    leave an attribute out, True writes it bare. Raises ValueError for a name that is none."""
    words = [_checked(name)]
    for key, value in attributes.items():
        shown = _checked(key.rstrip("_").replace("_", "-"))
        if value is None or value is False:
            continue
        words.append(shown if value is True else f'{shown}="{attribute(str(value))}"')
    return Html(f"<{' '.join(words)}>{joined(children)}</{name}>")


def _safe(part: str) -> str:
    return part if isinstance(part, Html) else escaped(part)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element or attribute")
    return name
