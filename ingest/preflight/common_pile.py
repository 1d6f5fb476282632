"""First contact with the open `stackv2` sets of the Common Pile.

Method: files and streams by `ingest.sources.the_stack_v2.common_pile`; the first file of each
language (or of the common stream) gives its first rows, judged as a build judges them, and the
fields they have. Cost: a listing and one request a language. Limits: those of
`ingest.preflight.lines`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ingest.errors import SourceError
from ingest.formats import BadRow
from ingest.licenses import LicensePolicy
from ingest.preflight.access import attempt, note_layout, note_revision, show_token, sized
from ingest.preflight.findings import ColumnCheck, ColumnVerdict, Findings, Reading
from ingest.preflight.lines import head_of
from ingest.sources.the_stack_v2 import (
    ENDINGS,
    CommonPileOptions,
    PileRows,
    listed_entries,
    stream_of,
)
from ingest.storage import Entry, pin
from ingest.transport import ReadLimits

_TEXT = ("language", "license_type", "path", "repo_name")
REMEDY = (
    "These rows are not those of a `stackv2` set of the Common Pile (`text` and `metadata`): "
    "check `path`, or write `kind: pairs` with `columns:`."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Head:
    rows: Sequence[Mapping[str, object] | BadRow]
    complete: bool


def contact(
    options: CommonPileOptions, policy: LicensePolicy, findings: Findings, limits: ReadLimits
) -> None:
    """Note what is found, step by step; stops where nothing more can be asked."""
    show_token(findings, options.path, limits)
    place = attempt(findings, "revision", lambda: pin(options.path, limits))
    if place is None:
        return
    note_revision(findings, place.revision)
    listed = attempt(findings, "layout", lambda: listed_entries(place, options, limits))
    files: dict[str, list[Entry]] = {}
    for entry in listed or ():
        if not entry.problem:
            files.setdefault(stream_of(entry.name), []).append(entry)
    if not files:
        if listed is not None:
            first = f" {listed[0].name}: {listed[0].problem}." if listed else ""
            findings.bad(
                "layout",
                f"no file of this source can be read in {options.path}",
                f"Expected files called {', '.join(f'*{end}' for end in ENDINGS)}.{first}",
            )
        return
    every = [entry for found in note_layout(findings, files).values() for entry in found]
    findings.reading = _reading(every)
    complete = len(every) == 1
    for language, entries in sorted(files.items()):
        head = attempt(findings, f"file {entries[0].name}", partial(_head, entries[0], limits))
        complete = complete and head is not None and head.complete
        if head is not None:
            reader = PileRows(
                source=findings.source,
                revision="",
                language=language,
                options=options,
                policy=policy,
            )
            _note(findings, reader, entries[0], head)
    findings.judge_rows(complete=complete, remedy="")


def _head(entry: Entry, limits: ReadLimits) -> _Head:
    try:
        head = head_of(sized(entry, limits), limits)
    except ValueError as error:
        raise SourceError(
            "a file cannot be used", value=entry.name, remedy=f"Get it again: {error}."
        ) from error
    return _Head(rows=tuple(head.rows(entry.name)), complete=head.complete)


def _note(findings: Findings, reader: PileRows, entry: Entry, head: _Head) -> None:
    for row, values in enumerate(head.rows):
        if isinstance(values, BadRow):
            findings.rows([values.skip(reader.language, row)])
        else:
            findings.rows([reader.read(values, row)])
    held = [one for one in head.rows if not isinstance(one, BadRow)]
    if not held:
        return
    inner = [m for m in (one.get("metadata") for one in held) if isinstance(m, dict)]
    checks = [_field(entry.name, "text", [one.get("text") for one in held])]
    checks += [
        _field(entry.name, f"metadata.{name}", [one.get(name) for one in inner]) for name in _TEXT
    ]
    findings.schema(checks)
    wrong = [one.name for one in checks if one.verdict != "ok"]
    if wrong:
        findings.bad("schema", f"{entry.name}: no text in {', '.join(wrong)}", REMEDY)
    else:
        findings.good("schema", f"{entry.name} is as the contract asks")


def _field(file: str, name: str, values: Sequence[object]) -> ColumnCheck:
    types = sorted({type(one).__name__ for one in values if one is not None})
    verdict: ColumnVerdict = "ok" if "str" in types else "wrong type" if types else "missing"
    found = " or ".join("text" if one == "str" else one for one in types)
    return ColumnCheck(file=file, name=name, expected="text", found=found, verdict=verdict)


def _reading(entries: Sequence[Entry]) -> Reading:
    packed = any(one.name.lower().endswith(".gz") for one in entries)
    size = sum(max(one.size, 0) for one in entries)
    return Reading(
        files=len(entries),
        row_groups=0,
        rows=-1,
        stored_bytes=size,
        raw_bytes=-1 if packed else size,
        exact=True,
    )
