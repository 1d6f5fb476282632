"""First contact with ready pairs: what columns there are, and which of ours they fill.

Method: every file that a build would read is listed; the first of each format gives its columns
(of JSON lines: the keys of the first rows) and its first rows, judged as a build judges them.
A column that the config names and that is not there is a problem, with the nearest name.
Cost: one read or request a format. Limits: those of `ingest.preflight.parquet` and
`ingest.preflight.lines`; only the first file of a format is looked at, Parquet apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.formats import BadRow, Column, NoHeader, format_of, given, json_problem
from ingest.licenses import LicensePolicy
from ingest.preflight.access import attempt, note_layout, note_revision, show_token, sized
from ingest.preflight.findings import SAMPLE_ROWS, ColumnCheck, ColumnVerdict, Findings, Reading
from ingest.preflight.lines import Head, head_of
from ingest.preflight.parquet import (
    Records,
    TableKind,
    look_at_tables,
    plain_contract,
    plain_rows,
    present,
)
from ingest.sources.base import Columns, RowReader
from ingest.sources.pairs import READ, PairsOptions, folders_of, table_columns
from ingest.storage import Entry, pin
from ingest.transport import ReadLimits

_TEXT_FIELDS = ("query", "code")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """What the first rows of a file of lines hold."""

    rows: tuple[Mapping[str, object], ...]
    bad: tuple[BadRow, ...]
    complete: bool


def contact(
    options: PairsOptions, policy: LicensePolicy, findings: Findings, limits: ReadLimits
) -> None:
    """Note what is found, step by step; stops where nothing more can be asked."""
    show_token(findings, options.path, limits)
    place = attempt(findings, "layout", lambda: pin(options.path, limits))
    if place is None:
        return
    note_revision(findings, place.revision)
    listed = attempt(findings, "layout", place.files)
    if listed is None:
        return
    readable = [one for one in listed if format_of(one.name) and not one.problem]
    needed = (options.columns.query, options.columns.code)
    problems = {one.name: json_problem(one, needed, limits) for one in readable}
    files = [one for one in readable if not problems[one.name]]
    if not files:
        reasons = [f"{name} ({why})" for name, why in problems.items() if why]
        there = ", ".join(reasons or [one.name for one in listed])[:400] or "nothing"
        findings.bad(
            "layout",
            f"no file of pairs in {options.path}: {there}",
            f"Put files there: {', '.join(READ)}.",
        )
        return
    held = note_layout(findings, {"": files})[""]
    reader = RowReader(
        source=findings.source,
        revision="",
        columns=options.columns,
        language=options.language,
        options=options,
        policy=policy,
    )
    tables = [one for one in held if format_of(one.name) == "parquet"]
    if tables:
        look_at_tables(findings, {"": tables}, _kind(reader, tables), limits)
    lines = [one for one in held if one not in tables]
    complete = not tables and len(lines) == 1
    for entry in _first_of_each(lines):
        look = partial(_head, entry, options.columns, limits, findings)
        seen = attempt(findings, f"file {entry.name}", look)
        complete = complete and seen is not None and seen.complete
        if seen is not None:
            _note_lines(findings, reader, entry, seen)
    _add_lines(findings, lines)
    findings.judge_rows(complete=complete)


def _kind(reader: RowReader, tables: Sequence[Entry]) -> TableKind:
    columns = table_columns(reader.columns)
    for entry in tables:
        # A schema does not say which file it is of: what any folder gives need not stand there.
        columns = given(columns, folders_of(entry, reader.columns))

    def records(batch: Any, entry: Entry, language: str) -> Records:
        beside = folders_of(entry, reader.columns)
        for row, values in enumerate(plain_rows(batch)):
            if isinstance(values, BadRow):
                yield values.skip("", row)
            else:
                yield reader.read({**beside, **values}, row)

    return TableKind(
        contract=lambda schema, file: plain_contract(schema, file, columns),
        wanted=lambda schema: present(plain_contract(schema, "", columns)),
        records=records,
        remedy="Name the columns that the file has: `columns: {query: docstring, code: body}`.",
    )


def _first_of_each(entries: Sequence[Entry]) -> Iterator[Entry]:
    """The first file of each format."""
    first = {format_of(entry.name): entry for entry in reversed(entries)}
    yield from sorted(first.values(), key=lambda one: one.name)


def _head(entry: Entry, columns: Columns, limits: ReadLimits, findings: Findings) -> _Seen | None:
    try:
        head: Head = head_of(sized(entry, limits), limits)
        beside = folders_of(entry, columns)
        read = list(head.rows(entry.name))
        rows = [one if isinstance(one, BadRow) else {**beside, **one} for one in read]
    except (NoHeader, ValueError) as error:
        findings.bad(f"file {entry.name}", str(error)[:300], "Write this file again, or mend it.")
        return None
    return _Seen(
        rows=tuple(one for one in rows if not isinstance(one, BadRow)),
        bad=tuple(one for one in rows if isinstance(one, BadRow)),
        complete=head.complete and len(rows) < SAMPLE_ROWS,
    )


def _note_lines(findings: Findings, reader: RowReader, entry: Entry, seen: _Seen) -> None:
    found: dict[str, set[str]] = {}
    for values in seen.rows:
        for name, value in values.items():
            found.setdefault(name, set()).add(_type(value))
    checks = [
        _check(entry.name, name, column, found, reader.columns)
        for name, column in table_columns(reader.columns).items()
    ]
    findings.schema(checks)
    missing = [one.name for one in checks if one.verdict == "missing"]
    wrong = [f"{one.name} is {one.found}" for one in checks if one.verdict == "wrong type"]
    there = ", ".join(sorted(found))[:200] or "none"
    if seen.rows and (missing or wrong):
        near = [_near(name, found) for name in missing]
        hints = "".join(f" Did you mean {one!r}?" for one in near if one)
        findings.bad(
            "columns",
            f"{entry.name}: " + "; ".join([*(f"no column {m!r}" for m in missing), *wrong]),
            f"Map them under `columns:`; the file has: {there}.{hints}",
        )
    elif seen.rows:
        findings.good("columns", f"{entry.name} has: {there}")
    findings.rows([one.skip("", row) for row, one in enumerate(seen.bad)])
    findings.rows([reader.read(values, row) for row, values in enumerate(seen.rows)])


def _check(
    file: str, name: str, column: Column, found: Mapping[str, set[str]], columns: Columns
) -> ColumnCheck:
    types = found.get(name, set())
    is_text = name in (columns.query, columns.code)
    expected = "text" if is_text else "any"
    verdict: ColumnVerdict = "ok"
    if not types:
        verdict = "missing" if column.required else "not there"
    elif is_text and not types & {"text", "null"}:
        verdict = "wrong type"
    return ColumnCheck(
        file=file,
        name=name,
        expected=expected + ("" if column.required else ", optional"),
        found=" or ".join(sorted(types)),
        verdict=verdict,
    )


def _near(name: str, found: Mapping[str, set[str]]) -> str:
    near = difflib.get_close_matches(name, sorted(found), n=1, cutoff=0.6)
    return near[0] if near else ""


def _type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, (int, float)):
        return "number"
    return "list" if isinstance(value, list) else "object"


def _add_lines(findings: Findings, lines: Sequence[Entry]) -> None:
    """Files of lines in what a build would read."""
    if not lines:
        return
    before = findings.reading
    size = sum(max(one.size, 0) for one in lines)
    packed = any(one.name.lower().endswith(".gz") for one in lines)
    findings.reading = Reading(
        files=len(lines) + (before.files if before else 0),
        row_groups=before.row_groups if before else 0,
        rows=-1,
        stored_bytes=size + (before.stored_bytes if before else 0),
        raw_bytes=-1 if packed else size + (before.raw_bytes if before else 0),
        exact=before.exact if before else True,
    )
