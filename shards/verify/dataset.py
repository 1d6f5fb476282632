"""`verify`: every claim of a dataset, recomputed from its files.

Files and checksums; each shard with its index and twin; then evidence and totals. Nothing is
taken from the build, and nothing in the dataset is trusted: a damaged file becomes a finding.
Memory: 24 bytes a sample and about 60 MiB (the same for 38 and 154 MB of shards; mapped files
come on top and are given back); scratch files of about 50 bytes a sample go to the system's
temporary folder. About 7,500 samples of 350 tokens a second on one core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from shards.format import (
    MANIFEST,
    Manifest,
    ManifestError,
    NewerFormat,
    NotADataset,
    UnfinishedBuild,
    load_manifest,
)
from shards.read import Dataset
from shards.storage import Finding, Findings, Progress, Report
from shards.verify.files import check_files
from shards.verify.removals import check_removals
from shards.verify.sample import SampleRules
from shards.verify.shard import ShardSeen, check_shard
from shards.verify.totals import (
    check_boundaries,
    check_counts,
    check_funnel,
    check_query_caps,
    check_texts,
)
from shards.write import LicenseClass

__all__ = ["Finding", "Report", "check_dataset"]


def check_dataset(
    path: Path,
    progress: Progress | None = None,
    *,
    license_class: LicenseClass | None = None,
) -> Report:
    """All findings about the dataset in a folder.

    `license_class`: as given to `write_shard`, to check that column of the indexes too.
    `NotADataset`, `UnfinishedBuild` or `NewerFormat` where there is nothing to check.
    """
    findings = Findings()
    try:
        manifest = load_manifest(path)
    except (NotADataset, UnfinishedBuild, NewerFormat):
        raise
    except ManifestError as error:
        findings.add("manifest", MANIFEST, error.message)
        return findings.report()
    report = progress or _silent
    if manifest.to_json() != (path / MANIFEST).read_bytes():
        findings.add("manifest", MANIFEST, "is not in canonical form")
    check_files(path, manifest, findings, report)
    with tempfile.TemporaryDirectory(prefix="xtrove-verify-") as scratch:
        _check_content(path, manifest, findings, report, Path(scratch), license_class)
    return findings.report()


def _check_content(
    path: Path,
    manifest: Manifest,
    findings: Findings,
    progress: Progress,
    scratch: Path,
    license_class: LicenseClass | None,
) -> None:
    rules = SampleRules.of(manifest)
    total, done = sum(shard.bytes for shard in manifest.shards), 0
    shards: list[ShardSeen] = []
    for facts in manifest.shards:
        progress(facts.path, done, total)
        shards.append(check_shard(path, facts, rules, findings, scratch, license_class))
        done += facts.bytes
    findings.counts["shards"] += len(shards)
    progress("removals", total, total)
    removals = check_removals(Dataset(path=path, manifest=manifest), findings)
    check_counts(manifest, shards, findings)
    check_boundaries(manifest, shards, findings)
    check_query_caps(manifest, shards, findings)
    funnel = check_funnel(path, manifest, shards, removals, findings)
    check_texts(path, manifest, funnel, shards, scratch, findings)


def _silent(label: str, done: int, total: int) -> None:
    """No progress is shown."""
