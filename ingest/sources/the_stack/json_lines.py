"""Rows of The Stack as JSON lines (`the-stack-smol`), by byte range or out of gzip.

Method: `ingest.formats.rows` gives the rows, `ingest.sources.the_stack.rows` judges each.
Cost and limits: those of `ingest.formats.rows`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.formats import BadRow, read_rows
from ingest.records import Part, Skip, SourceFile
from ingest.sources.the_stack.rows import StackRows
from ingest.transport import ReadLimits

CUT_BYTES = 4_000_000


def read_lines(
    part: Part, rows: StackRows, first: int, limits: ReadLimits | None
) -> Iterator[SourceFile | Skip]:
    """One record a line, counted from `first`.

    Raises `ChangedInput` (of a local file after the last row) or `TransientFault`.
    """
    row = first
    for values in read_rows(part, {}, limits):
        if isinstance(values, BadRow):
            yield values.skip(part.language, row)
            row += values.rows
        else:
            yield rows.read_object(values, row)
            row += 1
