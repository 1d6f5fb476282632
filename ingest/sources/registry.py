"""Every kind of source: one line each, in the order in which `kind` is explained.

`plan` runs on the driver, `read` on a worker. What holds for every kind alike is done here: the
licence that a file states itself, and owners who opted out.
Cost and limits: those of the source. How to add one: docs/extend.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from ingest.files import Progress
from ingest.licenses import LicensePolicy, judged
from ingest.records import Listing, Slice
from ingest.slicing import canonical_digest
from ingest.sources.base import CommonOptions, Records, Sample, Source, without
from ingest.sources.codesearchnet import source as codesearchnet
from ingest.sources.directory import source as directory
from ingest.sources.git_history import source as git_history
from ingest.sources.installed import source as installed
from ingest.sources.pairs import source as pairs
from ingest.sources.the_stack import source as the_stack
from ingest.sources.the_stack_v2 import common_pile
from ingest.sources.the_stack_v2 import source as the_stack_v2
from ingest.transport import ReadLimits

SOURCES: tuple[Source, ...] = (
    installed.SOURCE,
    directory.SOURCE,
    git_history.SOURCE,
    pairs.SOURCE,
    the_stack.SOURCE,
    the_stack_v2.SOURCE,
    codesearchnet.SOURCE,
    common_pile.SOURCE,
)

if TYPE_CHECKING:
    SourceOptions = CommonOptions
else:
    SourceOptions = Annotated[
        Union[tuple(source.options for source in SOURCES)],  # noqa: UP007
        Field(discriminator="kind"),
    ]
"""The options of any source: a pydantic union told apart by `kind`."""


def source_of(options: SourceOptions) -> Source:
    """The source that options are of."""
    return next(source for source in SOURCES if source.kind == options.kind)


def plan(
    options: SourceOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    *,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List a source into slices: see `ingest.sources.base.source.PlanSource`."""
    source = source_of(options)
    listing = source.plan(options, name, policy, slice_bytes, progress, limits, sample)
    if not options.opt_out:
        return listing
    # What is refused decides what a slice gives, whatever its kind.
    slices = (
        replace(
            slice_, digest=canonical_digest({"opt_out": options.opt_out, "slice": slice_.digest})
        )
        for slice_ in listing.slices
    )
    return replace(listing, slices=tuple(slices))


def read(
    options: SourceOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    *,
    limits: ReadLimits | None = None,
    sampled: bool = False,
) -> Records:
    """The records of one slice: see `ingest.sources.base.source.ReadSource`.

    Whatever the kind, a file must be let in by its own words too (`ingest.licenses.file_license`).
    `limits` is this task's share of what may be asked of the Hub (default: all of the default
    budget, as if no other task ran).
    """
    source = source_of(options)
    rows = source.read(options, name, policy, slice_, revision, limits, sampled=sampled)
    records = judged(policy, rows)
    return without(options.opt_out, records) if options.opt_out else records
