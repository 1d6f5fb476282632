"""Ready pairs: files of JSON lines with every kind of bad row, cut anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ingest.errors import ChangedInput, SourceError
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourcePair
from ingest.sources.pairs.source import PairsOptions, plan, read

GOOD = {"query": "adds two numbers", "code": "def add(a, b): return a + b", "language": "Python"}


def write(path: Path, *rows: object) -> None:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")


def run(
    path: Path, slice_bytes: int | None = None, **options: object
) -> tuple[Listing, list[SourcePair | Skip]]:
    config = {"path": str(path), "declared_licenses": ["MIT"], **options}
    chosen = PairsOptions.model_validate(config)
    listing = plan(chosen, "mine", LicensePolicy(), slice_bytes)
    records: list[SourcePair | Skip] = []
    for slice_ in listing.slices:
        result = list(read(chosen, "mine", LicensePolicy(), slice_, listing.revision))
        assert [one.row for one in result] == list(range(len(result)))
        records += result
    return listing, records


def test_all_fields_are_mapped(tmp_path: Path) -> None:
    row = {
        "q": "find it",
        "positive": "func f() {}",
        "lang": "golang",
        "fn": "f",
        "gh": "o/n",
        "file": "a.go",
        "link": "https://x",
        "spdx": ["mit", "ISC"],
        "sha": "abc",
        "st": 2.0,
    }
    write(tmp_path / "a.jsonl", row)
    names = ("query", "code", "language", "name", "repo", "path", "url", "license", "revision")
    columns = dict(zip((*names, "stars"), row, strict=True))
    listing, records = run(tmp_path / "a.jsonl", columns=columns)
    assert records == [
        SourcePair(
            source="mine",
            source_revision=listing.revision,
            repo="o/n",
            path="a.go",
            revision="abc",
            url="https://x",
            language="go",
            query="find it",
            code="func f() {}",
            name="f",
            start_line=-1,
            end_line=-1,
            start_byte=-1,
            end_byte=-1,
            licenses=("ISC", "MIT"),
            license_evidence="column spdx",
            stars=2,
            row=0,
        )
    ]


BAD: list[tuple[object, str]] = [
    (b"{oops", "invalid_json"),
    (b'"text"', "not_an_object"),
    (b'{"query": "\xff"}', "not_utf8"),
    ({**GOOD, "language": "COBOL"}, "unsupported_language"),
    ({"query": "q", "code": "c"}, "unsupported_language"),
    ({"query": "q", "language": "python"}, "missing_column"),
    ({**GOOD, "query": None}, "null_query"),
    ({**GOOD, "code": ["c"]}, "wrong_type"),
    ({**GOOD, "code": "a\0b"}, "null_byte"),
    ({**GOOD, "query": "\ud800"}, "invalid_text"),
    ({**GOOD, "license": "GPL-3.0"}, "license_not_permissive"),
    (b'{"query": "' + b"x" * 8_000_001 + b'"}', "line_too_long"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_each_bad_row_is_one_refusal(tmp_path: Path, row: object, reason: str) -> None:
    write(tmp_path / "a.jsonl", GOOD, row, b"   ", GOOD)
    first, second, third = run(tmp_path / "a.jsonl")[1]
    assert isinstance(first, SourcePair)
    assert isinstance(third, SourcePair)
    assert isinstance(second, Skip)
    assert second.reason == reason
    assert second.rows == 1
    assert len(second.detail) <= 200


def test_named_columns_must_be_there_and_right(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", GOOD, {**GOOD, "stars": "many"}, {**GOOD, "stars": None})
    reasons = [
        getattr(one, "reason", "pair") for one in run(tmp_path, columns={"stars": "stars"})[1]
    ]
    assert reasons == ["missing_column", "wrong_type", "pair"]
    assert [getattr(one, "stars", None) for one in run(tmp_path)[1]] == [-1, -1, -1]


def test_language_comes_from_row_option_or_path(tmp_path: Path) -> None:
    bare = {"query": "q", "code": "c"}
    write(tmp_path / "a.jsonl", GOOD, bare, {**bare, "path": "x/y.rs"})
    assert [one.language for one in run(tmp_path)[1]] == ["python", "", "rust"]
    assert [one.language for one in run(tmp_path, language="go")[1]] == ["python", "go", "go"]
    reasons = [getattr(one, "reason", "") for one in run(tmp_path, languages=["rust"])[1]]
    assert reasons == ["unwanted_language", "unsupported_language", ""]


def test_licences_of_the_row_stand_before_declared_ones(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {**GOOD, "license": "isc"}, GOOD, {**GOOD, "license": "?!"})
    facts = [
        (getattr(one, "licenses", ()), getattr(one, "license_evidence", ""))
        for one in run(tmp_path)[1]
    ]
    assert facts == [
        (("ISC",), "column license"),
        (("MIT",), "declared by config"),
        (("MIT",), "declared by config"),
    ]
    reasons = [getattr(one, "reason", "") for one in run(tmp_path, declared_licenses=[])[1]]
    assert reasons == ["", "license_unknown", "license_unknown"]


@pytest.mark.parametrize("slice_bytes", [1, 7, 64, 1000, None])
def test_every_cut_gives_the_same_rows(tmp_path: Path, slice_bytes: int | None) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        rows = [{**GOOD, "query": f"{name} {i}"} for i in range(12)]
        write(tmp_path / name, *rows[:5], b"", b"{", *rows[5:])
    listing, records = run(tmp_path, slice_bytes)
    queries = [record.query for record in records if isinstance(record, SourcePair)]
    assert queries == [f"{name} {i}" for name in ("a.jsonl", "b.jsonl") for i in range(12)]
    assert len(records) == 26
    assert sum(slice_.bytes for slice_ in listing.slices) == sum(
        p.stat().st_size for p in tmp_path.iterdir()
    )
    assert len({slice_.digest for slice_ in listing.slices}) == len(listing.slices)


def test_other_formats_links_and_pipes_are_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", GOOD)
    (tmp_path / "b.parquet").write_bytes(b"x")
    (tmp_path / "c.jsonl").symlink_to("a.jsonl")
    os.mkfifo(tmp_path / "d.jsonl")
    listing, records = run(tmp_path)
    assert len(records) == 1
    assert [(one.name, one.reason[:12]) for one in listing.quarantined] == [
        ("b.parquet", "unreadable f"),
        ("c.jsonl", "symlink"),
        ("d.jsonl", "not_a_file"),
    ]


def test_nothing_to_read_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        run(tmp_path / "none.jsonl")
    with pytest.raises(SourceError, match="no file of pairs"):
        run(tmp_path)
    (tmp_path / "b.tsv").write_text("a\tb")
    with pytest.raises(SourceError, match=r"b\.tsv: not a format that is read.*convert it"):
        run(tmp_path)
    (tmp_path / "b.tsv").unlink()
    (tmp_path / "empty.jsonl").write_bytes(b"")
    with pytest.raises(SourceError, match="no file of pairs"):
        run(tmp_path)


@pytest.mark.parametrize("change", ["same size", "grown", "gone"])
def test_a_changed_file_is_noticed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.jsonl"
    write(path, GOOD, GOOD)
    options = PairsOptions(path=str(path), declared_licenses=("MIT",))
    listing = plan(options, "s", LicensePolicy())
    data = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(data.replace(b"adds", b"adda") if change == "same size" else data + b"{}")
    with pytest.raises(ChangedInput, match=r"a\.jsonl"):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


def test_options_that_change_the_rows_change_the_digests(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", GOOD)
    changes: list[dict[str, object]] = [
        {},
        {"columns": {"code": "query"}},
        {"language": "go"},
        {"languages": ["python"]},
        {"declared_licenses": ["ISC"]},
    ]
    digests = [run(tmp_path, None, **change)[0].slices[0].digest for change in changes]
    assert len(set(digests)) == len(changes)
    assert run(tmp_path, max_per_language=3)[0].slices[0].digest == digests[0]
