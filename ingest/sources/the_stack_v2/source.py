"""Source `the-stack-v2`: rows of The Stack v2 or stack-edu, contents from Software Heritage.

Method: `data/<Linguist name>/*.parquet` or `<Linguist name>/*.parquet`, each language a stream;
where no folder is called after one, the files beside (the grouped sets, a single file) are a
stream of mixed rows.
The driver reads footers only. Rows hold no contents, so a slice is bounded by its rows: one
counts as `ROW_BYTES`, about what a source file has, and a grouped row as its share of the
bytes of its row group. A part is a range of rows; a worker decodes the row groups it touches,
judges every row, and then asks for the contents of those that pass, many at a time
(`ingest.sources.the_stack_v2.contents`).
Cost: a footer a file; a row group larger than a slice is decoded once for each of its slices
(1,000,000 rows in 32 slices: 1.5 s each, and 40 MiB). Memory of a worker: see
`ingest.sources.the_stack_v2.contents` and `ingest.formats.parquet`. Limits: links in local folders
are not followed; a broken file is set aside by name, and it is an error only if nothing else is
left.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ingest.errors import SourceError, TransientFault
from ingest.files import Progress
from ingest.formats import (
    BrokenGroup,
    ParquetReader,
    RowGroup,
    TableFile,
    format_of,
    inspect_all,
    open_planned_part,
)
from ingest.languages import folder_language
from ingest.licenses import LicensePolicy
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import MIN_SLICE_BYTES, Unit, slice_units, target_bytes
from ingest.sources.base import CommonOptions, Sample, Source, choose, unusable
from ingest.sources.the_stack import why
from ingest.sources.the_stack_v2.blob_store import KEYS_REMEDY, BlobOptions
from ingest.sources.the_stack_v2.contents import (
    DENIED,
    BlobReader,
    BlobRequest,
    Content,
    Missing,
)
from ingest.sources.the_stack_v2.rows import Candidate, StackV2Rows
from ingest.sources.the_stack_v2.schema import FILES, Shape, shape_of
from ingest.storage import Entry, Place, PlacePath, digested, pin, revision_of
from ingest.terms import THE_STACK
from ingest.transport import ReadLimits

ROW_BYTES = 4_000
_GROUPED_FACTOR = 16
"""A file of a grouped row takes about 250 bytes of its row group."""
_MIXED = ""
SAMPLED_BLOBS = 3
"""A sample asks for one content after the other until one is had, this many at most."""
REMEDY = (
    "This is not the schema of The Stack v2 or stack-edu: check `path`, or write "
    "`kind: the-stack` for the version with contents inside."
)


class TheStackV2Options(CommonOptions):
    """The Stack v2 by its ids, in a folder, on the Hub or behind a URI; contents from S3."""

    kind: Literal["the-stack-v2"] = "the-stack-v2"
    path: PlacePath
    blobs: BlobOptions = BlobOptions()

    def resolved(self, base: Path) -> Self:
        """Also with an absolute cache folder."""
        return super().resolved(base).model_copy(update={"blobs": self.blobs.resolved(base)})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    table: TableFile
    language: str

    def weight(self, group: RowGroup) -> int:
        """The bytes of content that a row group is taken to stand for."""
        grouped = FILES in self.table.columns
        return group.size * _GROUPED_FACTOR if grouped else group.rows * ROW_BYTES


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """Rows of one row group, counted within it."""

    part: Part
    index: int
    group: RowGroup
    start: int
    stop: int


def plan(
    options: TheStackV2Options,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List the row groups. Raises `SourceError` when no file of the languages can be read."""
    place = pin(options.path, limits)
    listed = listed_files(place, options).values()
    chosen = choose(sample, listed, lambda pair: pair[1], lambda pair: pair[0])
    quarantined: list[Quarantine] = []
    planned: list[_Planned] = []
    unread = sample is not None
    entries = digested([entry for entry, _ in chosen], progress, limits, unread=unread)
    tables = inspect_all(entries, _columns, limits)
    for entry, table, (_, language) in zip(entries, tables, chosen, strict=True):
        if isinstance(table, str):
            quarantined.append(Quarantine(name=entry.name, reason=why(table)))
        else:
            planned.append(_Planned(table=table, language=language))
    if not planned:
        raise unusable(
            "no Parquet file of this source can be read", options.path, quarantined, REMEDY
        )
    revision = revision_of(place, [file.table.entry for file in planned])
    mixed = any(not file.language for file in planned)
    return Listing(
        source=name,
        kind=options.kind,
        terms=THE_STACK,
        revision=revision,
        slices=_slices(planned, name, slice_bytes, _facts(options, policy, revision, mixed)),
        quarantined=tuple(quarantined),
        provenance=_provenance(options, planned),
        rows=_rows(planned),
    )


def read(
    options: TheStackV2Options,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourceFile | Skip]:
    """The rows of a slice; a row group that cannot be decoded is one `corrupt_input`.

    Raises `ChangedInput` when a file is not the one that was planned, `SourceError` when the
    contents are denied, `TransientFault` when reading may work later.
    """
    by_part = [
        StackV2Rows(
            source=slice_.source,
            revision=revision,
            folder=part.language,
            options=options,
            policy=policy,
            opted_out=frozenset(options.opt_out),
        )
        for part in slice_.parts
    ]
    rows = by_part[0]
    candidates = _candidates(slice_, by_part, limits)
    with closing(candidates), BlobReader.open(options.blobs) as blobs:
        if sampled:
            yield from _sampled(rows, candidates, blobs, options.blobs.url)
            return
        for item, outcome in blobs.stream(candidates, _wanted):
            if isinstance(item, Candidate) and outcome is not None:
                yield rows.finished(item, outcome)
            elif isinstance(item, Skip):
                yield item


def _sampled(
    rows: StackV2Rows, candidates: Iterator[Candidate | Skip], blobs: BlobReader, url: str
) -> Iterator[SourceFile | Skip]:
    """The rows, of which the first that passes has its content, past the cache, others none.

    Raises `SourceError` when the first of them cannot be had.
    """
    lost: list[Missing] = []
    has_content = False
    for item in candidates:
        outcome: Content | Missing = Content(data=b"", git_id="")
        if isinstance(item, Skip):
            yield item
            continue
        if not has_content:
            outcome = blobs.fetch(item.wanted, cached=False)
            has_content = isinstance(outcome, Content)
        if isinstance(outcome, Missing):
            lost.append(outcome)
            if len(lost) == SAMPLED_BLOBS:
                break
        else:
            yield rows.finished(item, outcome)
    if lost and not has_content:
        denied = all(missing.reason == DENIED for missing in lost)
        raise SourceError(
            f"{len(lost)} of {len(lost)} contents asked for could not be had",
            value=f"{url}: {lost[0].reason} ({lost[0].detail})",
            remedy=KEYS_REMEDY if denied else "Check `url`, `region` and `endpoint` under `blobs`.",
        )


def _wanted(item: Candidate | Skip) -> BlobRequest | None:
    return item.wanted if isinstance(item, Candidate) else None


def _candidates(
    slice_: Slice, by_part: Sequence[StackV2Rows], limits: ReadLimits | None
) -> Generator[Candidate | Skip]:
    first = 0
    for part, rows in zip(slice_.parts, by_part, strict=True):
        with open_planned_part(part, limits) as reader:
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
            chosen = _between(batch, cut.start - at, cut.stop - at)
            if chosen is not None:
                for item in rows.read(chosen, shape, first):
                    yield item
                    first += 1
            at += batch.num_rows
    except BrokenGroup as error:
        yield Skip(
            language=part.language,
            reason="corrupt_input",
            row=first,
            rows=cut.stop - cut.start,
            detail=str(error),
            fact=str(error),
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
    named = {folder: folder_language(folder) for folder in folders}
    listed: list[tuple[Entry, str]] = []
    for folder, language in named.items():
        if language in options.wanted():
            inside = place.files(f"{base}/{folder}" if base else folder, recursive="=" in folder)
            listed.extend((entry, language) for entry in inside)
    if not any(named.values()):
        listed.extend((entry, _MIXED) for entry in place.files(base, recursive=False))
    files = {
        entry.name: (entry, language)
        for entry, language in sorted(listed, key=lambda item: item[0].name)
        if format_of(entry.name) == "parquet"
    }
    _check_languages(options, folders, {language for _, language in files.values()})
    return files


def _check_languages(options: TheStackV2Options, folders: Sequence[str], present: set[str]) -> None:
    missing = sorted(set(options.languages or ()) - present) if _MIXED not in present else []
    if missing or not present:
        raise SourceError(
            f"no Parquet file for {', '.join(missing) or 'any supported language'}",
            value=options.path,
            remedy="Expected `data/<language>/*.parquet`; found folders: "
            f"{', '.join(folders)[:300] or 'nothing'}.",
        )


def _rows(planned: Sequence[_Planned]) -> int:
    """Rows of all files; those of a grouped set are repositories, not files."""
    if any(FILES in file.table.columns for file in planned):
        return -1
    return sum(group.rows for file in planned for group in file.table.groups)


def _columns(reader: ParquetReader) -> tuple[str, ...]:
    return shape_of(reader.schema()).columns


def _slices(
    planned: Sequence[_Planned], name: str, slice_bytes: int | None, facts: Mapping[str, object]
) -> tuple[Slice, ...]:
    total = sum(file.weight(group) for file in planned for group in file.table.groups)
    target = target_bytes(total, slice_bytes)
    streams: dict[str, list[list[Unit]]] = {}
    for file in planned:
        streams.setdefault(file.language, []).append(_units(file, target))
    return slice_units(streams, source=name, target=target, facts=facts)


def _units(file: _Planned, target: int) -> list[Unit]:
    """The rows of a file by row group, those over the size of a slice in even pieces."""
    units: list[Unit] = []
    base = 0
    for group in file.table.groups:
        weight = file.weight(group)
        pieces = min(max(1, -(-weight // max(target, MIN_SLICE_BYTES))), max(group.rows, 1))
        cuts = [base + group.rows * part // pieces for part in range(pieces + 1)]
        units.extend(
            (file.table.part(start, stop, file.language), weight * (stop - start) // group.rows)
            for start, stop in zip(cuts, cuts[1:], strict=False)
            if start < stop
        )
        base += group.rows
    return units


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
    entries = [file.table.entry for file in planned]
    files = tuple((f"file {file.name}", file.digest) for file in entries)
    # Another base may be a machine of one's own, which is not to be published.
    public = options.blobs.url.startswith("s3://")
    return (*files, ("contents", options.blobs.url)) if public else files


SOURCE = Source(
    options=TheStackV2Options,
    plan=plan,
    read=read,
    terms=THE_STACK,
    flags_rows=True,
    rows_remedy=REMEDY,
)
