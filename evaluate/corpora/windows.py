"""Text without functions to windows of lines, so that no file of a corpus is out of reach.

Method: `LINES` lines at a time, each window beginning `STRIDE` after the one before, so that what
a border cuts stands whole in the next; the last window ends with the text; blank ones are left
out. Cost: linear. Limits: a window does not know paragraphs or sections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LINES = 40
STRIDE = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Lines of a file, from 1, inclusive."""

    start_line: int
    end_line: int
    text: str


def windows(text: str, *, lines: int = LINES, stride: int = STRIDE) -> Iterator[Window]:
    """The windows of a text, without its blank ones."""
    rows = text.split("\n")
    if rows and not rows[-1]:
        rows.pop()
    start = 0
    while start < len(rows):
        end = min(start + lines, len(rows))
        piece = "\n".join(rows[start:end])
        if piece.strip():
            yield Window(start_line=start + 1, end_line=end, text=piece)
        if end == len(rows):
            return
        start += stride
