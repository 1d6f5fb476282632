"""What `verify` found: findings, each naming a check, a file or id, and what is wrong.

A broken file can break millions of rows: of each check the first 100 findings are kept and the
rest are counted, so that a report stays readable and small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

KEPT_PER_CHECK: Final = 100
Progress = Callable[[str, int, int], None]
"""Called with what is being read, bytes done and bytes in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong."""

    check: str
    """manifest, files, checksums, tar, index, parquet, sample, leak, split, count, boundaries,
    unique, content, query_cap, removal, witness, forgotten, funnel, attribution or card."""
    subject: str
    """The file, and the id where there is one."""
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The outcome of a check."""

    findings: tuple[Finding, ...]
    suppressed: dict[str, int]
    """Findings beyond the first 100 of a check, by check."""
    counts: dict[str, int]
    """How much was looked at: files, bytes, shards, samples, removals, witnesses,
    witness_forgotten and tombstones where there are any."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass(kw_only=True, slots=True)
class Findings:
    """Collects findings while a dataset is read."""

    kept: list[Finding] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, check: str, subject: str, message: str) -> None:
        """Keeps a finding, or counts it where its check has enough already."""
        self.seen[check] += 1
        if self.seen[check] <= KEPT_PER_CHECK:
            self.kept.append(Finding(check=check, subject=subject, message=message))

    def report(self) -> Report:
        """The findings so far."""
        over = {check: n - KEPT_PER_CHECK for check, n in sorted(self.seen.items())}
        return Report(
            findings=tuple(self.kept),
            suppressed={check: n for check, n in over.items() if n > 0},
            counts=dict(sorted(self.counts.items())),
        )
