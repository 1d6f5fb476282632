"""Opening a place: what a reader needs of a dataset, wherever it lies.

Method: a folder with a manifest is a dataset of ours; one without, in which nothing of ours is,
but tars, is somebody else's; a URI must have manifest and checksums, which must agree.
Cost: manifests only; tars of others are read once (`shards.access.foreign_tars`). Limits: a
manifest of at most 64 MiB elsewhere (about 200,000 shards).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shards.access.cache import CacheOptions
from shards.access.foreign_tars import ForeignShards, Progress, decode_foreign, index_tars
from shards.access.remote_shards import Remote, RemoteShards
from shards.access.remote_store import is_remote, required, store_of
from shards.access.shard_files import LocalShards, ShardFiles, TarFacts
from shards.format import (
    ChecksumError,
    Decode,
    Manifest,
    ManifestError,
    NotADataset,
    UnfinishedBuild,
    decode_checked,
    layout,
    load_manifest,
    parse_checksums,
    parse_manifest,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A dataset that can be read."""

    digest: str
    manifest: Manifest | None
    shards: tuple[TarFacts, ...]
    """All of them, sorted by path."""
    files_of: Callable[[Sequence[TarFacts]], ShardFiles]
    """The files behind a choice of the shards."""
    decode: Decode = decode_checked
    skipped: Mapping[str, int] = field(default_factory=dict)
    """What was left out of tars of others, by reason."""
    place: str = ""
    """Of a dataset elsewhere: the URI that opens these bytes again; "" for what lies here."""


def open_place(
    place: str | Path | Sequence[Path], cache: CacheOptions, progress: Progress | None
) -> Opened:
    """The dataset of a place. `ManifestError` (and its kinds) where it cannot be used.

    Elsewhere `SourceError` where access is refused, `TransientFault` where nothing answers.
    """
    if not isinstance(place, str | Path):
        return _open_foreign(place, cache, progress)
    if isinstance(place, str) and is_remote(place):
        return _open_remote(place, cache)
    base = Path(place)
    if base.is_file():
        return _open_foreign([base], cache, progress)
    try:
        manifest = load_manifest(base)
    except (NotADataset, UnfinishedBuild):
        tars = _tars_in(base)
        if not tars:
            raise
        return _open_foreign(tars, cache, progress)
    return Opened(
        digest=_digest(layout.read_text_file(base, layout.MANIFEST)),
        manifest=manifest,
        shards=tuple(manifest.shards),
        files_of=lambda shards: LocalShards(base, shards),
    )


def _tars_in(base: Path) -> list[Path]:
    """Tars of others in a folder: none where anything says that a build of ours made it."""
    if (base / ".xtrove").exists() or not base.is_dir() or any(base.rglob("*.idx.arrow")):
        return []
    return [path for path in base.rglob("*.tar") if path.is_file() and not path.is_symlink()]


def _open_foreign(tars: Sequence[Path], cache: CacheOptions, progress: Progress | None) -> Opened:
    found = index_tars(tars, cache.place(), progress)
    return Opened(
        digest=found.digest,
        manifest=None,
        shards=found.tars,
        files_of=ForeignShards,
        decode=decode_foreign,
        skipped=found.skipped,
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
        place=store.place,
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
