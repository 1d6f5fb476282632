"""Rows of The Stack as JSON lines (`the-stack-smol`), by byte range.

Method: `ingest.jsonl` gives each line to the range it starts in; of a local file the range is
compared with its digest from the plan, a Hub file is pinned by its commit.
Cost: one request a MiB of a remote file, to its CDN. Limits: those of `ingest.jsonl`; no
compression.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from ingest.budget import ReadLimits
from ingest.errors import ChangedInput, TransientFault, is_transient
from ingest.jsonl import LineReader, parse_object
from ingest.places import is_local, open_part
from ingest.records import Part, Skip, SourceFile
from ingest.stack_rows import StackRows

CUT_BYTES = 4_000_000
_BUFFER_BYTES = 1 << 20


def cuts(size: int, cut: int) -> tuple[tuple[int, int], ...]:
    """Equal half-open ranges of at most `cut` bytes."""
    count = -(-size // max(1, cut))
    return tuple((size * i // count, size * (i + 1) // count) for i in range(count))


def read_lines(
    part: Part, rows: StackRows, first: int, limits: ReadLimits | None
) -> Iterator[SourceFile | Skip]:
    """One record a line, counted from `first`.

    Raises `ChangedInput` (of a local file after the last row) or `TransientFault`.
    """
    for row, line in enumerate(_lines(part, limits), start=first):
        if line is None:
            yield Skip(language=part.language, reason="line_too_long", row=row)
            continue
        values = parse_object(line)
        if isinstance(values, str):
            detail = line[:200].decode("utf-8", "backslashreplace")[:200]
            yield Skip(language=part.language, reason=values, row=row, detail=detail)
        else:
            yield rows.read_object(values, row)


def _lines(part: Part, limits: ReadLimits | None) -> Iterator[bytes | None]:
    try:
        raw = cast(io.RawIOBase, open_part(part, limits))
        with io.BufferedReader(raw, _BUFFER_BYTES) as file:
            reader = LineReader(cast(BinaryIO, file), part.start, part.stop)
            yield from reader.lines()
            changed = is_local(part.path) and reader.digest != dict(part.meta)["range"]
            if changed or file.seek(0, io.SEEK_END) != part.size:
                raise ChangedInput(part.name)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(part.name, str(error)) from error
        raise ChangedInput(part.name) from error
    except ValueError as error:
        raise ChangedInput(part.name) from error
