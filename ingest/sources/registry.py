"""Every kind of source behind one pair of functions: `plan` on the driver, `read` on a worker.

Method: the config's `kind` chooses the options model, and the options choose the module.
Cost and limits: those of the source. A new kind adds a module with its options, `plan` and
`read`, and a line in each of the two functions here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, assert_never

from pydantic import Field

from ingest.files import Progress
from ingest.licenses import LicensePolicy, judged
from ingest.records import Listing, Skip, Slice, SourceFile, SourcePair
from ingest.slicing import canonical_digest
from ingest.sources.base import without
from ingest.sources.codesearchnet import CodeSearchNetOptions
from ingest.sources.codesearchnet import source as codesearchnet
from ingest.sources.directory import DirectoryOptions
from ingest.sources.directory import source as directory
from ingest.sources.installed import InstalledOptions
from ingest.sources.installed import source as installed
from ingest.sources.pairs import PairsOptions
from ingest.sources.pairs import source as pairs
from ingest.sources.the_stack import TheStackOptions
from ingest.sources.the_stack import source as the_stack
from ingest.sources.the_stack_v2 import CommonPileOptions, TheStackV2Options, common_pile
from ingest.sources.the_stack_v2 import source as the_stack_v2
from ingest.storage import absolute
from ingest.transport import HubOptions, ReadLimits

__all__ = [
    "CodeSearchNetOptions",
    "CommonPileOptions",
    "DirectoryOptions",
    "HubOptions",
    "InstalledOptions",
    "PairsOptions",
    "ReadLimits",
    "SourceOptions",
    "TheStackOptions",
    "TheStackV2Options",
    "describe",
    "plan",
    "read",
    "resolve_paths",
]

SourceOptions = Annotated[
    InstalledOptions
    | DirectoryOptions
    | PairsOptions
    | TheStackOptions
    | TheStackV2Options
    | CodeSearchNetOptions
    | CommonPileOptions,
    Field(discriminator="kind"),
]
"""The options of any source: a pydantic union told apart by `kind`."""


def plan(
    options: SourceOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    *,
    limits: ReadLimits | None = None,
) -> Listing:
    """List a source into slices at the revision found now; paths must be absolute.

    `slice_bytes` is the size wanted of a slice (default: a function of the input);
    `progress` hears of the bytes that were hashed; `limits` hold for requests to the Hub and
    other places. Raises `SourceError` when the source cannot be used, `TransientFault` when it
    may be later.
    """
    listing = _plan(options, name, policy, slice_bytes, progress, limits)
    if not options.opt_out:
        return listing
    # What is refused decides what a slice gives, whatever its kind.
    slices = (
        replace(one, digest=canonical_digest({"opt_out": options.opt_out, "slice": one.digest}))
        for one in listing.slices
    )
    return replace(listing, slices=tuple(slices))


def read(
    options: SourceOptions,
    name: str,
    policy: LicensePolicy,
    piece: Slice,
    revision: str,
    *,
    limits: ReadLimits | None = None,
) -> Iterator[SourceFile | SourcePair | Skip]:
    """The records of one slice, one for each row or file, `row` strictly increasing.

    Whatever the kind, a file must be let in by its own words too (`ingest.licenses.file_license`).

    `revision` is that of the listing; `limits` is this task's share of what may be asked of the
    Hub (default: all of the default budget, as if no other task ran). Raises `ChangedInput` when
    the input is no longer what was planned, `TransientFault` when reading may work later.
    """
    records = judged(policy, _read(options, name, policy, piece, revision, limits))
    return without(options.opt_out, records) if options.opt_out else records


def _plan(
    options: SourceOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None,
    progress: Progress | None,
    limits: ReadLimits | None,
) -> Listing:
    match options:
        case InstalledOptions():
            return installed.plan(options, name, policy, slice_bytes, progress)
        case DirectoryOptions():
            return directory.plan(options, name, policy, slice_bytes, progress)
        case PairsOptions():
            return pairs.plan(options, name, policy, slice_bytes, progress, limits)
        case CommonPileOptions():
            return common_pile.plan(options, name, policy, slice_bytes, progress, limits)
        case CodeSearchNetOptions():
            return codesearchnet.plan(options, name, policy, slice_bytes, progress, limits)
        case TheStackOptions():
            return the_stack.plan(options, name, policy, slice_bytes, progress, limits)
        case TheStackV2Options():
            return the_stack_v2.plan(options, name, policy, slice_bytes, progress, limits)
        case _ as unreachable:
            assert_never(unreachable)


def _read(
    options: SourceOptions,
    name: str,
    policy: LicensePolicy,
    piece: Slice,
    revision: str,
    limits: ReadLimits | None,
) -> Iterator[SourceFile | SourcePair | Skip]:
    match options:
        case InstalledOptions():
            return installed.read(options, name, policy, piece, revision)
        case DirectoryOptions():
            return directory.read(options, name, policy, piece, revision)
        case PairsOptions():
            return pairs.read(options, name, policy, piece, revision, limits)
        case CommonPileOptions():
            return common_pile.read(options, name, policy, piece, revision, limits)
        case CodeSearchNetOptions():
            return codesearchnet.read(options, name, policy, piece, revision, limits)
        case TheStackOptions():
            return the_stack.read(options, name, policy, piece, revision, limits)
        case TheStackV2Options():
            return the_stack_v2.read(options, name, policy, piece, revision, limits)
        case _ as unreachable:
            assert_never(unreachable)


def resolve_paths(options: SourceOptions, base: Path) -> SourceOptions:
    """The same options with what workers need: absolute paths, and the lists of opt-outs read.

    `~` is home, other local paths are relative to `base`, URIs stay as they are.
    """
    options = options.with_opt_outs(base)
    if isinstance(options, InstalledOptions):
        return options
    if isinstance(options, TheStackV2Options):
        options = options.resolved(base)
    paths = {"path": absolute(options.path, base)}
    if isinstance(options, CodeSearchNetOptions) and options.license_files is not None:
        paths["license_files"] = absolute(options.license_files, base)
    return options.model_copy(update=paths)


def describe(options: SourceOptions) -> str:
    """One line for people: the kind and what it reads."""
    languages = ", ".join(options.languages or ("all languages",))
    if isinstance(options, InstalledOptions):
        packages = options.packages
        chosen = packages if isinstance(packages, str) else ", ".join(packages)
        library = "standard library and " if options.stdlib else ""
        return f"installed: {library}packages ({chosen or 'none'}), {languages}"
    return f"{options.kind}: {options.path}, {languages}"
