"""The cache of remote shards on this machine (options first; see below for the rest)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheOptions:
    """Where shards of other machines are kept, and how much of them."""

    folder: Path | None = None
    """None for `$XDG_CACHE_HOME/xtrove` or `~/.cache/xtrove`."""
    max_bytes: int = 20_000_000_000
    """For all processes that share the folder."""
