"""The Stack v2 from the Hub: only the footers and the columns that are read, and its commit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hub.running import running_hub
from tests.hub.store import Store
from tests.ingest.blob_server import Bucket, bucket
from tests.ingest.stack_v2_files import FLAT, rows, write

ROWS = 3_000
SCRIPT = """
from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip
from ingest.sources.registry import SourceOptions, plan, read
from pydantic import TypeAdapter

options = TypeAdapter(SourceOptions).validate_python(json.loads(sys.argv[1]))
policy = LicensePolicy()
listing = plan(options, "v2", policy)
records = [
    one
    for piece in listing.slices
    for one in read(options, "v2", policy, piece, listing.revision)
]
answer = {
    "revision": listing.revision,
    "streams": sorted({one.stream for one in listing.slices}),
    "reasons": [one.reason if isinstance(one, Skip) else "file" for one in records],
    "contents": [one.content.decode() for one in records if not isinstance(one, Skip)],
    "quarantined": [one.name for one in listing.quarantined],
}
"""


@pytest.fixture(name="store")
def _store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


@pytest.mark.slow
def test_rows_come_from_the_hub_and_contents_from_the_bucket(store: Bucket, tmp_path: Path) -> None:
    content = rows(store, 1) * ROWS
    content = [
        {**one, "path": f"/{at}.py", "directory_id": f"{at * 7919:040x}"}
        for at, one in enumerate(content)
    ]
    for at, one in enumerate(content):
        if at % 100:
            one["license_type"] = "no_license"
    path = write(tmp_path / "a.parquet", content, FLAT, group=1_000)
    # What is not read must not be fetched either.
    heavy = pa.array([f"{at:0900d}"[::-1] for at in range(ROWS)])
    table = pq.read_table(path).append_column("content", heavy)
    pq.write_table(table, path, row_group_size=1_000, compression="none")
    hub_store = Store(tmp_path / "hub/root")
    files = {
        "README.md": b"# v2",
        "data/Python/train-00000-of-00001.parquet": path.read_bytes(),
        "data/Objective-C++/train-00000-of-00001.parquet": b"not read",
        "data/Go/train-00000-of-00001.parquet": b"PAR1",
    }
    commit = hub_store.commit("bigcode/the-stack-v2-dedup", files)
    with running_hub(tmp_path / "hub") as hub:
        options = {
            "kind": "the-stack-v2",
            "path": "hf://datasets/bigcode/the-stack-v2-dedup",
            "blobs": {"url": f"http://127.0.0.1:{store.port}/content"},
        }
        result = hub.client(SCRIPT, json.dumps(options))
        sent = sum(one["bytes"] for one in hub.log())
    assert result["revision"] == commit
    assert result["streams"] == ["python"]
    assert Counter(result["reasons"]) == {"file": ROWS // 100, "no_license": ROWS - ROWS // 100}
    assert set(result["contents"]) == {"x = 0\n"}
    assert result["quarantined"] == ["data/Go/train-00000-of-00001.parquet"]
    assert len(store.asked) == ROWS // 100
    assert 10_000 < sent < path.stat().st_size / 4
