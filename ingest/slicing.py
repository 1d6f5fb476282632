"""Cut the input of a source into slices.

Method: the target size is a pure function of the input (or given); pieces are packed in order,
and a group (the files of one repository, the row groups of one language) is kept together
where it fits. The digest of a slice is SHA-256 over canonical JSON of everything that decides
which records come out of it, and of nothing local.
Cost: linear. Limits: a single piece is never cut here, so a slice may exceed the target by one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from ingest.records import Part, Slice

SLICE_VERSION = 1
"""Moves when the readers of this room change what they emit."""
MIN_SLICE_BYTES = 4_000_000
MAX_SLICE_BYTES = 128_000_000
SLICES_PER_SOURCE = 32

T = TypeVar("T")


def target_bytes(total: int, slice_bytes: int | None) -> int:
    """Bytes (uncompressed) a slice of a source of `total` bytes should have."""
    if slice_bytes is not None:
        return max(1, slice_bytes)
    return min(max(total // SLICES_PER_SOURCE, MIN_SLICE_BYTES), MAX_SLICE_BYTES)


def pack(groups: Iterable[Sequence[T]], size: Callable[[T], int], target: int) -> list[list[T]]:
    """Runs of items of about `target` bytes, in order; a group is cut only if it must be."""
    runs: list[list[T]] = [[]]
    filled = 0
    for group in groups:
        total = sum(size(item) for item in group)
        if filled and filled + total > target:
            runs.append([])
            filled = 0
        for item in group:
            if filled and filled + size(item) > target:
                runs.append([])
                filled = 0
            runs[-1].append(item)
            filled += size(item)
    return [run for run in runs if run]


def make_slice(
    *, source: str, stream: str, parts: Sequence[Part], size: int, facts: Mapping[str, object]
) -> Slice:
    """A slice of these parts; `facts` are the options that decide what is read from them."""
    more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    return Slice(
        source=source,
        stream=stream,
        label=f"{parts[0].name}{more}",
        parts=tuple(parts),
        bytes=size,
        digest=canonical_digest({"facts": facts, "parts": [_identity(part) for part in parts]}),
    )


def canonical_digest(facts: object) -> str:
    """SHA-256 (hex) of the canonical JSON of plain data."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(f"{SLICE_VERSION}:{text}".encode()).hexdigest()


def content_revision(entries: Iterable[tuple[str, str]]) -> str:
    """The revision of an input without one of its own: 16 hex digits over names and digests."""
    return canonical_digest(sorted(entries))[:16]


def _identity(part: Part) -> list[object]:
    return [
        part.name,
        part.digest,
        part.size,
        part.start,
        part.stop,
        part.language,
        [list(pair) for pair in part.meta],
    ]
