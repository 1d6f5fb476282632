"""First contact with folders and installed packages: planned as a build plans them.

Method: the source's own `plan` lists and digests every file, and the first files of some
slices are read; a budget of seconds stops a large folder half way, which is said and is no
problem. Cost: one read of every file, up to the budget. Limits: licences are those of the
files that were read, at most `SAMPLE_ROWS`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from ingest.files import Progress
from ingest.preflight.access import attempt
from ingest.preflight.findings import SAMPLE_ROWS, Findings, Reading
from ingest.records import Listing, Skip, Slice, SourceFile, SourcePair

SLICES = 8


class _Enough(Exception):
    """The budget is spent."""


def contact(
    plan: Callable[[Progress], Listing],
    read: Callable[[Slice, str], Iterator[SourceFile | SourcePair | Skip]],
    findings: Findings,
    seconds: float,
) -> None:
    """Plan, note, and read a little; `seconds` bound the digesting."""
    end = time.monotonic() + seconds
    digested = 0

    def progress(count: int) -> None:
        nonlocal digested
        digested += count
        if time.monotonic() > end:
            raise _Enough

    try:
        listing = attempt(findings, "layout", lambda: plan(progress))
    except _Enough:
        findings.good("layout", f"not looked at to its end: over {digested:,} bytes of files")
        return
    if listing is None:
        return
    _note(findings, listing)
    chosen = listing.slices[:: max(1, -(-len(listing.slices) // SLICES))]
    for piece in chosen:
        attempt(findings, "files", partial(_read, findings, read, piece, listing.revision))
    parts = sum(len(piece.parts) for piece in listing.slices)
    findings.judge_rows(complete=parts <= SAMPLE_ROWS and len(chosen) == len(listing.slices))


def _note(findings: Findings, listing: Listing) -> None:
    parts = [part for piece in listing.slices for part in piece.parts]
    held = Counter(part.language for part in parts)
    findings.revision = listing.revision
    findings.languages = dict(sorted(held.items()))
    size = sum(piece.bytes for piece in listing.slices)
    words = ", ".join(f"{key} {count:,}" for key, count in sorted(held.items()))
    findings.good("layout", f"{len(parts):,} files of {size:,} bytes ({words})")
    findings.good("revision", listing.revision)
    for one in listing.quarantined[:3]:
        findings.good("set aside", f"{one.name}: {one.reason}")
    findings.reading = Reading(
        files=len(parts),
        row_groups=0,
        rows=len(parts),
        stored_bytes=size,
        raw_bytes=size,
        exact=True,
    )


def _read(
    findings: Findings,
    read: Callable[[Slice, str], Iterator[SourceFile | SourcePair | Skip]],
    piece: Slice,
    revision: str,
) -> None:
    records = list(islice(read(piece, revision), SAMPLE_ROWS // SLICES))
    licenses = [dict(part.meta).get("licenses", "") for part in piece.parts]
    findings.rows(_stated(records, licenses))


def _stated(
    records: Sequence[SourceFile | SourcePair | Skip], licenses: Sequence[str]
) -> list[SourceFile | SourcePair | Skip]:
    """The records, the refused ones with their licences in place of their names."""
    return [
        replace(one, detail=licenses[one.row].replace("|", ", "))
        if isinstance(one, Skip) and one.reason.startswith("license")
        else one
        for one in records
    ]
