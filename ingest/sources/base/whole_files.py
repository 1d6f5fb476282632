"""Whole files as slices: what `installed` and `directory` have in common.

Method: the driver digests every candidate and writes what it found out (repository, licences)
into the part; the worker judges the licence first, then reads one file at a time and compares
it with its digest. A candidate that cannot be read is a part too, which the worker answers
with a `Skip`, so that the funnel counts it.
A part may also be a blob of a git repository, named by its object id.
Cost: each file is read twice, once by the driver and once by a worker; a blob only by the worker.
Limits: a worker holds one file of at most `MAX_FILE_BYTES`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ingest.errors import ChangedInput, TransientFault, is_transient
from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files import (
    MISSING,
    NOT_A_FILE,
    UNREADABLE,
    BlobReader,
    FileDigest,
    Found,
    open_regular,
    read_up_to,
)
from ingest.languages import settled_language
from ingest.licenses import NO_ASSERTION, LicensePolicy, spdx_tags
from ingest.records import Part, Skip, Slice, SourceFile
from ingest.slicing import make_slice, pack, target_bytes
from ingest.sources.base.source import Sample

BLOB = "git:"
"""Begins the digest of a part that is a blob; its path is that of the repository."""
LFS_POINTER = "lfs_pointer"
_SET_ASIDE = frozenset({UNREADABLE, NOT_A_FILE, MISSING})
_POINTER = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v\d")
_MAX_POINTER_BYTES = 1024
SAMPLE = 100
"""Files of each language that a sample has."""
T = TypeVar("T")
# Opening and checking a file costs about as much as reading this many bytes.
_FILE_COST = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a file belongs."""

    repo: str
    path: str
    revision: str
    url: str
    licenses: tuple[str, ...]
    evidence: str
    default: tuple[tuple[str, ...], str] | None = None
    """Licences that hold too unless a tag in the file takes their place, and their evidence."""


def file_part(file: Found, digest: FileDigest | str | None, origin: Origin | None) -> Part:
    """The part of one candidate; one without an origin needs a problem."""
    problem = file.problem or (digest if isinstance(digest, str) else "")
    known = digest if isinstance(digest, FileDigest) and not problem else None
    size = known.size if known else file.size
    return Part(
        path=file.path,
        name=file.name,
        digest=known.sha256 if known else "",
        size=size,
        start=0,
        stop=size,
        language=file.language,
        meta=(("skip", problem),) if problem or origin is None else _meta(origin),
    )


def slice_files(
    groups: Sequence[Sequence[Part]],
    *,
    source: str,
    slice_bytes: int | None,
    facts: Mapping[str, object],
) -> tuple[Slice, ...]:
    """Slices of whole files; each group (a repository) is kept together where it fits."""
    target = target_bytes(sum(_cost(part) for group in groups for part in group), slice_bytes)
    return tuple(
        make_slice(
            source=source,
            stream="",
            parts=parts,
            size=sum(_bytes(part) for part in parts),
            facts=facts,
        )
        for parts in pack(groups, _cost, target)
    )


def thinned(
    groups: Sequence[Sequence[T]], found_of: Callable[[T], Found], sample: Sample | None
) -> list[list[T]]:
    """The files of a sample in each group, or all of them without one."""
    if sample is None:
        return [list(group) for group in groups]
    listed = [(number, item) for number, group in enumerate(groups) for item in group]
    thin: list[list[T]] = [[] for _ in groups]
    for number, item in sample.choose(
        listed, lambda pair: found_of(pair[1]).language, lambda pair: found_of(pair[1]), SAMPLE
    ):
        thin[number].append(item)
    return thin


def read_files(
    policy: LicensePolicy, slice_: Slice, revision: str, languages: frozenset[str]
) -> Iterator[SourceFile | Skip]:
    """One record a part, in order; a header whose content is of another language than those
    `languages` is a `Skip`.

    Raises `ChangedInput` when a file is not the one that was planned, `TransientFault` when
    reading it may work later.
    """
    with BlobReader() as blobs:
        for record in _records(policy, slice_, revision, blobs):
            if isinstance(record, SourceFile) and record.language not in languages:
                yield Skip(
                    language=record.language,
                    reason="unwanted_language",
                    row=record.row,
                    detail=record.path[:200],
                )
            else:
                yield record


def _records(
    policy: LicensePolicy, slice_: Slice, revision: str, blobs: BlobReader
) -> Iterator[SourceFile | Skip]:
    reasons = [_refusal(policy, part) for part in slice_.parts]
    blobs.expect(
        (part.path, part.digest.removeprefix(BLOB))
        for part, reason in zip(slice_.parts, reasons, strict=True)
        if reason is None and part.digest.startswith(BLOB)
    )
    for row, (part, reason) in enumerate(zip(slice_.parts, reasons, strict=True)):
        meta = dict(part.meta)
        if reason is not None:
            yield Skip(
                language=part.language,
                reason=reason,
                row=row,
                detail=part.name if "skip" in meta else ", ".join(_licenses(part))[:200],
                fact=meta.get("evidence") or "the whole file",
                quarantined=part.name if reason in _SET_ASIDE else "",
            )
            continue
        content = _content(part, blobs)
        problem = UNREADABLE if content is None else LFS_POINTER if _is_pointer(content) else ""
        if content is None or problem:
            yield Skip(
                language=part.language,
                reason=problem,
                row=row,
                detail=part.name[:200],
                quarantined=part.name if problem in _SET_ASIDE else "",
            )
            continue
        yield _file(policy, slice_, revision, row, content)


def _file(
    policy: LicensePolicy, slice_: Slice, revision: str, row: int, content: bytes
) -> SourceFile | Skip:
    """The record of a part that was read."""
    part = slice_.parts[row]
    meta = dict(part.meta)
    licenses, evidence = _settled(part, content)
    reason = policy.refusal(licenses)
    if reason is not None:
        return Skip(
            language=part.language,
            reason=reason,
            row=row,
            detail=", ".join(licenses)[:200],
            fact=evidence,
        )
    return SourceFile(
        source=slice_.source,
        source_revision=revision,
        repo=meta["repo"],
        path=meta["path"],
        revision=meta["revision"],
        url=meta["url"],
        language=settled_language(part.language, meta["path"], content),
        content=content,
        licenses=policy.recorded(licenses),
        license_evidence=evidence,
        stars=-1,
        row=row,
    )


def _licenses(part: Part) -> tuple[str, ...]:
    return tuple(word for word in dict(part.meta).get("licenses", "").split("|") if word)


def _refusal(policy: LicensePolicy, part: Part) -> str | None:
    meta, licenses = dict(part.meta), _licenses(part)
    if "default" in meta and not licenses and "skip" not in meta:
        # What the file itself says is not known before it is read.
        return None
    return meta.get("skip") or policy.refusal(licenses)


def _settled(part: Part, content: bytes) -> tuple[tuple[str, ...], str]:
    """The licences of a file that was read, and the evidence."""
    meta, licenses = dict(part.meta), _licenses(part)
    if "default" not in meta:
        return licenses, meta["evidence"]
    own = spdx_tags(content, part.language)
    default = tuple(word for word in meta["default"].split("|") if word) or (NO_ASSERTION,)
    evidence = "SPDX tag of the file" if own else meta["default_evidence"]
    return (*licenses, *(own or default)), "; ".join(filter(None, (meta["evidence"], evidence)))


def _is_pointer(content: bytes) -> bool:
    """Whether a file is what Git LFS puts in the place of another."""
    return len(content) <= _MAX_POINTER_BYTES and _POINTER.match(content) is not None


def _content(part: Part, blobs: BlobReader) -> bytes | None:
    """The bytes that were planned; None for a blob that the repository cannot give any more."""
    if part.digest.startswith(BLOB):
        content = blobs.read(part.path, part.digest.removeprefix(BLOB), MAX_FILE_BYTES)
        if content is None and not Path(part.path).exists():
            raise ChangedInput(part.name)
        return content
    try:
        with open_regular(part.path) as file:
            data = read_up_to(file, MAX_FILE_BYTES + 1)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(part.name, str(error)) from error
        raise ChangedInput(part.name) from error
    except ValueError as error:
        raise ChangedInput(part.name) from error
    if hashlib.sha256(data).hexdigest() != part.digest:
        raise ChangedInput(part.name)
    return data


def _meta(origin: Origin) -> tuple[tuple[str, str], ...]:
    if origin.default is not None:
        ids, evidence = origin.default
        plain = _meta(replace(origin, default=None))
        more = (("default", "|".join(ids)), ("default_evidence", evidence))
        return tuple(sorted((*plain, *more)))
    return (
        ("evidence", origin.evidence),
        ("licenses", "|".join(origin.licenses)),
        ("path", origin.path),
        ("repo", origin.repo),
        ("revision", origin.revision),
        ("url", origin.url),
    )


def _bytes(part: Part) -> int:
    return part.size if part.digest else 0


def _cost(part: Part) -> int:
    return _bytes(part) + _FILE_COST
