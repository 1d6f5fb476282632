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
    wanted: frozenset[str],
    splits: Sequence[str],
    progress: Progress | None,
    limits: ReadLimits | None,
    sample: Sample | None = None,
) -> Survey:
    """Look at every file of the wanted languages once; a sample has files of `splits` only."""
    place, found = locate(path, wanted, limits)
    files = list(found.rows)
    if sample is not None:
        emitted = [one for one in files if one.split in ("", *splits)]
        files = sample.choose(emitted, lambda one: one.language, lambda one: one.entry)
    pickles = dict(found.license_indexes)
    if license_files is not None:
        pickles |= license_indexes(pin(license_files, limits).files(), wanted)
    entries = [one.entry for one in files] + sorted(pickles.values(), key=lambda e: e.name)
    unread = sample is not None
    digests = digested(_unique(entries), progress, limits, unread=unread)
    known = {one.uri: one for one in digests}
    rows = [replace(one, entry=known[one.entry.uri]) for one in files]
    quarantined = list(found.quarantined)
    units, count = _units(rows, quarantined, limits)
    indexes = _license_indexes(
        {key: known[one.uri] for key, one in pickles.items()}, quarantined, limits
    )
    read = [*(one.entry for one in rows), *(known[one.uri] for one in pickles.values())]
    revision = revision_of(place, _unique([one for one in read if one.digest]))
    if license_files is not None:
        # The commit of the rows says nothing about licence files from elsewhere.
        facts = [(part.name, part.digest) for parts in indexes.values() for part in parts]
        revision = f"{revision}-{canonical_digest(sorted(facts))[:16]}"
    return Survey(
        revision=revision,
        units=units,
        license_indexes=indexes,
        terms=terms_at(place),
        quarantined=tuple(sorted(quarantined, key=lambda one: one.name)),
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


def locate(path: str, wanted: frozenset[str], limits: ReadLimits | None) -> tuple[Place, CsnFiles]:
    """The place of a copy and its files: the converted branch where the first one has no rows."""
    place = pin(path, limits)
    found = find(place.files(), wanted)
    if found.rows or not path.startswith("hf://") or "@" in path:
        return place, found
    try:
        converted = pin(f"{path}@{CONVERTED}", limits)
    except SourceError:
        # Not every repository has this branch; what is missing is said about the first one.
        return place, found
    return converted, find(converted.files(), wanted)


def _unique(entries: Sequence[Entry]) -> list[Entry]:
    return list({one.uri: one for one in entries}.values())


def _units(
    rows: Sequence[CsnFile], quarantined: list[Quarantine], limits: ReadLimits | None
) -> tuple[dict[str, dict[str, list[Unit]]], int]:
    """Language -> split -> pieces, and the rows of all files (-1 when not known)."""
    units: dict[str, dict[str, list[Unit]]] = {}
    total = 0
    for one in rows:
        if one.entry.problem:
            quarantined.append(Quarantine(name=one.entry.name, reason=one.entry.problem))
            continue
        pieces = _pieces(one, limits)
        if isinstance(pieces, str):
            quarantined.append(Quarantine(name=one.entry.name, reason=pieces))
            continue
        found, rows_of_file = pieces
        total = -1 if -1 in (rows_of_file, total) else total + rows_of_file
        for split, unit in found:
            units.setdefault(one.language, {}).setdefault(split, []).append(unit)
    return units, total


def _pieces(one: CsnFile, limits: ReadLimits | None) -> tuple[list[tuple[str, Unit]], int] | str:
    """The pieces of a file with the split of each, and its rows; or why it cannot be used."""
    meta = (("format", one.format), ("split", one.split))
    if one.format == "parquet":
        table = inspect(one.entry, _columns, limits)
        if isinstance(table, str):
            return table
        units = [(one.split, unit) for unit in table.units(one.language, meta)]
        return units, sum(group.rows for group in table.groups)
    if one.format == "zip":
        members = _members(one, limits)
        return members if isinstance(members, str) else (members, -1)
    expansion = EXPANSION if one.format == "jsonl.gz" else 1
    part = _part(one.entry, one.language, meta)
    return [(one.split, (part, one.entry.size * expansion))], -1


def _columns(reader: ParquetReader) -> tuple[str, ...]:
    """Those of the Hub's copy, or else those of the original rows."""
    return reader.check(required(names_of(reader.schema().names)))


def _members(one: CsnFile, limits: ReadLimits | None) -> list[tuple[str, Unit]] | str:
    pieces: list[tuple[str, Unit]] = []
    try:
        with open_entry(one.entry, limits) as file:
            archive, directory = open_archive(file)
            for name in sorted(set(archive.namelist())):
                split = member_split(name, one.language)
                if not split or not publishable(name):
                    continue
                info = checked_member(archive, name)
                meta = [("directory", directory), ("format", "zip"), ("member", name)]
                part = _part(one.entry, one.language, (*meta, ("split", split)), member=name)
                packed = name.endswith(".gz")
                size = info.compress_size * EXPANSION if packed else info.file_size
                pieces.append((split, (part, size)))
    except BrokenStream as error:
        return str(error)
    return pieces or f"no {one.language}_train_*.jsonl.gz in the archive"


def _license_indexes(
    found: Mapping[str, Entry], quarantined: list[Quarantine], limits: ReadLimits | None
) -> dict[str, tuple[Part, ...]]:
    indexes: dict[str, tuple[Part, ...]] = {}
    for language, entry in sorted(found.items()):
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
    files = sorted({(f"file {one.entry.name}", one.entry.digest) for one in rows})
    pickles = [(f"licences {language}", parts[0].name) for language, parts in indexes.items()]
    return (*files, *sorted(pickles))
