"""Whose output a folder is, and whether it is finished.

WORK/outputs/<digest of the output path>.json remembers the build (key, config, inputs, versions)
that writes, or wrote, an output. A finished output is never overwritten by another build: the
difference is named and another --output offered. An unfinished one may be: nothing in it has
been sealed.
Several work folders may know one output. Whose it is stands in OUTPUT/.xtrove/owner.json, the
nonce of the record that wrote there last: a record with another nonce says nothing of what lies
there now, nor does that of an output that was deleted since.
A dataset that has forgotten repositories since is finished all the same: tombstones are no part
of the key, so that the same command does not build again what was taken out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shards.format import CHECKSUMS, MANIFEST, PRIVATE
from xtrove.build.plan import Plan
from xtrove.config import NOT_IN_DIGEST
from xtrove.core import Misuse, canonical, write_file
from xtrove.runtime import OWNER, Workspace, node_versions, record_path

MAX_NAMED = 8


def _path(workspace: Workspace) -> Path:
    return record_path(workspace.work, workspace.output)


def remember(workspace: Workspace, plan: Plan, *, sealed: bool) -> None:
    """Write down that this output belongs to this build, in the work folder and beside it."""
    nonce = (_known(workspace) or {}).get("nonce")
    nonce = nonce if isinstance(nonce, str) else uuid.uuid4().hex
    workspace.write_json(
        _path(workspace),
        {
            "key": plan.key,
            "nonce": nonce,
            "config": plan.config.dump(),
            "inputs": plan.inputs,
            "versions": node_versions(),
            "sealed": sealed,
        },
    )
    # The record first: one without a mark is taken for ours while nothing is finished there.
    tmp = workspace.output / ".xtrove" / "tmp"
    write_file(workspace.output / OWNER, canonical({"nonce": nonce}), tmp=tmp)


def is_finished(workspace: Workspace, plan: Plan) -> bool:
    """Whether this very build is sealed there, whole. Raises `Misuse` for a foreign output."""
    known = _known(workspace)
    if known is None or not _tells_of(known, workspace, plan):
        _refuse_foreign(workspace)
        return False
    if not known.get("sealed"):
        return False
    if known.get("key") == plan.key:
        return _is_whole(workspace.output)
    differences = _differences(known, plan)
    more = len(differences) - MAX_NAMED
    lines = differences[:MAX_NAMED] + ([f"and {more} more"] if more > 0 else [])
    raise Misuse(
        f"{workspace.output} holds a finished build of other inputs:\n"
        + "\n".join(f"  {line}" for line in lines),
        remedy=f"keep it and write elsewhere: --output {workspace.output}-2 "
        f"(add --set work={workspace.work} to reuse what is unchanged)",
    )


def _tells_of(known: Mapping[str, Any], workspace: Workspace, plan: Plan) -> bool:
    """Whether the record is about what lies at the output now."""
    if not (workspace.output / MANIFEST).is_file():
        return not known.get("sealed") or known.get("key") == plan.key
    try:
        owner = json.loads((workspace.output / OWNER).read_bytes())
        return isinstance(owner, dict) and owner["nonce"] == known.get("nonce")
    except FileNotFoundError:
        # A dataset of before, or its private folder is gone: a record inside it goes with it.
        inside = workspace.work.resolve() == (workspace.output / ".xtrove").resolve()
        return inside or bool(known.get("sealed"))
    except (OSError, ValueError, KeyError):
        return False


def _known(workspace: Workspace) -> dict[str, Any] | None:
    try:
        data = json.loads(_path(workspace).read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _refuse_foreign(workspace: Workspace) -> None:
    output = workspace.output
    if output.exists() and not output.is_dir():
        raise Misuse(f"output {str(output)!r} is not a folder", remedy="give --output another path")
    if not output.is_dir():
        return
    try:
        names = sorted(entry.name for entry in output.iterdir() if entry.name not in PRIVATE)
    except OSError as error:
        raise Misuse(f"cannot read the output folder: {error}") from None
    if MANIFEST in names:
        raise Misuse(
            f"{output} holds a dataset that this work folder knows nothing of",
            remedy=f"`xtrove inspect {output}` shows it; give --output another path",
        )
    if names:
        raise Misuse(
            f"{output} is not empty ({', '.join(names[:3])}...) and not ours",
            remedy="give --output an empty or new folder",
        )


def _is_whole(output: Path) -> bool:
    try:
        manifest = json.loads((output / MANIFEST).read_bytes())
        shards = [(output / shard["path"], shard["bytes"]) for shard in manifest["shards"]]
        return (output / CHECKSUMS).is_file() and all(p.stat().st_size == n for p, n in shards)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _differences(known: Mapping[str, Any], plan: Plan) -> list[str]:
    lines = []
    for title, then, now in (
        ("", _flat(known.get("config")), _flat(plan.config.dump())),
        ("input ", _flat(known.get("inputs")), _flat(plan.inputs)),
        ("version of ", _flat(known.get("versions")), _flat(node_versions())),
    ):
        for key in sorted(then.keys() | now.keys()):
            if then.get(key) != now.get(key) and key.split(".")[0] not in NOT_IN_DIGEST:
                lines.append(
                    f"{title}{key}: was {_short(then.get(key))}, is {_short(now.get(key))}"
                )
    return lines or ["its record differs in a way that has no name"]


def _short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 40 else text[:12] + "..."


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if isinstance(value, Mapping):
        items = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(index), inner) for index, inner in enumerate(value)]
    else:
        return {prefix: value}
    flat: dict[str, object] = {}
    for key, inner in items:
        flat.update(_flat(inner, f"{prefix}.{key}" if prefix else key))
    return flat
