"""Rows of The Stack as JSON lines (`the-stack-smol`), by byte range.

Method: `ingest.line_ranges` gives the lines, `ingest.stack_rows` judges each.
Cost and limits: those of `ingest.line_ranges`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.budget import ReadLimits
from ingest.line_ranges import plain_lines
from ingest.raw_rows import BadRow
from ingest.records import Part, Skip, SourceFile
from ingest.row_files import json_row
from ingest.stack_rows import StackRows

CUT_BYTES = 4_000_000


def read_lines(
    part: Part, rows: StackRows, first: int, limits: ReadLimits | None
) -> Iterator[SourceFile | Skip]:
    """One record a line, counted from `first`.

    Raises `ChangedInput` (of a local file after the last row) or `TransientFault`.
    """
    for row, line in enumerate(plain_lines(part, limits), start=first):
        values = json_row(line)
        if isinstance(values, BadRow):
            yield values.skip(part.language, row)
        else:
            yield rows.read_object(values, row)
