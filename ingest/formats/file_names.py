"""What a file of rows is by its name, and what its folders say of its rows.

Method: the ending tells the format, in any case. Folders called `key=value` (Hive: Spark, DuckDB,
Arrow) hold columns that the files leave out; keys and values are percent-encoded UTF-8.
Cost: string work. Limits: `__HIVE_DEFAULT_PARTITION__`, no value and what is not UTF-8 say
nothing; all values are text.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote_to_bytes

TABLES = (".parquet", ".parq", ".pq")
LINES = (".jsonl", ".ndjson", ".jsonlines", ".json")
PACKED_LINES = tuple(f"{ending}.gz" for ending in LINES)
ZSTD_LINES = tuple(f"{ending}.zst" for ending in LINES)
ZSTD_REASON = "compressed with zstd, which is not read: unpack it with `zstd -d`"
FOLDERS = "folders"
"""The key of `Part.meta` for what the folders of a file say."""
_KEY = re.compile(r"[\w.-]+")
_NULL = "__HIVE_DEFAULT_PARTITION__"

Format = Literal["parquet", "jsonl", "jsonl.gz", "csv"]


def format_of(name: str) -> Format | None:
    """The format of a file of rows; None for any other file."""
    lowered = name.lower()
    if lowered.endswith(TABLES):
        return "parquet"
    if lowered.endswith(LINES):
        return "jsonl"
    if lowered.endswith(PACKED_LINES):
        return "jsonl.gz"
    return "csv" if lowered.endswith(".csv") else None


def folder_values(name: str, uri: str) -> dict[str, str]:
    """Column -> value of the folders of a file, by its name and address; the innermost wins.

    Of the folders above its place those count in which the place itself is a piece.
    """
    steps = uri.split("/")
    outer = steps[: -1 - name.count("/")]
    above = itertools.takewhile(lambda step: "=" in step, reversed(outer))
    values: dict[str, str] = {}
    for folder in [*reversed(list(above)), *name.split("/")[:-1]]:
        key, equals, value = (_decoded(part) for part in folder.partition("="))
        if equals and _KEY.fullmatch(key) and value and value != _NULL:
            values[key] = value
    return values


def noted(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What the folders say as facts of a part."""
    return ((FOLDERS, json.dumps(values, sort_keys=True)),) if values else ()


def values_of(meta: Mapping[str, str]) -> dict[str, str]:
    """The same, read by a worker."""
    values: dict[str, str] = json.loads(meta.get(FOLDERS, "{}"))
    return values


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        return ""
