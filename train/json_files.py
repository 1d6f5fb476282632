"""Small JSON files of a run, read within a limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from train.errors import TrainingFault

MAX_JSON_BYTES: Final = 1 << 24


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
