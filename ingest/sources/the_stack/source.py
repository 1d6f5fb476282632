"""Source `the-stack`: The Stack v1, -dedup, -smol and -smol-xl, local, on the Hub or behind a URI.

Method: `ingest.sources.the_stack.layout` finds the files by their folders; a slice is a run of row
groups (or of byte ranges of JSON lines) of one language, and each language is a stream of its own.
The driver reads each footer once, a few files at a time. A worker fetches the licences of a row
group first, and the other columns only where a row passes. Rows are passed on as they are:
duplicates are not looked at.
Cost: the driver digests local files and reads a footer a file (one resolver request on the
Hub, 64 KiB where the footer is shorter). Memory of a worker: see `ingest.formats.parquet`.
Limits: links in local folders are not followed; a broken file is set aside by name, and it is
an error only if nothing else is left; JSON lines up to 8 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ingest.errors import TransientFault
from ingest.files import Progress
from ingest.formats import (
    BadRow,
    BrokenGroup,
    ParquetReader,
    Ranges,
    RowGroup,
    TableFile,
    contract,
    inspect_all,
    line_units,
    open_planned_part,
    ranged,
    read_rows,
)
from ingest.licenses import LicensePolicy
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import Unit, slice_units, target_of
from ingest.sources.base import CommonOptions, Sample, Source, choose, unusable
from ingest.sources.the_stack.layout import StackFile, find_files, is_table
from ingest.sources.the_stack.rows import COLUMNS, LICENSES, StackRows
from ingest.storage import Entry, PlacePath, digested, revision_of
from ingest.terms import THE_STACK
from ingest.transport import ReadLimits

CUT_BYTES = 4_000_000
"""Of JSON lines, most bytes of a piece."""
REMEDY = (
    "This is not the schema of The Stack v1: check `path`, or write `kind: pairs` with a column "
    "mapping, or `kind: the-stack-v2` for its successor."
)


class TheStackOptions(CommonOptions):
    """A folder, data set or other place with The Stack v1."""

    kind: Literal["the-stack"] = "the-stack"
    path: PlacePath


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    entry: Entry
    language: str
    units: tuple[Unit, ...]
    rows: int
    """-1 when only reading tells."""


def plan(
    options: TheStackOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List the row groups. Raises `SourceError` when no file of the languages can be read."""
    allowed = limits or ReadLimits()
    layout = find_files(options.path, options.languages, options.wanted(), allowed)
    quarantined = list(layout.quarantined)
    planned: list[_Planned] = []
    cut = min(slice_bytes or CUT_BYTES, CUT_BYTES)
    files = choose(sample, layout.files, lambda file: file.language, lambda file: file.entry)
    for file, outcome in _inspect_all(files, cut, progress, allowed, unread=sample is not None):
        if isinstance(outcome, str):
            quarantined.append(Quarantine(name=file.entry.name, reason=outcome))
        else:
            planned.append(outcome)
    quarantined.sort(key=lambda table: table.name)
    if not planned:
        raise unusable(
            "no Parquet file of this source can be read", options.path, quarantined, REMEDY
        )
    entries = [table.entry for table in planned]
    revision = revision_of(layout.place, entries)
    facts = _facts(options, policy, revision)
    return Listing(
        source=name,
        kind=options.kind,
        terms=THE_STACK,
        revision=revision,
        slices=_slices(planned, name, slice_bytes, facts),
        quarantined=tuple(quarantined),
        provenance=tuple((f"file {table.name}", table.digest) for table in entries),
        rows=-1
        if any(table.rows < 0 for table in planned)
        else sum(table.rows for table in planned),
    )


def read(
    options: TheStackOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourceFile | Skip]:
    """The rows of a slice; a row group that cannot be decoded is one `corrupt_input`.

    Raises `ChangedInput` when a file is not the one that was planned, `TransientFault` when
    reading may work later.
    """
    first = 0
    for part in slice_.parts:
        rows = StackRows(
            source=slice_.source,
            revision=revision,
            language=part.language,
            options=options,
            policy=policy,
        )
        read_part = _read_table if is_table(part.name) else _read_lines
        for record in read_part(part, rows, first, limits):
            yield record
            first = record.row + (record.rows if isinstance(record, Skip) else 1)


def _read_lines(
    part: Part, rows: StackRows, first: int, limits: ReadLimits | None
) -> Iterator[SourceFile | Skip]:
    """One record a line of a smol set, counted from `first`."""
    row = first
    for values in read_rows(part, {}, limits):
        if isinstance(values, BadRow):
            yield values.skip(part.language, row)
            row += values.rows
        else:
            yield rows.read_object(values, row)
            row += 1


def _read_table(
    part: Part, rows: StackRows, first: int, limits: ReadLimits | None
) -> Iterator[SourceFile | Skip]:
    with open_planned_part(part, limits) as reader:
        columns = reader.check(COLUMNS)
        groups = reader.groups(columns)
        for index in range(part.start, part.stop):
            yield from _read_group(reader, rows, columns, groups[index], part, index, first)
            first += groups[index].rows


def _read_group(
    reader: ParquetReader,
    rows: StackRows,
    columns: Sequence[str],
    group: RowGroup,
    part: Part,
    index: int,
    first: int,
) -> Iterator[SourceFile | Skip]:
    try:
        gate = reader.batches(index, [LICENSES], group.size, group.rows)
        needed = columns if rows.any_passes(gate) else [LICENSES]
        for batch in reader.batches(index, needed, group.size, group.rows):
            yield from rows.read(batch, first)
            first += batch.num_rows
    except BrokenGroup as error:
        yield Skip(
            language=part.language,
            reason="corrupt_input",
            row=first,
            rows=group.rows,
            detail=str(error),
            fact=str(error),
            quarantined=f"{part.name}#{index}",
        )
    except OSError as error:
        raise TransientFault(part.name, str(error)) from error


def _inspect_all(
    files: Sequence[StackFile],
    cut: int,
    progress: Progress | None,
    limits: ReadLimits,
    *,
    unread: bool,
) -> Iterator[tuple[StackFile, _Planned | str]]:
    """Each file as planned, or why it cannot be used; in the same order."""
    tables = [file for file in files if file.is_table]
    known = digested([file.entry for file in tables], progress, limits, unread=unread)
    footers = inspect_all(known, contract(COLUMNS), limits)
    outcomes = {
        file.entry.name: _table(file, footer) for file, footer in zip(tables, footers, strict=True)
    }
    lines = [file for file in files if not file.is_table]
    pieces = ranged([f.entry for f in lines], cut, progress, limits, unread=unread)
    outcomes |= {
        file.entry.name: _lines(file, entry, ranges)
        for file, (entry, ranges) in zip(lines, pieces, strict=True)
    }
    for file in files:
        yield file, outcomes[file.entry.name]


def _table(file: StackFile, table: TableFile | str) -> _Planned | str:
    if isinstance(table, str):
        return table
    units = tuple(table.units(file.language))
    rows = sum(group.rows for group in table.groups)
    return _Planned(entry=table.entry, language=file.language, units=units, rows=rows)


def _lines(file: StackFile, entry: Entry, ranges: Ranges) -> _Planned | str:
    if entry.problem:
        return entry.problem
    units = tuple(line_units(entry, ranges, file.language))
    return _Planned(entry=entry, language=file.language, units=units, rows=-1)


def _slices(
    planned: Sequence[_Planned], name: str, slice_bytes: int | None, facts: Mapping[str, object]
) -> tuple[Slice, ...]:
    streams: dict[str, list[tuple[Unit, ...]]] = {}
    for file in planned:
        streams.setdefault(file.language, []).append(file.units)
    return slice_units(streams, source=name, target=target_of(streams, slice_bytes), facts=facts)


def _facts(options: TheStackOptions, policy: LicensePolicy, revision: str) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "declared": list(options.declared_licenses),
        "policy": policy.policy_digest(),
        "revision": revision,
    }


SOURCE = Source(options=TheStackOptions, plan=plan, read=read, terms=THE_STACK, rows_remedy=REMEDY)
