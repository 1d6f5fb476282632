"""The largest file that sources read."""

from __future__ import annotations

from typing import Final

MAX_FILE_BYTES: Final = 1_000_000
"""Larger files are listed and never read."""
