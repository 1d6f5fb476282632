"""The real rows of The Stack v2, their real contents served by moto's S3."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ingest.errors import SourceError
from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip, SourceFile
from ingest.sources.the_stack_v2.blob_store import BlobOptions
from ingest.sources.the_stack_v2.source import TheStackV2Options, plan, read

pytestmark = [
    pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set"),
    pytest.mark.skipif(importlib.util.find_spec("moto") is None, reason="moto is not installed"),
]
REPOSITORY = Path(__file__).parents[4]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moto:
    """A running server and what it serves."""

    process: subprocess.Popen[str]
    port: int
    root: Path

    def options(self, **changes: object) -> BlobOptions:
        endpoint = f"http://127.0.0.1:{self.port}"
        return BlobOptions.model_validate({"endpoint": endpoint, "retries": 1, **changes})


@pytest.fixture(name="moto")
def _moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Moto]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    root = Path(os.environ["XTROVE_DATA"]) / "the-stack-v2"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ingest.moto_store", str(root / "blobs.tar")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    try:
        port, blobs = process.stdout.readline().split()
        assert blobs == "3000"
        yield Moto(process=process, port=int(port), root=root)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def records_of(
    path: Path, blobs: BlobOptions, languages: tuple[str, ...] | None = None
) -> list[SourceFile | Skip]:
    options = TheStackV2Options(path=str(path), blobs=blobs, languages=languages)
    policy = LicensePolicy()
    listing = plan(options, "stack-v2", policy)
    assert not listing.quarantined
    return [
        record
        for slice_ in listing.slices
        for record in read(options, "stack-v2", policy, slice_, listing.revision)
    ]


def reasons(records: list[SourceFile | Skip]) -> Counter[str]:
    return Counter(record.reason if isinstance(record, Skip) else "file" for record in records)


@pytest.mark.slow
def test_real_contents_are_fetched_once(moto: Moto, tmp_path: Path) -> None:
    path = moto.root / "with_blobs.parquet"
    blobs = moto.options(cache=str(tmp_path))
    first = records_of(path, blobs)
    assert reasons(first) == {
        "file": 2_924,
        "vendored": 235,
        "license_not_permissive": 201,
        "generated": 13,
        "no_license": 2,
    }
    moto.process.kill()
    moto.process.wait()
    # Nobody is there to be asked.
    assert records_of(path, blobs) == first
    rows = pq.read_table(path, columns=["path", "length_bytes", "src_encoding"]).to_pylist()
    assert len(rows) == len(first)
    other = 0
    for row, record in zip(rows, first, strict=True):
        if isinstance(record, SourceFile):
            assert record.path == row["path"].removeprefix("/")
            record.content.decode("utf-8")
            same = len(record.content) == row["length_bytes"]
            assert same or row["src_encoding"] != "UTF-8"
            other += row["src_encoding"] != "UTF-8"
    assert other == 3  # The fourth is not permissive.


@pytest.mark.slow
def test_most_real_contents_are_missing(moto: Moto) -> None:
    """Of all rows of a language few have their blob here; the table itself says which."""
    records = records_of(moto.root, moto.options(), ("javascript",))
    table = pq.read_table(moto.root / "data/JavaScript")
    passing = pc.and_(
        pc.equal(table["license_type"], "permissive"),
        pc.invert(pc.or_(table["is_vendor"], table["is_generated"])),
    )
    with tarfile.open(moto.root / "blobs.tar") as archive:
        there = {name.rpartition("/")[2] for name in archive.getnames()}
    ids = table.filter(passing)["blob_id"].to_pylist()
    result = reasons(records)
    assert sum(result.values()) == table.num_rows
    assert result["file"] == sum(id_ in there for id_ in ids)
    assert result["blob_missing"] == sum(id_ not in there for id_ in ids)
    assert result["file"] > 100


@pytest.mark.slow
def test_without_a_signature_the_bucket_denies_and_the_build_stops(moto: Moto) -> None:
    with pytest.raises(SourceError, match="denies all of the first 16 blobs") as info:
        records_of(moto.root / "with_blobs.parquet", moto.options(anonymous=True))
    assert "AWS_ACCESS_KEY_ID" in info.value.remedy
