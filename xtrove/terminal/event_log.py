"""The build's log: JSON lines, one event a line, flushed as they come.

It is a work file: it may hold times and paths, and is never published or summed.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


class Log:
    """Appends events to WORK/logs/build-<start>.jsonl."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = time.monotonic()

    @classmethod
    def create(cls, folder: Path) -> Log:
        """A log of its own for this run."""
        folder.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return cls(folder / f"build-{stamp}-{os.getpid()}.jsonl")

    def event(self, event: str, **facts: object) -> None:
        """Write one event with the time and the seconds since the start."""
        row = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - self._start, 3),
            "event": event,
            **facts,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
