"""Files of numbers, mapped with their size checked: read-only, torch takes copies of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


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
