"""First contact with Parquet files: a few footers, the schema column by column, a few rows.

Method: of the files of each language up to `SAMPLE_FOOTERS`, spread over the list, are opened,
several at a time; the first of them gives up to `SAMPLE_ROWS` rows of its first row groups,
decoded batch by batch and not as a whole, so that a row group of gigabytes costs a page a
column. What a build would read is summed over the footers, and where not all were read scaled
by the bytes of the files.
Cost: a request for each footer and one for each wanted column. Limits: those of
`ingest.formats.parquet`; files in between are not looked at.
pyarrow publishes no types: its objects do not leave this module except as `RecordBatch`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import pyarrow as pa

from ingest.errors import SourceError, TransientFault
from ingest.formats import KINDS, BadRow, BrokenFile, Column, ParquetReader
from ingest.preflight.access import sized
from ingest.preflight.findings import (
    SAMPLE_FOOTERS,
    SAMPLE_ROWS,
    ColumnCheck,
    ColumnVerdict,
    Findings,
    Reading,
)
from ingest.records import Skip, SourceFile, SourcePair
from ingest.storage import Entry, open_entry
from ingest.transport import ReadLimits

AT_ONCE = 8
SMALL_BYTES = 4_000_000
MOST_FOOTERS = 16
"""Of all languages together."""
MOST_GROUPS = 8
MOST_RECORDS = 1_000
"""Of one file: a row of a grouped set is many files."""

_AGAIN = "The file itself is broken: download or write it again."

Records = Iterator[SourceFile | SourcePair | Skip]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableKind:
    """How a kind of source reads Parquet."""

    contract: Callable[[Any, str], list[ColumnCheck]]
    """Of an Arrow schema and the name of the file."""
    wanted: Callable[[Any], tuple[str, ...]]
    """The columns of a schema that a build decodes. Raises `BrokenFile`."""
    records: Callable[[Any, Entry, str], Records]
    """What the rows of a record batch become, in a file of a language."""
    remedy: str
    """What to do where the schema is another one."""


@dataclass(kw_only=True, slots=True)
class _Look:
    """What one file showed."""

    entry: Entry
    language: str
    columns: list[ColumnCheck] = field(default_factory=list)
    names: tuple[str, ...] = ()
    """Of the columns that the file has."""
    groups: int = 0
    rows: int = 0
    stored: int = 0
    raw: int = 0
    records: list[SourceFile | SourcePair | Skip] = field(default_factory=list)
    problem: str = ""
    fault: SourceError | TransientFault | None = None


class TableHead(ParquetReader):
    """A Parquet file of which only the beginning is wanted."""

    def stored_bytes(self, columns: Sequence[str]) -> int:
        """Compressed bytes of these columns."""
        facts = self._file.metadata
        wanted = frozenset(columns)
        return sum(
            column.total_compressed_size
            for group in map(facts.row_group, range(facts.num_row_groups))
            for column in map(group.column, range(group.num_columns))
            if column.path_in_schema.split(".", 1)[0] in wanted
        )

    def first_rows(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        """Record batches of up to `rows` first rows. Raises `BrokenFile`."""
        groups = self.groups(columns)
        filled = [index for index, group in enumerate(groups) if group.rows][:MOST_GROUPS]
        try:
            for index in filled:
                if groups[index].size <= SMALL_BYTES:
                    # One request is quicker than one a column.
                    self._fetch(index, columns)
                batches = self._file.iter_batches(
                    batch_size=rows, row_groups=[index], columns=list(columns), use_threads=False
                )
                batch = next(batches, None)
                if batch is None:
                    raise BrokenFile(f"no rows in row group {index}, its footer names some")
                batch = batch.slice(0, rows)
                yield batch
                rows -= batch.num_rows
                if rows <= 0:
                    return
        except (pa.ArrowException, OSError, ValueError) as error:
            raise BrokenFile(f"its first rows cannot be decoded: {str(error)[:160]}") from error


def plain_contract(
    schema: Any, file: str, columns: Mapping[str, Column], prefix: str = ""
) -> list[ColumnCheck]:
    """Each column of a contract against a schema, in the order of the contract."""
    return [_column(schema, file, name, column, prefix) for name, column in columns.items()]


def plain_rows(batch: Any) -> Iterator[Mapping[str, object] | BadRow]:
    """The rows of a record batch; one with text that is not UTF-8 costs itself only."""
    try:
        yield from batch.to_pylist()
    except ValueError:
        for row in range(batch.num_rows):
            try:
                yield batch.slice(row, 1).to_pylist()[0]
            except ValueError:
                yield BadRow(reason="not_utf8")


def look_at_tables(
    findings: Findings,
    files: Mapping[str, Sequence[Entry]],
    kind: TableKind,
    limits: ReadLimits,
    rows: int = SAMPLE_ROWS,
) -> None:
    """Open some files of each language and note what they show."""
    most = max(1, min(SAMPLE_FOOTERS, MOST_FOOTERS // max(1, len(files))))
    chosen = [
        (language, entry, place == 0)
        for language, entries in sorted(files.items())
        for place, entry in enumerate(spread(entries, most))
    ]
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="contact") as pool:
        looks = list(
            pool.map(lambda one: _look(one[1], one[0], kind, limits, rows if one[2] else 0), chosen)
        )
    fault = next((look.fault for look in looks if look.fault is not None), None)
    if fault is not None:
        findings.fault("access", fault)
    else:
        findings.good("access", f"{len(looks):,} files were opened")
    for language in sorted(files):
        _note_language(findings, [one for one in looks if one.language == language], kind)
    findings.reading = _reading(files, [one for one in looks if _fits(one)])


def spread(entries: Sequence[Entry], most: int) -> list[Entry]:
    """The first entry and some more at even distances."""
    step = max(1, -(-len(entries) // most))
    return list(entries[::step])


def present(checks: Sequence[ColumnCheck]) -> tuple[str, ...]:
    """The columns that a build decodes. Raises `BrokenFile` for the first that does not fit."""
    for one in checks:
        if one.verdict in ("missing", "wrong type"):
            was = f"is {one.found}" if one.found else "is missing"
            raise BrokenFile(f"column {one.name} {was} (expected {one.expected})")
    return tuple(one.name for one in checks if one.verdict == "ok")


def _look(entry: Entry, language: str, kind: TableKind, limits: ReadLimits, rows: int) -> _Look:
    look = _Look(entry=entry, language=language)
    try:
        head = cast(TableHead, TableHead.of(open_entry(sized(entry, limits), limits)))
        with head:
            schema = head.schema()
            look.names = tuple(schema.names)
            look.columns = kind.contract(schema, entry.name)
            wanted = kind.wanted(schema)
            groups = head.groups(wanted)
            look.groups = len(groups)
            look.rows = sum(group.rows for group in groups)
            look.raw = sum(group.size for group in groups)
            look.stored = head.stored_bytes(wanted)
            for batch in head.first_rows(wanted, rows) if rows else ():
                found = kind.records(batch, entry, language)
                look.records.extend(islice(found, MOST_RECORDS))
    except (SourceError, TransientFault) as error:
        look.fault = error
    except (BrokenFile, OSError, ValueError) as error:
        look.problem = str(error)[:300]
    return look


def _note_language(findings: Findings, looks: Sequence[_Look], kind: TableKind) -> None:
    answered = [one for one in looks if one.fault is None]
    for place, one in enumerate(answered):
        findings.schema(
            c for c in one.columns if place == 0 or c.verdict not in ("ok", "not there")
        )
        findings.rows(one.records)
    broken = [one for one in answered if one.problem]
    if not answered:
        return
    name = f"schema {answered[0].language}".strip()
    if len(broken) < len(answered):
        aside = f"; set aside: {broken[0].entry.name}: {broken[0].problem}" if broken else ""
        good = len(answered) - len(broken)
        findings.good(name, f"as the contract asks in {good} file{'s' * (good != 1)}{aside}")
    else:
        first = broken[0]
        remedy = f"{kind.remedy}{_there(first)}" if first.columns else _AGAIN
        findings.bad(name, f"{first.entry.name}: {first.problem}", remedy)


def _there(look: _Look) -> str:
    """The columns of a file, and which of them was probably meant."""
    missing = [one.name for one in look.columns if one.verdict == "missing"]
    near = [difflib.get_close_matches(one, look.names, n=1, cutoff=0.6) for one in missing]
    hints = "".join(f" Did you mean {found[0]!r}?" for found in near if found)
    return f" The file has: {', '.join(look.names)[:200] or 'none'}.{hints}"


def _fits(look: _Look) -> bool:
    return look.fault is None and not look.problem


def _reading(files: Mapping[str, Sequence[Entry]], looks: Sequence[_Look]) -> Reading | None:
    """Sums by language, scaled by the bytes of the files that were not opened."""
    totals = {"groups": 0.0, "rows": 0.0, "stored": 0.0, "raw": 0.0}
    count, seen = 0, 0
    for language, entries in files.items():
        mine = [one for one in looks if one.language == language]
        opened = sum(one.entry.size for one in mine)
        if not opened:
            continue
        count += len(entries)
        seen += len(mine)
        factor = sum(max(one.size, 0) for one in entries) / opened
        for key in totals:
            totals[key] += factor * sum(int(getattr(one, key)) for one in mine)
    if not seen:
        return None
    return Reading(
        files=count,
        row_groups=round(totals["groups"]),
        rows=round(totals["rows"]),
        stored_bytes=round(totals["stored"]),
        raw_bytes=round(totals["raw"]),
        exact=seen == count,
    )


def _column(schema: Any, file: str, name: str, column: Column, prefix: str) -> ColumnCheck:
    places = schema.get_all_field_indices(name)
    found = str(schema.field(places[0]).type)[:100] if places else ""
    if len(places) > 1:
        return ColumnCheck(
            file=file,
            name=prefix + name,
            expected=column.kind,
            found=f"{len(places)} columns of this name",
            verdict="wrong type",
        )
    verdict: ColumnVerdict
    if not places:
        verdict = "missing" if column.required else "not there"
    else:
        fits = fits_kind(column.kind, schema.field(places[0]).type)
        verdict = "ok" if fits else "wrong type" if column.required else "not there"
    return ColumnCheck(
        file=file,
        name=prefix + name,
        expected=column.kind + ("" if column.required else ", optional"),
        found=found,
        verdict=verdict,
    )


def fits_kind(kind: str, type_: Any) -> bool:
    """Whether an Arrow type is of a kind of the contract."""
    return bool(pa.types.is_boolean(type_)) if kind == "flag" else KINDS[kind](type_)
