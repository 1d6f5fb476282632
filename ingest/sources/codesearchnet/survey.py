"""What a copy of CodeSearchNet holds: its pieces by language and split, and its licence files.

Method: files are found by `ingest.sources.codesearchnet.layout`, digested where they are local, and
opened once: the footer of each Parquet file, the directory of each zip, each licence pickle as a
whole (a pickle that is hostile or of another shape is set aside by name, and the language goes on
without it). On the Hub, a repository without rows on its branch is looked up again under
`refs/convert/parquet`.
Cost and limits: one read of every local file; see `ingest.formats.plain_pickle`,
`ingest.formats.compressed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.errors import ChangedInput, SourceError
from ingest.files import Progress, escaped, publishable, read_up_to
from ingest.formats import (
    EXPANSION,
    MAX_BYTES,
    BrokenStream,
    HostilePickle,
    ParquetReader,
    checked_member,
    faults,
    inspect,
    is_planned,
    open_archive,
    open_zip,
    read_member,
)
from ingest.records import Part, Quarantine
from ingest.slicing import Unit, canonical_digest
from ingest.sources.base import Sample
from ingest.sources.codesearchnet.layout import (
    CsnFile,
    CsnFiles,
    find,
    is_book,
    license_indexes,
    member_split,
)
from ingest.sources.codesearchnet.license_index import LicenseIndex, parse_license_index
from ingest.sources.codesearchnet.rows import names_of, required
from ingest.storage import Entry, Place, digested, open_entry, open_part, pin, revision_of, terms_at
from ingest.transport import ReadLimits

BOOK = "licences"
"""The `format` of the part that holds the licences of a slice's language."""
CONVERTED = "refs%2Fconvert%2Fparquet"

Units = Mapping[str, Mapping[str, Sequence[Unit]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """All there is, before it is decided which splits are emitted."""

    revision: str
    units: Units
    """Language -> split -> pieces in the order of their names."""
    license_indexes: Mapping[str, tuple[Part, ...]]
    """Language -> the part with its licences, if there is one that can be used."""
    terms: str
    """Of the place of the rows: see `ingest.terms`."""
    quarantined: tuple[Quarantine, ...]
    provenance: tuple[tuple[str, str], ...]
    rows: int
    """Of all splits; -1 when only reading tells."""


def survey(
    path: str,
    license_files: str | None,
    languages: frozenset[str],
    splits: Sequence[str],
    progress: Progress | None,
    limits: ReadLimits | None,
    sample: Sample | None = None,
) -> Survey:
    """Look at every file of the wanted languages once; a sample has files of `splits` only."""
    place, csn_files = locate(path, languages, limits)
    files = list(csn_files.rows)
    if sample is not None:
        emitted = [item for item in files if item.split in ("", *splits)]
        files = sample.choose(emitted, lambda item: item.language, lambda item: item.entry)
    pickles = dict(csn_files.license_indexes)
    if license_files is not None:
        pickles |= license_indexes(pin(license_files, limits).files(), languages)
    entries = [item.entry for item in files] + sorted(pickles.values(), key=lambda e: e.name)
    unread = sample is not None
    digests = digested(_unique(entries), progress, limits, unread=unread)
    known = {item.uri: item for item in digests}
    rows = [replace(item, entry=known[item.entry.uri]) for item in files]
    quarantined = list(csn_files.quarantined)
    units, count = _units(rows, quarantined, limits)
    indexes = _license_indexes(
        {key: known[item.uri] for key, item in pickles.items()}, quarantined, limits
    )
    read = [*(item.entry for item in rows), *(known[item.uri] for item in pickles.values())]
    revision = revision_of(place, _unique([item for item in read if item.digest]))
    if license_files is not None:
        # The commit of the rows says nothing about licence files from elsewhere.
        facts = [(part.name, part.digest) for parts in indexes.values() for part in parts]
        revision = f"{revision}-{canonical_digest(sorted(facts))[:16]}"
    return Survey(
        revision=revision,
        units=units,
        license_indexes=indexes,
        terms=terms_at(place),
        quarantined=tuple(sorted(quarantined, key=lambda item: item.name)),
        provenance=_provenance(rows, indexes),
        rows=count,
    )


def read_license_index(part: Part, limits: ReadLimits | None) -> LicenseIndex:
    """The licences in a planned part.

    Raises `ChangedInput`, `TransientFault`; `HostilePickle` for what planning would refuse.
    """
    member = dict(part.meta).get("member")
    with faults(part):
        if member is None:
            with open_part(part, limits) as file:
                data = read_up_to(file, MAX_BYTES + 1)
            if len(data) <= MAX_BYTES and not is_planned(part, hashlib.sha256(data).hexdigest()):
                raise ChangedInput(part.name)
        else:
            with open_zip(part, limits) as archive:
                data = read_member(archive, member, MAX_BYTES)
    return parse_license_index((member or part.name).rpartition("/")[2], data)


def locate(
    path: str, languages: frozenset[str], limits: ReadLimits | None
) -> tuple[Place, CsnFiles]:
    """The place of a copy and its files: the converted branch where the first one has no rows."""
    place = pin(path, limits)
    files = find(place.files(), languages)
    if files.rows or not path.startswith("hf://") or "@" in path:
        return place, files
    try:
        converted = pin(f"{path}@{CONVERTED}", limits)
    except SourceError:
        # Not every repository has this branch; what is missing is said about the first one.
        return place, files
    return converted, find(converted.files(), languages)


def _unique(entries: Sequence[Entry]) -> list[Entry]:
    return list({entry.uri: entry for entry in entries}.values())


def _units(
    rows: Sequence[CsnFile], quarantined: list[Quarantine], limits: ReadLimits | None
) -> tuple[dict[str, dict[str, list[Unit]]], int]:
    """Language -> split -> pieces, and the rows of all files (-1 when not known)."""
    units: dict[str, dict[str, list[Unit]]] = {}
    total = 0
    for file in rows:
        if file.entry.problem:
            quarantined.append(Quarantine(name=file.entry.name, reason=file.entry.problem))
            continue
        pieces = _pieces(file, limits)
        if isinstance(pieces, str):
            quarantined.append(Quarantine(name=file.entry.name, reason=pieces))
            continue
        file_units, rows_of_file = pieces
        total = -1 if -1 in (rows_of_file, total) else total + rows_of_file
        for split, unit in file_units:
            units.setdefault(file.language, {}).setdefault(split, []).append(unit)
    return units, total


def _pieces(file: CsnFile, limits: ReadLimits | None) -> tuple[list[tuple[str, Unit]], int] | str:
    """The pieces of a file with the split of each, and its rows; or why it cannot be used."""
    meta = (("format", file.format), ("split", file.split))
    if file.format == "parquet":
        table = inspect(file.entry, _columns, limits)
        if isinstance(table, str):
            return table
        units = [(file.split, unit) for unit in table.units(file.language, meta)]
        return units, sum(group.rows for group in table.groups)
    if file.format == "zip":
        members = _members(file, limits)
        return members if isinstance(members, str) else (members, -1)
    expansion = EXPANSION if file.format == "jsonl.gz" else 1
    part = _part(file.entry, file.language, meta)
    return [(file.split, (part, file.entry.size * expansion))], -1


def _columns(reader: ParquetReader) -> tuple[str, ...]:
    """Those of the Hub's copy, or else those of the original rows."""
    return reader.check(required(names_of(reader.schema().names)))


def _members(csn_file: CsnFile, limits: ReadLimits | None) -> list[tuple[str, Unit]] | str:
    pieces: list[tuple[str, Unit]] = []
    try:
        with open_entry(csn_file.entry, limits) as file:
            archive, directory = open_archive(file)
            for name in sorted(set(archive.namelist())):
                split = member_split(name, csn_file.language)
                if not split or not publishable(name):
                    continue
                info = checked_member(archive, name)
                meta = [("directory", directory), ("format", "zip"), ("member", name)]
                part = _part(
                    csn_file.entry, csn_file.language, (*meta, ("split", split)), member=name
                )
                packed = name.endswith(".gz")
                size = info.compress_size * EXPANSION if packed else info.file_size
                pieces.append((split, (part, size)))
    except BrokenStream as error:
        return str(error)
    return pieces or f"no {csn_file.language}_train_*.jsonl.gz in the archive"


def _license_indexes(
    entries: Mapping[str, Entry], quarantined: list[Quarantine], limits: ReadLimits | None
) -> dict[str, tuple[Part, ...]]:
    indexes: dict[str, tuple[Part, ...]] = {}
    for language, entry in sorted(entries.items()):
        try:
            if entry.problem:
                raise BrokenStream(entry.problem)
            part = _book_part(entry, language, limits)
            if part is None:
                continue
            read_license_index(part, limits)
            indexes[language] = (part,)
        except (HostilePickle, BrokenStream) as error:
            quarantined.append(Quarantine(name=entry.name, reason=f"licence pickle: {error}"))
    return indexes


def _book_part(entry: Entry, language: str, limits: ReadLimits | None) -> Part | None:
    """The part of a licence pickle, or of the one in a zip; None for a zip without."""
    if not entry.name.endswith(".zip"):
        return _part(entry, language, (("format", BOOK),))
    with open_entry(entry, limits) as file:
        archive, directory = open_archive(file)
        for name in sorted(archive.namelist()):
            if is_book(name, language) and publishable(name):
                meta = (("directory", directory), ("format", BOOK), ("member", name))
                return _part(entry, language, meta, member=name)
    return None


def _part(entry: Entry, language: str, meta: Sequence[tuple[str, str]], member: str = "") -> Part:
    return Part(
        path=entry.uri,
        name=f"{entry.name}!{escaped(member)}" if member else entry.name,
        digest=entry.digest,
        size=entry.size,
        start=0,
        stop=entry.size,
        language=language,
        meta=tuple(sorted(meta)),
    )


def _provenance(
    rows: Sequence[CsnFile], indexes: Mapping[str, tuple[Part, ...]]
) -> tuple[tuple[str, str], ...]:
    files = sorted({(f"file {row.entry.name}", row.entry.digest) for row in rows})
    pickles = [(f"licences {language}", parts[0].name) for language, parts in indexes.items()]
    return (*files, *sorted(pickles))
