"""The Stack as JSON lines (the smol sets): the rows of Parquet, and rows that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import ChangedInput, SourceError
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourceFile
from ingest.sources.the_stack.source import TheStackOptions, plan, read
from tests.ingest.stack_tables import row, write


def run(root: Path, slice_bytes: int | None = None) -> tuple[Listing, list[SourceFile | Skip]]:
    options = TheStackOptions(path=str(root))
    listing = plan(options, "s", LicensePolicy(), slice_bytes)
    records = [
        record
        for slice_ in listing.slices
        for record in read(options, "s", LicensePolicy(), slice_, listing.revision)
    ]
    return listing, records


def lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(texts) + "\n", "utf-8")
    return path


def bare(records: list[SourceFile | Skip]) -> list[object]:
    return [
        (type(record), getattr(record, "path", ""), getattr(record, "content", b""))
        for record in records
    ]


@pytest.mark.parametrize("slice_bytes", [None, 1000, 150])
def test_lines_give_what_parquet_gives(tmp_path: Path, slice_bytes: int | None) -> None:
    rows = [
        row(i, max_stars_repo_licenses=["MIT"] if i % 3 else ["GPL-3.0"], size=30.0)
        for i in range(20)
    ]
    lines(tmp_path / "lines/data/python/data.json", rows)
    write(tmp_path / "tables/data/python/train-0.parquet", [one | {"size": 30} for one in rows])
    listing, records = run(tmp_path / "lines", slice_bytes)
    assert bare(records) == bare(run(tmp_path / "tables")[1])
    assert sum(isinstance(record, SourceFile) for record in records) == 13
    first = next(record for record in records if isinstance(record, SourceFile))
    assert (first.stars, first.licenses, first.license_evidence) == (
        1,
        ("MIT",),
        "max_stars_repo_licenses",
    )
    assert len(listing.slices) > 5 or slice_bytes is None


BAD: list[tuple[Any, str]] = [
    ("{", "invalid_json"),
    ("[1]", "not_an_object"),
    ('{"a": NaN}', "invalid_json"),
    ("[" * 3000, "invalid_json"),
    ({}, "license_unknown"),
    (row(1, max_stars_repo_licenses="MIT"), "license_unknown"),
    (row(1, max_stars_repo_licenses=["MIT", 5]), "license_unknown"),
    (row(1, max_stars_repo_licenses=["GPL-3.0"], content=7), "license_not_permissive"),
    (row(1, content=7), "wrong_type"),
    (row(1, content=None), "null_content"),
    (row(1, content="a\ud800b"), "not_utf8"),
    (row(1, content="x" * 1_000_001), "too_large"),
    (row(1, size=1e300), "file"),
    (row(1, size=2_000_000.0), "too_large"),
    (row(1, size="12", max_stars_count="many"), "file"),
    (row(1, max_stars_repo_name=["a"]), "null_repo"),
    (row(1, max_stars_repo_path="\udfff"), "null_path"),
    (row(1, max_stars_repo_path="a\u0000b"), "invalid_path"),
    (row(1, lang="Java"), "language_mismatch"),
    (row(1, max_stars_repo_head_hexsha=5), "file"),
    ('{"content": "' + "x" * 8_000_001 + '"}', "line_too_long"),
    (row(1), "file"),
]


def test_each_bad_line_is_one_refusal(tmp_path: Path) -> None:
    lines(tmp_path / "python/data.json", [one for one, _ in BAD])
    records = run(tmp_path)[1]
    result = [record.reason if isinstance(record, Skip) else "file" for record in records]
    assert result == [reason for _, reason in BAD]
    # The long line ends in another slice, where counting begins again.
    assert [record.row for record in records] == [*range(len(BAD) - 1), 0]
    untyped = records[14]
    assert isinstance(untyped, SourceFile)
    assert untyped.stars == -1
    unlinked = records[19]
    assert isinstance(unlinked, SourceFile)
    assert (unlinked.revision, unlinked.url) == ("", "")


def test_lines_that_changed_are_noticed(tmp_path: Path) -> None:
    path = lines(tmp_path / "go/data.json", [row(i, lang="Go") for i in range(5)])
    options = TheStackOptions(path=str(tmp_path))
    listing = plan(options, "s", LicensePolicy())
    text = path.read_text("utf-8")
    for changed in (text.replace("return 3", "return 4"), text + "{}\n", ""):
        path.write_text(changed, "utf-8")
        with pytest.raises(ChangedInput, match=r"data\.json"):
            list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


def test_json_is_read_only_where_a_language_is_named_and_no_parquet_is(tmp_path: Path) -> None:
    lines(tmp_path / "data/go/data.json", [row(1, lang="Go")])
    write(tmp_path / "data/go/train-0.parquet", [row(2, lang="Go"), row(3, lang="Go")])
    lines(tmp_path / "data/state.json", [row(4)])
    lines(tmp_path / "config.json", [row(5)])
    listing, records = run(tmp_path)
    assert [name for name, _ in listing.provenance] == ["file data/go/train-0.parquet"]
    assert len(records) == 2
    single = tmp_path / "data/go/data.json"
    assert len(run(single)[1]) == 1
    with pytest.raises(SourceError, match="any supported language"):
        run(tmp_path / "config.json")
