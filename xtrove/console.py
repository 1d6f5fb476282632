"""The one place that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import functools
import sys
from typing import TextIO

from rich.console import Console


@functools.cache
def out() -> Console:
    """For what was asked for: tables, samples, JSON."""
    return _console(sys.stdout)


@functools.cache
def err() -> Console:
    """For progress, warnings and errors."""
    return _console(sys.stderr)


def _console(file: TextIO) -> Console:
    """Lines are wrapped for a terminal only: a log or a pipe gets them whole."""
    wide = None if file.isatty() else 200
    return Console(file=file, highlight=False, soft_wrap=not file.isatty(), width=wide)


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
