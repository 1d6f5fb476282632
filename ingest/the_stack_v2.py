"""Source `the-stack-v2`: rows of The Stack v2 or stack-edu, contents from Software Heritage.

Method: `data/<Linguist name>/*.parquet` or `<Linguist name>/*.parquet`, each language a stream;
where no folder is called after one, the files beside (the grouped sets, a single file) are a
stream of mixed rows.
The driver reads footers only. Rows hold no contents, so a slice is bounded by its rows: one
counts as `ROW_BYTES`, about what a source file has, and a grouped row as its share of the
bytes of its row group. A part is a range of rows; a worker decodes the row groups it touches,
judges every row, and then asks for the contents of those that pass, many at a time
(`ingest.blobs`).
Cost: a footer a file; a row group larger than a slice is decoded once for each of its slices
(1,000,000 rows in 32 slices: 1.5 s each, and 40 MiB). Memory of a worker: see `ingest.blobs` and
`ingest.parquet`. Limits: links in local folders are not followed; a broken file is set aside
by name, and it is an error only if nothing else is left.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ingest.blob_store import BlobOptions
from ingest.blobs import BlobReader, Wanted
from ingest.budget import ReadLimits
from ingest.digests import Progress
from ingest.entries import Entry
from ingest.errors import SourceError, TransientFault, is_transient
from ingest.languages import normalise_language
from ingest.licenses import LicensePolicy
from ingest.options import CommonOptions
from ingest.parquet import BrokenFile, BrokenGroup, ParquetReader, RowGroup, open_planned_part
from ingest.places import Place, PlacePath, digested, open_entry, pin, revision_of
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import MIN_SLICE_BYTES, make_slice, pack, target_bytes
from ingest.stack_v2_rows import Candidate, StackV2Rows
from ingest.stack_v2_schema import Shape, shape_of

ROW_BYTES = 4_000
_GROUPED_FACTOR = 16
"""A file of a grouped row takes about 250 bytes of its row group."""
_MIXED = ""


class TheStackV2Options(CommonOptions):
    """The Stack v2 by its ids, in a folder, on the Hub or behind a URI; contents from S3."""

    kind: Literal["the-stack-v2"] = "the-stack-v2"
    path: PlacePath
    blobs: BlobOptions = BlobOptions()

    def resolved(self, base: Path) -> TheStackV2Options:
        """The same options with an absolute cache folder."""
        return self.model_copy(update={"blobs": self.blobs.resolved(base)})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    entry: Entry
    language: str
    footer: str
    footer_bytes: int
    groups: tuple[RowGroup, ...]
    grouped: bool

    def weight(self, group: RowGroup) -> int:
        """The bytes of content that a row group is taken to stand for."""
        return group.size * _GROUPED_FACTOR if self.grouped else group.rows * ROW_BYTES


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """Rows of one row group, counted within it."""

    part: Part
    index: int
    group: RowGroup
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unit:
    """Rows of one row group."""

    file: _Planned
    start: int
    stop: int
    size: int


def plan(
    options: TheStackV2Options,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
) -> Listing:
    """List the row groups. Raises `SourceError` when no file of the languages can be read."""
    place = pin(options.path, limits)
    languages = listed_files(place, options)
    quarantined: list[Quarantine] = []
    planned: list[_Planned] = []
    for entry in digested([entry for entry, _ in languages.values()], progress):
        outcome = entry.problem or _inspect(entry, languages[entry.name][1], limits)
        if isinstance(outcome, str):
            quarantined.append(Quarantine(name=entry.name, reason=_why(outcome)))
        else:
            planned.append(outcome)
    if not planned:
        first = f" First: {quarantined[0].name}: {quarantined[0].reason}." if quarantined else ""
        raise SourceError(
            "no Parquet file of this source can be read",
            value=options.path,
            remedy=f"Download the files again.{first}",
        )
    revision = revision_of(place, [one.entry for one in planned])
    mixed = any(not one.language for one in planned)
    return Listing(
        source=name,
        kind=options.kind,
        revision=revision,
        slices=_slices(planned, name, slice_bytes, _facts(options, policy, revision, mixed)),
        quarantined=tuple(quarantined),
        provenance=_provenance(options, planned),
    )


def read(
    options: TheStackV2Options,
    name: str,
    policy: LicensePolicy,
    piece: Slice,
    revision: str,
    limits: ReadLimits | None = None,
) -> Iterator[SourceFile | Skip]:
    """The rows of a slice; a row group that cannot be decoded is one `corrupt_input`.

    Raises `ChangedInput` when a file is not the one that was planned, `SourceError` when the
    contents are denied, `TransientFault` when reading may work later.
    """
    by_part = [
        StackV2Rows(
            source=piece.source,
            revision=revision,
            folder=part.language,
            options=options,
            policy=policy,
            opted_out=frozenset(options.opt_out),
        )
        for part in piece.parts
    ]
    rows = by_part[0]
    candidates = _candidates(piece, by_part, limits)
    with closing(candidates), BlobReader.open(options.blobs) as blobs:
        for item, outcome in blobs.stream(candidates, _wanted):
            if isinstance(item, Candidate) and outcome is not None:
                yield rows.finished(item, outcome)
            elif isinstance(item, Skip):
                yield item


def _wanted(item: Candidate | Skip) -> Wanted | None:
    return item.wanted if isinstance(item, Candidate) else None


def _candidates(
    piece: Slice, by_part: Sequence[StackV2Rows], limits: ReadLimits | None
) -> Generator[Candidate | Skip]:
    first = 0
    for part, rows in zip(piece.parts, by_part, strict=True):
        known = dict(part.meta)
        length = int(known["footer_bytes"])
        with open_planned_part(part, known["footer"], limits, length) as reader:
            shape = shape_of(reader.schema())
            for cut in _cuts(part, reader.groups(shape.columns)):
                for item in _group(reader, rows, shape, cut, first):
                    yield item
                    first += item.rows if isinstance(item, Skip) else 1


def _cuts(part: Part, groups: Sequence[RowGroup]) -> Iterator[_Cut]:
    base = 0
    for index, group in enumerate(groups):
        start = max(part.start - base, 0)
        stop = min(part.stop - base, group.rows)
        if start < stop:
            yield _Cut(part=part, index=index, group=group, start=start, stop=stop)
        base += group.rows


def _group(
    reader: ParquetReader, rows: StackV2Rows, shape: Shape, cut: _Cut, first: int
) -> Iterator[Candidate | Skip]:
    part, group = cut.part, cut.group
    at = 0
    try:
        for batch in reader.batches(cut.index, shape.columns, group.size, group.rows):
            wanted = _between(batch, cut.start - at, cut.stop - at)
            if wanted is not None:
                for item in rows.read(wanted, shape, first):
                    yield item
                    first += 1
            at += batch.num_rows
    except BrokenGroup as error:
        yield Skip(
            language=part.language,
            reason="corrupt_input",
            row=first,
            rows=cut.stop - cut.start,
            detail=str(error)[:200],
            quarantined=f"{part.name}#{cut.index}",
        )
    except OSError as error:
        raise TransientFault(part.name, str(error)) from error


def _between(batch: Any, start: int, stop: int) -> Any:
    """The rows of a batch in a range that may begin before or end after it; None if there are
    none."""
    start, stop = max(start, 0), min(stop, batch.num_rows)
    return batch.slice(start, stop - start) if start < stop else None


def listed_files(place: Place, options: TheStackV2Options) -> dict[str, tuple[Entry, str]]:
    """The Parquet files of the wanted languages by name, with the language of their folder."""
    base = "data" if "data" in place.folders() else ""
    folders = place.folders(base)
    named = {folder: normalise_language(folder) for folder in folders}
    found: list[tuple[Entry, str]] = []
    for folder, language in named.items():
        if language in options.wanted():
            inside = place.files(f"{base}/{folder}" if base else folder, recursive=False)
            found.extend((entry, language) for entry in inside)
    if not any(named.values()):
        found.extend((entry, _MIXED) for entry in place.files(base, recursive=False))
    files = {
        entry.name: (entry, language)
        for entry, language in sorted(found, key=lambda one: one[0].name)
        if entry.name.endswith(".parquet")
    }
    _check_languages(options, folders, {language for _, language in files.values()})
    return files


def _check_languages(options: TheStackV2Options, folders: Sequence[str], found: set[str]) -> None:
    missing = sorted(set(options.languages or ()) - found) if _MIXED not in found else []
    if missing or not found:
        raise SourceError(
            f"no Parquet file for {', '.join(missing) or 'any supported language'}",
            value=options.path,
            remedy="Expected `data/<language>/*.parquet`; found folders: "
            f"{', '.join(folders)[:300] or 'nothing'}.",
        )


def _why(problem: str) -> str:
    if problem == "symlink":
        return "symlink: links are not followed; download with --local-dir"
    return problem


def _inspect(entry: Entry, language: str, limits: ReadLimits | None) -> _Planned | str:
    try:
        with ParquetReader.of(open_entry(entry, limits)) as reader:
            shape = shape_of(reader.schema())
            return _Planned(
                entry=entry,
                language=language,
                footer=reader.footer,
                footer_bytes=reader.footer_bytes,
                groups=reader.groups(shape.columns),
                grouped=shape.grouped,
            )
    except BrokenFile as error:
        return str(error)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(entry.name, str(error)) from error
        return "unreadable"


def _slices(
    planned: Sequence[_Planned], name: str, slice_bytes: int | None, facts: Mapping[str, object]
) -> tuple[Slice, ...]:
    total = sum(one.weight(group) for one in planned for group in one.groups)
    target = target_bytes(total, slice_bytes)
    slices: list[Slice] = []
    for language in sorted({one.language for one in planned}):
        units = [_units(one, target) for one in planned if one.language == language]
        slices.extend(
            make_slice(
                source=name,
                stream=language,
                parts=_parts(run),
                size=sum(unit.size for unit in run),
                facts=facts,
            )
            for run in pack(units, lambda unit: unit.size, target)
        )
    return tuple(slices)


def _units(one: _Planned, target: int) -> list[_Unit]:
    """The row groups of a file, those over the size of a slice in even pieces."""
    units: list[_Unit] = []
    base = 0
    for group in one.groups:
        weight = one.weight(group)
        pieces = min(max(1, -(-weight // max(target, MIN_SLICE_BYTES))), max(group.rows, 1))
        cuts = [base + group.rows * piece // pieces for piece in range(pieces + 1)]
        units.extend(
            _Unit(file=one, start=start, stop=stop, size=weight * (stop - start) // group.rows)
            for start, stop in zip(cuts, cuts[1:], strict=False)
            if start < stop
        )
        base += group.rows
    return units


def _parts(run: Sequence[_Unit]) -> list[Part]:
    """Neighbouring rows of one file as one part."""
    parts: list[Part] = []
    for unit in run:
        entry = unit.file.entry
        last = parts[-1] if parts else None
        start = unit.start
        if last is not None and last.name == entry.name and last.stop == start:
            start = parts.pop().start
        parts.append(
            Part(
                path=entry.uri,
                name=entry.name,
                digest=entry.digest,
                size=entry.size,
                start=start,
                stop=unit.stop,
                language=unit.file.language,
                meta=(
                    ("footer", unit.file.footer),
                    ("footer_bytes", str(unit.file.footer_bytes)),
                ),
            )
        )
    return parts


def _facts(
    options: TheStackV2Options, policy: LicensePolicy, revision: str, mixed: bool
) -> dict[str, object]:
    return {
        "kind": options.kind,
        "blobs": options.blobs.url,
        "declared": list(options.declared_licenses),
        # A folder is read for its language whatever the others are; a mixed file is not.
        "languages": sorted(options.wanted()) if mixed else [],
        "policy": policy.policy_digest(),
        "revision": revision,
    }


def _provenance(
    options: TheStackV2Options, planned: Sequence[_Planned]
) -> tuple[tuple[str, str], ...]:
    files = tuple((f"file {one.entry.name}", one.entry.digest) for one in planned)
    # Another base may be a machine of one's own, which is not to be published.
    public = options.blobs.url.startswith("s3://")
    return (*files, ("contents", options.blobs.url)) if public else files
