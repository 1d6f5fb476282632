"""The one place that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import functools
import sys

from rich.console import Console


@functools.cache
def out() -> Console:
    """For what was asked for: tables, samples, JSON."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


@functools.cache
def err() -> Console:
    """For progress, warnings and errors."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())


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
