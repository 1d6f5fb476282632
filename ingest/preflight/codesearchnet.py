"""First contact with CodeSearchNet: which copy it is, its columns, whether licences are there.

Method: layout by `ingest.sources.codesearchnet.layout`, with `refs/convert/parquet` tried where a
Hub repository has no rows on its branch; the first file of each language gives its columns and
first rows. Licence pickles are read where they are small or local: they decide which rows pass.
Cost: a listing, a few footers or file heads. Limits: of a zip the first train member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ingest.errors import SourceError, TransientFault
from ingest.files import read_up_to
from ingest.formats import BadRow, BrokenStream, HostilePickle, open_archive, read_member
from ingest.licenses import NOT_PERMISSIVE, UNKNOWN, LicensePolicy, is_known
from ingest.preflight.access import attempt, note_layout, note_revision, show_token, sized
from ingest.preflight.findings import ColumnCheck, Findings, Reading
from ingest.preflight.lines import Head, head_of, head_of_member
from ingest.preflight.parquet import (
    Records,
    TableKind,
    look_at_tables,
    plain_contract,
    plain_rows,
    present,
)
from ingest.records import Skip
from ingest.sources.codesearchnet import (
    CodeSearchNetOptions,
    CsnFile,
    CsnFiles,
    CsnRows,
    LicenseBook,
    books,
    is_book,
    license_book,
    locate,
    member_split,
    names_of,
    required,
)
from ingest.storage import Entry, open_entry, pin
from ingest.transport import ReadLimits

SMALL_BOOK_BYTES = 8_000_000
REMEDY = "This is no copy of CodeSearchNet: check `path`, or write `kind: pairs` with `columns:`."
NO_BOOKS = (
    "CodeSearchNet's Parquet copies name no licences. Give `license_files:` (the original zips or "
    "`<language>_licenses.pkl`), or `declared_licenses:`; else every row is refused."
)


def contact(
    options: CodeSearchNetOptions, policy: LicensePolicy, findings: Findings, limits: ReadLimits
) -> None:
    """Note what is found, step by step; stops where nothing more can be asked."""
    show_token(findings, options.path, limits)
    found = attempt(findings, "layout", lambda: locate(options.path, options.wanted(), limits))
    if found is None:
        return
    place, files = found
    note_revision(findings, place.revision)
    by_language: dict[str, list[Entry]] = {}
    for one in files.rows:
        by_language.setdefault(one.language, []).append(one.entry)
    missing = sorted(set(options.languages or ()) - set(by_language))
    if missing or not by_language:
        findings.bad(
            "layout",
            f"no rows of {', '.join(missing) or 'any language of CodeSearchNet'} in {options.path}",
            "Expected `<language>/train-*.parquet`, `<language>.zip` or "
            "`<language>_train_0.jsonl.gz`; download the copy again or mend `path`.",
        )
        return
    note_layout(findings, by_language)
    shelf = _shelf(options, files, findings, limits)
    _look(options, policy, findings, files, shelf, limits)
    has_all = all(language in shelf for language in by_language)
    lacking = not has_all and not options.declared_licenses and policy.unknown == "refuse"
    findings.judge_rows(complete=lacking and not shelf, remedy=NO_BOOKS if lacking else "")


def _shelf(
    options: CodeSearchNetOptions, files: CsnFiles, findings: Findings, limits: ReadLimits
) -> Mapping[str, LicenseBook | None]:
    """Language -> its licences; None where there are some that were not read."""
    held = dict(files.books)
    if options.license_files is not None:
        path = options.license_files
        more = attempt(findings, "licences", lambda: pin(path, limits).files())
        held |= books(more or (), options.wanted())
    shelf: dict[str, LicenseBook | None] = {}
    for language, entry in sorted(held.items()):
        try:
            shelf |= _book(sized(entry, limits), language, limits)
        except (HostilePickle, BrokenStream, OSError, SourceError, TransientFault) as error:
            findings.bad("licences", f"{entry.name}: {str(error)[:200]}", "Get this file again.")
    if shelf:
        unread = [language for language, book in shelf.items() if book is None]
        aside = f" (not read here: {', '.join(unread)})" if unread else ""
        findings.good("licences", f"licence files for {', '.join(shelf)}{aside}")
    return shelf


def _book(entry: Entry, language: str, limits: ReadLimits) -> dict[str, LicenseBook | None]:
    """The licences of a language: {} without, None where they are too large for a first contact."""
    if not entry.name.endswith(".zip"):
        if entry.size > SMALL_BOOK_BYTES:
            return {language: None}
        with open_entry(entry, limits) as file:
            data = read_up_to(file, SMALL_BOOK_BYTES)
        return {language: license_book(entry.name.rpartition("/")[2], data)}
    with open_entry(entry, limits) as file:
        archive, _ = open_archive(file)
        name = next((one for one in sorted(archive.namelist()) if is_book(one, language)), "")
        if not name:
            return {}
        if archive.getinfo(name).file_size > SMALL_BOOK_BYTES:
            return {language: None}
        data = read_member(archive, name, SMALL_BOOK_BYTES)
    return {language: license_book(name.rpartition("/")[2], data)}


def _look(
    options: CodeSearchNetOptions,
    policy: LicensePolicy,
    findings: Findings,
    files: CsnFiles,
    shelf: Mapping[str, LicenseBook | None],
    limits: ReadLimits,
) -> None:
    splits = {one.entry.name: one.split for one in files.rows}

    def rows(language: str, split: str) -> CsnRows:
        return CsnRows(
            source=findings.source,
            revision="",
            language=language,
            split=split,
            partition="",
            options=options,
            policy=policy,
            book=shelf.get(language),
        )

    def records(batch: Any, entry: Entry, language: str) -> Records:
        reader = rows(language, splits[entry.name])
        return _judged(reader, list(plain_rows(batch)), shelf)

    tables: dict[str, list[Entry]] = {}
    lines: dict[str, CsnFile] = {}
    read = [one for one in files.rows if one.split in ("", *options.splits())]
    for one in sorted(read, key=lambda one: (one.split != "train", one.entry.name)):
        if one.format == "parquet":
            tables.setdefault(one.language, []).append(one.entry)
        else:
            lines.setdefault(one.language, one)
    if tables:
        kind = TableKind(contract=_contract, wanted=_wanted, records=records, remedy=REMEDY)
        look_at_tables(findings, tables, kind, limits)
    for language, first in sorted(lines.items()):
        head = attempt(findings, f"file {first.entry.name}", partial(_head, first, limits))
        if head is not None:
            held = list(head[0].rows(head[1]))
            findings.rows(_judged(rows(language, head[2]), held, shelf))
    _note_lines(findings, [one.entry for one in read if one.format != "parquet"])


def _judged(
    reader: CsnRows, held: Sequence[Mapping[str, object] | BadRow], shelf: Mapping[str, object]
) -> Records:
    unread = reader.language in shelf and reader.book is None
    for number, values in enumerate(held):
        record = (
            values.skip(reader.language, number)
            if isinstance(values, BadRow)
            else reader.read(values, number)
        )
        if isinstance(record, Skip) and record.reason in (NOT_PERMISSIVE, UNKNOWN):
            if unread:
                continue
            record = replace(record, detail=_licences(record.detail))
        yield record


def _licences(detail: str) -> str:
    """The identifiers of a refusal, without the repository; sentences are no identifiers."""
    said = detail.partition(": ")[2]
    return said if all(is_known(one) for one in said.split(", ")) else ""


def _contract(schema: Any, file: str) -> list[ColumnCheck]:
    return plain_contract(schema, file, required(names_of(schema.names)))


def _wanted(schema: Any) -> tuple[str, ...]:
    return present(_contract(schema, ""))


def _head(one: CsnFile, limits: ReadLimits) -> tuple[Head, str, str]:
    """The beginning of the first rows of a file, its name, and their split."""
    entry = sized(one.entry, limits)
    try:
        if one.format != "zip":
            return head_of(entry, limits), entry.name, one.split
        with open_entry(entry, limits) as file:
            names = sorted(open_archive(file)[0].namelist())
        split = {name: member_split(name, one.language) for name in names}
        chosen = sorted((n for n in names if split[n]), key=lambda n: (split[n] != "train", n))
        if not chosen:
            raise ValueError(f"no {one.language}_train_*.jsonl.gz in the archive")
        return head_of_member(entry, chosen[0], limits), chosen[0], split[chosen[0]]
    except (BrokenStream, ValueError) as error:
        raise SourceError(
            "a file cannot be used", value=entry.name, remedy=f"Get it again: {error}."
        ) from error


def _note_lines(findings: Findings, entries: Sequence[Entry]) -> None:
    if entries and findings.reading is None:
        findings.reading = Reading(
            files=len(entries),
            row_groups=0,
            rows=-1,
            stored_bytes=sum(max(one.size, 0) for one in entries),
            raw_bytes=-1,
            exact=True,
        )
