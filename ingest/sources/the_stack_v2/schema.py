"""The three shapes of The Stack v2, made one: a batch of rows becomes lists by field.

Shapes: flat (`the-stack-v2`, `-dedup`: a row is a file), stack-edu (the same with fewer
columns) and grouped (`-train-full-ids`, `-train-smol-ids`: a row is a repository, its files a
list of structs). Columns are chosen by name and checked by kind; others are ignored, dates of
any unit among them. A repository without files becomes one row without a blob.
Cost: 4 microseconds a row. Limits: contents that some copies carry are not read.
pyarrow publishes no types: its objects do not leave this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import KINDS, BrokenFile, Column, binary, kind_name

FILES = "files"
LICENSES = "detected_licenses"

FILE_COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "blob_id": Column(kind="text"),
        "path": Column(kind="text"),
        "language": Column(kind="text"),
        "src_encoding": Column(kind="text"),
        "length_bytes": Column(kind="number"),
        LICENSES: Column(kind="list of text"),
        "license_type": Column(kind="text"),
        "is_vendor": Column(kind="flag", required=False),
        "is_generated": Column(kind="flag", required=False),
    }
)
REPO_COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "repo_name": Column(kind="text"),
        "revision_id": Column(kind="text", required=False),
        "github_id": Column(kind="number", required=False),
        "star_events_count": Column(kind="number", required=False),
        "gha_license_id": Column(kind="text", required=False),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a file was found to be."""

    grouped: bool
    columns: tuple[str, ...]
    """Of the file: what to decode."""
    fields: Mapping[str, str]
    """Field -> kind, for those that are there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """The rows of a batch: one list for each field of the contract, all of one length."""

    rows: int
    texts: Mapping[str, Sequence[bytes | None]]
    numbers: Mapping[str, Sequence[object]]
    flags: Mapping[str, Sequence[object]]
    licenses: Sequence[tuple[str, ...]]
    empty: frozenset[int]
    """Rows that stand for a repository without files."""


def shape_of(schema: Any) -> Shape:
    """The shape of a Parquet file by its Arrow schema.

    Raises `BrokenFile` with the column, what was found and what was expected.
    """
    if len(schema.get_all_field_indices(FILES)) != 1:
        kinds = _checked(schema, {**FILE_COLUMNS, **REPO_COLUMNS}, "")
        return Shape(grouped=False, columns=tuple(kinds), fields=kinds)
    kind = schema.field(FILES).type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (is_list and pa.types.is_struct(kind.value_type)):
        raise BrokenFile(f"column {FILES} is {kind_name(kind)} (expected list of struct)")
    outer = _checked(schema, REPO_COLUMNS, "")
    inner = _checked(pa.schema(list(kind.value_type)), FILE_COLUMNS, f"{FILES}.")
    return Shape(grouped=True, columns=(*outer, FILES), fields={**outer, **inner})


def fields_of(batch: Any, shape: Shape) -> Fields:
    """The rows of a record batch; a grouped one is unfolded, file by file, in order."""
    empty: frozenset[int] = frozenset()
    arrays = {name: batch.column(name) for name in shape.columns}
    rows = batch.num_rows
    if shape.grouped:
        arrays, rows, empty = _unfolded(arrays, shape)
    return Fields(
        rows=rows,
        texts={name: _texts(arrays.get(name), rows) for name in _named("text")},
        numbers={name: _plain(arrays.get(name), rows) for name in _named("number")},
        flags={name: _plain(arrays.get(name), rows) for name in _named("flag")},
        licenses=_lists(arrays[LICENSES]),
        empty=empty,
    )


def _checked(schema: Any, contract: Mapping[str, Column], prefix: str) -> dict[str, str]:
    columns: dict[str, str] = {}
    for name, column in contract.items():
        places = schema.get_all_field_indices(name)
        if len(places) > 1:
            raise BrokenFile(f"column {prefix}{name} stands {len(places)} times")
        if not places and column.required:
            raise BrokenFile(f"column {prefix}{name} is missing (expected {column.kind})")
        if not places:
            continue
        kind = schema.field(places[0]).type
        if not column.required and pa.types.is_null(kind):
            continue
        if not _fits(column.kind, kind):
            found_kind = kind_name(kind)
            raise BrokenFile(f"column {prefix}{name} is {found_kind} (expected {column.kind})")
        columns[name] = column.kind
    return columns


def _fits(expected: str, kind: Any) -> bool:
    return bool(pa.types.is_boolean(kind)) if expected == "flag" else KINDS[expected](kind)


def _named(kind: str) -> list[str]:
    return [
        name for name, column in {**FILE_COLUMNS, **REPO_COLUMNS}.items() if column.kind == kind
    ]


def _unfolded(
    arrays: Mapping[str, Any], shape: Shape
) -> tuple[dict[str, Any], int, frozenset[int]]:
    files = arrays[FILES]
    inner: list[int | None] = []
    outer: list[int] = []
    empty: list[int] = []
    at = 0
    for repo, length in enumerate(files.value_lengths().to_pylist()):
        if not length:
            empty.append(len(inner))
        inner.extend(range(at, at + length) if length else [None])
        outer.extend([repo] * max(length or 0, 1))
        at += length or 0
    structs = files.flatten().take(pa.array(inner, pa.int64()))
    repos = pa.array(outer, pa.int64())
    unfolded = {
        name: pc.struct_field(structs, [name]) if name in FILE_COLUMNS else arrays[name].take(repos)
        for name in shape.fields
    }
    return unfolded, len(inner), frozenset(empty)


def _texts(column: Any, rows: int) -> Sequence[bytes | None]:
    return [None] * rows if column is None else list(binary(column).to_pylist())


def _plain(column: Any, rows: int) -> Sequence[object]:
    return [None] * rows if column is None else list(column.to_pylist())


def _lists(column: Any) -> list[tuple[str, ...]]:
    """The identifiers of each row; one that says nothing is "", so that it is not overlooked."""
    flat = column.flatten()
    values = [None] * len(flat) if pa.types.is_null(flat.type) else binary(flat).to_pylist()
    rows: list[tuple[str, ...]] = []
    at = 0
    for length in column.value_lengths().to_pylist():
        count = length or 0
        rows.append(tuple(text(value) or "" for value in values[at : at + count]))
        at += count
    return rows


def text(value: bytes | None) -> str | None:
    """The text; null and what is not UTF-8 are None, which the row's checks refuse."""
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None
