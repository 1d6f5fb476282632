"""Sizes as people write them: `256MB` (decimal), `64MiB` (binary), `1.5 GB`."""

from __future__ import annotations

import re
from typing import Final

_DECIMAL: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BINARY: Final = {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_UNITS: Final = {**_DECIMAL, **_BINARY}
_SIZE: Final = re.compile(r"\s*+([0-9]{1,15})(?:\.([0-9]{1,9}))?\s*+([A-Za-z]*+)\s*+")


def parse_bytes(value: object) -> int:
    """Bytes in an integer or in words: `256MB` (decimal), `64MiB` (binary), `1.5 GB`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    unit = _UNITS.get(match[3].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(f"{value!r} is no size: write 256MB, 64MiB or a number of bytes")
    fraction = match[2] or ""
    digits, scale = int(match[1] + fraction), int("1" + "0" * len(fraction))
    return digits * unit // scale
