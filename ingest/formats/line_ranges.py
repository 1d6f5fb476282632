"""Files of JSON lines cut into byte ranges, and the lines of a range.

Method: a file is cut into equal ranges of at most a given size; `ingest.formats.jsonl` gives each
line to the range it starts in. Of a local file every range has a digest from the plan, which its
reader compares; elsewhere the place holds the file to what was pinned.
Cost: one read of a local file to plan; a range of a remote file is read in pieces of 8 MiB up to
its end, and beyond it 64 KiB at a time until its last line ends. Limits: those of
`ingest.formats.jsonl`; no compression.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, cast

from ingest.errors import ChangedInput
from ingest.files import FileDigest, Progress, Wish, digest_files
from ingest.formats.compressed import EXPANSION, READ_AHEAD, faults, is_planned
from ingest.formats.file_names import format_of
from ingest.formats.jsonl import LineReader
from ingest.records import Part
from ingest.slicing import Unit
from ingest.storage import Entry, Window, digested, is_local, open_part
from ingest.transport import ReadLimits

Cuts = tuple[tuple[int, int], ...]
Ranges = tuple[tuple[int, int, str], ...]
"""Start, stop and SHA-256 ("" when not known) of each piece of a file."""


def cuts(size: int, most: int) -> Cuts:
    """Equal half-open ranges of at most `most` bytes."""
    count = -(-size // max(1, most))
    return tuple((size * i // count, size * (i + 1) // count) for i in range(count))


def ranged(
    entries: Sequence[Entry],
    most: int,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    *,
    unread: bool = False,
) -> list[tuple[Entry, Ranges]]:
    """The entries with their digests, and those of plain lines with ranges of at most `most`
    bytes, in the same order.

    One that cannot be read has a `problem`; with `unread` local files get no digests. Raises
    `ChangedInput` for one that changes.
    """
    near = [entry for entry in entries if is_local(entry.uri) and not unread]
    wishes = [Wish(path=entry.uri, ranges=_cuts_of(entry, most)) for entry in near]
    done: dict[str, tuple[Entry, Ranges]] = {}
    for entry, wish, answer in zip(near, wishes, digest_files(wishes, progress), strict=True):
        done[entry.name] = _answered(entry, wish.ranges, answer)
    others = [entry for entry in entries if entry.name not in done]
    for entry in digested(others, progress, limits, unread=unread):
        done[entry.name] = entry, tuple((start, stop, "") for start, stop in _cuts_of(entry, most))
    return [done[entry.name] for entry in entries]


def line_units(
    entry: Entry, ranges: Ranges, language: str = "", facts: Sequence[tuple[str, str]] = ()
) -> list[Unit]:
    """The pieces of a file: the ranges of plain lines, or the whole of any other."""
    kind = format_of(entry.name)
    if kind != "jsonl":
        whole = ((0, entry.size, ""),) if entry.size else ()
        expansion = EXPANSION if kind == "jsonl.gz" else 1
        return [(_part(entry, span, language, facts), entry.size * expansion) for span in whole]
    return [(_part(entry, span, language, facts), span[1] - span[0]) for span in ranges]


def _part(
    entry: Entry, cut: tuple[int, int, str], language: str, facts: Sequence[tuple[str, str]]
) -> Part:
    start, stop, sha256 = cut
    meta = [*facts, ("format", format_of(entry.name) or "")]
    return Part(
        path=entry.uri,
        name=entry.name,
        digest=entry.digest,
        size=entry.size,
        start=start,
        stop=stop,
        language=language,
        meta=tuple(sorted([*meta, ("range", sha256)] if sha256 else meta)),
    )


def _cuts_of(entry: Entry, most: int) -> Cuts:
    return cuts(entry.size, most) if format_of(entry.name) == "jsonl" else ()


def plain_lines(part: Part, limits: ReadLimits | None) -> Iterator[bytes | None]:
    """The lines that start in the range of a part; None for one over the cap.

    Raises `ChangedInput` (after the last line) when it is not what was planned,
    `TransientFault`.
    """
    with faults(part), open_part(part, limits) as raw:
        file = cast(BinaryIO, io.BufferedReader(Window(raw, part.stop), READ_AHEAD))
        reader = LineReader(file, part.start, part.stop)
        yield from reader.lines()
        if file.seek(0, io.SEEK_END) != part.size or not _same(part, reader.digest):
            raise ChangedInput(part.name)


def _same(part: Part, sha256: str) -> bool:
    planned = dict(part.meta).get("range", "")
    if planned:
        return planned == sha256
    # A range of a file elsewhere has no digest: its place holds it to the pinned revision.
    return (part.start, part.stop) != (0, part.size) or is_planned(part, sha256)


def _answered(entry: Entry, cuts: Cuts, answer: FileDigest | str) -> tuple[Entry, Ranges]:
    if isinstance(answer, str):
        return replace(entry, problem=answer), ()
    if answer.size != entry.size:
        raise ChangedInput(entry.name)
    ranges = [(*cut, sha256) for cut, sha256 in zip(cuts, answer.ranges, strict=True)]
    return replace(entry, digest=answer.sha256), tuple(ranges)
