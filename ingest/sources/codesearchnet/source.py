"""Source `codesearchnet`: functions with their docstrings, from any copy of CodeSearchNet.

Method: `ingest.sources.codesearchnet.layout` finds Parquet files, the original zips (members are
read in place) or unpacked JSON lines. Each language is a stream of its own. With `partition:
holdout` only the train rows are emitted, and those of validation and test come out of
`holdout_rows`, to be kept out of everything that is trained on; with `keep` all rows are emitted
with their split. Licences: by repository, from `<language>_licenses.pkl` beside the rows, in the
zips, or under `license_files`; Parquet copies have none, so that without them (and without
`declared_licenses`) every row is refused as `license_unknown`.
Cost: the driver digests local files, reads footers and the directories of zips. Memory of a
worker: one row group or line, and the licence texts of its language
(`ingest.sources.codesearchnet.license_index`). Limits: a compressed file is one piece (30,000 rows
in the originals); six languages. Source: Husain et al., "CodeSearchNet Challenge",
arXiv:1909.09436.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from ingest.errors import SourceError
from ingest.files import Progress
from ingest.formats import BadRow, read_rows
from ingest.languages import suggestion
from ingest.licenses import LicensePolicy
from ingest.records import Listing, Part, Skip, Slice, SourcePair
from ingest.slicing import merged, slice_units, target_of
from ingest.sources.base import (
    CommonOptions,
    HoldoutRow,
    RefusedRow,
    Sample,
    Source,
    unusable,
)
from ingest.sources.codesearchnet.layout import LANGUAGES, SPLIT_NAMES
from ingest.sources.codesearchnet.license_index import LicenseIndex
from ingest.sources.codesearchnet.rows import COLUMNS, CsnRows
from ingest.sources.codesearchnet.survey import BOOK, Survey, read_license_index, survey
from ingest.storage import PlacePath
from ingest.terms import OPEN
from ingest.transport import ReadLimits


def _known(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for item in value or ():
        near = suggestion(item) or item
        if near not in LANGUAGES:
            raise ValueError(f"CodeSearchNet has no {item!r}: it holds {', '.join(LANGUAGES)}")
    return value


class CodeSearchNetOptions(CommonOptions):
    """A copy of CodeSearchNet."""

    kind: Literal["codesearchnet"] = "codesearchnet"
    places: ClassVar[tuple[str, ...]] = ("path", "license_files")
    path: PlacePath
    languages: Annotated[tuple[str, ...] | None, AfterValidator(_known)] = None
    partition: Literal["holdout", "keep"] = "holdout"
    license_files: PlacePath | None = None
    """A place with the licence pickles or the original zips, where `path` has neither."""

    @property
    def keeps_split(self) -> bool:
        """With `partition: keep`."""
        return self.partition == "keep"

    @property
    def holds_out(self) -> bool:
        """With `partition: holdout`."""
        return self.partition == "holdout"

    def splits(self) -> tuple[str, ...]:
        """The splits whose rows are emitted."""
        return ("train",) if self.partition == "holdout" else SPLIT_NAMES


def plan(
    options: CodeSearchNetOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List the rows to emit. Raises `SourceError` when there are none of a wanted language."""
    surveyed = _survey(options, progress, limits, sample)
    return Listing(
        source=name,
        kind=options.kind,
        terms=surveyed.terms,
        revision=surveyed.revision,
        slices=_slices(options, name, policy, slice_bytes, surveyed, options.splits()),
        quarantined=surveyed.quarantined,
        provenance=surveyed.provenance,
        rows=surveyed.rows,
    )


def read(
    options: CodeSearchNetOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourcePair | Skip]:
    """The rows of a slice.

    Raises `ChangedInput` when a file is not the one that was planned, `TransientFault` when
    reading may work later.
    """
    row = 0
    license_index = _license_index(slice_.parts, limits)
    for part in slice_.parts:
        if dict(part.meta)["format"] == BOOK:
            continue
        rows = _reader(options, slice_.source, policy, revision, part, license_index)
        for values in read_rows(part, COLUMNS, limits):
            if isinstance(values, BadRow):
                yield values.skip(part.language, row)
                row += values.rows
            else:
                yield rows.read(values, row)
                row += 1


def holdout_rows(
    options: CodeSearchNetOptions,
    revision: str,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
) -> Iterator[HoldoutRow]:
    """Every row of validation and test of the wanted languages, in a fixed order.

    Nothing with `partition: keep`. A row that is not understood could be the very one that
    leaks, so it raises `SourceError`; `revision` is that of the listing: another one now raises
    it too. Licences are not asked: nothing of these rows is published.
    """
    if not options.holds_out:
        return
    surveyed = _survey(options, progress, limits)
    if surveyed.revision != revision:
        raise SourceError(
            "the source is no longer the one that was planned",
            value=f"{surveyed.revision} (planned: {revision})",
            remedy="Run the same command again.",
        )
    units = [
        unit
        for language in sorted(surveyed.units)
        for split in ("validation", "test")
        for unit in surveyed.units[language].get(split, ())
    ]
    for part in merged(units):
        yield from _holdout_part(options, part, revision, limits)


def _survey(
    options: CodeSearchNetOptions,
    progress: Progress | None,
    limits: ReadLimits | None,
    sample: Sample | None = None,
) -> Survey:
    languages, splits = options.wanted(), options.splits()
    surveyed = survey(
        options.path, options.license_files, languages, splits, progress, limits, sample
    )
    missing = sorted(set(options.languages or ()) - set(surveyed.units))
    if missing or not surveyed.units:
        raise unusable(
            f"no rows of {', '.join(missing) or 'any language of CodeSearchNet'}",
            options.path,
            surveyed.quarantined,
            "Expected `<language>/train-*.parquet`, `<language>.zip` or "
            "`<language>_train_0.jsonl.gz`; download the copy again or mend `path`, or write "
            "`kind: pairs` with `columns:`.",
        )
    return surveyed


def _slices(
    options: CodeSearchNetOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None,
    surveyed: Survey,
    splits: tuple[str, ...],
) -> tuple[Slice, ...]:
    chosen = {
        language: [list(units[split]) for split in splits if units.get(split)]
        for language, units in surveyed.units.items()
    }
    return slice_units(
        chosen,
        source=name,
        target=target_of(chosen, slice_bytes),
        facts=_facts(options, policy, surveyed.revision),
        beside=surveyed.license_indexes,
    )


def _facts(
    options: CodeSearchNetOptions, policy: LicensePolicy, revision: str
) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "declared": list(options.declared_licenses),
        "partition": options.partition,
        "policy": policy.policy_digest(),
        "revision": revision,
    }


def _reader(
    options: CodeSearchNetOptions,
    source: str,
    policy: LicensePolicy,
    revision: str,
    part: Part,
    license_index: LicenseIndex | None,
) -> CsnRows:
    split = dict(part.meta)["split"]
    return CsnRows(
        source=source,
        revision=revision,
        language=part.language,
        split=split,
        partition=split if options.partition == "keep" else "",
        options=options,
        policy=policy,
        license_index=license_index,
    )


def _holdout_part(
    options: CodeSearchNetOptions, part: Part, revision: str, limits: ReadLimits | None
) -> Iterator[HoldoutRow]:
    rows = _reader(options, "", LicensePolicy(), revision, part, None)
    for number, values in enumerate(read_rows(part, COLUMNS, limits), start=1):
        try:
            if isinstance(values, BadRow):
                raise RefusedRow(values.reason, values.detail)
            yield rows.holdout(values)
        except RefusedRow as error:
            raise SourceError(
                "a row that must be held out cannot be read",
                value=f"{part.name}, row {number} from row group {part.start}: {error}",
                remedy="Get this file again; with `partition: keep` nothing is held out.",
            ) from error


def _license_index(parts: tuple[Part, ...], limits: ReadLimits | None) -> LicenseIndex | None:
    for part in parts:
        if dict(part.meta)["format"] == BOOK:
            return _cached_license_index(part, limits)
    return None


@lru_cache(maxsize=1)
def _cached_license_index(part: Part, limits: ReadLimits | None) -> LicenseIndex:
    """The index of the last slice: the next one of a worker is most often of its language."""
    return read_license_index(part, limits)


SOURCE = Source(
    options=CodeSearchNetOptions,
    plan=plan,
    read=read,
    terms=OPEN,
    holdout=holdout_rows,
    license_remedy="CodeSearchNet's Parquet copies name no licences: give `license_files:` (the "
    "original zips or `<language>_licenses.pkl`), or `declared_licenses:`; else every row is "
    "refused.",
    rows_remedy="This is no copy of CodeSearchNet: check `path`, or write `kind: pairs` with "
    "`columns:`.",
)
