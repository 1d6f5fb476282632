"""manifest.json: what a dataset holds, where it came from and by which rules.

Canonical JSON (keys sorted, UTF-8, one-space indent); the file is written near the end of a
build, only SHA256SUMS comes after it, so a folder without a manifest is an unfinished build.
It is typed: unknown fields, wrong types and paths outside the layout are refused on reading.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shards.format import layout
from shards.format.journal import Redo
from shards.format.sample import VERSION
from shards.format.split import GroupBy
from shards.format.tombstones import Tombstone
from xtrove.core import DamagedData, Misuse

FORMAT: Final = f"xtrove-{VERSION}"
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=1 << 62)]
Fact = str | int | float | bool | list[str] | list[int]


class ManifestError(Misuse):
    """A manifest that cannot be used."""

    usual_remedy = "give the folder of a finished build"


class NotADataset(ManifestError):
    """The folder holds nothing of ours."""


class UnfinishedBuild(ManifestError):
    """The folder holds a build that was never sealed."""


class NewerFormat(ManifestError):
    """The dataset was written by a later version."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SourceFacts(_Model):
    """One source and the revision that was read."""

    name: str
    kind: str
    revision: str
    provenance: list[tuple[str, str]] = []
    """Sorted facts (package versions, repositories and commits); no local path."""
    terms: str | None = None
    """Under which its content may be handed on (`ingest.terms`); None, and left out of the file,
    in a dataset that was built before they were recorded."""


class ShardFacts(_Model):
    """One tar."""

    path: str
    sha256: Sha256
    bytes: Count
    samples: Annotated[int, Field(ge=1)]
    language: str
    split: Literal["train", "validation", "test"]

    @model_validator(mode="after")
    def _stands_in_the_layout(self) -> Self:
        parsed = layout.parse_tar_path(self.path)
        if parsed is None or parsed[:2] != (self.language, self.split):
            raise ValueError(
                f"{self.path!r} is not the path of a {self.language} {self.split} shard"
            )
        return self


class SplitFacts(_Model):
    """How samples were split: enough to recompute the split of each."""

    requested: Literal["auto", "repository", "path"]
    by: GroupBy
    reason: str
    validation: float
    test: float


class QueryCap(_Model):
    """Pairs with one query group that may stay; 0 is no cap."""

    per_repo: Count
    total: Count


class Quarantined(_Model):
    """An input that was set aside as corrupt."""

    source: str
    name: str
    reason: str


class Manifest(_Model):
    """The whole document."""

    format: Annotated[str, Field(pattern="^xtrove-[0-9]{1,6}$")]
    name: str
    config_digest: str
    content_sha256: Sha256
    """See `shards.format.content_digest`."""
    samples: Count
    tokens: int
    licenses: dict[str, Count]
    """Samples a licence; a sample with two counts for both."""
    sources: list[SourceFacts]
    versions: dict[str, str]
    dedupe: dict[str, Fact]
    """Threshold, ngram, bands, rows, scheme, seed, permutations, hash, stated recall..."""
    query_cap: QueryCap
    split: SplitFacts
    max_bytes: Annotated[int, Field(ge=1)]
    """Tar bytes of the members of a shard: N = ceil(total / max_bytes) a language and split."""
    shards: list[ShardFacts]
    """Sorted by path."""
    removals: Count
    quarantined: list[Quarantined]
    tombstones: list[Tombstone] = []
    """Repositories that were forgotten, by digest; sorted. Left out of the file where empty."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        paths = [shard.path for shard in self.shards]
        if paths != sorted(set(paths)):
            raise ValueError("shards must be sorted by path, each once")
        total = sum(shard.samples for shard in self.shards)
        if total != self.samples:
            raise ValueError(f"samples is {self.samples}, but the shards hold {total}")
        digests = [tombstone.repo_sha256 for tombstone in self.tombstones]
        if digests != sorted(set(digests)):
            raise ValueError("tombstones must be sorted by repo_sha256, each once")
        return self

    def to_json(self) -> bytes:
        """Canonical bytes."""
        document = self.model_dump()
        if not self.tombstones:
            del document["tombstones"]
        for source in document["sources"]:
            if source["terms"] is None:
                del source["terms"]
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1)
        return text.encode("utf-8") + b"\n"

    @property
    def version(self) -> int:
        """Of the format."""
        return int(self.format.removeprefix("xtrove-"))

    def languages(self) -> list[str]:
        """Languages that have samples, sorted."""
        return sorted({shard.language for shard in self.shards})

    def counts(self) -> dict[str, dict[str, int]]:
        """Samples by language and split; splits without samples are left out."""
        counts: dict[str, dict[str, int]] = {language: {} for language in self.languages()}
        for split in layout.SPLITS:
            for shard in self.shards:
                if shard.split == split:
                    by_split = counts[shard.language]
                    by_split[split] = by_split.get(split, 0) + shard.samples
        return counts


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes. `NewerFormat` or `ManifestError`, with what is wrong."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{layout.MANIFEST} is not JSON in UTF-8: {error}") from error
    format_name = value.get("format") if isinstance(value, dict) else None
    match = (
        re.fullmatch(r"xtrove-([0-9]{1,6})", format_name) if isinstance(format_name, str) else None
    )
    if match is None:
        raise ManifestError(f"{layout.MANIFEST} has format {format_name!r}, expected {FORMAT!r}")
    if int(match[1]) > VERSION:
        raise NewerFormat(
            f"{layout.MANIFEST} has format {format_name!r}; this version reads up to {FORMAT!r}: "
            "update xtrove"
        )
    try:
        return Manifest.model_validate_json(data)
    except (ValidationError, RecursionError) as error:
        raise ManifestError(f"{layout.MANIFEST} is damaged: {error}") from error


def load_manifest(path: Path) -> Manifest:
    """The manifest of the dataset in a folder.

    `UnfinishedBuild` where a build left no manifest, `NotADataset` where there is none at all,
    `NewerFormat` for a later format, `ManifestError` for a damaged one.
    """
    file = path / layout.MANIFEST
    if not file.exists() and not file.is_symlink():
        if Redo(base=path).is_committed():
            raise UnfinishedBuild(
                f"{path}: a `xtrove forget` was stopped halfway (no {layout.MANIFEST}): run the "
                "same command again, it finishes what it began"
            )
        # A folder `data` alone may be anyone's: the place where datasets lie, for one.
        if (path / ".xtrove").is_dir() or any(path.glob("data/*/*.tar")):
            raise UnfinishedBuild(
                f"{path} holds an unfinished build (no {layout.MANIFEST}): run `xtrove build` "
                "again with the same config, it continues where it stopped"
            )
        raise NotADataset(f"{path} is not a dataset: it has no {layout.MANIFEST}")
    try:
        return parse_manifest(layout.read_text_file(path, layout.MANIFEST))
    except DamagedData as error:
        raise ManifestError(str(error)) from error
