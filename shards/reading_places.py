"""Opening a place: what a reader needs of a dataset, wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards import layout
from shards.checksums import ChecksumError, parse_checksums
from shards.manifest import Manifest, ManifestError, ShardFacts, load_manifest, parse_manifest
from shards.remote import is_remote, required, store_of
from shards.remote_shards import Remote, RemoteShards
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
    """The dataset of a place. `ManifestError` (and its kinds) where it cannot be used.

    Elsewhere `SourceError` where access is refused, `TransientFault` where nothing answers.
    """
    if is_remote(str(place)):
        return _open_remote(str(place), cache or CacheOptions())
    base = Path(place)
    manifest = load_manifest(base)
    return Opened(
        digest=_digest(layout.read_text_file(base, layout.MANIFEST)),
        manifest=manifest,
        shards=tuple(manifest.shards),
        files_of=lambda shards: LocalShards(base, shards),
    )


def _open_remote(place: str, cache: CacheOptions) -> Opened:
    store = store_of(place)
    data = required(store, place, layout.MANIFEST)
    manifest = parse_manifest(data)
    try:
        sums = parse_checksums(required(store, place, layout.CHECKSUMS))
    except ChecksumError as error:
        raise ManifestError(str(error)) from error
    wanted = {facts.path: facts.sha256 for facts in manifest.shards}
    for path, sha256 in {layout.MANIFEST: _digest(data), **wanted}.items():
        if sums.get(path) != sha256:
            raise ManifestError(
                f"{path} is {sha256}, but {layout.CHECKSUMS} says {sums.get(path)}: the dataset "
                "was changed while it was published; publish it again"
            )
    remote = Remote(store=store, sums=sums)
    return Opened(
        digest=_digest(data),
        manifest=manifest,
        shards=tuple(manifest.shards),
        files_of=lambda shards: RemoteShards(remote, shards, cache),
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
