"""The records of this package: what a source plans and what it emits.

A source is planned once, by the driver, into slices; each slice is read by one worker, which
emits `SourceFile` (raw code), `SourcePair` (a ready pair of query and code) or `Skip` (rows
that were seen and refused, with the reason). Every row of the input becomes exactly one of
the three, so that the funnel adds up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeVar

from ingest.fault_text import digest_of

Record = TypeVar("Record")

_SETTERS: dict[type[Any], tuple[Callable[[Any, object], None], ...]] = {}


def cheaply_pickled(cls: type[Record]) -> type[Record]:
    """A slots dataclass that is pickled as a tuple of its values, for records that cross
    processes by the thousand: half the time of the standard library's way, field by field."""
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    values = attrgetter(*names)
    _SETTERS[cls] = tuple(getattr(cls, name).__set__ for name in names)

    def reduced(self: Record) -> tuple[object, ...]:
        return _rebuilt, (cls, values(self))

    cls.__reduce__ = reduced  # type: ignore[assignment]
    return cls


def _rebuilt(cls: type[Record], values: tuple[object, ...]) -> Record:
    record = cls.__new__(cls)
    for set_field, value in zip(_SETTERS[cls], values, strict=True):
        set_field(record, value)
    return record


@cheaply_pickled
@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One file of source code, as it was found, with what proves its licence."""

    source: str
    """Name of the source in the config, unique in a build."""
    source_revision: str
    """Revision of the source as a whole (commit, data set revision or digest of the input)."""
    repo: str
    path: str
    revision: str
    """Revision of the repository or package the file belongs to; "" when unknown."""
    url: str
    language: str
    content: bytes
    """The raw bytes; not yet known to be UTF-8."""
    licenses: tuple[str, ...]
    """SPDX identifiers, at least one ("NOASSERTION" where an unknown licence is let in)."""
    license_evidence: str
    stars: int
    """-1 when unknown."""
    row: int
    """Position in the slice: strictly increasing, counted over refused rows too."""
    query: str = ""
    """What its changed functions answer, such as a commit message; "" where each function's own
    documentation is the query."""
    changed: tuple[tuple[int, int], ...] = ()
    """With `query`: half-open ranges of lines, from 1; an empty one (n, n) stands before line n."""


@cheaply_pickled
@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePair:
    """One ready pair of query and code; the fields it shares with `SourceFile` mean the same."""

    source: str
    source_revision: str
    repo: str
    path: str
    revision: str
    url: str
    language: str
    query: str
    code: str
    name: str
    start_line: int
    """From 1; -1 when unknown, as are the three below."""
    end_line: int
    start_byte: int
    end_byte: int
    licenses: tuple[str, ...]
    license_evidence: str
    stars: int
    row: int
    partition: str = ""
    """Split of the source itself (train, validation or test) where it is to be kept; else ""."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """Rows that were seen and refused."""

    language: str
    """"" when the language of the row is not known."""
    reason: str
    """A stable snake_case word; a key of the funnel."""
    row: int
    rows: int = 1
    """How many input rows this stands for (a corrupt row group is many)."""
    detail: str = ""
    """What was wrong, for `doctor` to show: the offending value, cut to 200 characters. It is
    never written anywhere: see `evidence`."""
    fact: str = ""
    """The same in words of our own, with numbers and digests, that quote nothing."""
    quarantined: str = ""
    """Name of the file (and row group) set aside as corrupt; "" for an ordinary refusal."""

    @property
    def evidence(self) -> str:
        """What may be written of it: the row, and the fact or a digest of the detail."""
        fact = self.fact or (digest_of(self.detail) if self.detail else "")
        return f"row {self.row}" + (f", {fact}" if fact else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A contiguous piece of one input file."""

    path: str
    """Absolute path on the workers."""
    name: str
    """Path relative to the source: what is digested, logged and published."""
    digest: str
    """SHA-256 (hex) of the whole file, or a digest with its scheme (`git:`, `etag:`)."""
    size: int
    """Bytes of the whole file."""
    start: int
    """First row group, first byte, or 0: the unit is the source's own."""
    stop: int
    """One past the last; half-open."""
    language: str = ""
    meta: tuple[tuple[str, str], ...] = ()
    """What the source needs to read the part and found out while planning (repo, licence)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """The unit of work: read by one worker, retried as a whole, in one receipt."""

    source: str
    stream: str
    """Slices of one stream are read in rank order until the quotas of its languages are full;
    a source whose files are sorted by language has a stream for each, others a single ""."""
    label: str
    """For people: the first part and how many more."""
    parts: tuple[Part, ...]
    bytes: int
    """Uncompressed bytes a worker will handle, for sizing and progress."""
    digest: str
    """SHA-256 over source options, names, digests and ranges of the parts: never a local path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantine:
    """An input file that could not even be planned."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a source holds at the revision that was pinned."""

    source: str
    kind: str
    revision: str
    slices: tuple[Slice, ...]
    """In natural order (sorted by name); the build permutes them by hash."""
    terms: str
    """Under which the content may be handed on: see `ingest.terms`."""
    quarantined: tuple[Quarantine, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    """Facts for the manifest (package versions, repositories and commits): no local path."""
    rows: int = -1
    """Rows in the slices; -1 where only reading tells."""
