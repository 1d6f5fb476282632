"""`opt_out:` of the config: owners and repositories that no source is read for.

An entry is a dataset (its tombstones are honoured), a text file with one `owner` or `owner/repo`
a line, or such a name itself. What exists as a path is a path; what does not exist and looks
like a name is a name: write `./lists/mine` where a missing file must be an error. Only digests
of the names travel to the workers. Cost: the files are read once, by the driver.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ingest import SourceError
from ingest.sources.base import opt_out_names, read_opt_out
from shards.format import ManifestError, load_manifest, repo_sha256
from xtrove.core import Misuse


@dataclass(frozen=True, kw_only=True, slots=True)
class OptOuts:
    """Digests of names, sorted."""

    names: tuple[str, ...]
    """Owners and repositories that a list or the config names."""
    forgotten: tuple[str, ...]
    """Repositories that a named dataset forgot."""


def resolve(entries: Iterable[str], base: Path) -> tuple[str, ...]:
    """The entries with every path absolute; names are left as they are."""
    return tuple(_resolved(entry, base) for entry in entries)


def _resolved(entry: str, base: Path) -> str:
    path = base / Path(entry).expanduser()
    if path.exists() or entry.startswith((".", "/", "~")):
        return str(path.absolute())
    try:
        return opt_out_names([entry])[0]
    except ValueError as error:
        raise Misuse(
            f"opt_out: {entry!r} is no file or dataset that exists, and no name: {error}",
            remedy="name a dataset, a text file, an owner or owner/repo",
        ) from None


def read(entries: Iterable[str]) -> OptOuts:
    """What resolved entries say. Raises `Misuse` for a path that cannot be used."""
    names: set[str] = set()
    forgotten: set[str] = set()
    for entry in entries:
        path = Path(entry)
        if not path.is_absolute():
            names.update(opt_out_names([entry]))
        elif path.is_dir():
            forgotten.update(_of_dataset(path))
        else:
            names.update(_of_file(path))
    return OptOuts(names=tuple(sorted(map(repo_sha256, names))), forgotten=tuple(sorted(forgotten)))


def _of_dataset(path: Path) -> list[str]:
    try:
        return [tombstone.repo_sha256 for tombstone in load_manifest(path).tombstones]
    except ManifestError as error:
        raise Misuse(
            f"opt_out: {error.message}", remedy="name the folder of a finished build"
        ) from None


def _of_file(path: Path) -> tuple[str, ...]:
    try:
        return read_opt_out(path)
    except SourceError as error:
        raise Misuse(f"opt_out: {error.message}", remedy=error.remedy) from None
    except OSError as error:
        raise Misuse(
            f"opt_out: cannot read {path}: {error.strerror}", remedy="name a text file"
        ) from None
