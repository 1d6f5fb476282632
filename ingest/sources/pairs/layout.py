"""The files of a source of pairs, as pieces that can be read by themselves.

Method: JSON lines are cut into byte ranges, Parquet into row groups; a compressed or CSV file is
one piece. What the config asks of the columns is held against the header of each Parquet and
CSV file here, so that a wrong name is said before any work starts; a column that is not there
may stand in the names of the folders. Local files are digested,
and of JSON lines each range too, for a worker to compare.
Cost: one read of every local file; of others the header. Limits: a gzip or CSV file is as long a
task as it is long: cut large ones, or store them as Parquet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.files import Progress
from ingest.formats import (
    EXPANSION,
    LINES,
    PACKED_LINES,
    TABLES,
    Column,
    Ranges,
    TableFile,
    contract,
    csv_header,
    folder_values,
    format_of,
    given,
    inspect,
    json_problem,
    line_units,
    noted,
    ranged,
)
from ingest.records import Quarantine
from ingest.slicing import Unit, target_bytes
from ingest.sources.base import FIELDS, Columns, Sample, choose
from ingest.storage import Entry
from ingest.transport import ReadLimits

READ = (*LINES, *PACKED_LINES, ".csv", *TABLES)
OTHER = (".tsv", ".gz", ".zst", ".bz2", ".xz", ".zip", ".arrow", ".feather", ".xlsx")
OTHER_REASON = f"not a format that is read ({', '.join(READ)}): convert it"


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFiles:
    """What a place holds."""

    entries: tuple[Entry, ...]
    """With digests, sorted by name."""
    groups: tuple[list[Unit], ...]
    """The pieces of each of them."""
    quarantined: tuple[Quarantine, ...]
    target: int
    """Bytes a slice should have."""
    rows: int
    """-1 when only reading tells."""


def survey(
    listed: Sequence[Entry],
    columns: Columns,
    slice_bytes: int | None,
    progress: Progress | None,
    limits: ReadLimits | None,
    sample: Sample | None,
) -> PairFiles:
    """Look at each file once, or at some of them."""
    rows = [listed_entry for listed_entry in listed if format_of(listed_entry.name) is not None]
    quarantined = [
        Quarantine(name=listed_entry.name, reason=OTHER_REASON)
        for listed_entry in listed
        if listed_entry.name.lower().endswith(OTHER) and format_of(listed_entry.name) is None
    ]
    tables: dict[str, TableFile] = {}
    chosen: list[Entry] = []
    for entry in choose(sample, rows, lambda _: "", lambda entry: entry):
        problem = entry.problem or _header(entry, columns, tables, limits)
        if problem:
            quarantined.append(Quarantine(name=entry.name, reason=problem))
        else:
            chosen.append(entry)
    target = target_bytes(sum(_bytes(listed_entry, tables) for listed_entry in chosen), slice_bytes)
    entries: list[Entry] = []
    groups: list[list[Unit]] = []

    for entry, ranges in ranged(chosen, target, progress, limits, unread=sample is not None):
        if entry.problem:
            quarantined.append(Quarantine(name=entry.name, reason=entry.problem))
            continue
        entries.append(entry)
        groups.append(_units(entry, columns, tables.get(entry.name), ranges))
    return PairFiles(
        entries=tuple(entries),
        groups=tuple(groups),
        quarantined=tuple(sorted(quarantined, key=lambda listed_entry: listed_entry.name)),
        target=target,
        rows=-1
        if len(tables) < len(entries)
        else sum(group.rows for table in tables.values() for group in table.groups),
    )


def table_columns(columns: Columns) -> Mapping[str, Column]:
    """The columns of a Parquet file: those that the config names must be there."""
    named = columns.model_dump()
    stated = {
        named[field] or field: Column(kind="any", required=named[field] is not None)
        for field in (*FIELDS, "stars")
        if named[field] or field in FIELDS
    }
    return stated | {name: Column(kind="text") for name in (columns.query, columns.code)}


def folders_of(entry: Entry, columns: Columns) -> dict[str, str]:
    """What the folders of a file say of its rows: `lang=` too is a language."""
    values = folder_values(entry.name, entry.uri)
    if "lang" in values and columns.language is None:
        values.setdefault("language", values["lang"])
    return values


def _header(
    entry: Entry, columns: Columns, tables: dict[str, TableFile], limits: ReadLimits | None
) -> str:
    """Why the file cannot be used by what its header says; remembers that of a table."""
    stated = given(table_columns(columns), folders_of(entry, columns))
    match format_of(entry.name):
        case "parquet":
            table = inspect(entry, contract(stated), limits)
            if isinstance(table, str):
                return table
            tables[entry.name] = table
        case "csv":
            header = csv_header(entry, limits)
            if isinstance(header, str):
                return header
            missing = [
                key for key, column in stated.items() if column.required and key not in header
            ]
            if missing:
                return (
                    f"column {', '.join(missing)} is missing (the file has {len(header)} others: "
                    "`xtrove doctor` names them)"
                )
        case _:
            return json_problem(entry, (columns.query, columns.code), limits)
    return ""


def _bytes(entry: Entry, tables: Mapping[str, TableFile]) -> int:
    """Uncompressed, as far as that is known."""
    table = tables.get(entry.name)
    if table is not None:
        return sum(group.size for group in table.groups)
    return entry.size * (EXPANSION if format_of(entry.name) == "jsonl.gz" else 1)


def _units(entry: Entry, columns: Columns, table: TableFile | None, ranges: Ranges) -> list[Unit]:
    facts = noted(folders_of(entry, columns))
    if table is not None:
        return replace(table, entry=entry).units("", (("format", "parquet"), *facts))
    return line_units(entry, ranges, "", facts)
