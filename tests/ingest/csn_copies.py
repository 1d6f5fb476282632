"""Small copies of CodeSearchNet in each of its layouts, with made-up rows."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SHA = "0123456789abcdef0123456789abcdef01234567"
MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software "
    'and associated documentation files (the "Software"), to deal in the Software without '
    "restriction. The above copyright notice and this permission notice shall be included in all "
    "copies or substantial portions of the Software."
)
GPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007"
Row = dict[str, Any]
SPLITS = ("train", "valid", "test")
HUB_NAMES = {
    "repo": "repository_name",
    "path": "func_path_in_repository",
    "func_name": "func_name",
    "original_string": "whole_func_string",
    "language": "language",
    "code": "func_code_string",
    "code_tokens": "func_code_tokens",
    "docstring": "func_documentation_string",
    "docstring_tokens": "func_documentation_tokens",
    "partition": "split_name",
    "url": "func_code_url",
}


def row(number: int, split: str = "train", language: str = "python", **changes: Any) -> Row:
    """A row as the original JSON lines have it."""
    doc = f"Adds the number {number} of {split} to what is given."
    code = (
        f'def add_{number}(value):\n    """{doc}"""\n    total = value + {number}\n    return total'
    )
    path = f"src/add {number}.py"
    return {
        "repo": "owner/name",
        "path": path,
        "func_name": f"Adder.add_{number}",
        "original_string": code,
        "language": language,
        "code": code,
        "code_tokens": ["def", "add"],
        "docstring": doc,
        "docstring_tokens": ["Adds"],
        "sha": SHA,
        "url": f"https://github.com/owner/name/blob/{SHA}/{path}#L{number + 1}-L{number + 4}",
        "partition": split,
        **changes,
    }


def rows(language: str = "python", count: int = 3) -> dict[str, list[Row]]:
    """Rows for each split."""
    return {split: [row(i, split, language) for i in range(count)] for split in SPLITS}


def packed(lines: Sequence[Row | bytes]) -> bytes:
    data = b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )
    return gzip.compress(data, mtime=0)


def licences(**texts: str) -> bytes:
    """A pickle as the archives have it; `owner__name="..."`."""
    value = {repo.replace("__", "/"): [("LICENSE", text)] for repo, text in texts.items()}
    return pickle.dumps(value, 4)


def write_zip(
    path: Path,
    held: Mapping[str, Sequence[Row | bytes]],
    language: str = "python",
    book: bytes | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for split, lines in held.items():
            name = f"{language}/final/jsonl/{split}/{language}_{split}_0.jsonl.gz"
            archive.writestr(name, packed(lines))
        archive.writestr(f"{language}_dedupe_definitions_v2.pkl", b"not read")
        if book is not None:
            archive.writestr(f"{language}_licenses.pkl", book)
    return path


def write_unpacked(
    root: Path, held: Mapping[str, Sequence[Row | bytes]], language: str = "python"
) -> None:
    for split, lines in held.items():
        folder = root / language / "final" / "jsonl" / split
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{language}_{split}_0.jsonl.gz").write_bytes(packed(lines))


def hub_row(one: Row) -> Row:
    return {theirs: one[ours] for ours, theirs in HUB_NAMES.items()}


def parquet_bytes(lines: Sequence[Row], group: int = 2, **types: Any) -> bytes:
    """Rows under the names of the Hub's copy."""
    kinds = {
        name: pa.list_(pa.string()) if name.endswith("_tokens") else pa.string()
        for name in HUB_NAMES.values()
    } | types
    schema = pa.schema(list(kinds.items()))
    table = pa.Table.from_pylist([hub_row(line) for line in lines], schema=schema)
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=group, write_page_checksum=True)
    return out.getvalue()


def write_branch(root: Path, held: Mapping[str, Sequence[Row]], language: str = "python") -> None:
    """The layout of the Hub's main branch."""
    for split, lines in held.items():
        name = {"valid": "validation"}.get(split, split)
        path = root / language / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(parquet_bytes(lines))


def write_converted(
    root: Path, held: Mapping[str, Sequence[Row]], language: str = "python"
) -> None:
    """The layout of the Hub's converted branch."""
    for split, lines in held.items():
        name = {"valid": "validation"}.get(split, split)
        path = root / language / name / "0000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(parquet_bytes(lines))
