"""`xtrove verify`: run the checks of `shards.verify` and show what they found."""

from __future__ import annotations

import time
from pathlib import Path

from shards.verify import check_dataset
from xtrove.core import XtroveError
from xtrove.stages import license_class
from xtrove.terminal import Step, amount, duration, one_line, out


def verify(dataset: Path) -> None:
    """Check everything the dataset claims; `XtroveError` where anything is wrong."""
    start = time.monotonic()
    with Step("verifying", unit=amount) as step:
        report = check_dataset(dataset, step.report, license_class=license_class)
    counts = ", ".join(f"{count:,} {name}" for name, count in report.counts.items())
    elapsed = duration(time.monotonic() - start)
    if report.sound:
        out().print(f"{dataset}: everything holds ({counts}; {elapsed})")
        return
    for finding in report.findings:
        out().print(one_line(f"{finding.check}: {finding.subject}: {finding.message}"))
    for check, count in report.suppressed.items():
        out().print(f"{check}: {count:,} more of the same kind")
    total = len(report.findings) + sum(report.suppressed.values())
    raise XtroveError(
        f"{dataset}: {total:,} findings ({counts}; {elapsed})",
        remedy="the dataset is not what its manifest says: build it again, or fetch it again",
    )
