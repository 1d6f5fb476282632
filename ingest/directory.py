"""Source `directory`: a folder, a git checkout, a folder of checkouts, or an archive.

Method: one walk finds the files, the checkouts in it and the licence files. Each checkout is a
repository of its own, with its files taken from its commit (untracked files are not read);
what lies outside any checkout belongs to a repository named after the folder. A file whose
bytes are the commit's carries the commit and, on GitHub, a link; one that was edited carries
`<commit>-dirty` and no link; where git cannot say, `<commit>-unverified` and no link.
A git address (`git+https://...@REF`) is fetched at one commit (`ingest.git_clone`), and
an archive (`ingest.archives`) is one repository, called after the file.
Cost: a walk, one git process per checkout, and one read of every file.
Limits: files up to 1 MB; links are not followed; a subfolder of a checkout is a plain folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from ingest.archives import Kind, Member, archive_kind, scan
from ingest.compressed import BrokenStream
from ingest.digests import FileDigest, Progress, Wish, digest_files
from ingest.errors import SourceError
from ingest.files import Origin, file_part, read_files, slice_files
from ingest.git import Checkout, read_checkout
from ingest.git_clone import COMMIT, checkout, is_git_url, parse, resolve
from ingest.licenses import LicensePolicy
from ingest.notices import MAX_NOTICE_BYTES, Notices
from ingest.options import CommonOptions, LocalPath, local_path
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import content_revision
from ingest.walk import INVALID_PATH, MAX_FILE_BYTES, Found, Tree, read_capped, walk


def _code_path(value: str) -> str:
    if is_git_url(value):
        parse(value)
        return value
    return local_path(value)


class DirectoryOptions(CommonOptions):
    """A folder or archive of source code on this machine, or a git repository anywhere."""

    kind: Literal["directory"] = "directory"
    path: Annotated[str, AfterValidator(_code_path)]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")] | None = None
    """Name of the repository of `path` itself; default: its origin, or the folder's name."""
    exclude: tuple[str, ...] = ()
    """Globs over relative paths; `*` crosses `/`; a folder takes out all beneath it."""
    cache: LocalPath = "~/.cache/xtrove/git"
    """Where checkouts of git addresses are kept, on every machine that reads them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unit:
    """One repository in the folder."""

    prefix: str
    """Its folder relative to the source; "" for the root."""
    repo: str
    checkout: Checkout | None
    notices: Notices
    files: tuple[Found, ...]


def plan(
    options: DirectoryOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
) -> Listing:
    """List a folder. Raises `SourceError` if it is none or holds no file of the languages."""
    if is_git_url(options.path):
        address = parse(options.path)
        root = checkout(address, resolve(address), _cache(options))
        options = options.model_copy(
            update={"path": str(root), "repo": options.repo or address.repo}
        )
    root = Path(options.path)
    kind = archive_kind(options.path) if root.is_file() else None
    if not root.is_dir() and kind is None:
        raise SourceError(
            "the path of this source is neither a folder nor an archive",
            value=options.path,
            remedy="Name an existing folder, .zip, .tar or .tar.gz under `path`.",
        )
    if kind is not None:
        units, groups, broken = _archive(options, root, kind)
    else:
        tree = walk(root, wanted=options.wanted(), exclude=options.exclude)
        units, broken = _units(options, root, tree), ""
        groups = [_parts(options, unit, progress) for unit in units]
    entries = [(part.name, part.digest) for group in groups for part in group]
    if not any(digest for _, digest in entries):
        raise SourceError(
            f"no readable file of {', '.join(sorted(options.wanted()))}",
            value=options.path,
            remedy=f"{broken}. Get it again."
            if broken
            else "Check `path`, `languages`, `exclude`.",
        )
    revision = _revision(units, groups) or content_revision(entries)
    facts = _facts(options, policy, revision)
    return Listing(
        source=name,
        kind=options.kind,
        revision=revision,
        slices=slice_files(groups, source=name, slice_bytes=slice_bytes, facts=facts),
        quarantined=(Quarantine(name=root.name, reason=broken),) if broken else (),
        provenance=_provenance(units, groups),
    )


def read(
    options: DirectoryOptions, name: str, policy: LicensePolicy, piece: Slice, revision: str
) -> Iterator[SourceFile | Skip]:
    """The files of a slice: see `ingest.files.read_files`.

    Of a git address, the commit that was planned is fetched if this machine does not have it.
    """
    commit = COMMIT.match(revision)
    if is_git_url(options.path) and commit is not None:
        root = checkout(parse(options.path), commit[0], _cache(options))
        parts = (replace(part, path=str(root / part.name)) for part in piece.parts)
        piece = replace(piece, parts=tuple(parts))
    return read_files(policy, piece, revision)


def _cache(options: DirectoryOptions) -> Path:
    return Path(options.cache).expanduser().absolute()


def _archive(
    options: DirectoryOptions, path: Path, kind: Kind
) -> tuple[list[_Unit], list[list[Part]], str]:
    """An archive as one repository, and what is broken about it."""
    try:
        contents = scan(str(path), kind, options.wanted(), options.exclude)
    except BrokenStream as error:
        raise SourceError(
            "this archive cannot be read", value=path.name, remedy=f"{error}. Get it again."
        ) from error
    folders: dict[str, tuple[str, ...]] = {}
    for name in contents.notices:
        folder, _, leaf = name.rpartition("/")
        folders[folder] = (*folders.get(folder, ()), leaf)
    unit = _Unit(
        prefix="",
        repo=options.repo or path.name.partition(".")[0] or path.name,
        checkout=None,
        notices=Notices(folders, contents.notices.get),
        files=tuple(one.found for one in contents.members),
    )
    parts = [_member_part(options, unit, one, path, kind) for one in contents.members]
    return [unit], [parts], contents.broken


def _member_part(
    options: DirectoryOptions, unit: _Unit, member: Member, path: Path, kind: Kind
) -> Part:
    if member.found.problem:
        return file_part(member.found, None, None)
    digest = FileDigest(size=member.found.size, sha256=member.digest)
    part = file_part(member.found, digest, _origin(options, unit, member.found, digest))
    return replace(
        part,
        path=str(path),
        start=member.start,
        stop=member.start + member.found.size,
        meta=tuple(sorted((*part.meta, ("archive", kind), ("stored", member.stored)))),
    )


def _units(options: DirectoryOptions, root: Path, tree: Tree) -> list[_Unit]:
    prefixes = {"", *tree.checkouts}
    checkouts = {prefix: read_checkout(root / prefix) for prefix in tree.checkouts}
    owned: dict[str, list[Found]] = {prefix: [] for prefix in sorted(prefixes)}
    for found in tree.files:
        prefix = _owner(found.name, prefixes)
        if _is_tracked(found, prefix, checkouts.get(prefix)):
            owned[prefix].append(found)
    return [
        _Unit(
            prefix=prefix,
            repo=_repo(options, root, prefix, checkouts.get(prefix)),
            checkout=checkouts.get(prefix),
            notices=_notices(root / prefix, tree, prefix, prefixes),
            files=tuple(files),
        )
        for prefix, files in owned.items()
        if files
    ]


def _owner(name: str, prefixes: set[str]) -> str:
    """The nearest checkout above a file."""
    folder = name.rpartition("/")[0]
    while folder and folder not in prefixes:
        folder = folder.rpartition("/")[0]
    return folder


def _inner(name: str, prefix: str) -> str:
    return name.removeprefix(f"{prefix}/") if prefix else name


def _is_tracked(found: Found, prefix: str, checkout: Checkout | None) -> bool:
    """Whether the commit has the file; a folder that could not be read is always counted."""
    if checkout is None or checkout.blobs is None or not found.language:
        return True
    if found.problem == INVALID_PATH:
        # Its name was escaped, so that it cannot be looked up.
        return True
    return _inner(found.name, prefix) in checkout.blobs


def _repo(options: DirectoryOptions, root: Path, prefix: str, checkout: Checkout | None) -> str:
    if options.repo is not None and not prefix:
        return options.repo
    return checkout.repo if checkout is not None else (root / prefix).name


def _notices(root: Path, tree: Tree, prefix: str, prefixes: set[str]) -> Notices:
    """The licence files of one repository, without those of the checkouts inside it."""
    folders: dict[str, tuple[str, ...]] = {}
    for folder, names in tree.notices.items():
        if _owner(f"{folder}/x" if folder else "x", prefixes) == prefix:
            folders["" if folder == prefix else _inner(folder, prefix)] = names
    return Notices(folders, lambda path: read_capped(str(root / path), MAX_NOTICE_BYTES))


def _parts(options: DirectoryOptions, unit: _Unit, progress: Progress | None) -> list[Part]:
    readable = [found for found in unit.files if not found.problem]
    blob = _blob_kind(unit.checkout)
    wishes = [Wish(path=found.path, cap=MAX_FILE_BYTES, blob=blob) for found in readable]
    digests = dict(
        zip((found.name for found in readable), digest_files(wishes, progress), strict=True)
    )
    parts: list[Part] = []
    for found in unit.files:
        digest = digests.get(found.name)
        origin = _origin(options, unit, found, digest) if isinstance(digest, FileDigest) else None
        parts.append(file_part(found, digest, origin))
    return parts


def _blob_kind(checkout: Checkout | None) -> str:
    if checkout is None or checkout.blobs is None:
        return ""
    return "sha1" if len(checkout.commit) == 40 else "sha256"


def _origin(options: DirectoryOptions, unit: _Unit, found: Found, digest: FileDigest) -> Origin:
    path = _inner(found.name, unit.prefix)
    revision = url = ""
    if unit.checkout is not None:
        revision = _file_revision(unit.checkout, path, digest)
        if unit.checkout.github and revision == unit.checkout.commit:
            url = f"https://github.com/{unit.checkout.repo}/blob/{revision}/{quote(path)}"
    licenses, evidence = options.settled(*unit.notices.of(path))
    return Origin(
        repo=unit.repo,
        path=path,
        revision=revision,
        url=url,
        licenses=licenses,
        evidence=evidence,
    )


def _file_revision(checkout: Checkout, path: str, digest: FileDigest) -> str:
    if checkout.blobs is None:
        return f"{checkout.commit}-unverified"
    if checkout.blobs.get(path) == digest.blob:
        return checkout.commit
    return f"{checkout.commit}-dirty"


def _unit_revision(unit: _Unit, parts: Sequence[Part]) -> str:
    """The commit with the worst that was found out about any file read from it."""
    if unit.checkout is None:
        return ""
    revisions = {dict(part.meta).get("revision", "") for part in parts}
    return max(revisions | {unit.checkout.commit}, key=len)


def _revision(units: Sequence[_Unit], groups: Sequence[Sequence[Part]]) -> str:
    """The commit when one checkout is all there is, with a digest if it was edited; else ""."""
    if len(units) != 1 or units[0].checkout is None:
        return ""
    revision = _unit_revision(units[0], groups[0])
    if revision == units[0].checkout.commit:
        return revision
    return f"{revision}-{content_revision((part.name, part.digest) for part in groups[0])}"


def _facts(options: DirectoryOptions, policy: LicensePolicy, revision: str) -> Mapping[str, object]:
    return {"kind": options.kind, "policy": policy.policy_digest(), "revision": revision}


def _provenance(
    units: Sequence[_Unit], groups: Sequence[Sequence[Part]]
) -> tuple[tuple[str, str], ...]:
    facts = [
        (f"repository {unit.repo}", _unit_revision(unit, parts) or "no commit")
        for unit, parts in zip(units, groups, strict=True)
    ]
    return (*sorted(facts), ("files", str(sum(len(parts) for parts in groups))))
