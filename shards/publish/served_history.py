"""Where the Hub still serves what a dataset has forgotten since: older tags, branches, history.

A publication changes the head of one branch; whatever was published before stays downloadable
under its tag, on other branches, and by the commits behind the head. This names those that were
made before the newest tombstones, by the manifests they hold. It deletes nothing: others may
have pinned them, and a squashed history cannot be brought back. Cost: one small request for each
tag `content-*` and branch, and none where nothing was forgotten. Limit: a manifest says that a
repository was forgotten, not that it was ever there: a tag that never held it may be named too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from huggingface_hub.errors import EntryNotFoundError

from shards.format import Manifest, ManifestError, layout, parse_manifest
from shards.publish.hub_repo import HubRepo

TAGS: Final = "content-"
STAGING: Final = "xtrove-staging-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What is still downloadable of an earlier publication; empty: nothing that was forgotten."""

    repositories: int = 0
    """Forgotten repositories that one of these may still hold."""
    tags: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    history: bool = False
    """Whether the commits behind the head of the branch hold them."""


def still_served(
    manifest: Manifest, before: Manifest | None, hub: HubRepo, revision: str
) -> Served:
    """Compares the tombstones with those of every tag and branch.

    `before`: the manifest that stood on the branch when the publication began.
    """
    forgotten = _forgotten(manifest)
    if not forgotten:
        return Served()
    refs = hub.refs()
    tags = {name: at for name, at in refs.tags.items() if name.startswith(TAGS)}
    branches = {
        name: at
        for name, at in refs.branches.items()
        if name != revision and not name.startswith(STAGING)
    }
    older_tags, older_branches = _older(tags, forgotten, hub), _older(branches, forgotten, hub)
    lacks = forgotten - _forgotten(before) if before else set()
    missing = lacks.union(*older_tags.values(), *older_branches.values())
    return Served(
        repositories=len(missing),
        tags=tuple(sorted(older_tags)),
        branches=tuple(sorted(older_branches)),
        history=bool(lacks or older_tags),
    )


def _forgotten(manifest: Manifest) -> set[str]:
    return {tombstone.repo_sha256 for tombstone in manifest.tombstones}


def _older(refs: Mapping[str, str], forgotten: set[str], hub: HubRepo) -> dict[str, set[str]]:
    """Name -> the digests that the dataset there does not know to be forgotten."""
    served = {}
    for name, commit in refs.items():
        manifest = _manifest(hub, commit)
        lacks = forgotten - _forgotten(manifest) if manifest else set()
        if lacks:
            served[name] = lacks
    return served


def _manifest(hub: HubRepo, commit: str) -> Manifest | None:
    """None where no dataset of ours stands there."""
    try:
        return parse_manifest(hub.read(layout.MANIFEST, commit, layout.MAX_TEXT_BYTES))
    except (EntryNotFoundError, ManifestError):
        return None
