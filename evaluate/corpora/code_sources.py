"""Where the code of a corpus is read from: the standard library, a package, a folder, a checkout.

Method: the standard library and packages through the source `installed`, so that files, paths
and repositories are those a dataset would have; a folder by the same walk of untrusted files.
In a git checkout only what the commit holds is read, so that a corpus is not what happens to
lie about; what git cannot read is an error.
Cost: a walk and one read of every file (two for what is installed: it is digested first).
Limits: files up to 1 MB; links are not followed; a checkout inside the folder belongs to it.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from evaluate.corpora.chunking import CodeFile
from evaluate.corpora.rows import CorpusError
from ingest import LANGUAGES, MAX_FILE_BYTES, Part, SourceError, settled_language
from ingest.files import Checkout, Found, excluded, read_capped, read_checkout, walk
from ingest.licenses import LicensePolicy
from ingest.sources.installed import InstalledOptions, plan

STDLIB = "stdlib:"
PACKAGE = "package:"


@dataclass(frozen=True, kw_only=True, slots=True)
class CodePlace:
    """Files that can be read, and what they belong to."""

    name: str
    revision: str
    files: tuple[tuple[str, str, str, str], ...]
    """(path in the corpus, path on this machine, language, repository), sorted."""
    unreadable: Mapping[str, str]
    """Path -> why a file could not even be listed as readable."""

    def read(self) -> Iterator[CodeFile]:
        """The files, one at a time; one that changed into something unreadable is left out."""
        for path, location, language, repo in self.files:
            content = read_capped(location, MAX_FILE_BYTES)
            if content is not None:
                yield CodeFile(
                    path=path,
                    language=settled_language(language, path, content),
                    content=content,
                    repo=repo,
                )


def stdlib(*, languages: Sequence[str] | None = None, exclude: Sequence[str] = ()) -> CodePlace:
    """The standard library of the Python that runs; paths begin with `Lib/`, as in its
    repository."""
    options = InstalledOptions(packages=(), stdlib=True, languages=_tuple(languages))
    revision = f"python {platform.python_version()}"
    return _installed(options, "stdlib", revision, exclude)


def package(
    name: str, *, languages: Sequence[str] | None = None, exclude: Sequence[str] = ()
) -> CodePlace:
    """The files of an installed package, paths as in its RECORD."""
    options = InstalledOptions(packages=(name,), stdlib=False, languages=_tuple(languages))
    try:
        revision = f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError as error:
        raise CorpusError(f"package {name!r} is not installed: run `pip install {name}`") from error
    return _installed(options, f"package-{name}", revision, exclude)


def folder(
    root: Path,
    *,
    languages: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    suffixes: Sequence[str] = (),
) -> CodePlace:
    """The files of a folder; `suffixes` (".md") names text files that are read as windows.

    Raises `CorpusError` where there is no such folder or nothing in it to read.
    """
    if not root.is_dir():
        raise CorpusError(f"no folder {str(root)!r}: name one, or stdlib: or package:NAME")
    chosen = frozenset(languages or LANGUAGES)
    # Files of no language are listed under "".
    tree = walk(root, languages=chosen | ({""} if suffixes else set()), exclude=exclude)
    checkout = _checkout(root) if "" in tree.checkouts else None
    files = [
        file
        for file in tree.files
        if (file.language or PurePosixPath(file.name).suffix.lower() in suffixes)
        and _is_tracked(file, checkout, tree.checkouts)
    ]
    if not any(not file.problem for file in files):
        raise CorpusError(f"no readable file in {str(root)!r}: check languages and exclude")
    repo = checkout.repo if checkout is not None else root.resolve().name
    return CodePlace(
        name=root.resolve().name,
        revision=checkout.commit if checkout is not None else "",
        files=tuple(
            (file.name, file.path, file.language, repo) for file in files if not file.problem
        ),
        unreadable={file.name: file.problem for file in files if file.problem},
    )


def _checkout(root: Path) -> Checkout:
    try:
        # Only the list of paths comes from git here, so that a worktree of a repository
        # elsewhere shows nothing of it.
        return read_checkout(root, inside=Path(root.absolute().anchor))
    except SourceError as error:
        raise CorpusError(str(error)) from error


def _is_tracked(file: Found, checkout: Checkout | None, checkouts: Sequence[str]) -> bool:
    if checkout is None:
        return True
    inner = any(inner_path and file.name.startswith(f"{inner_path}/") for inner_path in checkouts)
    return inner or file.name in checkout.blobs


def _installed(
    options: InstalledOptions, name: str, revision: str, exclude: Sequence[str]
) -> CodePlace:
    try:
        listing = plan(options, name, LicensePolicy())
    except SourceError as error:
        raise CorpusError(str(error)) from error
    parts = [part for slice_ in listing.slices for part in slice_.parts]
    readable = [_entry(part) for part in parts if "skip" not in dict(part.meta)]
    return CodePlace(
        name=name,
        revision=revision,
        files=tuple(sorted(entry for entry in readable if not excluded(entry[0], exclude))),
        unreadable={
            part.name: dict(part.meta)["skip"] for part in parts if "skip" in dict(part.meta)
        },
    )


def _entry(part: Part) -> tuple[str, str, str, str]:
    meta = dict(part.meta)
    return meta["path"], part.path, part.language, meta["repo"]


def _tuple(languages: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if languages is None else tuple(languages)
