"""One task, run by whatever process has it: do it unless it is done, and say how it went.

The answer is plain JSON types, never an exception: exceptions with data of their own do not
survive the way from a worker to the driver.
"""

from __future__ import annotations

import importlib
import resource
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest import TransientFault, code_frames, is_transient
from ingest.transport import meter
from xtrove.core import FREE_SPACE, FULL_DISK, DamagedData, XtroveError
from xtrove.runtime.workspace import Receipt, Workspace, running_task

NEARLY_FULL_BYTES = 16_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a worker is told; everything large stands in files that `spec` names."""

    stage: str
    key: str
    label: str
    spec: Mapping[str, Any]
    bytes: int = 0
    """What progress counts: source bytes for extract, 0 elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a task went: its facts, or its fault (`transient`, `failed` or `stop`)."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    reused: bool = False
    traffic: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Host -> requests and bytes that the task asked of it; no part of receipts."""


def execute(work: str, output: str, stage: str, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Run one task to its receipt; returns the fields of an `Outcome`."""
    before = meter().snapshot()
    answer = _execute(work, output, stage, key, spec)
    asked = meter().since(before)
    return {
        **answer,
        "traffic": {host: [traffic.requests, traffic.bytes] for host, traffic in asked.items()},
    }


def _execute(work: str, output: str, stage: str, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    workspace = Workspace(work=Path(work), output=Path(output))
    start = time.monotonic()
    try:
        with running_task(workspace):
            receipt = workspace.receipt(stage, key)
            if receipt is not None:
                return {"facts": dict(receipt.facts), "reused": True}
            facts = _perform(workspace, stage, key, spec, start)
    except TransientFault as error:
        return _fault("transient", str(error))
    except DamagedData as error:
        return _fault("failed", code_frames(error))
    except XtroveError as error:
        return _fault("stop", error.message, error.remedy)
    except OSError as error:
        return _os_fault(error, workspace)
    except Exception as error:  # one bad slice must not take the build with it
        return _fault("failed", code_frames(error))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"facts": facts, "seconds": time.monotonic() - start, "peak_bytes": peak}


def _perform(
    workspace: Workspace, stage: str, key: str, spec: dict[str, Any], start: float
) -> dict[str, Any]:
    module = importlib.import_module(f"xtrove.stages.{stage}")
    facts: dict[str, Any] = module.run(workspace, key, spec)
    folder = workspace.folder(stage, key)
    outputs = workspace.outputs(stage, key) if folder.is_dir() else {}
    outputs.update({f"output:{name}": size for name, size in facts.pop("published", {}).items()})
    seconds = time.monotonic() - start
    workspace.write_receipt(
        Receipt(stage=stage, key=key, outputs=outputs, facts=facts, seconds=seconds)
    )
    return facts


def _os_fault(error: OSError, workspace: Workspace) -> dict[str, Any]:
    if error.errno in FULL_DISK:
        return _fault("stop", f"cannot write: {error}", FREE_SPACE)
    full = [str(folder) for folder in (workspace.work, workspace.output) if _is_full(folder)]
    if error.errno is None and full:
        # NumPy and Arrow report a short write without saying why.
        return _fault("stop", f"No space left on the disk of {full[0]}: {error}", FREE_SPACE)
    kind = "transient" if is_transient(error) else "failed"
    reason = error.strerror or ""
    return _fault(kind, f"{reason} {error.filename or ''}".strip() + f"\n{code_frames(error)}")


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < NEARLY_FULL_BYTES
    except OSError:
        return False


def _fault(fault: str, message: str, remedy: str = "") -> dict[str, Any]:
    return {"fault": fault, "message": message, "remedy": remedy}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedSlice:
    """One extract task; the order of these is the rank order of the build."""

    source: str
    stream: str
    task: Task
