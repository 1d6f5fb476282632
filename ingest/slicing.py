"""Cut the input of a source into slices.

Method: the target size is a pure function of the input (or given); pieces are packed in order,
and a group (the files of one repository, the row groups of one file) is kept together
where it fits; neighbours of one file in one slice are one part. The digest of a slice is SHA-256
over canonical JSON of everything that decides which records come out of it, and of nothing local.
Cost: linear. Limits: a single piece is never cut here, so a slice may exceed the target by one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ingest.records import Part, Slice

SLICE_VERSION = 2
"""Moves when the readers of this package change what they emit."""
MIN_SLICE_BYTES = 4_000_000
MAX_SLICE_BYTES = 128_000_000
SLICES_PER_SOURCE = 32

T = TypeVar("T")
Unit = tuple[Part, int]
"""A piece that is read as a whole, and its uncompressed bytes."""


def target_bytes(total: int, slice_bytes: int | None) -> int:
    """Bytes (uncompressed) a slice of a source of `total` bytes should have."""
    if slice_bytes is not None:
        return max(1, slice_bytes)
    return min(max(total // SLICES_PER_SOURCE, MIN_SLICE_BYTES), MAX_SLICE_BYTES)


def target_of(streams: Mapping[str, Sequence[Sequence[Unit]]], slice_bytes: int | None) -> int:
    """The same for the units of all streams."""
    groups = [group for stream in streams.values() for group in stream]
    return target_bytes(sum(size for group in groups for _, size in group), slice_bytes)


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


def slice_units(
    streams: Mapping[str, Sequence[Sequence[Unit]]],
    *,
    source: str,
    target: int,
    facts: Mapping[str, object],
    beside: Mapping[str, Sequence[Part]] | None = None,
) -> tuple[Slice, ...]:
    """Slices of each stream in the order of their names; a stream is groups of units.

    What stands `beside` a stream (its licences) is added to each of its slices.
    """
    return tuple(
        make_slice(
            source=source,
            stream=stream,
            parts=[*merged(run), *(beside or {}).get(stream, ())],
            size=sum(map(unit_bytes, run)),
            facts=facts,
        )
        for stream, groups in sorted(streams.items())
        for run in pack(groups, unit_bytes, target)
    )


def unit_bytes(unit: Unit) -> int:
    """The uncompressed bytes of a unit."""
    return unit[1]


def merged(units: Iterable[Unit]) -> list[Part]:
    """The parts of units, neighbouring pieces of one file as one, unless each has its own facts."""
    parts: list[Part] = []
    for part, _ in units:
        last = parts[-1] if parts else None
        if (
            last is not None
            and last.stop == part.start
            and replace(last, start=0, stop=0) == replace(part, start=0, stop=0)
        ):
            parts[-1] = replace(last, stop=part.stop)
        else:
            parts.append(part)
    return parts


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
