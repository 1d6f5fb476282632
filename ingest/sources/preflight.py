"""A look at a source before a build: its own plan of some files, then the first rows it reads.

Method: nothing here knows a kind. The source lists itself as for a build, thinned by a `Sample`,
and some of its slices are read from their start; records are judged as a build judges them.
`Findings` is filled step by step, and whoever waits may take its `Report` at any time, so that a
source that stops answering still shows what it answered.
Cost: the listing, some footers or headers, one slice of each stream up to `SAMPLE_ROWS` rows.
Limits: a sample shows that a build would work, not that every file is whole. A sample row is raw:
secrets are cut out of it by those who show it.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

from ingest.errors import SourceError, TransientFault
from ingest.files import COMMIT
from ingest.formats import column_names
from ingest.licenses import NOT_PERMISSIVE, UNKNOWN, LicensePolicy, is_known
from ingest.records import Listing, Skip, Slice, SourceFile, SourcePair
from ingest.sources.base import Records, Sample, spread
from ingest.sources.registry import SourceOptions, plan, read, source_of
from ingest.storage import Entry, identity, token_state
from ingest.transport import ReadLimits

SAMPLE_ROWS = 200
LEAST_ROWS = 25
"""Of each slice that is read, where there are many."""
SLICES = 8
ENOUGH_ROWS = 20
"""Fewer refused rows than these say nothing about the others."""
LET_IN = "let in"
AGAIN = "Try again; if it stays, look for what lies between: the network, a proxy, a firewall."
AGAIN_HUB = f"{AGAIN} See https://status.huggingface.co too."
NOT_PERMISSIVE_REMEDY = (
    "Every sampled row would be refused for its licence: list what you accept under "
    "`licenses.allow`."
)

_OTHER_LANGUAGE = frozenset({"unwanted_language", "unsupported_language", "language_mismatch"})
_LICENCE_REASONS = frozenset({NOT_PERMISSIVE, UNKNOWN, "no_license"})
_COLUMN = re.compile(r"column '?([^\s',]+)")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    """Whether a build would work as far as this goes."""
    found: str
    remedy: str = ""
    """What to do about it; "" when it is ok."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceCount:
    """Sampled rows with the same licences and the same verdict."""

    licenses: str
    """SPDX identifiers as the rows state them, joined by `, `; "" for none."""
    verdict: str
    """`let in`, or the funnel reason of the refusal."""
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a build would read, without its quotas."""

    files: int
    rows: int
    """-1 when unknown."""
    stored_bytes: int
    """Of the files as they lie there."""
    raw_bytes: int
    """What workers handle, uncompressed."""
    exact: bool
    """False: some files stand for all, by their bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that was found out about one source."""

    source: str
    kind: str
    place: str
    revision: str
    """"" when it was not found out."""
    languages: tuple[tuple[str, int], ...]
    """Language and number of files, sorted; "" for files of several."""
    checks: tuple[Check, ...]
    licenses: tuple[LicenceCount, ...]
    """Most rows first."""
    refused: tuple[tuple[str, int, str], ...]
    """Reason, sampled rows and one detail, for refusals that are not about licences."""
    reading: Reading | None
    quota: int | None
    """Pairs a language after which a build stops reading."""
    sample: SourceFile | SourcePair | None

    @property
    def ok(self) -> bool:
        """Whether a build would work as far as was looked at."""
        return all(check.ok for check in self.checks)


@dataclass(kw_only=True, slots=True)
class Findings:
    """A report in the making. Safe for threads."""

    source: str
    kind: str
    place: str
    quota: int | None = None
    revision: str = ""
    reading: Reading | None = None
    listed: Sample = field(default_factory=Sample)
    """What the source lists, and which files of it are looked at."""
    sample: SourceFile | SourcePair | None = None
    _checks: list[Check] = field(default_factory=list)
    _licenses: Counter[tuple[str, str]] = field(default_factory=Counter)
    _refused: Counter[str] = field(default_factory=Counter)
    _details: dict[str, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def good(self, name: str, message: str) -> None:
        """Something is as a build needs it."""
        with self._lock:
            self._checks.append(Check(name=name, ok=True, found=message))

    def bad(self, name: str, message: str, remedy: str) -> None:
        """A build would fail of this. One cause is noted once, however many slices meet it."""
        check = Check(name=name, ok=False, found=message, remedy=remedy)
        with self._lock:
            if all((c.found, c.remedy) != (message, remedy) for c in self._checks if not c.ok):
                self._checks.append(check)

    def attempt(self, name: str, call: Callable[[], T]) -> T | None:
        """The answer of a call, or None and its fault noted under `name`."""
        try:
            return call()
        except SourceError as error:
            message = error.message
            self.bad(name, message, f"{error.remedy}{self.columns(message)}")
        except TransientFault as error:
            on_hub = self.place.startswith("hf://") and not error.path.startswith("blob ")
            remedy = AGAIN_HUB if on_hub else AGAIN
            self.bad(name, f"no answer from {error.path}: {error.cause}", remedy)
        except OSError as error:
            where = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
            self.bad(name, where, "Mend what it names, or name another path.")
        return None

    def columns(self, fault: str) -> str:
        """The columns of the first file, and which was meant, for a fault about one; or ""."""
        missing = _COLUMN.findall(fault)
        first = next(iter(self.listed.chosen), None)
        if not missing or not isinstance(first, Entry):
            return ""
        names = column_names(first, None)
        near = (difflib.get_close_matches(name, names, n=1, cutoff=0.6) for name in missing)
        hints = "".join(
            f" Did you mean {match[0]!r}?"
            for name, match in zip(missing, near, strict=True)
            if match and name not in names
        )
        return f" The file has: {', '.join(names)[:200]}.{hints}" if names else ""

    def rows(self, records: Records) -> None:
        """Count records as a build would judge them."""
        for record in records:
            with self._lock:
                self._row(record)

    def _row(self, record: SourceFile | SourcePair | Skip) -> None:
        if not isinstance(record, Skip):
            self._licenses[", ".join(record.licenses), LET_IN] += 1
            # A row may be looked at without its content.
            if self.sample is None and (isinstance(record, SourcePair) or record.content):
                self.sample = record
        elif record.reason in _LICENCE_REASONS:
            stated = record.detail.rpartition(": ")[2]
            known = all(map(is_known, stated.split(", ")))
            self._licenses[stated if known else "", record.reason] += record.rows
        else:
            self._refused[record.reason] += record.rows
            if record.detail:
                self._details.setdefault(record.reason, record.detail)

    def judge_rows(self, *, complete: bool, license_remedy: str, rows_remedy: str) -> None:
        """Say what the sample means for a build; after the last call of `rows`.

        `complete` when there are no rows beside the sampled ones. A sample without a single row
        that passes is a problem, unless it is too small to say so.
        """
        let_in = sum(n for (_, verdict), n in self._licenses.items() if verdict == LET_IN)
        by_licence = sum(self._licenses.values()) - let_in
        foreign = sum(n for reason, n in self._refused.items() if reason in _OTHER_LANGUAGE)
        refused = sum(self._refused.values()) - foreign
        total = let_in + by_licence + refused + foreign
        if not total and any(not check.ok for check in self._checks):
            # What stood in the way was said.
            return
        counts = Counter(self._refused)
        for (_, verdict), number in self._licenses.items():
            if verdict != LET_IN:
                counts[verdict] += number
        message = f"{let_in:,} of {total:,} sampled rows pass"
        reasons = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if reasons:
            message += "; refused: " + ", ".join(f"{reason} {n:,}" for reason, n in reasons)
        if let_in and self.reading is not None and self.reading.rows > total:
            message += f"; of all rows about {self.reading.rows * let_in // total:,}"
        too_few = not complete and by_licence + refused < ENOUGH_ROWS
        if let_in or too_few or not by_licence + refused:
            self.good("rows", message)
        elif by_licence < refused:
            details = " ".join(self._details.values())
            self.bad("rows", message, f"{rows_remedy}{self.columns(details)}")
        else:
            unknown = counts[UNKNOWN] >= counts[NOT_PERMISSIVE]
            self.bad("rows", message, license_remedy if unknown else NOT_PERMISSIVE_REMEDY)

    def report(self) -> Report:
        """What is known so far."""
        with self._lock:
            licenses = sorted(self._licenses.items(), key=lambda item: (-item[1], item[0]))
            return Report(
                source=self.source,
                kind=self.kind,
                place=self.place,
                revision=self.revision,
                languages=tuple(self.listed.files.items()),
                checks=tuple(self._checks),
                licenses=tuple(
                    LicenceCount(licenses=ids, verdict=verdict, rows=rows)
                    for (ids, verdict), rows in licenses
                ),
                refused=tuple(
                    (reason, rows, self._details.get(reason, ""))
                    for reason, rows in sorted(self._refused.items())
                ),
                reading=self.reading,
                quota=self.quota,
                sample=self.sample,
            )


def findings_of(options: SourceOptions, name: str) -> Findings:
    """Nothing found yet of a source."""
    return Findings(
        source=name, kind=options.kind, place=options.place, quota=options.max_per_language
    )


def look(
    options: SourceOptions, policy: LicensePolicy, findings: Findings, limits: ReadLimits
) -> None:
    """Look at a source whose paths are absolute; notes step by step what is found."""
    _credentials(findings, limits)
    name, listed = findings.source, findings.listed
    listing = findings.attempt(
        "layout", lambda: plan(options, name, policy, limits=limits, sample=listed)
    )
    if listing is None:
        return
    _note(findings, listing)
    chosen = _slices(listing)
    most = max(LEAST_ROWS, SAMPLE_ROWS // max(1, len(chosen)))
    ended = True
    for slice_ in chosen:
        rows = partial(
            _read,
            findings,
            lambda slice_: read(
                options, name, policy, slice_, listing.revision, limits=limits, sampled=True
            ),
            slice_,
            most,
        )
        ended = bool(findings.attempt("reading", rows)) and ended
    source = source_of(options)
    findings.judge_rows(
        complete=ended and len(chosen) == len(listing.slices) and not listed.left_out,
        license_remedy=source.license_remedy,
        rows_remedy=source.rows_remedy,
    )


def _credentials(findings: Findings, limits: ReadLimits) -> None:
    """On the Hub whether there is a token and whether it is accepted; in S3 whose keys are used."""
    if findings.place.startswith("s3://"):
        keys = findings.attempt("keys", lambda: identity(limits))
        if keys is not None:
            findings.good("keys", keys)
    if findings.place.startswith("hf://"):
        state = findings.attempt("token", lambda: token_state(limits))
        if state is not None and state[1]:
            findings.bad("token", *state)
        elif state is not None:
            findings.good("token", state[0])


def _note(findings: Findings, listing: Listing) -> None:
    """What the plan says: revision, files, what is set aside, and how much there is to read."""
    listed = findings.listed
    whole = not listed.left_out and not any(
        part.digest.startswith("unread:") for slice_ in listing.slices for part in slice_.parts
    )
    known = whole or COMMIT.match(listing.revision)
    findings.revision = listing.revision if known else ""
    none = "none of its own: a build digests the files and takes that"
    findings.good("revision", findings.revision or none)
    counts = ", ".join(f"{key or 'mixed'} {count:,}" for key, count in listed.files.items())
    files = sum(listed.files.values())
    findings.good("layout", f"{files:,} files of {listed.bytes:,} bytes ({counts})")
    for entry in listing.quarantined[:3]:
        findings.good("set aside", f"{entry.name}: {entry.reason}")
    opened = sum(max(entry.size, 0) for entry in listed.chosen)
    factor = listed.bytes / opened if opened else 1.0
    findings.reading = Reading(
        files=files,
        rows=round(listing.rows * factor) if listing.rows >= 0 else -1,
        stored_bytes=listed.bytes,
        raw_bytes=round(sum(slice_.bytes for slice_ in listing.slices) * factor),
        exact=not listed.left_out,
    )


def _slices(listing: Listing) -> list[Slice]:
    """Slices of every stream, some of each where there are few streams."""
    streams: dict[str, list[Slice]] = {}
    for slice_ in listing.slices:
        streams.setdefault(slice_.stream, []).append(slice_)
    most = max(1, SLICES // max(1, len(streams)))
    return [slice_ for pieces in streams.values() for slice_ in spread(pieces, most)]


def _read(findings: Findings, rows: Callable[[Slice], Records], slice_: Slice, most: int) -> bool:
    """Count the first rows of a slice; whether these were all."""
    records = rows(slice_)
    findings.rows(islice(records, most))
    return next(records, None) is None
