"""The checks of a dataset's files: SHA256SUMS, names, links, and the manifest's own figures."""

from __future__ import annotations

from pathlib import Path

from shards.format import Manifest, layout, parse_checksums
from shards.storage import Findings, Progress
from xtrove.core import DamagedData, file_sha256


def check_files(base: Path, manifest: Manifest, findings: Findings, progress: Progress) -> None:
    """Hashes every published file and reports what is missing, changed or not expected."""
    sums = _sums(base, findings)
    names = list(layout.walk(base))
    _check_names(base, names, sums, manifest, findings)
    present = set(names)
    readable = [path for path in sums if path in present and _safe(base, path, findings)]
    sizes = {path: (base / path).stat().st_size for path in readable}
    total, done = sum(sizes.values()), 0
    shards = {shard.path: shard for shard in manifest.shards}
    for path in readable:
        progress(path, done, total)
        digest, size = file_sha256(base / path)
        if digest != sums[path]:
            findings.add("checksums", path, f"has SHA-256 {digest}, SHA256SUMS says {sums[path]}")
        facts = shards.get(path)
        if facts is not None and (digest, size) != (facts.sha256, facts.bytes):
            findings.add(
                "manifest",
                path,
                f"has {size} bytes and SHA-256 {digest}, the manifest says {facts.bytes} and "
                f"{facts.sha256}",
            )
        done += size
        findings.counts["files"] += 1
        findings.counts["bytes"] += size
    progress(layout.CHECKSUMS, total, total)


def _sums(base: Path, findings: Findings) -> dict[str, str]:
    try:
        return parse_checksums(layout.read_text_file(base, layout.CHECKSUMS))
    except DamagedData as error:
        findings.add("checksums", layout.CHECKSUMS, str(error))
        return {}


def _safe(base: Path, path: str, findings: Findings) -> bool:
    try:
        layout.safe_file(base, path)
    except DamagedData as error:
        findings.add("files", path, str(error))
        return False
    return True


def _check_names(
    base: Path, names: list[str], sums: dict[str, str], manifest: Manifest, findings: Findings
) -> None:
    expected = {layout.MANIFEST, layout.FUNNEL, layout.CARD, layout.ATTRIBUTION}
    for shard in manifest.shards:
        tar = shard.path
        expected |= {tar, layout.index_path(tar), layout.parquet_path(tar)}
    present = set(names)
    evidence = {
        name
        for name in present | sums.keys()
        if name.startswith("removals/") or name in layout.PLOTS
    }
    for path in sorted((expected | evidence | sums.keys()) - present):
        findings.add("files", path, "is missing")
    for path in sorted(present - {layout.CHECKSUMS} - expected):
        if not layout.is_published_name(path) or path not in evidence:
            findings.add("files", path, "is no file of this dataset: move it elsewhere")
    for path in sorted(((expected | evidence) & present) - sums.keys()):
        findings.add("checksums", path, "is not listed in SHA256SUMS")
