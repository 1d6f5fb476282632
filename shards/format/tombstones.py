"""What a dataset remembers of a repository that was forgotten: its digest and some counts.

A tombstone must let anybody ask "is this repository forgotten?", so that no later build brings
it back, and must not tell the name of somebody who asked to be left out. It therefore holds the
SHA-256 of the case-folded name: `printf owner/repo | sha256sum`. Names are public and few, so
whoever has a list of all repositories can try them; the digest keeps the name out of search
engines and of the eyes of readers, it is no secret. The counts let `verify` add up: samples and
evidence rows in the funnel, members and bytes in the shard boundaries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shards.format import layout

FORGOTTEN: Final = "forgotten"
"""The reason in the funnel."""
WITNESS_FORGOTTEN: Final = "witness_forgotten"
"""`detail` of evidence whose witness was forgotten; its `witness_id` is "" from then on."""
_Count = Annotated[int, Field(ge=0, le=1 << 62)]
_Positive = Annotated[int, Field(ge=1, le=1 << 62)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ForgottenMembers(_Model):
    """What a repository had in one shard; the shard is gone where it had nothing else."""

    path: str
    samples: _Positive
    bytes: _Positive
    """Tar bytes of the members, headers included."""

    @model_validator(mode="after")
    def _stands_in_the_layout(self) -> Self:
        if layout.parse_tar_path(self.path) is None:
            raise ValueError(f"{self.path!r} is not the path of a shard")
        return self


class Tombstone(_Model):
    """One repository that was forgotten; zeros where it was kept out from the start."""

    repo_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """See `repo_sha256`."""
    samples: _Count
    evidence: _Count
    """Rows of `removals/` that described pairs of it."""
    witnesses: _Count
    """Rows of `removals/` whose witness it held: they are marked, or forgotten since."""
    shards: list[ForgottenMembers]
    """Sorted by path."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        paths = [shard.path for shard in self.shards]
        if paths != sorted(set(paths)):
            raise ValueError("the shards of a tombstone must be sorted by path, each once")
        if sum(shard.samples for shard in self.shards) != self.samples:
            raise ValueError(f"a tombstone counts {self.samples} samples, its shards others")
        return self


def repo_sha256(name: str) -> str:
    """SHA-256 (hex) of the case-folded name in UTF-8: equal for names that differ in case only."""
    return hashlib.sha256(name.casefold().encode("utf-8", "surrogatepass")).hexdigest()


def names_any(fact: str, digests: Collection[str]) -> bool:
    """Whether a published fact is about one of these: `repository owner/repo`, `package name`."""
    kind, _, name = fact.partition(" ")
    return kind in ("repository", "package") and repo_sha256(name) in digests


def kept_out(digests: Iterable[str]) -> list[Tombstone]:
    """Tombstones of repositories that a build never read, sorted."""
    return [
        Tombstone(repo_sha256=digest, samples=0, evidence=0, witnesses=0, shards=[])
        for digest in sorted(set(digests))
    ]


def merge(old: Sequence[Tombstone], new: Sequence[Tombstone]) -> list[Tombstone]:
    """Both lists as one, sorted by digest; equal digests are added up."""
    by_repo: dict[str, Tombstone] = {}
    for tombstone in (*old, *new):
        before = by_repo.get(tombstone.repo_sha256)
        by_repo[tombstone.repo_sha256] = _added(before, tombstone) if before else tombstone
    return [by_repo[digest] for digest in sorted(by_repo)]


def _added(left: Tombstone, right: Tombstone) -> Tombstone:
    members: dict[str, tuple[int, int]] = {}
    for part in (*left.shards, *right.shards):
        samples, size = members.get(part.path, (0, 0))
        members[part.path] = (samples + part.samples, size + part.bytes)
    return Tombstone(
        repo_sha256=left.repo_sha256,
        samples=left.samples + right.samples,
        evidence=left.evidence + right.evidence,
        witnesses=left.witnesses + right.witnesses,
        shards=[
            ForgottenMembers(path=path, samples=samples, bytes=size)
            for path, (samples, size) in sorted(members.items())
        ],
    )


def forgotten_members(tombstones: Iterable[Tombstone]) -> dict[str, tuple[int, int]]:
    """Shard path -> samples and tar bytes that stood in it and were forgotten."""
    members: dict[str, tuple[int, int]] = {}
    for tombstone in tombstones:
        for part in tombstone.shards:
            samples, size = members.get(part.path, (0, 0))
            members[part.path] = (samples + part.samples, size + part.bytes)
    return members
