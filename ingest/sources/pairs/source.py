"""Source `pairs`: ready pairs of query and code, as JSON lines, CSV or Parquet.

Method: files are told apart by their names (`ingest.formats.file_names`) and cut into pieces by
`ingest.sources.pairs.layout`; each row becomes one record (`ingest.sources.base.pair_row`), good or
bad. A folder is read with all that is beneath it, folders called `language=python` included.
Cost: each byte is read twice, once by the driver (if the file is local) and once by a worker.
Limits: lines up to 8 MB; a compressed or CSV file is one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator

from ingest.files import Progress
from ingest.formats import BadRow, format_of, read_rows
from ingest.languages import LANGUAGES, suggestion
from ingest.licenses import LicensePolicy
from ingest.records import Listing, Skip, Slice, SourcePair
from ingest.slicing import slice_units
from ingest.sources.base import Columns, CommonOptions, RowReader, Sample, Source, unusable
from ingest.sources.pairs.layout import OTHER, OTHER_REASON, READ, survey, table_columns
from ingest.storage import PlacePath, pin, revision_of, terms_at
from ingest.terms import OPEN
from ingest.transport import ReadLimits

REMEDY = (
    f"Put files with rows there ({', '.join(READ)}), and name the columns that they have: "
    "`columns: {query: docstring, code: body}`."
)


def _readable(value: str) -> str:
    if value.lower().endswith(OTHER) and format_of(value) is None:
        raise ValueError(f"{value!r}: {OTHER_REASON}")
    return value


def _language(value: str) -> str:
    if value and value not in LANGUAGES:
        near = suggestion(value)
        hint = f"did you mean {near!r}?" if near else f"known are {', '.join(LANGUAGES)}"
        raise ValueError(f"unknown language {value!r}: {hint}")
    return value


class PairsOptions(CommonOptions):
    """Ready pairs in a file or a folder of files."""

    kind: Literal["pairs"] = "pairs"
    path: Annotated[PlacePath, AfterValidator(_readable)]
    columns: Columns = Columns()
    language: Annotated[str, AfterValidator(_language)] = ""
    """Of rows that name none."""


def plan(
    options: PairsOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List the files of pairs. Raises `SourceError` when none can be read."""
    place = pin(options.path, limits)
    surveyed = survey(place.files(), options.columns, slice_bytes, progress, limits, sample)
    if not any(surveyed.groups):
        raise unusable("no file of pairs can be read", options.path, surveyed.quarantined, REMEDY)
    readable = [
        (entry, group)
        for entry, group in zip(surveyed.entries, surveyed.groups, strict=True)
        if group
    ]
    revision = revision_of(place, [entry for entry, _ in readable])
    facts = _facts(options, policy, revision)
    return Listing(
        source=name,
        kind=options.kind,
        terms=terms_at(place),
        revision=revision,
        slices=slice_units({"": surveyed.groups}, source=name, target=surveyed.target, facts=facts),
        quarantined=surveyed.quarantined,
        provenance=tuple((f"file {entry.name}", entry.digest) for entry, _ in readable),
        rows=surveyed.rows,
    )


def read(
    options: PairsOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourcePair | Skip]:
    """The rows of a slice.

    Raises `ChangedInput` (after the last row of the part) when the bytes are not those that
    were planned, `TransientFault` when reading may work later.
    """
    reader = RowReader(
        source=slice_.source,
        revision=revision,
        columns=options.columns,
        language=options.language,
        options=options,
        policy=policy,
    )
    columns = table_columns(options.columns)
    row = 0
    for part in slice_.parts:
        for values in read_rows(part, columns, limits):
            if isinstance(values, BadRow):
                yield values.skip("", row)
                row += values.rows
            else:
                yield reader.read(values, row)
                row += 1


def _facts(options: PairsOptions, policy: LicensePolicy, revision: str) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "columns": options.columns.model_dump(),
        "language": options.language,
        "languages": sorted(options.wanted()),
        "declared": list(options.declared_licenses),
        "policy": policy.policy_digest(),
        "revision": revision,
    }


SOURCE = Source(options=PairsOptions, plan=plan, read=read, terms=OPEN, rows_remedy=REMEDY)
