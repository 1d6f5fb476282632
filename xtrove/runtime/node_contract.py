"""What every node must have in common with the driver, and how a node finds out that it has not.

The same code and library versions, and both folders: a file written by the driver is looked for at
the start of every worker process, and probes write files that have to arrive here. No Ray in it:
these functions run on the nodes.
"""

from __future__ import annotations

import functools
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtrove.core import private_folder
from xtrove.runtime.task import execute
from xtrove.runtime.versions import node_versions
from xtrove.runtime.workspace import Workspace

SAME_CODE = (
    "install the same checkout on every node (pip install -e . -c constraints.txt), and do not "
    "change it while a build runs"
)
SHARED = "put `output:` (and `work:`) on a mount that every node can write"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeContract:
    """What every node must have in common with the driver; hashable, it travels with each task."""

    nonce: str
    versions: tuple[tuple[str, str], ...]
    folders: tuple[tuple[str, str], ...]
    """Name -> path of a folder that holds the file `session-<nonce>`."""


@contextmanager
def contract_files(workspace: Workspace) -> Iterator[NodeContract]:
    """What every node is held to, for as long as the build lasts."""
    nonce = uuid.uuid4().hex
    folders = {"work": workspace.work, "output": workspace.output / ".xtrove"}
    contract = NodeContract(
        nonce=nonce,
        versions=tuple(node_versions().items()),
        folders=tuple((name, str(folder)) for name, folder in folders.items()),
    )
    try:
        for folder in folders.values():
            private_folder(folder)
            (folder / f"session-{nonce}").write_text(nonce, encoding="utf-8")
        yield contract
    finally:
        for folder in folders.values():
            for marker in folder.glob(f"session-{nonce}*"):
                marker.unlink(missing_ok=True)


def perform(
    contract: NodeContract, work: str, output: str, stage: str, key: str, spec: dict[str, Any]
) -> dict[str, Any]:
    """Run on a node: one task, unless the node does not keep the contract.

    The nodes of the start were probed; those that join later are held to it here.
    """
    reason, remedy = breach(contract)
    if reason:
        return {"fault": "stop", "message": f"node {socket.gethostname()} {reason}",
                "remedy": remedy}  # fmt: skip
    return execute(work, output, stage, key, spec)


@functools.lru_cache(maxsize=4)
def breach(contract: NodeContract) -> tuple[str, str]:
    """What this node does not keep of the contract, and the remedy; empty where it keeps all.

    Cached: looked at once in a worker process.
    """
    ours = node_versions()
    theirs = dict(contract.versions)
    different = [
        f"{key}: {ours.get(key)}, the driver has {value}"
        for key, value in theirs.items()
        if ours.get(key) != value
    ]
    if different:
        return (f"runs other versions: {'; '.join(different)}", SAME_CODE)
    for name, folder in contract.folders:
        try:
            (Path(folder) / f"session-{contract.nonce}").read_bytes()
        except OSError as error:
            return (f"does not share the {name} folder: {error}", SHARED)
    return ("", "")


def probe(contract: NodeContract) -> dict[str, Any]:
    """Run on every node at the start: does it keep the contract, and can it write both folders?"""
    reason, remedy = breach(contract)
    marks: list[str] = []
    for name, folder in contract.folders:
        if reason:
            break
        marker = Path(folder) / f"session-{contract.nonce}-{uuid.uuid4().hex}"
        try:
            marker.write_text(contract.nonce, encoding="utf-8")
        except OSError as error:
            reason, remedy = f"cannot write the {name} folder: {error}", SHARED
        marks.append(str(marker))
    return {"reason": reason, "remedy": remedy, "marks": marks}
