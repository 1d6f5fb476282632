"""The Stack v1: made-up files for every fault, and the real rows where they are at hand."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.errors import ChangedInput, SourceError
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourceFile
from ingest.sources.the_stack.source import TheStackOptions, plan, read
from tests.ingest.stack_tables import SHA, row, write


def run(
    root: Path, slice_bytes: int | None = None, **options: object
) -> tuple[Listing, list[SourceFile | Skip]]:
    chosen = TheStackOptions.model_validate({"path": str(root), **options})
    listing = plan(chosen, "stack", LicensePolicy(), slice_bytes)
    records: list[SourceFile | Skip] = []
    for slice_ in listing.slices:
        seen = 0
        for record in read(chosen, "stack", LicensePolicy(), slice_, listing.revision):
            assert record.row == seen
            seen += record.rows if isinstance(record, Skip) else 1
            records.append(record)
    return listing, records


def reasons(records: list[SourceFile | Skip]) -> list[str]:
    return [record.reason if isinstance(record, Skip) else "file" for record in records]


def test_a_row_becomes_a_file(tmp_path: Path) -> None:
    write(tmp_path / "data/python/data-00000-of-00001.parquet", [row(7)])
    listing, records = run(tmp_path)
    assert records == [
        SourceFile(
            source="stack",
            source_revision=listing.revision,
            repo="owner/name",
            path="src/f 7.py",
            revision=SHA,
            url=f"https://github.com/owner/name/blob/{SHA}/src/f%207.py",
            language="python",
            content=b"def f7(): return 7\n",
            licenses=("MIT",),
            license_evidence="max_stars_repo_licenses",
            stars=7,
            row=0,
        )
    ]
    assert str(tmp_path) not in repr((listing.revision, listing.provenance))


ROWS: list[tuple[dict[str, Any], str]] = [
    ({"content": None}, "null_content"),
    ({"content": ""}, "file"),
    ({"content": "x" * 1_000_001}, "too_large"),
    ({"size": 1_000_001}, "too_large"),
    ({"size": None, "max_stars_count": None}, "file"),
    ({"max_stars_repo_licenses": None}, "license_unknown"),
    ({"max_stars_repo_licenses": []}, "license_unknown"),
    ({"max_stars_repo_licenses": [None]}, "license_unknown"),
    ({"max_stars_repo_licenses": ["MIT", None]}, "license_unknown"),
    ({"max_stars_repo_licenses": ["mit", "ISC"]}, "file"),
    ({"max_stars_repo_licenses": ["MIT", "GPL-3.0"]}, "license_not_permissive"),
    ({"max_stars_repo_licenses": ["GPL-3.0"], "content": None}, "license_not_permissive"),
    ({"max_stars_repo_name": None}, "null_repo"),
    ({"max_stars_repo_path": None}, "null_path"),
    ({"max_stars_repo_path": "a\nb.py"}, "invalid_path"),
    ({"lang": "Java"}, "language_mismatch"),
    ({"lang": None}, "file"),
    ({"max_stars_repo_head_hexsha": None}, "file"),
]


def test_each_bad_row_is_one_refusal(tmp_path: Path) -> None:
    write(tmp_path / "data/python/a.parquet", [row(i, **bad) for i, (bad, _) in enumerate(ROWS)])
    records = run(tmp_path)[1]
    assert reasons(records) == [reason for _, reason in ROWS]
    last = records[-1]
    assert isinstance(last, SourceFile)
    assert (last.revision, last.url) == ("", "")
    unstarred = records[4]
    assert isinstance(unstarred, SourceFile)
    assert unstarred.stars == -1


@pytest.mark.parametrize(
    "types",
    [
        {"content": pa.large_string(), "max_stars_repo_licenses": pa.large_list(pa.string())},
        {"content": pa.binary(), "max_stars_repo_name": pa.binary()},
        {"size": pa.float64(), "max_stars_count": pa.float64()},
        {"size": None, "lang": None, "max_stars_count": pa.null()},
        {"max_stars_repo_licenses": pa.list_(pa.large_string())},
    ],
)
def test_types_that_mean_the_same_are_taken(tmp_path: Path, types: dict[str, Any]) -> None:
    rows = [row(i) for i in range(6)]
    for one in rows:
        if types.get("max_stars_count") == pa.null():
            one["max_stars_count"] = None
        for name in ("content", "max_stars_repo_name"):
            if types.get(name) == pa.binary():
                one[name] = one[name].encode()
    write(tmp_path / "python/train-0.parquet", rows, **types)
    assert reasons(run(tmp_path)[1]) == ["file"] * 6


def test_text_that_is_not_utf8_goes_through_as_bytes_or_is_refused(tmp_path: Path) -> None:
    rows = [
        row(0, content=b"\xff\xfe"),
        row(1, max_stars_repo_name=b"o/\xff", content=b""),
        row(2, content=b"", max_stars_repo_licenses=[b"\xff"]),
    ]
    for one in rows:
        one["max_stars_repo_name"] = (
            one["max_stars_repo_name"]
            if isinstance(one["max_stars_repo_name"], bytes)
            else b"owner/name"
        )
        if one["max_stars_repo_licenses"] == ["MIT"]:
            one["max_stars_repo_licenses"] = [b"MIT"]
    write(
        tmp_path / "data/python/a.parquet",
        rows,
        content=pa.binary(),
        max_stars_repo_name=pa.binary(),
        max_stars_repo_licenses=pa.list_(pa.binary()),
    )
    records = run(tmp_path)[1]
    assert reasons(records) == ["file", "null_repo", "license_unknown"]
    assert isinstance(records[0], SourceFile)
    assert records[0].content == b"\xff\xfe"


def test_broken_files_are_set_aside_by_name(tmp_path: Path) -> None:
    data = tmp_path / "data/python"
    good = write(data / "good.parquet", [row(1)]).read_bytes()
    (data / "a-truncated.parquet").write_bytes(good[: len(good) // 2])
    (data / "b-empty.parquet").write_bytes(b"")
    (data / "c-footer.parquet").write_bytes(good[:-8] + b"\xff\xff\xff\x7fPAR1")
    (data / "d-garbage.parquet").write_bytes(good[:-200] + b"\xff" * 192 + good[-8:])
    write(data / "e-missing.parquet", [row(1)], content=None)
    write(data / "f-type.parquet", [row(1, content=5)], content=pa.int64())
    write(
        data / "g-lic.parquet",
        [row(1, max_stars_repo_licenses="MIT")],
        max_stars_repo_licenses=pa.string(),
    )
    (data / "h-link.parquet").symlink_to("good.parquet")
    os.mkfifo(data / "i-pipe.parquet")
    listing, records = run(tmp_path)
    assert reasons(records) == ["file"]
    result = {one.name.removeprefix("data/python/"): one.reason for one in listing.quarantined}
    assert list(result) == sorted(result)
    for name in ("a-truncated", "b-empty", "c-footer", "d-garbage"):
        assert result[f"{name}.parquet"].startswith("unreadable footer"), result
    assert result["e-missing.parquet"] == "column content is missing (expected text)"
    assert result["f-type.parquet"] == "column content is int64 (expected text)"
    assert "is string (expected list of text)" in result["g-lic.parquet"]
    assert result["h-link.parquet"].startswith("symlink")
    assert result["i-pipe.parquet"] == "not_a_file"
    assert str(tmp_path) not in repr(listing.quarantined)


def test_a_damaged_row_group_is_one_refusal_with_all_its_rows(tmp_path: Path) -> None:
    rows = [row(i, content=f"x = {i}\n" * 50) for i in range(12)]
    path = write(tmp_path / "data/python/a.parquet", rows, group=4)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    middle = (column.dictionary_page_offset + column.data_page_offset) // 2
    for number in range(middle, middle + 8):
        data[number] ^= 0xFF
    path.write_bytes(bytes(data))
    records = run(tmp_path)[1]
    assert reasons(records) == ["file"] * 4 + ["corrupt_input"] + ["file"] * 4
    broken = records[4]
    assert isinstance(broken, Skip)
    assert (broken.rows, broken.row, broken.quarantined) == (4, 4, "data/python/a.parquet#1")
    assert broken.detail


def test_contents_are_not_decoded_where_no_licence_passes(tmp_path: Path) -> None:
    """The contents are damaged: only a reader that leaves them alone can count the rows."""
    rows = [row(i, max_stars_repo_licenses=["GPL-3.0"], content="y" * 999) for i in range(4)]
    path = write(tmp_path / "data/python/a.parquet", rows)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(bytes(data))
    assert reasons(run(tmp_path)[1]) == ["license_not_permissive"] * 4


def test_languages_are_matched_by_folder_and_are_streams(tmp_path: Path) -> None:
    for folder, language in (
        ("TSX", "TSX"),
        ("typescript", "TypeScript"),
        ("objective-c++", "Objective-C++"),
        ("go", "Go"),
    ):
        write(tmp_path / f"data/{folder}/x.parquet", [row(1, lang=language)])
    listing, records = run(tmp_path)
    assert {slice_.stream for slice_ in listing.slices} == {"go", "typescript"}
    assert Counter(record.language for record in records) == {"typescript": 2, "go": 1}
    assert [one.language for one in run(tmp_path, languages=["go"])[1]] == ["go"]
    with pytest.raises(
        SourceError, match=r"no Parquet file for rust.*found folders: TSX, go, objective-c\+\+"
    ):
        run(tmp_path, languages=["go", "rust"])


def test_nothing_to_read_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a folder"):
        run(tmp_path / "none")
    with pytest.raises(SourceError, match="any supported language"):
        run(tmp_path)
    (tmp_path / "data/go").mkdir(parents=True)
    (tmp_path / "data/go/x.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"first: data/go/x\.parquet: unreadable footer"):
        run(tmp_path)


@pytest.mark.parametrize("slice_bytes", [1, 500, None])
def test_slices_cover_each_row_once(tmp_path: Path, slice_bytes: int | None) -> None:
    for name in ("b", "a"):
        rows = [row(i, max_stars_repo_path=f"{name}/{i}.py") for i in range(10)]
        write(tmp_path / f"data/python/{name}.parquet", rows, group=3)
    listing, records = run(tmp_path, slice_bytes)
    paths = [record.path for record in records if isinstance(record, SourceFile)]
    assert paths == [f"{name}/{i}.py" for name in "ab" for i in range(10)]
    assert len(listing.slices) == {1: 8, None: 1}.get(slice_bytes or None, len(listing.slices))
    assert len({slice_.digest for slice_ in listing.slices}) == len(listing.slices)


def test_declared_licences_fill_only_what_is_unknown(tmp_path: Path) -> None:
    write(
        tmp_path / "data/python/a.parquet",
        [row(1, max_stars_repo_licenses=[]), row(2, max_stars_repo_licenses=["GPL-3.0"])],
    )
    first, second = run(tmp_path, declared_licenses=["ISC"])[1]
    assert isinstance(first, SourceFile)
    assert (first.licenses, first.license_evidence) == (("ISC",), "declared by config")
    assert reasons([second]) == ["license_not_permissive"]


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "data/python/a.parquet", [row(1)])
    options = TheStackOptions(path=str(tmp_path))
    listing = plan(options, "s", LicensePolicy())
    write(path, [row(2)])
    with pytest.raises(ChangedInput, match=r"a\.parquet"):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


@pytest.mark.slow
@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
def test_of_the_real_rows_exactly_the_permissive_pass() -> None:
    root = Path(os.environ["XTROVE_DATA"]) / "the-stack"
    listing, records = run(root)
    assert Counter(reasons(records)) == {
        "file": 18_061,
        "license_not_permissive": 2_322 + 235 + 192,
        "license_unknown": 9,
    }
    assert len(records) == 20_819
    assert not listing.quarantined
    assert len({slice_.stream for slice_ in listing.slices}) == 8
