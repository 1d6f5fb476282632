"""The Stack v2: made-up files in every shape, their contents from a real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from ingest.errors import ChangedInput, SourceError, TransientFault
from ingest.formats.parquet import ParquetReader
from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip, SourceFile
from ingest.sources.registry import SourceOptions
from ingest.sources.the_stack_v2.contents import BlobRequest
from ingest.sources.the_stack_v2.schema import shape_of
from ingest.sources.the_stack_v2.source import ROW_BYTES, TheStackV2Options, plan, read
from tests.ingest.blob_server import Bucket, bucket, status
from tests.ingest.stack_v2_files import (
    COMMIT,
    EDU,
    FILE,
    FLAT,
    GROUPED,
    reasons,
    row,
    rows,
    run,
    write,
)


@pytest.fixture(name="store")
def _store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


def test_a_row_becomes_a_file(store: Bucket, tmp_path: Path) -> None:
    content = b"def f(): pass\n"
    write(tmp_path / "data/Python/train-0.parquet", [row(store.put(content))], FLAT)
    listing, records = run(store, tmp_path)
    assert records == [
        SourceFile(
            source="stack",
            source_revision=listing.revision,
            repo="owner/name",
            path="src/a b.py",
            revision=COMMIT,
            url=f"https://github.com/owner/name/blob/{COMMIT}/src/a%20b.py",
            language="python",
            content=content,
            licenses=("MIT",),
            license_evidence="detected_licenses",
            stars=3,
            row=0,
        )
    ]
    assert str(tmp_path) not in repr((listing.revision, listing.provenance))
    assert str(store.port) not in repr(listing.provenance)


@pytest.mark.parametrize(
    "types",
    [
        {name: pa.timestamp("us") for name in ("visit_date", "gha_created_at")},
        {"path": pa.large_string(), "detected_licenses": pa.large_list(pa.large_string())},
        {"length_bytes": pa.int32(), "github_id": pa.float64(), "star_events_count": pa.float64()},
        {"gha_license_id": pa.null(), "filename": pa.string(), "content": pa.string()},
        dict.fromkeys(("is_vendor", "is_generated", "extension", "directory_id")),
        {"is_vendor": pa.null()},
    ],
    ids=range(6),
)
def test_types_that_mean_the_same_are_taken(
    store: Bucket, tmp_path: Path, types: dict[str, Any]
) -> None:
    content = rows(store, 6)
    if types.get("is_vendor") == pa.null():
        content = [{**one, "is_vendor": None} for one in content]
    write(tmp_path / "data/Python/a.parquet", content, FLAT, **types)
    records = run(store, tmp_path)[1]
    assert reasons(records) == ["file"] * 6
    assert isinstance(records[0], SourceFile)
    assert records[0].stars == 3


def test_stack_edu_has_fewer_columns(store: Bucket, tmp_path: Path) -> None:
    content = [{**row, "score": 3.5, "int_score": 4} for row in rows(store, 5)]
    write(tmp_path / "Python/train-0.parquet", content, EDU)
    records = run(store, tmp_path)[1]
    assert reasons(records) == ["file"] * 5
    assert isinstance(records[0], SourceFile)
    assert (records[0].stars, records[0].revision) == (-1, "")
    assert records[0].url.startswith("https://archive.softwareheritage.org/swh:1:cnt:")


def grouped(repo: dict[str, Any], files: list[dict[str, Any]] | None) -> dict[str, Any]:
    names = [field.name for field in FILE]
    kept = None if files is None else [{n: file.get(n) for n in names} for file in files]
    return {
        "revision_id": COMMIT,
        "github_id": 7,
        "star_events_count": 9,
        **repo,
        "files": kept,
    }


def test_grouped_rows_are_unfolded_in_order(store: Bucket, tmp_path: Path) -> None:
    made = rows(store, 9)
    made[1]["language"] = "TSX"
    made[2]["language"] = "Objective-C++"
    made[3]["is_vendor"] = True
    made[4]["detected_licenses"] = []
    content = [
        grouped({"repo_name": "a/one"}, made[:5]),
        grouped({"repo_name": "b/none"}, []),
        grouped({"repo_name": "c/null"}, None),
        grouped({"repo_name": "d/two", "gha_license_id": "MIT", "github_id": None}, made[5:]),
        grouped({"repo_name": "e/refused", "gha_license_id": "GPL-2.0"}, made[:1]),
    ]
    kind = pa.large_list(FILE)
    write(tmp_path / "data/train-00000-of-00001.parquet", content, GROUPED, group=2, files=kind)
    listing, records = run(store, tmp_path)
    assert reasons(records) == [
        "file",
        "file",
        "unsupported_language",
        "vendored",
        "license_unknown",
        "no_files",
        "no_files",
        *["file"] * 4,
        "license_not_permissive",
    ]
    files = [record for record in records if isinstance(record, SourceFile)]
    assert [(file.repo, file.path) for file in files] == [
        ("a/one", "src/0.py"),
        ("a/one", "src/1.py"),
        *[("d/two", f"src/{number}.py") for number in range(5, 9)],
    ]
    assert [file.language for file in files[:2]] == ["python", "typescript"]
    assert files[2].license_evidence == "detected_licenses and gha_license_id"
    assert files[2].url.startswith("https://archive.")
    assert files[2].content == b"x = 5\n"
    assert {slice_.stream for slice_ in listing.slices} == {""}
    only = run(store, tmp_path, languages=["typescript"])[1]
    assert Counter(reasons(only))["unwanted_language"] == 8
    assert [one.language for one in only if isinstance(one, SourceFile)] == ["typescript"]


def test_files_that_break_the_contract_are_set_aside(store: Bucket, tmp_path: Path) -> None:
    data = tmp_path / "data/Python"
    made = rows(store, 2)
    write(data / "good.parquet", made, FLAT)
    write(data / "a.parquet", made, FLAT, blob_id=None)
    write(data / "b.parquet", [{**one, "length_bytes": "1"} for one in made], FLAT,
          length_bytes=pa.string())  # fmt: skip
    write(data / "c.parquet", [{**one, "is_vendor": 0} for one in made], FLAT,
          is_vendor=pa.int8())  # fmt: skip
    write(data / "d.parquet", [{**one, "files": "x"} for one in made], FLAT, files=pa.string())
    inner = pa.struct([field for field in FILE if field.name != "src_encoding"])
    write(data / "e.parquet", [grouped({}, made)], GROUPED, files=pa.list_(inner))
    (data / "f.parquet").write_bytes(b"PAR1")
    (data / "g.parquet").symlink_to("good.parquet")
    listing, records = run(store, tmp_path)
    assert reasons(records) == ["file"] * 2
    result = {one.name.removeprefix("data/Python/"): one.reason for one in listing.quarantined}
    assert result.pop("f.parquet").startswith("unreadable footer")
    assert result.pop("g.parquet").startswith("symlink")
    assert result.pop("d.parquet") == "column files is string (expected list of struct)"
    assert result == {
        "a.parquet": "column blob_id is missing (expected text)",
        "b.parquet": "column length_bytes is string (expected number)",
        "c.parquet": "column is_vendor is int8 (expected flag)",
        "e.parquet": "column files.src_encoding is missing (expected text)",
    }


def test_a_damaged_row_group_is_one_refusal_with_its_rows(store: Bucket, tmp_path: Path) -> None:
    path = write(tmp_path / "data/Python/a.parquet", rows(store, 12), FLAT, group=4)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start + 30] ^= 0xFF
    path.write_bytes(bytes(data))
    records = run(store, tmp_path)[1]
    assert reasons(records) == ["file"] * 4 + ["corrupt_input"] + ["file"] * 4
    broken = records[4]
    assert isinstance(broken, Skip)
    assert (broken.rows, broken.row, broken.quarantined) == (4, 4, "data/Python/a.parquet#1")


@pytest.mark.parametrize("slice_bytes", [1, 10 * ROW_BYTES, None])
def test_slices_cover_each_row_once(store: Bucket, tmp_path: Path, slice_bytes: int | None) -> None:
    for name in ("b", "a"):
        content = [{**row, "path": f"/{name}{row['path']}"} for row in rows(store, 10)]
        write(tmp_path / f"data/Python/{name}.parquet", content, FLAT, group=3)
    listing, records = run(store, tmp_path, slice_bytes)
    paths = [record.path for record in records if isinstance(record, SourceFile)]
    assert paths == [f"{name}/src/{i}.py" for name in "ab" for i in range(10)]
    assert len(listing.slices) == {1: 8, 10 * ROW_BYTES: 2, None: 1}[slice_bytes]
    assert sum(slice_.bytes for slice_ in listing.slices) == 20 * ROW_BYTES


@pytest.mark.slow
def test_a_row_group_larger_than_a_slice_is_cut_by_rows(store: Bucket, tmp_path: Path) -> None:
    count = 2_500
    made = [{**rows(store, 1)[0], "path": f"/{at}.py"} for at in range(count)]
    for one in made[::2]:
        one["license_type"] = "no_license"
    write(tmp_path / "data/Python/a.parquet", made, FLAT, group=count)
    listing, records = run(store, tmp_path, slice_bytes=1_000 * ROW_BYTES)
    assert [(slice_.parts[0].start, slice_.parts[0].stop) for slice_ in listing.slices] == [
        (0, 833),
        (833, 1666),
        (1666, 2500),
    ]
    paths = [record.path for record in records if isinstance(record, SourceFile)]
    assert paths == [f"{at}.py" for at in range(1, count, 2)]
    assert len({slice_.digest for slice_ in listing.slices}) == 3


def test_languages_are_matched_by_folder_and_are_streams(store: Bucket, tmp_path: Path) -> None:
    for folder in ("TSX", "TypeScript", "Objective-C++", "Go"):
        content = rows(store, 1, language=folder)
        write(tmp_path / f"data/{folder}/train-0.parquet", content, FLAT)
    listing, records = run(store, tmp_path)
    assert {slice_.stream for slice_ in listing.slices} == {"go", "typescript"}
    assert Counter(record.language for record in records) == {"typescript": 2, "go": 1}
    with pytest.raises(SourceError, match=r"no Parquet file for rust.*Go, Objective-C\+\+"):
        run(store, tmp_path, languages=["go", "rust"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="any supported language.*found folders: nothing"):
        run(store, tmp_path / "empty")


def test_lost_contents_are_counted_by_reason(store: Bucket, tmp_path: Path) -> None:
    made = rows(store, 4)
    del store.blobs[made[1]["blob_id"]]
    store.blobs[made[2]["blob_id"]] = b"damaged"
    made[3] = row(store.put(b"caf\xe9"), path="/c.py")
    write(tmp_path / "data/Python/a.parquet", made, FLAT)
    records = run(store, tmp_path)[1]
    assert reasons(records) == ["file", "blob_missing", "blob_mismatch", "blob_undecodable"]
    lost = records[1]
    assert isinstance(lost, Skip)
    assert lost.detail == f"{made[1]['blob_id']}: HTTP 404 NoSuchKey"


def test_latin_1_becomes_utf8(store: Bucket, tmp_path: Path) -> None:
    made = row(store.put(b"# caf\xe9\n"), src_encoding="ISO-8859-1")
    write(tmp_path / "data/Python/a.parquet", [made], FLAT)
    (record,) = run(store, tmp_path)[1]
    assert isinstance(record, SourceFile)
    assert record.content == "# caf\u00e9\n".encode()


def test_faults_of_the_store_reach_the_build(store: Bucket, tmp_path: Path) -> None:
    write(tmp_path / "data/Python/a.parquet", rows(store, 2), FLAT)
    store.always = status(503)
    with pytest.raises(TransientFault, match="HTTP 503"):
        run(store, tmp_path, blobs=store.options(retries=0).model_dump())
    store.always = status(403, "InvalidAccessKeyId")
    with pytest.raises(SourceError, match="credentials"):
        run(store, tmp_path)


def test_a_changed_file_is_noticed(store: Bucket, tmp_path: Path) -> None:
    path = write(tmp_path / "data/Python/a.parquet", rows(store, 1), FLAT)
    options = TheStackV2Options(path=str(tmp_path), blobs=store.options())
    listing = plan(options, "s", LicensePolicy())
    write(path, rows(store, 2), FLAT)
    with pytest.raises(ChangedInput, match=r"a\.parquet"):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


def test_what_decides_the_records_decides_the_digest(store: Bucket, tmp_path: Path) -> None:
    write(tmp_path / "data/Python/a.parquet", rows(store, 1), FLAT)

    def digest(**options: Any) -> str:
        return run(store, tmp_path, **options)[0].slices[0].digest

    base = store.options().model_dump()
    same: list[dict[str, Any]] = [
        {"in_flight": 2},
        {"retries": 1},
        {"timeout": 9},
        {"cache": str(tmp_path / "kept")},
    ]
    assert {digest(blobs={**base, **change}) for change in same} == {digest()}
    assert digest(declared_licenses=["MIT"]) != digest()
    assert digest(blobs={**base, "url": base["url"] + "/"}) == digest()


@pytest.mark.slow
def test_repetitive_rows_are_not_held_decoded(tmp_path: Path) -> None:
    """300,000 equal rows take a few kilobytes in the file and 40 MB decoded."""
    same = row(BlobRequest(blob_id="0" * 40, length=1, encoding="utf-8"))
    path = write(tmp_path / "a.parquet", [same] * 300_000, FLAT, group=300_000)
    with ParquetReader.open(str(path)) as reader:
        columns = shape_of(reader.schema()).columns
        (group,) = reader.groups(columns)
        assert group.size < 1_000_000
        before = pa.total_allocated_bytes()
        seen = 0
        for batch in reader.batches(0, columns, group.size, group.rows):
            seen += batch.num_rows
            assert pa.total_allocated_bytes() - before < 8_000_000
        assert seen == 300_000


def test_the_config_is_resolved_for_workers(tmp_path: Path) -> None:
    adapter: TypeAdapter[SourceOptions] = TypeAdapter(SourceOptions)
    options = adapter.validate_python(
        {"kind": "the-stack-v2", "path": "here", "blobs": {"cache": "kept", "in_flight": 8}}
    )
    resolved = options.resolved(tmp_path)
    assert isinstance(resolved, TheStackV2Options)
    assert resolved.path == str(tmp_path.resolve() / "here")
    assert resolved.blobs.cache == str(tmp_path.resolve() / "kept")
    assert resolved.blobs.in_flight == 8
    assert resolved.resolved(Path("/elsewhere")) == resolved
    remote = options.model_copy(update={"path": "hf://datasets/bigcode/the-stack-v2-dedup"})
    assert remote.resolved(tmp_path).path == remote.path  # type: ignore[union-attr]
