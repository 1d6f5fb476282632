"""Opening a place: what a reader needs of a dataset, wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards import layout
from shards.manifest import Manifest, ShardFacts, load_manifest
from shards.sample import Sample, decode
from shards.shard_cache import CacheOptions
from shards.shard_files import LocalShards, ShardFiles

Decode = Callable[[bytes], Sample]


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A dataset that can be read."""

    digest: str
    manifest: Manifest | None
    shards: tuple[ShardFacts, ...]
    """All of them, sorted by path."""
    files_of: Callable[[Sequence[ShardFacts]], ShardFiles]
    """The files behind a choice of the shards."""
    decode: Decode = decode


def open_place(place: str | Path, cache: CacheOptions | None) -> Opened:
    """The dataset of a folder. `ManifestError` (and its kinds) where it cannot be used."""
    base = Path(place)
    manifest = load_manifest(base)
    digest = hashlib.sha256(layout.read_text_file(base, layout.MANIFEST)).hexdigest()
    return Opened(
        digest=digest,
        manifest=manifest,
        shards=tuple(manifest.shards),
        files_of=lambda shards: LocalShards(base, shards),
    )
