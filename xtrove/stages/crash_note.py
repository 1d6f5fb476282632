"""Which row a worker is at, so that a row that kills workers costs itself and not its slice.

A native parser can crash the process on a hostile file, or grow until the machine kills it. The
worker notes the row it is about to parse in a memory-mapped file (no system call a row: the
kernel keeps the page when the process dies). The next try of the slice finds the note; a row at
which three workers died in one build is set aside by name and counted as `worker_crashed`. Deaths
between rows are nobody's fault and are only retried. A new driver starts with empty notes, so
that an operator's kills are never held against a file.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

DEATHS = 3
_ROW = struct.Struct("<q")
_NONE = -1


class CrashNote:
    """The note of one slice; use `noted`. A context while a row is worked on: see `at`."""

    def __init__(self, page: mmap.mmap, poison: frozenset[int]) -> None:
        self._page = page
        self.poison = poison
        """Rows that killed `DEATHS` workers."""

    def at(self, row: int) -> Self:
        """While the context that this returns lasts, a death is held against this row."""
        _ROW.pack_into(self._page, 0, row)
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            _ROW.pack_into(self._page, 0, _NONE)


@contextmanager
def noted(folder: Path, key: str) -> Iterator[CrashNote]:
    """The note of a slice; it goes when the slice is done, and stays when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    note, deaths = folder / f"{key}.row", folder / f"{key}.deaths"
    _bury(note, deaths)
    note.write_bytes(_ROW.pack(_NONE))
    counts = Counter(deaths.read_text(encoding="ascii").split()) if deaths.exists() else Counter()
    poison = frozenset(int(row) for row, count in counts.items() if count >= DEATHS)
    with note.open("r+b") as file, mmap.mmap(file.fileno(), _ROW.size) as page:
        yield CrashNote(page, poison)
    note.unlink()
    deaths.unlink(missing_ok=True)


def _bury(note: Path, deaths: Path) -> None:
    """Write down where the last try of this slice died, if it did."""
    try:
        row = int(_ROW.unpack(note.read_bytes())[0])
    except (OSError, struct.error):
        return
    if row != _NONE:
        with deaths.open("a", encoding="ascii") as file:
            file.write(f"{row}\n")
