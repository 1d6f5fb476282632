"""Made-up files of The Stack v1, with the types of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SHA = "0123456789abcdef0123456789abcdef01234567"
Row = dict[str, Any]


def row(number: int, **changes: Any) -> Row:
    return {
        "content": f"def f{number}(): return {number}\n",
        "lang": "Python",
        "size": 30,
        "max_stars_repo_name": "owner/name",
        "max_stars_repo_path": f"src/f {number}.py",
        "max_stars_repo_head_hexsha": SHA,
        "max_stars_repo_licenses": ["MIT"],
        "max_stars_count": number,
        "max_issues_repo_licenses": ["GPL-3.0-only"],
        "max_issues_repo_name": "someone/else",
        **changes,
    }


SCHEMA: dict[str, Any] = {
    "content": pa.string(),
    "lang": pa.string(),
    "size": pa.int64(),
    "max_stars_repo_name": pa.string(),
    "max_stars_repo_path": pa.string(),
    "max_stars_repo_head_hexsha": pa.string(),
    "max_stars_repo_licenses": pa.list_(pa.string()),
    "max_stars_count": pa.int64(),
    "max_issues_repo_licenses": pa.list_(pa.string()),
    "max_issues_repo_name": pa.string(),
}


def write(path: Path, rows: list[Row], group: int = 4, **types: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {name: kind for name, kind in {**SCHEMA, **types}.items() if kind is not None}
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items())))
    pq.write_table(table, path, row_group_size=group, compression="zstd", write_page_checksum=True)
    return path
