"""Made-up files of The Stack v2 in its three shapes, their blobs in a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourceFile
from ingest.sources.the_stack_v2.contents import BlobRequest
from ingest.sources.the_stack_v2.source import TheStackV2Options, plan, read
from tests.ingest.blob_server import Bucket

Row = dict[str, Any]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TIME = pa.timestamp("ns")

FLAT: dict[str, Any] = {
    "blob_id": pa.string(),
    "directory_id": pa.string(),
    "path": pa.string(),
    "content_id": pa.string(),
    "detected_licenses": pa.list_(pa.string()),
    "license_type": pa.string(),
    "repo_name": pa.string(),
    "snapshot_id": pa.string(),
    "revision_id": pa.string(),
    "branch_name": pa.string(),
    "visit_date": TIME,
    "revision_date": TIME,
    "committer_date": TIME,
    "github_id": pa.int64(),
    "star_events_count": pa.int64(),
    "fork_events_count": pa.int64(),
    "gha_license_id": pa.string(),
    "gha_event_created_at": TIME,
    "gha_created_at": TIME,
    "gha_language": pa.string(),
    "src_encoding": pa.string(),
    "language": pa.string(),
    "is_vendor": pa.bool_(),
    "is_generated": pa.bool_(),
    "length_bytes": pa.int64(),
    "extension": pa.string(),
}
EDU: dict[str, Any] = {
    **{name: FLAT[name] for name in ("blob_id", "language", "repo_name", "path", "src_encoding")},
    "length_bytes": pa.int64(),
    "score": pa.float64(),
    "int_score": pa.int64(),
    "detected_licenses": pa.list_(pa.string()),
    "license_type": pa.string(),
}
_INNER = (
    "blob_id",
    "path",
    "content_id",
    "language",
    "length_bytes",
    "detected_licenses",
    "license_type",
    "src_encoding",
    "is_vendor",
    "is_generated",
)
FILE = pa.struct(
    [(name, FLAT[name]) for name in _INNER]
    + [("alphanum_fraction", pa.float32()), ("num_lines", pa.int32())]
)
_OUTER = (
    "repo_name",
    "snapshot_id",
    "revision_id",
    "directory_id",
    "branch_name",
    "visit_date",
    "github_id",
    "star_events_count",
    "gha_license_id",
)
GROUPED: dict[str, Any] = {
    **{name: FLAT[name] for name in _OUTER},
    "repo_url": pa.string(),
    "files": pa.list_(FILE),
    "num_files": pa.int64(),
}


def row(wanted: BlobRequest, **changes: Any) -> Row:
    """A row that passes."""
    return {
        "blob_id": wanted.blob_id,
        "path": "/src/a b.py",
        "detected_licenses": ["MIT"],
        "license_type": "permissive",
        "repo_name": "owner/name",
        "revision_id": COMMIT,
        "github_id": 7,
        "star_events_count": 3,
        "gha_license_id": None,
        "src_encoding": "UTF-8",
        "language": "Python",
        "is_vendor": False,
        "is_generated": False,
        "length_bytes": wanted.length,
        **changes,
    }


def rows(store: Bucket, count: int, **changes: Any) -> list[Row]:
    """Rows of different blobs."""
    made = (store.put(b"x = %d\n" % number) for number in range(count))
    return [row(one, **{"path": f"/src/{at}.py", **changes}) for at, one in enumerate(made)]


def write(
    path: Path, content: Sequence[Row], schema: dict[str, Any], /, group: int = 4, **types: Any
) -> Path:
    """A Parquet file; a type of None leaves a column out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {name: kind for name, kind in {**schema, **types}.items() if kind is not None}
    table = pa.Table.from_pylist(list(content), schema=pa.schema(list(kinds.items())))
    pq.write_table(table, path, row_group_size=group, compression="zstd", write_page_checksum=True)
    return path


def run(
    store: Bucket, root: Path, slice_bytes: int | None = None, **options: object
) -> tuple[Listing, list[SourceFile | Skip]]:
    """Plan and read everything; rows must be counted without a gap."""
    blobs = store.options().model_dump()
    chosen = TheStackV2Options.model_validate({"path": str(root), "blobs": blobs, **options})
    policy = LicensePolicy()
    listing = plan(chosen, "stack", policy, slice_bytes)
    records: list[SourceFile | Skip] = []
    for slice_ in listing.slices:
        seen = 0
        for record in read(chosen, "stack", policy, slice_, listing.revision):
            assert record.row == seen
            seen += record.rows if isinstance(record, Skip) else 1
            records.append(record)
    return listing, records


def reasons(records: Sequence[SourceFile | Skip]) -> list[str]:
    """What became of each row."""
    return [record.reason if isinstance(record, Skip) else "file" for record in records]
