"""What is to be published: the files of a sealed dataset, checked before anything is sent.

Every file that SHA256SUMS names is hashed once (about 500 MB/s), names and links are checked
against the layout and the manifest, and a card whose dataset needs terms must have them. Nothing
under `.xtrove` is ever looked at, and a dataset that a `forget` is changing is refused.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from shards.format import Manifest, Redo, UnfinishedBuild, layout, load_manifest, parse_checksums
from shards.storage import Findings, Progress
from shards.verify import check_files
from shards.write import terms
from xtrove.core import DamagedData, XtroveError

SHOWN = 5
MOST_ATTRIBUTION = 16 << 20
"""A line a repository: millions of them are too much for the commit that carries small files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalFile:
    """One file to publish."""

    path: str
    sha256: str
    bytes: int

    @property
    def is_bulk(self) -> bool:
        """A shard, an index, a twin or evidence: what is staged ahead of the last commit.

        The attribution too where it is long: nothing else that is no data may outgrow a reading.
        """
        is_long = self.path == layout.ATTRIBUTION and self.bytes > MOST_ATTRIBUTION
        return is_long or layout.is_generated_data(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalDataset:
    """A dataset as it stands on the disk."""

    base: Path
    manifest: Manifest
    files: tuple[LocalFile, ...]
    """Sorted by path; SHA256SUMS is one of them."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def gated(self) -> bool:
        """Whether its terms must stand before it."""
        return terms.is_gated(self.manifest)

    def read(self, file: LocalFile) -> bytes:
        """The bytes of a small file, as they were when it was checked."""
        data = layout.read_text_file(self.base, file.path)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise XtroveError(f"{file.path} was changed while it was published: start again")
        return data


def read_local(base: Path, progress: Progress) -> LocalDataset:
    """The dataset in a folder, every file of it hashed.

    `ManifestError` where there is none, `XtroveError` where it is not what it claims.
    """
    manifest = load_manifest(base)
    if Redo(base=base).is_committed():
        raise UnfinishedBuild(
            f"{base}: a `xtrove forget` was stopped halfway: run the same command again, it "
            "finishes what it began"
        )
    findings = Findings()
    check_files(base, manifest, findings, progress)
    report = findings.report()
    if not report.sound:
        shown = "; ".join(
            f"{finding.subject} {finding.message}" for finding in report.findings[:SHOWN]
        )
        raise DamagedData(f"{len(report.findings)} files are not what they should be: {shown}")
    if unknown := terms.unpublishable(manifest):
        raise XtroveError(
            f"under which terms these sources may be published is not known: {', '.join(unknown)}; "
            "build the dataset again with this version of xtrove, without sources that are gated "
            "where they come from"
        )
    if terms.is_gated(manifest) and not _front_matter(base).get("extra_gated_prompt"):
        raise XtroveError(
            f"{layout.CARD} puts no terms before its readers, but content of The Stack is inside: "
            "build the dataset again"
        )
    data = layout.read_text_file(base, layout.CHECKSUMS)
    sums = parse_checksums(data) | {layout.CHECKSUMS: hashlib.sha256(data).hexdigest()}
    files = [
        LocalFile(path=path, sha256=digest, bytes=(base / path).stat().st_size)
        for path, digest in sorted(sums.items())
    ]
    return LocalDataset(base=base, manifest=manifest, files=tuple(files))


def _front_matter(base: Path) -> dict[str, object]:
    text = layout.read_text_file(base, layout.CARD).decode("utf-8", errors="replace")
    block = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    try:
        head = yaml.safe_load(block[1]) if block else None
    except (yaml.YAMLError, RecursionError):
        head = None
    return head if isinstance(head, dict) else {}
