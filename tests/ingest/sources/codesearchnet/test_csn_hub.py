"""CodeSearchNet from the Hub: each layout is found, at a pinned commit, in few requests."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.running import RunningHub, running_hub
from tests.hub.store import Store
from tests.ingest.csn_copies import MIT, licences, packed, parquet_bytes, row, rows

BOOK = licences(owner__name=MIT)
SCRIPT = """
from ingest.sources.codesearchnet.source import CodeSearchNetOptions, holdout_rows
from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip
from ingest.sources.registry import plan, read

options = CodeSearchNetOptions.model_validate(json.loads(sys.argv[1]))
listing = plan(options, "csn", LicensePolicy())
records = [
    one
    for piece in listing.slices
    for one in read(options, "csn", LicensePolicy(), piece, listing.revision)
]
answer = {
    "revision": listing.revision,
    "reasons": [one.reason if isinstance(one, Skip) else "pair" for one in records],
    "urls": [getattr(one, "url", "") for one in records],
    "held": [one.item for one in holdout_rows(options, listing.revision)],
    "digests": [piece.digest for piece in listing.slices],
}
"""


def in_zip(book: bytes | None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for split, lines in rows().items():
            archive.writestr(f"python/final/jsonl/{split}/python_{split}_0.jsonl.gz", packed(lines))
        if book is not None:
            archive.writestr("python_licenses.pkl", book)
    return out.getvalue()


def branch(prefix: str) -> dict[str, bytes]:
    items = rows()
    return {
        f"{prefix}/train-00000-of-00001.parquet": parquet_bytes(items["train"]),
        f"{prefix}/validation-00000-of-00001.parquet": parquet_bytes(items["valid"]),
        f"{prefix}/test-00000-of-00001.parquet": parquet_bytes(items["test"]),
    }


def converted(prefix: str) -> dict[str, bytes]:
    items = rows()
    return {
        f"{prefix}/train/0000.parquet": parquet_bytes(items["train"]),
        f"{prefix}/validation/0000.parquet": parquet_bytes(items["valid"]),
        f"{prefix}/test/0000.parquet": parquet_bytes(items["test"]),
    }


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    folder = tmp_path_factory.mktemp("csn-hub")
    store = Store(folder / "root")
    readme = {"README.md": b"# CodeSearchNet"}
    store.commit("o/branch", {**readme, **branch("python"), **branch("all")})
    store.commit("o/script", readme)
    store.commit("o/script", {**converted("python"), **converted("all")}, "refs/convert/parquet")
    store.commit("o/zips", {**readme, "data/python.zip": in_zip(BOOK)})
    with running_hub(folder) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("repo", ["o/branch", "o/script", "o/zips"])
def test_every_layout_is_found(hub: RunningHub, repo: str, tmp_path: Path) -> None:
    (tmp_path / "python_licenses.pkl").write_bytes(BOOK)
    options: dict[str, str] = {"path": f"hf://datasets/{repo}"}
    if repo != "o/zips":
        options["license_files"] = str(tmp_path)
    result = hub.client(SCRIPT, json.dumps(options))
    assert Counter(result["reasons"]) == {"pair": 3}
    assert result["urls"] == [row(i)["url"] for i in range(3)]
    items = rows()
    assert result["held"] == [one["url"] for split in ("valid", "test") for one in items[split]]
    assert result["revision"][:40].isalnum()


@pytest.mark.slow
def test_a_parquet_copy_without_licence_files_gives_nothing(hub: RunningHub) -> None:
    result = hub.client(SCRIPT, json.dumps({"path": "hf://datasets/o/branch"}))
    assert Counter(result["reasons"]) == {"license_unknown": 3}
