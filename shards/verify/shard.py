"""The checks of one shard: tar, index and Parquet twin, read once and side by side.

Each member is decoded, checked and compared with its index row and its twin row. What later
checks need (payload digests, attribution, query groups) goes to scratch files and compact
arrays: 24 bytes a sample stay in memory.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shards.format import (
    Sample,
    ShardFacts,
    arrow_schema,
    decode,
    digest_row,
    encode_sample,
    fields_of,
    group_hash,
    layout,
    open_index,
    tar_size,
    text,
)
from shards.read import Member, read_members
from shards.storage import Findings, open_parquet
from shards.verify.sample import SampleRules, check_sample
from shards.write import LicenseClass, Tally
from xtrove.core import DamagedData

_BATCH: Final = 1024
_Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSeen:
    """What one shard was found to hold."""

    facts: ShardFacts
    samples: int
    sizes: NDArray[np.int64]
    """Tar bytes a member, shape (n,)."""
    groups: NDArray[np.uint64]
    """Query group and repository hash a sample, shape (n, 2)."""
    first: str
    last: str
    kept: Counter[tuple[str, str]]
    """Samples by source and language."""
    tokens: int
    licenses: Counter[str]
    digests: Path
    attribution: Path


def check_shard(
    base: Path,
    facts: ShardFacts,
    rules: SampleRules,
    findings: Findings,
    scratch: Path,
    license_class: LicenseClass | None,
) -> ShardSeen:
    """Reads a shard and reports what is wrong with it; never raises over its content."""
    stem = facts.path.replace("/", "-")
    tally, kept = Tally(), Counter[tuple[str, str]]()
    sizes, groups = array("q"), array("Q")
    keys = ["", ""]
    digests, attribution = scratch / f"{stem}.digests", scratch / f"{stem}.attribution"
    with digests.open("wb") as sidecar:
        rows = zip_longest(
            _members(base, facts.path, findings),
            _index_rows(base, facts.path, findings),
            _twin_rows(base, facts.path, findings, rules.version),
        )
        for member, entry, twin in rows:
            if member is None:
                _report_surplus(facts.path, entry, twin, findings)
                break
            subject = f"{facts.path} {member.key}"
            if member.key <= keys[1]:
                findings.add("tar", subject, f"comes after {keys[1]}: ids must ascend, each once")
            keys = [keys[0] or member.key, member.key]
            sizes.append(tar_size(len(member.payload)))
            sidecar.write(digest_row(member.key, member.payload))
            sample = _decoded(subject, member, findings, rules.version)
            if sample is None:
                groups.extend((0, 0))
                continue
            tally.add(sample)
            kept[text(sample, "source"), text(sample, "language")] += 1
            group = int(text(sample, "query_group"), 16)
            groups.extend((group, _repository(sample)))
            check_sample(subject, sample, facts, rules, findings)
            _check_entry(subject, member, sample, entry, license_class, findings)
            if twin is not _UNREAD and twin != _as_stored(sample, rules.version):
                findings.add("parquet", subject, "differs from its row in the Parquet twin")
    with attribution.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(tally.lines())
    findings.counts["samples"] += len(sizes)
    return ShardSeen(
        facts=facts,
        samples=len(sizes),
        sizes=np.array(sizes, dtype=np.int64),
        groups=np.array(groups, dtype=np.uint64).reshape(-1, 2),
        first=keys[0],
        last=keys[1],
        kept=kept,
        tokens=tally.tokens,
        licenses=tally.licenses,
        digests=digests,
        attribution=attribution,
    )


_UNREAD: Final[_Row] = {}
"""Stands for the rows of a file that could not be read on: it was reported already."""


def _members(base: Path, path: str, findings: Findings) -> Iterator[Member]:
    try:
        with layout.safe_file(base, path).open("rb") as stream:
            yield from read_members(stream)
    except (DamagedData, OSError) as error:
        findings.add("tar", path, f"{error}; what follows in it was not checked")


def _index_rows(base: Path, tar: str, findings: Findings) -> Iterator[_Row]:
    path = layout.index_path(tar)
    try:
        index = open_index(layout.safe_file(base, path), full=True)
        for batch in index.table.to_batches(max_chunksize=_BATCH):
            yield from batch.to_pylist()
        return
    except (DamagedData, UnicodeDecodeError) as error:
        findings.add("index", path, str(error))
    while True:
        yield _UNREAD


def _twin_rows(base: Path, tar: str, findings: Findings, version: int) -> Iterator[_Row]:
    path = layout.parquet_path(tar)
    try:
        with open_parquet(layout.safe_file(base, path), arrow_schema(version)) as file:
            for batch in file.batches():
                yield from batch.to_pylist()
            return
    except DamagedData as error:
        findings.add("parquet", path, f"cannot be read: {error}")
    while True:
        yield _UNREAD


def _report_surplus(path: str, entry: _Row | None, twin: _Row | None, findings: Findings) -> None:
    """Rows of the index or the twin that have no member."""
    if entry:
        findings.add("index", layout.index_path(path), f"key {entry['key']} is not in the tar")
    if twin:
        findings.add("parquet", layout.parquet_path(path), f"id {twin['id']} is not in the tar")


def _repository(sample: Sample) -> int:
    digest = text(sample, "code_sha256")
    return group_hash(text(sample, "repo"), None, code_sha256=digest)


def _as_stored(sample: Sample, version: int) -> Sample:
    """The fields that a dataset of this version has."""
    return {name: sample[name] for name in fields_of(version)}


def _decoded(subject: str, member: Member, findings: Findings, version: int) -> Sample | None:
    if not member.plain:
        findings.add("tar", subject, "its header differs: mtime 0, owner xtrove, mode 0444")
    try:
        sample = decode(member.payload)
        if encode_sample(sample, version) != member.payload:
            findings.add(
                "sample",
                subject,
                "its JSON is not canonical: sorted, compact, UTF-8, the fields of its format",
            )
    except DamagedData as error:
        findings.add("sample", subject, str(error))
        return None
    if sample["id"] != member.key:
        findings.add("sample", subject, f"holds the sample {sample['id']}")
    return sample


def _check_entry(
    subject: str,
    member: Member,
    sample: Sample,
    entry: _Row | None,
    license_class: LicenseClass | None,
    findings: Findings,
) -> None:
    if entry is _UNREAD:
        return
    if entry is None:
        findings.add("index", subject, "has no row in the index")
        return
    expected: _Row = {
        **{name: sample[name] for name in ("tokens", "query_group", "quality", "code_sha256")},
        "key": member.key,
        "offset": member.offset,
        "size": len(member.payload),
    }
    if license_class is not None:
        licenses = sample["licenses"]
        expected["license_class"] = license_class(licenses if isinstance(licenses, list) else [])
    for name, value in expected.items():
        if entry[name] != value:
            findings.add("index", subject, f"{name} is {entry[name]!r}, should be {value!r}")
