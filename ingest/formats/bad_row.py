"""A row before anything is known about it, in whatever format it was stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ingest.records import Skip


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """Rows that could not be read out of their file."""

    reason: str
    """A key of the funnel."""
    detail: str = ""
    """As that of `Skip`: shown by `doctor`, never written."""
    fact: str = ""
    rows: int = 1
    quarantined: str = ""
    """Name of the file (and row group) that is corrupt."""

    def skip(self, language: str, row: int) -> Skip:
        """The record of it."""
        return Skip(
            language=language,
            reason=self.reason,
            row=row,
            rows=self.rows,
            detail=(self.detail or self.fact)[:200],
            fact=self.fact,
            quarantined=self.quarantined,
        )


Rows = Iterator[Mapping[str, object] | BadRow]
