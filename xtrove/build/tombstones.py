"""What a work folder knows of forgotten repositories: later builds never read them again.

WORK/tombstones.json holds the digest of each name (`shards.format.tombstones`) with the ids of the
samples it had, so that `why` can say `forgotten`; ids are hashes, and the file is never
published. A build honours the union of that file, of the tombstones in the manifest of its own
output, and of a `forget` that was stopped halfway there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from shards.format import ManifestError, Redo, load_manifest
from xtrove.core import DamagedData, XtroveError
from xtrove.runtime import Workspace

_FORMAT = 1


def _path(work: Path) -> Path:
    return work / "tombstones.json"


def known(work: Path) -> dict[str, list[str]]:
    """Digest of a forgotten name -> ids of its samples. `XtroveError` where the file is damaged."""
    try:
        document = json.loads(_path(work).read_bytes())
        if document["format"] != _FORMAT:
            raise ValueError(f"format {document['format']!r}")
        return {
            str(repo): [str(known_id) for known_id in ids]
            for repo, ids in document["repos"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise XtroveError(
            f"{_path(work)} cannot be read: {error}",
            remedy="it names what was forgotten: restore it, or run `xtrove forget` once more",
        ) from None


def remember(workspace: Workspace, repos: Mapping[str, Iterable[str]]) -> None:
    """Adds to what the work folder knows; writes nothing where it knows all of it."""
    before = known(workspace.work)
    after = {repo: sorted({*before.get(repo, ()), *ids}) for repo, ids in repos.items()}
    if {**before, **after} != before:
        workspace.write_json(
            _path(workspace.work), {"format": _FORMAT, "repos": {**before, **after}}
        )


def honoured(workspace: Workspace) -> tuple[str, ...]:
    """Digests of every repository that a build of this work folder and output leaves out."""
    repos = set(known(workspace.work))
    try:
        repos.update(Redo(base=workspace.output).repos())
        manifest = load_manifest(workspace.output)
    except (ManifestError, DamagedData, OSError):
        return tuple(sorted(repos))
    return tuple(sorted({*repos, *(stone.repo_sha256 for stone in manifest.tombstones)}))


def is_forgotten(work: Path, sample_id: str) -> bool:
    """Whether a sample with this id (or ids that begin so) was forgotten, as far as known."""
    return any(known_id.startswith(sample_id) for ids in known(work).values() for known_id in ids)
