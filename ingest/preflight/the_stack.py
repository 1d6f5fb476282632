"""First contact with The Stack v1 and its kin.

Method: layout by `ingest.sources.the_stack.layout`, rows by `ingest.sources.the_stack.rows`, as a
build reads them. Cost: two or three listings and, for each language, a few footers and the first
rows. Limits: those of `ingest.preflight.parquet` and `ingest.preflight.lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingest.formats import BadRow
from ingest.licenses import LicensePolicy
from ingest.preflight.access import attempt, note_layout, note_revision, show_token, sized
from ingest.preflight.findings import Findings, Reading
from ingest.preflight.lines import head_of
from ingest.preflight.parquet import Records, TableKind, look_at_tables, plain_contract, present
from ingest.sources.the_stack import COLUMNS, StackRows, TheStackOptions, find_files, is_table
from ingest.storage import Entry
from ingest.transport import ReadLimits

REMEDY = (
    "This is not the schema of The Stack v1: check `path`, or write `kind: pairs` with a "
    "column mapping, or `kind: the-stack-v2` for its successor."
)


def contact(
    options: TheStackOptions, policy: LicensePolicy, findings: Findings, limits: ReadLimits
) -> None:
    """Note what is found, step by step; stops where nothing more can be asked."""
    show_token(findings, options.path, limits)
    layout = attempt(
        findings,
        "layout",
        lambda: find_files(options.path, options.languages, options.wanted(), limits),
    )
    if layout is None:
        return
    note_revision(findings, layout.place.revision)
    files: dict[str, list[Entry]] = {}
    for file in layout.files:
        files.setdefault(file.language, []).append(file.entry)
    held = note_layout(findings, files)
    for one in layout.quarantined[:3]:
        findings.good("set aside", f"{one.name}: {one.reason}")
    tables = {key: [e for e in found if is_table(e.name)] for key, found in held.items()}
    lines = {key: [e for e in found if not is_table(e.name)] for key, found in held.items()}
    if any(tables.values()):
        kind = _kind(options, policy, findings.source)
        look_at_tables(findings, {k: v for k, v in tables.items() if v}, kind, limits)
    for language, entries in lines.items():
        if entries:
            _look_at_lines(findings, _rows(options, policy, findings.source, language), entries,
                           limits)  # fmt: skip
    if any(lines.values()) and findings.reading is None:
        every = [entry for entries in lines.values() for entry in entries]
        findings.reading = _plain_reading(every)
    findings.judge_rows(complete=False)


def _kind(options: TheStackOptions, policy: LicensePolicy, source: str) -> TableKind:
    def records(batch: Any, entry: Entry, language: str) -> Records:
        return iter(_rows(options, policy, source, language).read(batch, 0))

    return TableKind(
        contract=lambda schema, file: plain_contract(schema, file, COLUMNS),
        wanted=lambda schema: present(plain_contract(schema, "", COLUMNS)),
        records=records,
        remedy=REMEDY,
    )


def _rows(options: TheStackOptions, policy: LicensePolicy, source: str, language: str) -> StackRows:
    return StackRows(source=source, revision="", language=language, options=options, policy=policy)


def _look_at_lines(
    findings: Findings, rows: StackRows, entries: Sequence[Entry], limits: ReadLimits
) -> None:
    def look() -> None:
        head = head_of(sized(entries[0], limits), limits)
        for number, values in enumerate(head.rows(entries[0].name)):
            if isinstance(values, BadRow):
                findings.rows([values.skip(rows.language, number)])
            else:
                findings.rows([rows.read_object(values, number)])

    attempt(findings, f"file {entries[0].name}", look)


def _plain_reading(entries: Sequence[Entry]) -> Reading:
    size = sum(max(entry.size, 0) for entry in entries)
    return Reading(
        files=len(entries), row_groups=0, rows=-1, stored_bytes=size, raw_bytes=size, exact=True
    )
