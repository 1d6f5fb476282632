"""First contact with files of lines: JSON lines (also gzip, also inside a zip) and CSV.

Method: the first `SAMPLE_BYTES` of a file are read in one piece, unpacked up to twice as many,
and cut at the last end of a line, so that only whole rows are judged.
Cost: one read or request a file. Limits: a row longer than that is not seen; nothing is
compared with a digest, for none was made.
"""

from __future__ import annotations

import io
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, cast

from ingest.files import read_up_to
from ingest.formats import LineReader, Rows, csv_rows, json_row, open_archive
from ingest.preflight.findings import SAMPLE_BYTES, SAMPLE_ROWS
from ingest.storage import Entry, open_entry
from ingest.transport import ReadLimits

_GZIP = 31
"""zlib's `wbits` for a gzip header."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The first bytes of a file, whole lines only."""

    data: bytes
    complete: bool
    """Whether this is the whole file."""

    def rows(self, name: str, most: int = SAMPLE_ROWS) -> Rows:
        """The first rows, read by the ending of the name. Raises
        `ingest.formats.csv_records.NoHeader`."""
        if name.lower().removesuffix(".gz").endswith(".csv"):
            return islice(csv_rows(iter(self.data.splitlines(keepends=True))), most)
        return islice((json_row(line) for line in self._lines()), most)

    def _lines(self) -> Iterator[bytes | None]:
        return LineReader(cast(BinaryIO, io.BytesIO(self.data)), 0, sys.maxsize).lines()


def head_of(entry: Entry, limits: ReadLimits) -> Head:
    """The beginning of a plain or gzip file.

    Raises `OSError` or `ValueError` when it cannot be read or unpacked, and what
    `ingest.storage.locate.open_entry` raises.
    """
    with open_entry(entry, limits) as file:
        data = read_up_to(file, min(SAMPLE_BYTES, entry.size))
    return _head(data, entry.name, len(data) == entry.size)


def head_of_member(entry: Entry, chosen: str, limits: ReadLimits) -> Head:
    """The beginning of a member of a zip. Raises like `head_of`, and `BrokenStream`."""
    with open_entry(entry, limits) as file:
        archive, _ = open_archive(file)
        try:
            with archive.open(chosen) as member:
                data = member.read(SAMPLE_BYTES)
                size = archive.getinfo(chosen).file_size
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"{chosen}: {str(error)[:160]}") from error
    return _head(data, chosen, len(data) == size)


def _head(data: bytes, name: str, complete: bool) -> Head:
    if name.lower().endswith(".gz"):
        unpacking = zlib.decompressobj(_GZIP)
        try:
            data = unpacking.decompress(data, 2 * SAMPLE_BYTES)
        except zlib.error as error:
            raise ValueError(f"no gzip: {str(error)[:160]}") from error
        complete = complete and unpacking.eof and not unpacking.unused_data
    if not complete:
        data = data[: data.rfind(b"\n") + 1]
    return Head(data=data, complete=complete)
