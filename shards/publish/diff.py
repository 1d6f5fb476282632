"""What a publication would send, keep and remove: a pure comparison of two listings.

Bulk files (shards, indexes, twins, evidence, a long attribution) go to a staging branch in commits
of at most `files_per_commit` files, and of about `bytes_per_commit` bytes; a repository slows down
after thousands of commits, so that a large dataset is staged in larger ones (200 commits by size).
The last commit carries the small files, refers to the staged ones, and deletes what an earlier
publication had and this one has not. Files that this package never writes are left alone, unless
they stand where a reader of the dataset would take them for samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.format import layout
from shards.publish.local import LocalDataset, LocalFile

MAX_COMMITS = 200
"""Staging commits of a dataset whose size, not its number of files, decides."""
_OURS = ("data/", "parquet/", "removals/")
_STARTERS = frozenset({layout.CARD, "LICENSE", "LICENSE.md", ".gitattributes", ".gitignore"})


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """One file of a listing of the Hub."""

    path: str
    bytes: int
    git_oid: str
    """SHA-1 of git's blob; of the pointer where the file is a large one."""
    sha256: str
    """Of a large file; "" for a small one."""


Tree = Mapping[str, RemoteFile]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to be done for a dataset over what a branch holds now."""

    unchanged: tuple[LocalFile, ...]
    staged: tuple[LocalFile, ...]
    """Bulk files that the staging branch has already."""
    to_stage: tuple[LocalFile, ...]
    texts: tuple[LocalFile, ...]
    """Small files that the last commit carries itself."""
    stale: tuple[str, ...]
    """Files of an earlier publication that the last commit deletes."""
    foreign: tuple[str, ...]
    """Files in the way that this program never wrote."""
    batches: tuple[tuple[LocalFile, ...], ...]

    @property
    def is_done(self) -> bool:
        """Whether the branch holds the dataset already, and nothing else of ours."""
        return not (self.staged or self.to_stage or self.texts or self.stale)

    @property
    def commits(self) -> int:
        """The commits that this takes."""
        return 0 if self.is_done else len(self.batches) + 1

    @property
    def to_send(self) -> int:
        """Bytes of the files that the Hub does not have at their places."""
        return sum(file.bytes for file in (*self.to_stage, *self.texts))


def git_oid(base: Path, file: LocalFile) -> str:
    """Git's object id of a file that was checked, read in pieces."""
    digest = hashlib.sha1(b"blob %d\0" % file.bytes, usedforsecurity=False)
    with layout.safe_file(base, file.path).open("rb") as stream:
        while data := stream.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def is_same(base: Path, file: LocalFile, remote: RemoteFile | None) -> bool:
    """Whether the listing shows exactly this file: size and SHA-256, git's id for a small one."""
    if remote is None or remote.bytes != file.bytes:
        return False
    if remote.sha256:
        return remote.sha256 == file.sha256
    return remote.git_oid == git_oid(base, file)


def make_plan(
    local: LocalDataset,
    target: Tree,
    staging: Tree,
    *,
    files_per_commit: int,
    bytes_per_commit: int,
) -> Plan:
    """Compares the dataset with the branch it is to stand on and with the staging branch."""
    unchanged, staged, to_stage, texts = [], [], [], []
    for file in local.files:
        if is_same(local.base, file, target.get(file.path)):
            unchanged.append(file)
        elif not file.is_bulk:
            texts.append(file)
        elif is_same(local.base, file, staging.get(file.path)):
            staged.append(file)
        else:
            to_stage.append(file)
    paths = {file.path for file in local.files}
    total = sum(file.bytes for file in to_stage)
    return Plan(
        unchanged=tuple(unchanged),
        staged=tuple(staged),
        to_stage=tuple(to_stage),
        texts=tuple(texts),
        stale=tuple(p for p in sorted(target) if layout.is_published_name(p) and p not in paths),
        foreign=tuple(foreign(target)),
        batches=tuple(_batches(to_stage, files_per_commit, max(bytes_per_commit,
                                                               total // MAX_COMMITS))),
    )  # fmt: skip


def ours(tree: Tree) -> dict[str, RemoteFile]:
    """The files of a listing that publications write."""
    return {path: file for path, file in tree.items() if layout.is_published_name(path)}


def foreign(tree: Tree) -> list[str]:
    """Files that keep a publication from being made over this listing.

    Over an earlier publication: what stands in its folders without being of it. Elsewhere:
    everything but what a new repository may hold.
    """
    others = [path for path in sorted(tree) if not layout.is_published_name(path)]
    if layout.MANIFEST in tree:
        return [path for path in others if path.startswith(_OURS)]
    return [path for path in sorted(tree) if path not in _STARTERS]


def _batches(
    files: Sequence[LocalFile], most_files: int, most_bytes: int
) -> Iterator[tuple[LocalFile, ...]]:
    batch: list[LocalFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) == most_files or size + file.bytes > most_bytes):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(file)
        size += file.bytes
    if batch:
        yield tuple(batch)


def mismatches(local: LocalDataset, tree: Tree) -> list[str]:
    """What a listing of the finished commit has wrong, a sentence a file; empty: all is right."""
    wrong = []
    for file in local.files:
        remote = tree.get(file.path)
        if remote is None:
            wrong.append(f"{file.path} is missing")
        elif remote.bytes != file.bytes:
            wrong.append(f"{file.path} has {remote.bytes} bytes, should have {file.bytes}")
        elif remote.sha256 and remote.sha256 != file.sha256:
            wrong.append(f"{file.path} has SHA-256 {remote.sha256}, should have {file.sha256}")
        elif not is_same(local.base, file, remote):
            wrong.append(f"{file.path} has git id {remote.git_oid}, and other bytes")
    paths = {file.path for file in local.files}
    return wrong + [f"{path} should not be there" for path in ours(tree) if path not in paths]
