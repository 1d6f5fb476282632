"""Every kind of source behind one pair of functions: `plan` on the driver, `read` on a worker.

Method: the config's `kind` chooses the options model, and the options choose the module.
Cost and limits: those of the source. A new kind adds a module with its options, `plan` and
`read`, and a line in each of the two functions here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, assert_never

from pydantic import Field

from ingest import directory, installed, pairs, the_stack
from ingest.digests import Progress
from ingest.directory import DirectoryOptions
from ingest.installed import InstalledOptions
from ingest.licenses import LicensePolicy
from ingest.pairs import PairsOptions
from ingest.records import Listing, Skip, Slice, SourceFile, SourcePair
from ingest.the_stack import TheStackOptions

__all__ = [
    "DirectoryOptions",
    "InstalledOptions",
    "PairsOptions",
    "SourceOptions",
    "TheStackOptions",
    "describe",
    "plan",
    "read",
    "resolve_paths",
]

SourceOptions = Annotated[
    InstalledOptions | DirectoryOptions | PairsOptions | TheStackOptions,
    Field(discriminator="kind"),
]
"""The options of any source: a pydantic union told apart by `kind`."""


def plan(
    options: SourceOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
) -> Listing:
    """List a source into slices at the revision found now; paths must be absolute.

    `slice_bytes` is the size wanted of a slice (default: a function of the input);
    `progress` hears of the bytes that were hashed. Raises `SourceError` when the source cannot
    be used, `TransientFault` when it may be later.
    """
    match options:
        case InstalledOptions():
            return installed.plan(options, name, policy, slice_bytes, progress)
        case DirectoryOptions():
            return directory.plan(options, name, policy, slice_bytes, progress)
        case PairsOptions():
            return pairs.plan(options, name, policy, slice_bytes, progress)
        case TheStackOptions():
            return the_stack.plan(options, name, policy, slice_bytes, progress)
        case _ as unreachable:
            assert_never(unreachable)


def read(
    options: SourceOptions, name: str, policy: LicensePolicy, piece: Slice, revision: str
) -> Iterator[SourceFile | SourcePair | Skip]:
    """The records of one slice, one for each row or file, `row` strictly increasing.

    `revision` is that of the listing. Raises `ChangedInput` when the input is no longer what
    was planned, `TransientFault` when reading may work later.
    """
    match options:
        case InstalledOptions():
            return installed.read(options, name, policy, piece, revision)
        case DirectoryOptions():
            return directory.read(options, name, policy, piece, revision)
        case PairsOptions():
            return pairs.read(options, name, policy, piece, revision)
        case TheStackOptions():
            return the_stack.read(options, name, policy, piece, revision)
        case _ as unreachable:
            assert_never(unreachable)


def resolve_paths(options: SourceOptions, base: Path) -> SourceOptions:
    """The same options with an absolute path: `~` is home, others are relative to `base`."""
    if isinstance(options, InstalledOptions):
        return options
    path = (base.absolute() / Path(options.path).expanduser()).resolve()
    return options.model_copy(update={"path": str(path)})


def describe(options: SourceOptions) -> str:
    """One line for people: the kind and what it reads."""
    languages = ", ".join(options.languages or ("all languages",))
    if isinstance(options, InstalledOptions):
        packages = options.packages
        chosen = packages if isinstance(packages, str) else ", ".join(packages)
        library = "standard library and " if options.stdlib else ""
        return f"installed: {library}packages ({chosen or 'none'}), {languages}"
    return f"{options.kind}: {options.path}, {languages}"
