"""Rows of Parquet files as plain values, by row group, where any part may be broken.

Method: a file is inspected once by the driver (`ingest.formats.parquet`: row groups, bytes of the
wanted columns, digest and length of the footer) and becomes one part a row group; neighbours
that end up in one slice are read as one part. Texts are decoded one by one, so that one that is
not UTF-8 costs its row only; a row group that cannot be decoded is one `BadRow` with all of its
rows.
Cost: 2 to 4 microseconds a cell. Limits: those of `ingest.formats.parquet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ingest.errors import TransientFault, is_transient
from ingest.formats.bad_row import BadRow, Rows
from ingest.formats.parquet import (
    FOOTER_DATA,
    KINDS,
    BrokenFile,
    BrokenGroup,
    Column,
    ParquetReader,
    RowGroup,
    binary,
    handed_on,
    open_planned_part,
)
from ingest.records import Part
from ingest.slicing import Unit
from ingest.storage import Entry, is_local, open_entry
from ingest.transport import ReadLimits

FOOTERS_AT_ONCE = 8
FOOTER_SHARE = 50
"""A footer of more than this part of its file is handed on: a worker would read 2% again."""
ColumnsOf = Callable[[ParquetReader], Sequence[str]]
"""The columns to read of a file, by its schema. Raises `BrokenFile` where it does not fit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableFile:
    """What the driver found out about a Parquet file."""

    entry: Entry
    footer: str
    footer_bytes: int
    footer_data: bytes
    """The footer itself, where it is a part of the file that counts; else empty."""
    columns: tuple[str, ...]
    """Those that are read of it."""
    groups: tuple[RowGroup, ...]
    """With the bytes of those columns."""

    def facts(self) -> list[tuple[str, str]]:
        """What a worker is told of the footer: of a remote one its length, to ask for no more,
        or all of it, to ask for nothing."""
        facts = [("footer", self.footer)]
        if not is_local(self.entry.uri):
            facts.append(("footer_bytes", str(self.footer_bytes)))
            if self.footer_data:
                facts.append((FOOTER_DATA, handed_on(self.footer_data)))
        return facts

    def part(
        self, start: int, stop: int, language: str, meta: Sequence[tuple[str, str]] = ()
    ) -> Part:
        """A part of the file; what `start` and `stop` count is up to its reader."""
        return Part(
            path=self.entry.uri,
            name=self.entry.name,
            digest=self.entry.digest,
            size=self.entry.size,
            start=start,
            stop=stop,
            language=language,
            meta=tuple(sorted((*meta, *self.facts()))),
        )

    def units(self, language: str, meta: Sequence[tuple[str, str]] = ()) -> list[Unit]:
        """One part for each row group with rows."""
        return [
            (self.part(index, index + 1, language, meta), group.size)
            for index, group in enumerate(self.groups)
            if group.rows
        ]


def contract(columns: Mapping[str, Column]) -> ColumnsOf:
    """The columns of a plain contract."""
    return lambda reader: reader.check(columns)


def inspect(entry: Entry, columns: ColumnsOf, limits: ReadLimits | None = None) -> TableFile | str:
    """The row groups of a file, or the reason why it cannot be used."""
    if entry.problem:
        return entry.problem
    try:
        with ParquetReader.of(open_entry(entry, limits)) as reader:
            names = tuple(columns(reader))
            counts = reader.footer_bytes * FOOTER_SHARE > reader.size()
            return TableFile(
                entry=entry,
                footer=reader.footer,
                footer_bytes=reader.footer_bytes,
                footer_data=reader.footer_data if counts else b"",
                columns=names,
                groups=reader.groups(names),
            )
    except BrokenFile as error:
        return str(error)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(entry.name, str(error)) from error
        return "unreadable"


def inspect_all(
    entries: Sequence[Entry], columns: ColumnsOf, limits: ReadLimits | None = None
) -> Iterator[TableFile | str]:
    """Each file as `inspect` finds it, in order, a few at a time."""
    pool = ThreadPoolExecutor(max_workers=FOOTERS_AT_ONCE, thread_name_prefix="footer")
    try:
        yield from pool.map(lambda entry: inspect(entry, columns, limits), entries)
    finally:
        # After a refusal nothing more may be asked.
        pool.shutdown(cancel_futures=True)


def table_rows(part: Part, columns: Mapping[str, Column], limits: ReadLimits | None = None) -> Rows:
    """The rows of the row groups of a part.

    Raises `ChangedInput` when the file is not the one that was planned, `TransientFault`.
    """
    with open_planned_part(part, limits) as reader:
        present = reader.check(columns)
        groups = reader.groups(present)
        for index in range(part.start, part.stop):
            group = groups[index]
            try:
                for batch in reader.batches(index, present, group.size, group.rows):
                    yield from _rows(batch)
            except BrokenGroup as error:
                yield BadRow(
                    reason="corrupt_input",
                    fact=str(error),
                    rows=group.rows,
                    quarantined=f"{part.name}#{index}",
                )
            except OSError as error:
                raise TransientFault(part.name, str(error)) from error


class _Undecodable:
    """Stands for a text that is not UTF-8."""


_BAD = _Undecodable()


def _rows(batch: Any) -> Rows:
    names = list(batch.schema.names)
    columns = [_cells(batch.column(index)) for index in range(len(names))]
    for cells in zip(*columns, strict=True):
        values = dict(zip(names, cells, strict=True))
        broken = [name for name, cell in values.items() if cell is _BAD]
        yield BadRow(reason="not_utf8", detail=", ".join(broken)[:200]) if broken else values


def _cells(column: Any) -> Iterator[object]:
    if KINDS["text"](column.type):
        for data in binary(column).to_pylist():
            yield None if data is None else _decoded(data)
        return
    for scalar in column:
        try:
            yield scalar.as_py()
        except (ValueError, OverflowError):
            # Text inside a list that is not UTF-8, a time outside of Python's years.
            yield _BAD


def _decoded(data: bytes) -> object:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _BAD
