"""Files of numbers: written through to the disk, and mapped again with their size checked.

Cost: one fsync a file. Limits: mapped files are read-only; torch takes copies of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


def write_file(path: Path, data: Any) -> None:
    """Writes bytes, or an array row by row, and syncs them."""
    with path.open("wb") as file:
        file.write(data if isinstance(data, bytes) else np.ascontiguousarray(data).data)
        file.flush()
        os.fsync(file.fileno())


def mapped(path: Path, kind: str, shape: tuple[int, ...]) -> Any:
    """The numbers of a file; `ValueError` where its size is not that of the shape."""
    dtype = np.dtype(kind)
    wanted = int(np.prod(shape)) * dtype.itemsize
    size = path.stat().st_size
    if size != wanted:
        raise ValueError(f"{path} holds {size} bytes, not {wanted}")
    if not wanted:
        return np.zeros(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=shape)
