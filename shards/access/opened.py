"""Opening a dataset: what a reader needs of it, in a folder or remote.

Method: a folder must have a manifest; a URI must have manifest and checksums, which must agree.
Cost: manifests only. Limits: a remote manifest of at most 64 MiB (about 200,000 shards).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.access.cache import CacheOptions
from shards.access.remote_shards import Remote, RemoteShards
from shards.access.remote_store import is_remote, required, store_of
from shards.access.shard_files import LocalShards, ShardFiles
from shards.format import (
    Manifest,
    ManifestError,
    ShardFacts,
    layout,
    load_manifest,
    parse_checksums,
    parse_manifest,
)
from xtrove.core import DamagedData


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedDataset:
    """A dataset that can be read."""

    digest: str
    """SHA-256 of its manifest, hex."""
    manifest: Manifest
    files_of: Callable[[Sequence[ShardFacts]], ShardFiles]
    """The files behind some of the manifest's shards."""
    uri: str = ""
    """Of a remote dataset: the URI that opens these bytes again; "" for a local folder."""


def open_dataset(location: str | Path, cache: CacheOptions) -> OpenedDataset:
    """The dataset at a folder or URI. `ManifestError` (and its kinds) where it cannot be used.

    For a URI `SourceError` where access is refused, `TransientFault` where nothing answers.
    """
    if isinstance(location, str) and is_remote(location):
        return _open_remote(location, cache)
    base = Path(location)
    manifest = load_manifest(base)
    return OpenedDataset(
        digest=_digest(layout.read_text_file(base, layout.MANIFEST)),
        manifest=manifest,
        files_of=lambda shards: LocalShards(base, shards),
    )


def _open_remote(uri: str, cache: CacheOptions) -> OpenedDataset:
    store = store_of(uri)
    data = required(store, uri, layout.MANIFEST)
    manifest = parse_manifest(data)
    try:
        checksums = parse_checksums(required(store, uri, layout.CHECKSUMS))
    except DamagedData as error:
        raise ManifestError(str(error)) from error
    stated = {facts.path: facts.sha256 for facts in manifest.shards}
    for path, sha256 in {layout.MANIFEST: _digest(data), **stated}.items():
        if checksums.get(path) != sha256:
            raise ManifestError(
                f"{path} is {sha256}, but {layout.CHECKSUMS} says {checksums.get(path)}: the "
                "dataset was changed while it was published; publish it again"
            )
    remote = Remote(store=store, sums=checksums)
    return OpenedDataset(
        digest=_digest(data),
        manifest=manifest,
        files_of=lambda shards: RemoteShards(remote, shards, cache),
        uri=store.place,
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
