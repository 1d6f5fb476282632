"""Small JSON files of a run: written whole, read within a limit."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from train.errors import TrainingFault

MAX_JSON_BYTES: Final = 1 << 24


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """A small file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
    sync_path(temporary)
    temporary.replace(path)
    sync_path(path.parent)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of at most 16 MiB; `TrainingFault` on anything else."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise TrainingFault(f"{path}: more than {MAX_JSON_BYTES} bytes")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingFault(f"{path}: cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise TrainingFault(f"{path}: holds {type(value).__name__}, not an object")
    return value


def sync_path(path: Path) -> None:
    """Makes a file or the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
