"""First contact with The Stack v2: its ids where they lie, and one content from the archive.

Method: layout, shape and rows as `ingest.sources.the_stack_v2.source` reads them; of the first rows
that a build would ask for, one after the other is asked for until one is had, `BLOBS` at most: that
shows keys, region, bucket, unpacking and SHA-1 in one, past the cache. Cost: a listing a language,
a few footers, the first rows, one blob. Limits: the archive is judged by that blob alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pyarrow as pa

from ingest.licenses import LicensePolicy
from ingest.preflight.access import attempt, note_layout, note_revision, show_token
from ingest.preflight.findings import ColumnCheck, Findings
from ingest.preflight.parquet import Records, TableKind, look_at_tables, plain_contract
from ingest.records import Skip, SourceFile
from ingest.sources.the_stack_v2 import (
    DENIED,
    FILE_COLUMNS,
    FILES,
    KEYS_REMEDY,
    REPO_COLUMNS,
    BlobReader,
    Candidate,
    Content,
    Lost,
    StackV2Rows,
    TheStackV2Options,
    listed_files,
    shape_of,
)
from ingest.storage import Entry, pin
from ingest.transport import ReadLimits

BLOBS = 3
REMEDY = (
    "This is not the schema of The Stack v2 or stack-edu: check `path`, or write "
    "`kind: the-stack` for the version with contents inside."
)


def contact(
    options: TheStackV2Options, policy: LicensePolicy, findings: Findings, limits: ReadLimits
) -> None:
    """Note what is found, step by step; stops where nothing more can be asked."""
    show_token(findings, options.path, limits)
    place = attempt(findings, "revision", lambda: pin(options.path, limits))
    if place is None:
        return
    note_revision(findings, place.revision)
    listed = attempt(findings, "layout", lambda: listed_files(place, options))
    if listed is None:
        return
    files: dict[str, list[Entry]] = {}
    for entry, language in listed.values():
        if not entry.problem:
            files.setdefault(language, []).append(entry)
    found = _Found(options, policy, findings.source)
    kind = TableKind(
        contract=_contract,
        wanted=lambda schema: shape_of(schema).columns,
        records=found.records,
        remedy=REMEDY,
    )
    look_at_tables(findings, note_layout(findings, files), kind, limits)
    _estimate(findings, found)
    _ask(findings, options, found)
    findings.judge_rows(complete=False)


class _Found:
    """Rows that a build would ask for, kept while the tables are looked at."""

    def __init__(self, options: TheStackV2Options, policy: LicensePolicy, source: str) -> None:
        self._options = options
        self._policy = policy
        self._source = source
        self.wanted: list[Candidate] = []
        self.seen = 0

    def rows(self, folder: str) -> StackV2Rows:
        """The reader of a folder's language."""
        return StackV2Rows(
            source=self._source,
            revision="",
            folder=folder,
            options=self._options,
            policy=self._policy,
        )

    def records(self, batch: Any, entry: Entry, language: str) -> Records:
        """The rows of a batch; those that pass have no content yet."""
        reader = self.rows(language)
        for item in reader.read(batch, shape_of(batch.schema), 0):
            self.seen += 1
            if isinstance(item, Skip):
                yield item
                continue
            self.wanted.append(item)
            empty = Content(data=b"", git_id="")
            record = reader.finished(item, empty)
            if isinstance(record, SourceFile):
                yield record


def _contract(schema: Any, file: str) -> list[ColumnCheck]:
    kind = schema.field(FILES).type if FILES in schema.names else None
    if kind is None:
        return plain_contract(schema, file, {**FILE_COLUMNS, **REPO_COLUMNS})
    checks = plain_contract(schema, file, REPO_COLUMNS)
    inner = _inside(kind)
    return checks if inner is None else [
        *checks, *plain_contract(inner, file, FILE_COLUMNS, f"{FILES}.")
    ]  # fmt: skip


def _inside(kind: Any) -> Any | None:
    """The schema of the structs in a list type; None for any other type."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    is_struct = is_list and pa.types.is_struct(kind.value_type)
    return pa.schema(list(kind.value_type)) if is_struct else None


def _estimate(findings: Findings, found: _Found) -> None:
    """How many contents a build would ask for; not of grouped sets, whose rows are no files."""
    reading = findings.reading
    grouped = any(one.name.startswith(f"{FILES}.") for one in findings.contact().columns)
    if reading is None or grouped or not found.seen:
        return
    count = reading.rows * len(found.wanted) // found.seen
    sizes = [one.wanted.length for one in found.wanted if one.wanted.length is not None]
    size = count * sum(sizes) // max(1, len(sizes))
    findings.good(
        "to fetch", f"about {count:,} contents, {size:,} bytes unpacked, by the sampled rows"
    )


def _ask(findings: Findings, options: TheStackV2Options, found: _Found) -> None:
    """Ask the archive for one content; what the rows alone made has none, and is no sample."""
    findings.sample = None
    if not found.wanted:
        findings.good("contents", "not asked for: no sampled row passes")
        return
    lost: list[Lost] = []
    reader = attempt(findings, "contents", lambda: BlobReader.open(options.blobs))
    if reader is None:
        return
    with reader:
        for item in found.wanted[:BLOBS]:
            outcome = attempt(
                findings, "contents", partial(reader.fetch, item.wanted, cached=False)
            )
            if outcome is None:
                return
            if isinstance(outcome, Lost):
                lost.append(outcome)
                continue
            size = len(outcome.data)
            findings.good("contents", f"{item.wanted.blob_id}: {size:,} bytes, verified")
            record = found.rows(item.language).finished(item, outcome)
            findings.sample = record if isinstance(record, SourceFile) else None
            return
    first = lost[0]
    words = f"{len(lost)} of {len(lost)} asked for were not had: {first.reason} ({first.detail})"
    denied = all(one.reason == DENIED for one in lost)
    remedy = KEYS_REMEDY if denied else "Check `url`, `region` and `endpoint` under `blobs`."
    findings.bad("contents", f"{options.blobs.url}: {words}", remedy)
