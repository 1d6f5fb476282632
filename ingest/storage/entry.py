"""One file of a place, as a listing has it. Split off, so that every kind of place can use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file."""

    name: str
    """Path relative to the place, with `/`; escaped if it cannot be published."""
    size: int
    """-1 where the listing does not say; see `digested`."""
    digest: str
    """"" for a file that was not looked at yet; `ingest.storage.locate.digested` fills it in."""
    uri: str
    """What goes into `Part.path`: a local path, or a URI pinned to the revision."""
    problem: str = ""
    """A funnel reason why it must not be opened (a link, a FIFO), or ""."""
