"""The seal: from the parts of a build to a published dataset.

The build collects `BuildOutputs`; this module writes ATTRIBUTION.jsonl, funnel.json, plots,
README.md, then manifest.json, then SHA256SUMS, each by rename. A folder is a dataset once it has a
manifest: `unseal` takes that away before shards are rewritten. Files of an earlier build that the
new one does not have are removed, but only those whose names this package gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.format import (
    FORMAT,
    Fact,
    Funnel,
    Manifest,
    Quarantined,
    QueryCap,
    ShardFacts,
    SourceFacts,
    SplitFacts,
    SplitOptions,
    SplitRule,
    Tombstone,
    content_sha256,
    layout,
    write_checksums,
)
from shards.write.attribution import write_attribution
from shards.write.card import render_card
from shards.write.plots import write_plots
from shards.write.removals import RemovalsFile
from shards.write.shard import ShardFiles
from xtrove.core import XtroveError, write_bytes

WorkOf = Callable[[ShardFiles], Path]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOutputs:
    """Everything a build hands over to be sealed."""

    name: str
    config_digest: str
    sources: tuple[SourceFacts, ...]
    """In the order of the config."""
    versions: Mapping[str, str]
    dedupe: Mapping[str, Fact]
    per_repo_cap: int
    total_cap: int
    """0 is no cap."""
    splits: SplitOptions
    rule: SplitRule
    max_bytes: int
    shards: tuple[ShardFiles, ...]
    removals: tuple[RemovalsFile, ...]
    funnel: Funnel
    quarantined: tuple[Quarantined, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    """Repositories that this build kept out because they were forgotten."""


def unseal(base: Path) -> None:
    """Makes a dataset an unfinished build again, before its shards change."""
    for name in (layout.CHECKSUMS, layout.MANIFEST):
        (base / name).unlink(missing_ok=True)


def build_manifest(parts: BuildOutputs, work_of: WorkOf) -> Manifest:
    """The manifest of the parts; `work_of` names the `work` folder each shard was given.

    `XtroveError` where the funnel does not add up or does not end in the shards.
    """
    samples = sum(shard.samples for shard in parts.shards)
    wrong = parts.funnel.check()
    if parts.funnel.kept_pairs() != samples:
        wrong.append(f"{parts.funnel.kept_pairs()} pairs kept, but {samples} are in the shards")
    if wrong:
        raise XtroveError("the funnel does not add up: " + "; ".join(wrong[:20]))
    licenses: Counter[str] = Counter()
    for shard in parts.shards:
        licenses.update(shard.licenses)
    shards = sorted(parts.shards, key=lambda shard: shard.tar.path)
    return Manifest(
        format=FORMAT,
        name=parts.name,
        config_digest=parts.config_digest,
        content_sha256=content_sha256([work_of(shard) / shard.digests.path for shard in shards]),
        samples=samples,
        tokens=sum(shard.tokens for shard in shards),
        licenses=dict(sorted(licenses.items())),
        sources=list(parts.sources),
        versions=dict(sorted(parts.versions.items())),
        dedupe=dict(sorted(parts.dedupe.items())),
        query_cap=QueryCap(per_repo=parts.per_repo_cap, total=parts.total_cap),
        split=SplitFacts(
            requested=parts.splits.by,
            by=parts.rule.by,
            reason=parts.rule.reason,
            validation=parts.splits.validation,
            test=parts.splits.test,
        ),
        max_bytes=parts.max_bytes,
        shards=[_shard_facts(shard) for shard in shards],
        removals=sum(file.rows for file in parts.removals),
        quarantined=sorted(parts.quarantined, key=lambda q: (q.source, q.name, q.reason)),
        tombstones=sorted(parts.tombstones, key=lambda tombstone: tombstone.repo_sha256),
    )


def _shard_facts(shard: ShardFiles) -> ShardFacts:
    return ShardFacts.model_validate(
        {
            "path": shard.tar.path,
            "sha256": shard.tar.sha256,
            "bytes": shard.tar.bytes,
            "samples": shard.samples,
            "language": shard.language,
            "split": shard.split,
        }
    )


def write_published(base: Path, parts: BuildOutputs, *, work_of: WorkOf, tmp: Path) -> Manifest:
    """Seals the dataset and returns its manifest.

    Shards and evidence stand in place already; `work_of` names the folder that `write_shard`
    was given as `work` for a shard; `tmp` lies on the file system of `base`.
    `XtroveError` where the parts contradict each other; nothing is published then.
    """
    manifest = build_manifest(parts, work_of)
    unseal(base)
    ordered = sorted(parts.shards, key=lambda shard: shard.tar.path)
    sidecars = [work_of(shard) / shard.attribution.path for shard in ordered]
    written = [
        *(facts for shard in parts.shards for facts in shard.published()),
        *(file.file for file in parts.removals),
        write_attribution(base, sidecars, tmp),
        write_bytes(base, layout.FUNNEL, parts.funnel.to_json(), tmp),
        *write_plots(base, manifest, parts.funnel, tmp),
        write_bytes(base, layout.CARD, render_card(manifest, parts.funnel), tmp),
    ]
    remove_stale(base, [facts.path for facts in written])
    manifest_facts = write_bytes(base, layout.MANIFEST, manifest.to_json(), tmp)
    known = {facts.path: facts.sha256 for facts in [*written, manifest_facts]}
    write_checksums(base, known, known, tmp)
    return manifest


def remove_stale(base: Path, keep: Sequence[str]) -> list[str]:
    """Removes shards, indexes, twins and evidence that are not in `keep`; returns their paths."""
    kept = set(keep)
    stale = [path for path in layout.walk(base) if layout.is_generated_data(path)]
    stale = [path for path in stale if path not in kept]
    for path in stale:
        (base / path).unlink()
    return stale
