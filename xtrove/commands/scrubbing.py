"""What `xtrove forget` deletes of a work folder: all that holds the code or name of a repository.

Runs that hold its code and sidecars that name it are dropped with their receipts. Texts (plan,
logs, receipts, records, files of other stages) are searched for the name as it stands, as JSON
or an address would write it, in any case: a line of a log or a string of a record goes, any
other file goes whole. No later build uses them: the tombstones are part of what names a run.
Cost: reads the texts once; of runs their tables alone. Limits: code of another repository that
mentions the name stays, since it is not its code.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shards.write import Attribution
from xtrove.core import canonical, write_file
from xtrove.runtime import Workspace
from xtrove.stages import load, repo_number

GONE = "(forgotten)"
_NUMBERS = frozenset({".npy", ".bin"})
_ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")


def scrub(workspace: Workspace, names: Sequence[str]) -> None:
    """Deletes what the work folder, and the one beside the output, hold of repositories.

    `names` are in lower case (casefolded).
    """
    numbers = np.array([repo_number(name) for name in names], dtype=np.uint64)
    for folder in sorted((workspace.work / "files" / "extract").glob("*")):
        if _run_holds(folder, names, numbers):
            _drop(workspace, "extract", folder.name)
    for folder in sorted((workspace.work / "files" / "shard").glob("*")):
        if any(_sidecar_names(path, names) for path in folder.rglob("*.attribution")):
            _drop(workspace, "shard", folder.name)
    for root in dict.fromkeys((workspace.work.resolve(), (workspace.output / ".xtrove").resolve())):
        _scrub_texts(workspace, root, names)


def names_any(text: str, names: Sequence[str]) -> bool:
    """Whether a text names a repository: as it is, in JSON, or in an address."""
    plain = _ESCAPED.sub(_unescaped, text).replace("\\/", "/")
    forms = (plain.casefold(), unquote(plain).casefold())
    return any(name in form for name in names for form in forms)


def _unescaped(hit: re.Match[str]) -> str:
    units = b"".join(int(unit, 16).to_bytes(2, "little") for unit in hit[0].split("\\u")[1:])
    return units.decode("utf-16-le", "replace")


def _scrub_texts(workspace: Workspace, root: Path, names: Sequence[str]) -> None:
    for path in sorted((root / "logs").glob("*")):
        _scrub_lines(path, names)
    for path in sorted((root / "outputs").glob("*")):
        _scrub_record(path, names)
    for path in sorted((root / "receipts").glob("*/*.json")):
        if _file_names(path, names):
            _drop(workspace, path.parent.name, path.stem)
    for folder in sorted((root / "files").glob("*/*")):
        stage = folder.parent.name
        texts = (path for path in folder.rglob("*") if path.suffix not in _NUMBERS)
        if stage not in ("extract", "shard") and any(
            _file_names(path, names) for path in texts if path.is_file()
        ):
            _drop(workspace, stage, folder.name)
    for path in sorted((root / "plan").rglob("*")):
        if path.is_file() and _file_names(path, names):
            path.unlink()


def _file_names(path: Path, names: Sequence[str]) -> bool:
    try:
        if path.suffix == ".parquet":
            return names_any(json.dumps(pq.read_table(path).to_pylist(), default=str), names)
        return names_any(path.read_bytes().decode("utf-8", "replace"), names)
    except (OSError, pa.ArrowException):
        return True  # damaged: of no use to anybody


def _scrub_lines(path: Path, names: Sequence[str]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if not names_any(line.decode("utf-8", "replace"), names)]
    if len(kept) < len(lines):
        write_file(path, b"".join(kept))


def _scrub_record(path: Path, names: Sequence[str]) -> None:
    """The record of an output says whose it is; its config may name what is gone."""
    if not _file_names(path, names):
        return
    try:
        value = _without(json.loads(path.read_bytes()), names)
    except ValueError:
        path.unlink()
        return
    write_file(path, canonical(value))


def _without(value: object, names: Sequence[str]) -> object:
    if isinstance(value, dict):
        return {
            GONE if names_any(key, names) else key: _without(inner, names)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without(inner, names) for inner in value]
    return GONE if isinstance(value, str) and names_any(value, names) else value


def _run_holds(folder: Path, names: Sequence[str], numbers: np.ndarray) -> bool:
    try:
        items = load(folder / "items.npy")
        if np.isin(items["repo"], numbers).any():  # type: ignore[call-overload]
            return True
        repos = pq.read_table(folder / "drops.parquet", columns=["repo"]).column("repo")
    except (OSError, ValueError, pa.ArrowException):
        return True  # damaged: of no use to anybody
    return any(str(repo).casefold() in names for repo in repos.unique().to_pylist())


def _sidecar_names(path: Path, names: Sequence[str]) -> bool:
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            return any(Attribution.parse(line).repo.casefold() in names for line in lines)
    except (OSError, ValueError):
        return True


def _drop(workspace: Workspace, stage: str, key: str) -> None:
    workspace.receipt_path(stage, key).unlink(missing_ok=True)
    shutil.rmtree(workspace.folder(stage, key), ignore_errors=True)
