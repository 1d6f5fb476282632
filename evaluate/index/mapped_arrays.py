"""Files of numbers, mapped with their size checked: read-only, torch takes copies of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np


def mapped(path: Path, kind: str, shape: tuple[int, ...]) -> Any:
    """The numbers of a file; `ValueError` where its size is not that of the shape."""
    dtype = np.dtype(kind)
    expected = math.prod(shape) * dtype.itemsize
    size = path.stat().st_size
    if size != expected:
        raise ValueError(f"{path} holds {size} bytes, not {expected}")
    if not expected:
        return np.zeros(shape, dtype=dtype)
    # Read only: a private map that could be written would be charged as memory.
    return np.memmap(path, dtype=dtype, mode="r", shape=shape)
