"""One way to write JSON that is digested, and one way to digest it.

Keys sorted, no spaces, UTF-8, no NaN: the same value has the same bytes everywhere.
"""

from __future__ import annotations

import hashlib
import json


def canonical(value: object) -> bytes:
    """Canonical JSON bytes of a value made of JSON types (tuples count as lists)."""
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode("utf-8", "surrogatepass")


def digest(*values: object) -> str:
    """SHA-256 (64 hex digits) over the canonical JSON of the values, as one list."""
    return hashlib.sha256(canonical(list(values))).hexdigest()
