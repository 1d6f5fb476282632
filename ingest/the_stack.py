"""Source `the-stack`: The Stack v1, -dedup, -smol and -smol-xl, local, on the Hub or behind a URI.

Method: `ingest.stack_files` finds the files by their folders; a slice is a run of row groups
(or of byte ranges of JSON lines) of one language, and each language is a stream of its own. The
driver reads each footer once, a few files at a time. A worker fetches the licences of a row
group first, and the other columns only where a row passes. Rows are passed on as they are:
duplicates are not looked at.
Cost: the driver digests local files and reads a footer a file (one resolver request on the
Hub, 64 KiB where the footer is shorter). Memory of a worker: see `ingest.parquet`.
Limits: links in local folders are not followed; a broken file is set aside by name, and it is
an error only if nothing else is left; JSON lines up to 8 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from ingest.budget import ReadLimits
from ingest.digests import FileDigest, Progress, Wish, digest_files
from ingest.errors import SourceError, TransientFault, is_transient
from ingest.licenses import LicensePolicy
from ingest.options import CommonOptions
from ingest.parquet import BrokenFile, BrokenGroup, ParquetReader, RowGroup, open_planned_part
from ingest.places import PlacePath, digested, is_local, open_entry, revision_of
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import make_slice, pack, target_bytes
from ingest.stack_files import StackFile, find_files, is_table
from ingest.stack_lines import CUT_BYTES, cuts, read_lines
from ingest.stack_rows import COLUMNS, LICENSES, StackRows

FOOTERS_AT_ONCE = 8


class TheStackOptions(CommonOptions):
    """A folder, data set or other place with The Stack v1."""

    kind: Literal["the-stack"] = "the-stack"
    path: PlacePath


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unit:
    """A row group or a range of lines: what is never cut."""

    part: Part
    size: int
    """Uncompressed bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    file: StackFile
    units: tuple[_Unit, ...]


def plan(
    options: TheStackOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
) -> Listing:
    """List the row groups. Raises `SourceError` when no file of the languages can be read."""
    allowed = limits or ReadLimits()
    layout = find_files(options.path, options.languages, options.wanted(), allowed)
    quarantined = list(layout.quarantined)
    planned: list[_Planned] = []
    cut = min(slice_bytes or CUT_BYTES, CUT_BYTES)
    for file, outcome in _inspect_all(layout.files, cut, progress, allowed):
        if isinstance(outcome, str):
            quarantined.append(Quarantine(name=file.entry.name, reason=outcome))
        else:
            planned.append(outcome)
    quarantined.sort(key=lambda one: one.name)
    if not planned:
        first = f" First: {quarantined[0].name}: {quarantined[0].reason}." if quarantined else ""
        raise SourceError(
            "no Parquet file of this source can be read",
            value=options.path,
            remedy=f"Download the files again.{first}",
        )
    entries = [one.file.entry for one in planned]
    revision = revision_of(layout.place, entries)
    facts = _facts(options, policy, revision)
    return Listing(
        source=name,
        kind=options.kind,
        revision=revision,
        slices=_slices(planned, name, slice_bytes, facts),
        quarantined=tuple(quarantined),
        provenance=tuple((f"file {one.name}", one.digest) for one in entries),
    )


def read(
    options: TheStackOptions,
    name: str,
    policy: LicensePolicy,
    piece: Slice,
    revision: str,
    limits: ReadLimits | None = None,
) -> Iterator[SourceFile | Skip]:
    """The rows of a slice; a row group that cannot be decoded is one `corrupt_input`.

    Raises `ChangedInput` when a file is not the one that was planned, `TransientFault` when
    reading may work later.
    """
    first = 0
    for part in piece.parts:
        rows = StackRows(
            source=piece.source,
            revision=revision,
            language=part.language,
            options=options,
            policy=policy,
        )
        read_part = _read_table if is_table(part.name) else read_lines
        for record in read_part(part, rows, first, limits):
            yield record
            first = record.row + (record.rows if isinstance(record, Skip) else 1)


def _read_table(
    part: Part, rows: StackRows, first: int, limits: ReadLimits | None
) -> Iterator[SourceFile | Skip]:
    meta = dict(part.meta)
    footer_bytes = int(meta.get("footer_bytes", "0"))
    with open_planned_part(part, meta["footer"], limits, footer_bytes) as reader:
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
            detail=str(error)[:200],
            quarantined=f"{part.name}#{index}",
        )
    except OSError as error:
        raise TransientFault(part.name, str(error)) from error


def _inspect_all(
    files: Sequence[StackFile], cut: int, progress: Progress | None, limits: ReadLimits
) -> Iterator[tuple[StackFile, _Planned | str]]:
    """Each file as planned, or why it cannot be used; in the same order."""
    tables = [file for file in files if file.is_table]
    known = digested([file.entry for file in tables], progress, limits)
    ready = [replace(file, entry=entry) for file, entry in zip(tables, known, strict=True)]
    footers = _footers(ready, limits)
    outcomes = {file.entry.name: one for file, one in zip(ready, footers, strict=True)}
    lines = [file for file in files if not file.is_table]
    outcomes |= {file.entry.name: _lines(file, cut, progress, limits) for file in lines}
    for file in files:
        yield file, outcomes[file.entry.name]


def _footers(files: Sequence[StackFile], limits: ReadLimits) -> Iterator[_Planned | str]:
    pool = ThreadPoolExecutor(max_workers=FOOTERS_AT_ONCE, thread_name_prefix="footer")
    try:
        yield from pool.map(lambda file: _inspect(file, limits), files)
    finally:
        # After a refusal nothing more may be asked.
        pool.shutdown(cancel_futures=True)


def _inspect(file: StackFile, limits: ReadLimits) -> _Planned | str:
    entry = file.entry
    if entry.problem:
        return entry.problem
    try:
        with ParquetReader.of(open_entry(entry, limits)) as reader:
            groups = reader.groups(reader.check(COLUMNS))
            meta = [("footer", reader.footer)]
            if not is_local(entry.uri):
                meta.append(("footer_bytes", str(reader.footer_bytes)))
    except BrokenFile as error:
        return str(error)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(entry.name, str(error)) from error
        return "unreadable"
    units = [
        _Unit(part=_part(file, index, index + 1, meta), size=group.size)
        for index, group in enumerate(groups)
        if group.rows
    ]
    return _Planned(file=file, units=tuple(units))


def _lines(
    file: StackFile, cut: int, progress: Progress | None, limits: ReadLimits
) -> _Planned | str:
    """JSON lines in ranges; those of a local file are digested each."""
    entry = file.entry
    metas: Sequence[Sequence[tuple[str, str]]]
    if is_local(entry.uri):
        ranges = cuts(entry.size, cut)
        digest = digest_files([Wish(path=entry.uri, ranges=ranges)], progress)[0]
        if not isinstance(digest, FileDigest):
            return digest
        entry = replace(entry, size=digest.size, digest=digest.sha256)
        metas = [(("range", one),) for one in digest.ranges]
    else:
        entry = digested([entry], progress, limits)[0]
        ranges = cuts(entry.size, cut)
        metas = [()] * len(ranges)
    file = replace(file, entry=entry)
    units = [
        _Unit(part=_part(file, start, stop, meta), size=stop - start)
        for (start, stop), meta in zip(ranges, metas, strict=True)
    ]
    return _Planned(file=file, units=tuple(units))


def _part(file: StackFile, start: int, stop: int, meta: Sequence[tuple[str, str]]) -> Part:
    return Part(
        path=file.entry.uri,
        name=file.entry.name,
        digest=file.entry.digest,
        size=file.entry.size,
        start=start,
        stop=stop,
        language=file.language,
        meta=tuple(meta),
    )


def _slices(
    planned: Sequence[_Planned], name: str, slice_bytes: int | None, facts: Mapping[str, object]
) -> tuple[Slice, ...]:
    target = target_bytes(sum(unit.size for one in planned for unit in one.units), slice_bytes)
    slices: list[Slice] = []
    for language in sorted({one.file.language for one in planned}):
        groups = [one.units for one in planned if one.file.language == language]
        slices.extend(
            make_slice(
                source=name,
                stream=language,
                parts=_merged(run),
                size=sum(unit.size for unit in run),
                facts=facts,
            )
            for run in pack(groups, lambda unit: unit.size, target)
        )
    return tuple(slices)


def _merged(run: Sequence[_Unit]) -> list[Part]:
    """Neighbouring pieces of one file as one part, unless each has a digest of its own."""
    parts: list[Part] = []
    for unit in run:
        last = parts[-1] if parts else None
        if last is not None and last.stop == unit.part.start and last.start < last.stop:
            joined = replace(unit.part, start=last.start)
            if joined == replace(last, stop=unit.part.stop):
                parts[-1] = joined
                continue
        parts.append(unit.part)
    return parts


def _facts(options: TheStackOptions, policy: LicensePolicy, revision: str) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "declared": list(options.declared_licenses),
        "policy": policy.policy_digest(),
        "revision": revision,
    }
