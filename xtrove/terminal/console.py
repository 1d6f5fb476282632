"""The one place that writes to the terminal: results to stdout, everything else to stderr.

Method: whatever is printed passes `printable`, before it is laid out and once more as it leaves;
markup is off, so that a style is an argument or a `Text` and never a part of the words. What
stands on one line (a name, a path, a reason) passes `one_line` where it is put into words.
Limits: the usage of the command line, which holds nothing of an input, is printed by typer.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text


class Terminal(Console):
    """A console that no text can give orders to."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Strings, those in tables and titles too, before they are laid out."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Everything else as it leaves: a `Text` or highlighted code may come from anywhere."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def out() -> Console:
    """For what was asked for: tables, samples, JSON."""
    return _console(sys.stdout)


def err() -> Console:
    """For progress, warnings and errors."""
    return _console(sys.stderr)


@functools.lru_cache(maxsize=2)
def _console(file: TextIO) -> Console:
    """One per stream: stdout may be another one at the next call.

    Lines are wrapped for a terminal only: a log or a pipe gets them whole.
    """
    wide = None if file.isatty() else 200
    return Terminal(
        file=file, highlight=False, markup=False, emoji=False,
        soft_wrap=not file.isatty(), width=wide,
    )  # fmt: skip


def printable(text: str, keep: str = "\n\t") -> str:
    """Text without what a terminal would obey: control, C1 and bidirectional characters.

    White space other than `keep` is a space; all else that has no shape is U+FFFD.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else " " if c.isspace() else "\ufffd" for c in text
    )


def one_line(value: object) -> str:
    """A value that stands on one line, whatever is in it."""
    return printable(str(value), keep="")


def amount(count: float) -> str:
    """Bytes for people, in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
