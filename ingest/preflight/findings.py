"""What the first contact with a source found out, before anything is built from it.

Method: each kind fills `Findings` step by step (`ingest.preflight.registry` chooses how); whoever
waits may take the `Contact` so far at any time, so that a source that stops answering still shows
what it answered. Rows are judged as a build would judge them, by the readers of the kind.
Cost and limits: at most `SAMPLE_ROWS` rows and `SAMPLE_FOOTERS` footers a language. A sample
row is raw: secrets are cut out of it by those who show it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ingest.errors import SourceError, TransientFault
from ingest.licenses import NOT_PERMISSIVE, UNKNOWN, LicensePolicy, judged
from ingest.records import Skip, SourceFile, SourcePair
from ingest.sources.base import without

SAMPLE_ROWS = 200
SAMPLE_FOOTERS = 4
SAMPLE_BYTES = 4_000_000
"""Of one file, where rows are lines."""
ENOUGH_ROWS = 20
LET_IN = "let in"
AGAIN = "Try again; if it stays, look for what lies between: the network, a proxy, a firewall."
AGAIN_HUB = f"{AGAIN} See https://status.huggingface.co too."

_OTHER_LANGUAGE = frozenset({"unwanted_language", "unsupported_language", "language_mismatch"})
_LICENCE_REASONS = frozenset({NOT_PERMISSIVE, UNKNOWN, "no_license"})

ColumnVerdict = Literal["ok", "missing", "wrong type", "not there"]
"""`not there` is a column that a build can do without."""


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
class ColumnCheck:
    """One column of the contract against what a file has."""

    file: str
    name: str
    expected: str
    found: str
    """Its type there; "" when it is not there."""
    verdict: ColumnVerdict


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
    row_groups: int
    """0 where a format has none."""
    rows: int
    """-1 when unknown."""
    stored_bytes: int
    """Of the wanted columns or files, compressed as they lie there."""
    raw_bytes: int
    """The same uncompressed; -1 when unknown."""
    exact: bool
    """False: some files stand for all, by their bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """All that was found out about one source."""

    source: str
    kind: str
    place: str
    revision: str
    """"" when it was not found out."""
    languages: tuple[tuple[str, int], ...]
    """Language and number of files, sorted; "" for files of several."""
    checks: tuple[Check, ...]
    columns: tuple[ColumnCheck, ...]
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
    """A contact in the making. Safe for threads."""

    source: str
    kind: str
    place: str
    opted_out: tuple[str, ...] = ()
    """Owners and repositories whose rows a build refuses."""
    policy: LicensePolicy = field(default_factory=LicensePolicy)
    """Which licences let a row in by its own words."""
    quota: int | None = None
    """Pairs a language after which a build stops reading."""
    revision: str = ""
    languages: Mapping[str, int] = field(default_factory=dict)
    reading: Reading | None = None
    sample: SourceFile | SourcePair | None = None
    _checks: list[Check] = field(default_factory=list)
    _columns: list[ColumnCheck] = field(default_factory=list)
    _licenses: Counter[tuple[str, str]] = field(default_factory=Counter)
    _refused: Counter[str] = field(default_factory=Counter)
    _details: dict[str, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def good(self, name: str, found: str) -> None:
        """Something is as a build needs it."""
        with self._lock:
            self._checks.append(Check(name=name, ok=True, found=found))

    def bad(self, name: str, found: str, remedy: str) -> None:
        """A build would fail of this."""
        with self._lock:
            self._checks.append(Check(name=name, ok=False, found=found, remedy=remedy))

    def fault(self, name: str, error: SourceError | TransientFault) -> None:
        """The same, said by an exception of this room."""
        if isinstance(error, SourceError):
            self.bad(name, f"{error.message}: {error.value}", error.remedy)
        else:
            on_hub = self.place.startswith("hf://") and name != "contents"
            remedy = AGAIN_HUB if on_hub else AGAIN
            self.bad(name, f"no answer from {error.path}: {error.cause}", remedy)

    def schema(self, columns: Iterable[ColumnCheck]) -> None:
        """Columns of one file against the contract."""
        with self._lock:
            self._columns.extend(columns)

    def rows(self, records: Iterable[SourceFile | SourcePair | Skip]) -> None:
        """Sampled rows, judged by the reader of the kind."""
        own = judged(self.policy, iter(records))
        for one in without(self.opted_out, own) if self.opted_out else own:
            with self._lock:
                if isinstance(one, Skip):
                    self._refuse(one)
                    continue
                self._licenses[", ".join(one.licenses), LET_IN] += 1
                if self.sample is None:
                    self.sample = one

    def _refuse(self, one: Skip) -> None:
        if one.reason in _LICENCE_REASONS:
            self._licenses[one.detail, one.reason] += one.rows
            return
        self._refused[one.reason] += one.rows
        if one.detail:
            self._details.setdefault(one.reason, one.detail)

    def judge_rows(self, *, complete: bool, remedy: str = "") -> None:
        """Say what the sample means for a build; after the last call of `rows`.

        `complete` when there are no rows beside the sampled ones. A sample without a single row
        that passes is a problem, unless it is too small to say so.
        """
        with self._lock:
            let_in = sum(n for (_, verdict), n in self._licenses.items() if verdict == LET_IN)
            by_licence = sum(self._licenses.values()) - let_in
            foreign = sum(n for reason, n in self._refused.items() if reason in _OTHER_LANGUAGE)
            refused = sum(self._refused.values()) - foreign
            reasons = ", ".join(f"{r} {n:,}" for r, n in self._reasons())
            stopped = any(not check.ok for check in self._checks)
        total = let_in + by_licence + refused + foreign
        if stopped and not total:
            # What stood in the way was said.
            return
        words = f"{let_in:,} of {total:,} sampled rows pass"
        found = words + (f"; refused: {reasons}" if reasons else "")
        enough = complete or by_licence + refused >= ENOUGH_ROWS
        if let_in or not by_licence + refused or not enough:
            self.good("rows", found)
        elif by_licence >= refused:
            self.bad("rows", found, remedy or _LICENCE_REMEDY)
        else:
            self.bad("rows", found, remedy or _ROWS_REMEDY)

    def _reasons(self) -> list[tuple[str, int]]:
        counts = Counter(self._refused)
        for (_, verdict), number in self._licenses.items():
            if verdict != LET_IN:
                counts[verdict] += number
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    def contact(self) -> Contact:
        """What is known so far."""
        with self._lock:
            licenses = sorted(self._licenses.items(), key=lambda item: (-item[1], item[0]))
            return Contact(
                source=self.source,
                kind=self.kind,
                place=self.place,
                revision=self.revision,
                languages=tuple(sorted(self.languages.items())),
                checks=tuple(self._checks),
                columns=tuple(self._columns),
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


_LICENCE_REMEDY = (
    "Every sampled row would be refused for its licence: state `declared_licenses` for this "
    "source if you know them, or list what you accept under `licenses.allow`."
)
_ROWS_REMEDY = "Every sampled row would be refused: see the reasons, and the columns above."
