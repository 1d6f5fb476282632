"""The repositories in a folder: checkouts, bare repositories, and what lies outside of them.

Method: one walk finds every `.git`; each checkout is a repository of its own with its own remote
and commit, also a submodule (at the commit that is checked out in it), a worktree and a clone
inside a clone. A folder inside a checkout is read as that part of it. The files of a checkout are
those of its commit, listed by git; with `committed_only: false` those of the index that the walk
finds. Licence files of a checkout are those of its commit, above the folder too. What is outside
of any checkout belongs to a repository named after the folder.
Cost: the walk, and four git processes a checkout (15 ms). Limits: of a submodule that is not
checked out nothing is read; a bare repository inside a checkout is none of its own; the names
that the walk leaves out (hidden folders, `node_modules`, virtual environments) are left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ingest.errors import SourceError
from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files.git_blobs import BlobReader, blob_sizes
from ingest.files.git_checkout import Checkout, checkout_above, read_checkout, tracked_files
from ingest.files.git_process import GitFault
from ingest.files.tree_walk import (
    INVALID_PATH,
    MISSING,
    SYMLINK,
    TOO_LARGE,
    VIRTUAL_ENVIRONMENT,
    Found,
    Tree,
    escaped,
    excluded,
    read_in_folder,
    skipped_folder,
    walk,
)
from ingest.languages import wanted_language
from ingest.licenses import MAX_NOTICE_BYTES, LicenseFiles, is_notice


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What to take of a folder."""

    wanted: frozenset[str]
    exclude: tuple[str, ...] = ()
    committed_only: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """One repository in a folder."""

    name: str
    prefix: str = ""
    """Its folder relative to the source; "" for the source itself."""
    above: str = ""
    """The source's folder relative to the repository, where the source is a part of it."""
    checkout: Checkout | None = None
    committed: bool = False
    """Whether the files are blobs of the commit, not files of the folder."""
    license_files: LicenseFiles
    files: tuple[Found, ...] = ()

    def path_of(self, name: str) -> str:
        """The path in the repository of a file, whose name is relative to the source."""
        inner = _inner(name, self.prefix)
        return f"{self.above}/{inner}" if self.above else inner

    def blob_of(self, name: str) -> str:
        """The object id of a file of the commit; "" if it has none of that name."""
        return self.checkout.blobs.get(self.path_of(name), "") if self.checkout else ""


def repositories(root: Path, choice: Choice, blobs: BlobReader) -> list[Repository]:
    """All repositories with a file of the wanted languages; licences are read through `blobs`.

    Raises `SourceError` for a checkout that git cannot read.
    """
    tree = walk(root, languages=choice.wanted, exclude=choice.exclude)
    checkouts, above = _checkouts(root, tree)
    prefixes = frozenset({"", *checkouts})
    owned: dict[str, list[Found]] = {prefix: [] for prefix in sorted(prefixes)}
    for file in tree.files:
        owned[_owner(file.name, prefixes)].append(file)
    listed = []
    for prefix, files in owned.items():
        checkout = checkouts.get(prefix)
        if checkout is None:
            license_files = _license_files_of_folder(root, tree, prefixes)
            listed.append(
                Repository(name=root.name, license_files=license_files, files=tuple(files))
            )
            continue
        repository = Repository(
            prefix=prefix,
            above="" if prefix else above,
            name=checkout.repo,
            checkout=checkout,
            committed=choice.committed_only or prefix in tree.bare,
            license_files=license_files_of_commit(checkout, blobs),
        )
        chosen = (
            _committed(repository, checkout, choice, prefixes)
            if repository.committed
            else _tracked(repository, checkout, files)
        )
        listed.append(replace(repository, files=tuple(chosen)))
    return [repository for repository in listed if repository.files]


def _checkouts(root: Path, tree: Tree) -> tuple[dict[str, Checkout], str]:
    """Folder -> checkout, and the source's own folder in the one at "", if that lies above."""
    checkouts = {prefix: read_checkout(root / prefix, inside=root) for prefix in tree.checkouts}
    above = ""
    top = checkout_above(root) if "" not in {*tree.checkouts, *tree.bare} else None
    if top is not None:
        checkouts[""] = read_checkout(top, inside=top)
        above = root.resolve().relative_to(top).as_posix()
    known = frozenset(checkouts)
    for prefix in tree.bare:
        if not prefix or _owner(prefix, known) not in known:
            checkouts[prefix] = read_checkout(root / prefix, inside=root)
    return checkouts, above


def _license_files_of_folder(root: Path, tree: Tree, prefixes: frozenset[str]) -> LicenseFiles:
    """The licence files outside of any checkout."""
    folders = {
        folder: names
        for folder, names in tree.notices.items()
        if not _owner(f"{folder}/x", prefixes)
    }

    def read(path: str) -> bytes | None:
        inside = not _owner(path, prefixes)
        return read_in_folder(root, path, MAX_NOTICE_BYTES) if inside else None

    return LicenseFiles(folders, read)


def license_files_of_commit(checkout: Checkout, blobs: BlobReader) -> LicenseFiles:
    """The licence files of a commit, links too: the bytes of a link are where it points."""
    ids = {**checkout.links, **checkout.blobs}
    folders: dict[str, tuple[str, ...]] = {}
    for path in sorted(ids):
        folder, _, leaf = path.rpartition("/")
        if is_notice(path):
            folders[folder] = (*folders.get(folder, ()), leaf)

    def read(path: str) -> bytes | None:
        blob = ids.get(path)
        if blob is None or blob in checkout.missing:
            return None
        return blobs.read(checkout.git_dir, blob, MAX_NOTICE_BYTES)

    return LicenseFiles(folders, read)


def _committed(
    repository: Repository, checkout: Checkout, choice: Choice, prefixes: frozenset[str]
) -> list[Found]:
    """The wanted files of a commit, sorted by name; sizes come from git.

    Raises `SourceError` when git cannot tell the sizes.
    """
    environments = {
        path.rpartition("/")[0]
        for path in checkout.blobs
        if path.endswith(f"/{VIRTUAL_ENVIRONMENT}")
    }
    named: list[tuple[str, str, str]] = []
    for path in (*checkout.blobs, *checkout.links):
        name = _name(repository, path)
        language = wanted_language(name, choice.wanted)
        if (
            name
            and language in choice.wanted
            and not any(map(skipped_folder, name.split("/")[:-1]))
            and not excluded(name, choice.exclude)
            # A checkout that lies in another's folder owns what is in it.
            and _owner(name, prefixes) == repository.prefix
            and not (environments and _is_below(path, environments))
        ):
            named.append((name, path, language))
    ids = (checkout.blobs[path] for _, path, _ in named if path in checkout.blobs)
    try:
        sizes = blob_sizes(checkout.git_dir, [blob for blob in ids if blob not in checkout.missing])
    except GitFault as fault:
        raise SourceError(
            "git cannot tell the sizes of the files of this checkout",
            value=checkout.git_dir,
            remedy=f"Clone it again (`git fsck` says what is damaged). Git said: {fault}",
        ) from fault
    return [_found(checkout, *blob, sizes) for blob in sorted(named)]


def _name(repository: Repository, path: str) -> str:
    """The name relative to the source; "" for what lies outside of it."""
    if repository.above:
        above = f"{repository.above}/"
        return path.removeprefix(above) if path.startswith(above) else ""
    return f"{repository.prefix}/{path}" if repository.prefix else path


def _found(
    checkout: Checkout, name: str, path: str, language: str, sizes: Mapping[str, int]
) -> Found:
    size = sizes.get(checkout.blobs.get(path, ""))
    if path in checkout.links:
        problem = SYMLINK
    elif escaped(name) != name or {"", ".", ".."} & set(path.split("/")):
        problem = INVALID_PATH
    elif size is None:
        problem = MISSING
    else:
        problem = TOO_LARGE if size > MAX_FILE_BYTES else ""
    return Found(
        name=escaped(name),
        path=checkout.git_dir,
        size=size or 0,
        language=language,
        problem=problem,
    )


def _tracked(repository: Repository, checkout: Checkout, files: list[Found]) -> list[Found]:
    """The files of the folder that are in the index, and what could not be looked at."""
    tracked = tracked_files(checkout)
    return [
        file
        for file in files
        # An escaped name cannot be looked up; it is refused anyway, and counted.
        if not file.language
        or file.problem == INVALID_PATH
        or repository.path_of(file.name) in tracked
    ]


def _owner(name: str, prefixes: frozenset[str]) -> str:
    """The nearest repository above a file."""
    folder = name.rpartition("/")[0]
    while folder and folder not in prefixes:
        folder = folder.rpartition("/")[0]
    return folder


def _inner(name: str, prefix: str) -> str:
    return name.removeprefix(f"{prefix}/") if prefix else name


def _is_below(path: str, folders: set[str]) -> bool:
    return any(str(parent) in folders for parent in PurePosixPath(path).parents)
