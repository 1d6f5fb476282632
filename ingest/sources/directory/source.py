"""Source `directory`: a folder, a git checkout, or a folder of checkouts.

Method: `ingest.files.repository_tree` finds the checkouts in a folder, each a repository of its
own. By default (`committed_only`) the bytes of its commit are read, whatever lies in its work tree:
no untracked, ignored or edited file, no filter, no line-end conversion, no LFS content (a pointer
is no code); they carry the commit and, on GitHub, a link. With `committed_only: false` the
tracked files of the work tree are read as they are; an edited one carries `<commit>-dirty` and
no link. What lies outside any checkout belongs to a repository named after the folder.
Cost: a walk and four git processes a checkout; a blob is read once, by a worker, any other file
twice. Limits: files up to 1 MB; links are not followed; git is needed for a checkout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from ingest.errors import SourceError
from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files import (
    BlobReader,
    Checkout,
    Choice,
    FileDigest,
    Found,
    Progress,
    Repository,
    Wish,
    digest_files,
    repositories,
)
from ingest.licenses import LicensePolicy
from ingest.records import Listing, Part, Skip, Slice, SourceFile
from ingest.slicing import content_revision
from ingest.sources.base import (
    BLOB,
    CommonOptions,
    Origin,
    Sample,
    Source,
    file_part,
    local_path,
    read_files,
    slice_files,
    thinned,
)
from ingest.terms import OPEN
from ingest.transport import ReadLimits


class DirectoryOptions(CommonOptions):
    """A folder of source code on this machine."""

    kind: Literal["directory"] = "directory"
    path: Annotated[str, AfterValidator(local_path)]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")] | None = None
    """Name of the repository of `path` itself; default: its origin, or the folder's name."""
    exclude: tuple[str, ...] = ()
    """Globs over relative paths; `*` crosses `/`; a folder takes out all beneath it."""
    committed_only: bool = True
    """Read the bytes of a checkout's commit; false: its tracked files as they are in the folder."""


def plan(
    options: DirectoryOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List a folder. Raises `SourceError` if it is none or holds no file of the languages."""
    root = Path(options.path)
    if not root.is_dir():
        raise SourceError(
            "the path of this source is no folder",
            value=options.path,
            remedy="Name an existing folder under `path`; unpack an archive, clone a repository "
            "first.",
        )
    listed, groups = _folder(options, root, progress, sample)
    entries = [(part.name, part.digest) for group in groups for part in group]
    if not any(digest for _, digest in entries):
        raise SourceError(
            f"no readable file of {', '.join(sorted(options.wanted()))}",
            value=options.path,
            remedy="Check `path`, `languages`, `exclude`; of a git checkout, and of a folder in "
            "one, only what is committed is read.",
        )
    revision = _revision(listed, groups) or content_revision(entries)
    facts = _facts(options, policy, revision)
    return Listing(
        source=name,
        kind=options.kind,
        terms=OPEN,
        revision=revision,
        slices=slice_files(groups, source=name, slice_bytes=slice_bytes, facts=facts),
        provenance=_provenance(options, listed, groups),
        rows=len(entries),
    )


def read(
    options: DirectoryOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourceFile | Skip]:
    """The files of a slice: see `ingest.sources.base.whole_files.read_files`."""
    return read_files(policy, slice_, revision, options.wanted())


def _folder(
    options: DirectoryOptions, root: Path, progress: Progress | None, sample: Sample | None
) -> tuple[list[Repository], list[list[Part]]]:
    """The repositories in a folder, and the parts of each."""
    choice = Choice(
        wanted=options.wanted(), exclude=options.exclude, committed_only=options.committed_only
    )
    with BlobReader() as blobs:
        listed = repositories(root, choice, blobs)
        files = thinned(
            [listed_repository.files for listed_repository in listed], lambda file: file, sample
        )
        listed = [
            replace(listed_repository, files=tuple(kept))
            for listed_repository, kept in zip(listed, files, strict=True)
            if kept
        ]
        return listed, [_parts(options, repository, progress) for repository in listed]


def _parts(
    options: DirectoryOptions, repository: Repository, progress: Progress | None
) -> list[Part]:
    if repository.committed:
        return _blob_parts(options, repository, progress)
    readable = [file for file in repository.files if not file.problem]
    blob = _blob_kind(repository.checkout)
    wishes = [Wish(path=file.path, cap=MAX_FILE_BYTES, blob=blob) for file in readable]
    digests = dict(
        zip((file.name for file in readable), digest_files(wishes, progress), strict=True)
    )
    parts: list[Part] = []
    for file in repository.files:
        digest = digests.get(file.name)
        origin = (
            _origin(options, repository, file, digest.blob)
            if isinstance(digest, FileDigest)
            else None
        )
        parts.append(file_part(file, digest, origin))
    return parts


def _blob_parts(
    options: DirectoryOptions, repository: Repository, progress: Progress | None
) -> list[Part]:
    """The object id of a blob is its digest: nothing has to be read."""
    parts: list[Part] = []
    for file in repository.files:
        if file.problem:
            parts.append(file_part(file, None, None))
            continue
        blob = repository.blob_of(file.name)
        digest = FileDigest(size=file.size, sha256=f"{BLOB}{blob}", blob=blob)
        parts.append(file_part(file, digest, _origin(options, repository, file, blob)))
    if progress is not None:
        progress(sum(part.size for part in parts))
    return parts


def _blob_kind(checkout: Checkout | None) -> str:
    if checkout is None:
        return ""
    return "sha1" if len(checkout.commit) == 40 else "sha256"


def _origin(options: DirectoryOptions, repository: Repository, file: Found, blob: str) -> Origin:
    path = repository.path_of(file.name)
    checkout = repository.checkout
    revision = url = ""
    if checkout is not None:
        committed = checkout.blobs.get(path) == blob
        revision = checkout.commit if committed else f"{checkout.commit}-dirty"
        if checkout.github and committed:
            url = f"https://github.com/{checkout.repo}/blob/{revision}/{quote(path)}"
    known = repository.license_files.found(path)
    licenses, evidence = known.ids, known.evidence
    if known.default is None:
        licenses, evidence = options.settled(licenses, evidence)
    return Origin(
        repo=_name(options, repository),
        path=path,
        revision=revision,
        url=url,
        licenses=licenses,
        evidence=evidence,
        default=known.default,
    )


def _name(options: DirectoryOptions, repository: Repository) -> str:
    return options.repo if options.repo and not repository.prefix else repository.name


def _commit_read(repository: Repository, parts: Sequence[Part]) -> str:
    """The commit with the worst that was found out about any file read from it."""
    if repository.checkout is None:
        return ""
    revisions = {dict(part.meta).get("revision", "") for part in parts}
    return max(revisions | {repository.checkout.commit}, key=len)


def _revision(listed: Sequence[Repository], groups: Sequence[Sequence[Part]]) -> str:
    """The commit when one checkout is all there is, with a digest if it was edited; else ""."""
    if len(listed) != 1 or listed[0].checkout is None:
        return ""
    revision = _commit_read(listed[0], groups[0])
    if revision == listed[0].checkout.commit:
        return revision
    return f"{revision}-{content_revision((part.name, part.digest) for part in groups[0])}"


def _facts(options: DirectoryOptions, policy: LicensePolicy, revision: str) -> Mapping[str, object]:
    return {"kind": options.kind, "policy": policy.policy_digest(), "revision": revision}


def _provenance(
    options: DirectoryOptions, listed: Sequence[Repository], groups: Sequence[Sequence[Part]]
) -> tuple[tuple[str, str], ...]:
    facts = [
        (f"repository {_name(options, repository)}", _commit_read(repository, parts) or "no commit")
        for repository, parts in zip(listed, groups, strict=True)
    ]
    return (*sorted(facts), ("files", str(sum(len(parts) for parts in groups))))


SOURCE = Source(options=DirectoryOptions, plan=plan, read=read, terms=OPEN)
