"""The evidence: every removed pair, why it went, and what lets anybody check it.

Parquet files under `removals/`, rows in ascending id order inside each file. An exact duplicate
carries its `exact_key` (to be recomputed on the witness), a near-duplicate its sorted shingle
hashes, true Jaccard, query and count of tokens, so that the pair rule can be applied again; a
filtered pair carries none of them, has no witness ("") and score -1. Evidence from before the pair
rule has no columns for query and tokens: it is read as "" and -1.
Row groups hold at most 8 MiB of shingles or 20,000 rows, and their id statistics let
`find_removal` read one row group a file: a few milliseconds. Evidence of strangers is read in
bounded memory (`shards.storage.bounded_parquet`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shards.storage import BoundedParquet, open_parquet, table
from xtrove.core import DamagedData, FileFacts, staged

FIRST_SCHEMA: Final = pa.schema(
    [
        *(pa.field(n, pa.string(), nullable=False) for n in ("id", "language", "source", "repo")),
        pa.field("path", pa.string(), nullable=False),
        pa.field("start_line", pa.int64(), nullable=False),
        pa.field("end_line", pa.int64(), nullable=False),
        *(pa.field(n, pa.string(), nullable=False) for n in ("name", "reason", "detail")),
        pa.field("witness_id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("code_sha256", pa.string(), nullable=False),
        pa.field("exact_key", pa.string(), nullable=False),
        pa.field(
            "shingles", pa.list_(pa.field("element", pa.uint64(), nullable=False)), nullable=False
        ),
    ]
)
"""Of the datasets whose manifest states no rule."""
REMOVALS_SCHEMA: Final = pa.schema(
    [
        *FIRST_SCHEMA,
        pa.field("query", pa.string(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
    ]
)
NO_SCORE: Final = -1.0
NO_TOKENS: Final = -1
_GROUP_ROWS: Final = 20_000
_GROUP_SHINGLES: Final = 1 << 20
_ID: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """One removed pair."""

    id: str
    language: str
    source: str
    repo: str
    path: str
    start_line: int
    end_line: int
    name: str
    reason: str
    detail: str
    code_sha256: str
    witness_id: str = ""
    """Id of the kept pair that made this one superfluous; "" where there is none."""
    score: float = NO_SCORE
    """True Jaccard for near-duplicates, 1.0 for exact ones, -1 otherwise."""
    exact_key: str = ""
    """32 hex digits of the exact key of its code, for exact duplicates."""
    shingles: tuple[int, ...] = ()
    """Sorted 64-bit shingle hashes, for near-duplicates."""
    query: str = ""
    """As it would have been published, for near-duplicates."""
    tokens: int = NO_TOKENS
    """Lexical tokens of its code, for near-duplicates; else -1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalsFile:
    """One file of evidence that was written."""

    file: FileFacts
    rows: int


def write_removals(base: Path, name: str, rows: Iterable[Removal], *, tmp: Path) -> RemovalsFile:
    """Writes `removals/<name>.parquet` from rows in ascending id order (equal ids may follow).

    `DamagedData` on rows out of order or ids that are not 32 hex digits.
    """
    count = 0
    with staged(base, f"removals/{name}.parquet", tmp) as sink:
        with pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            REMOVALS_SCHEMA,
            compression="zstd",
            write_page_index=True,
            use_dictionary=["language", "source", "repo", "reason"],
        ) as writer:
            for group in _groups(rows):
                writer.write_table(_table(group), row_group_size=len(group))
                count += len(group)
        return RemovalsFile(file=sink.commit(), rows=count)


def _groups(rows: Iterable[Removal]) -> Iterator[list[Removal]]:
    group: list[Removal] = []
    weight, last = 0, ""
    for row in rows:
        if not _ID.fullmatch(row.id) or row.id < last:
            raise DamagedData(f"removal {row.id!r} after {last!r}: 32 hex digits, ascending")
        group.append(row)
        last = row.id
        weight += len(row.shingles)
        if len(group) >= _GROUP_ROWS or weight >= _GROUP_SHINGLES:
            yield group
            group, weight = [], 0
    if group:
        yield group


def _table(rows: list[Removal]) -> Any:
    columns = {name: [getattr(row, name) for row in rows] for name in REMOVALS_SCHEMA.names}
    return table(columns, REMOVALS_SCHEMA)


def removal_files(dataset: Path) -> list[Path]:
    """The evidence files of a dataset, sorted by name; links are left out."""
    return sorted(
        path for path in (dataset / "removals").glob("*.parquet") if not path.is_symlink()
    )


@contextmanager
def open_removals(path: Path) -> Iterator[BoundedParquet]:
    """One evidence file, read in bounded memory. `DamagedData` where it cannot be read."""
    with open_parquet(path, REMOVALS_SCHEMA, FIRST_SCHEMA) as file:
        yield file


def read_removals(path: Path) -> Iterator[Removal]:
    """The rows of one evidence file in order. `DamagedData` where it cannot be read."""
    with open_removals(path) as file:
        for batch in file.batches():
            for row in batch.to_pylist():
                yield _removal(row)


def _removal(row: dict[str, Any]) -> Removal:
    if any(value is None for value in row.values()):
        raise DamagedData(f"removal {row['id']!r} holds nulls")
    return Removal(**{**row, "shingles": tuple(row["shingles"])})


def find_removal(dataset: Path, sample_id: str) -> Removal | None:
    """Why a pair was removed, or None where no evidence has its id."""
    for path in removal_files(dataset):
        with open_removals(path) as file:
            groups = [group for group in range(file.groups) if file.may_hold(group, 0, sample_id)]
            for batch in file.batches(groups=groups):
                row = batch.column("id").index(sample_id).as_py()
                if row >= 0:
                    return _removal(batch.slice(row, 1).to_pylist()[0])
    return None
