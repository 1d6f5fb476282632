"""CodeSearchNet in every layout: the same rows, once each, with their licences."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from extract.options import ExtractOptions
from extract.pipeline.extraction import extract_pair
from ingest.errors import ChangedInput, SourceError
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourcePair
from ingest.sources.codesearchnet.source import CodeSearchNetOptions, holdout_rows, plan, read
from tests.ingest.csn_copies import (
    GPL,
    MIT,
    SHA,
    Row,
    licences,
    packed,
    row,
    rows,
    write_branch,
    write_converted,
    write_unpacked,
    write_zip,
)

BOOK = licences(owner__name=MIT, other__gpl=GPL)
LAYOUTS = ("zip", "unpacked", "branch", "converted")


def write(root: Path, layout: str, language: str = "python") -> None:
    """A copy with its licence pickle: in the zip, or beside the rest."""
    items = rows(language)
    match layout:
        case "zip":
            write_zip(root / f"{language}.zip", items, language, BOOK)
            return
        case "unpacked":
            write_unpacked(root, items, language)
        case "branch":
            write_branch(root, items, language)
        case "converted":
            write_converted(root, items, language)
    (root / f"{language}_licenses.pkl").write_bytes(BOOK)


def run(
    root: Path, slice_bytes: int | None = None, **options: object
) -> tuple[Listing, list[SourcePair | Skip]]:
    chosen = CodeSearchNetOptions.model_validate({"path": str(root), **options})
    listing = plan(chosen, "csn", LicensePolicy(), slice_bytes)
    records: list[SourcePair | Skip] = []
    for slice_ in listing.slices:
        seen = 0
        for record in read(chosen, "csn", LicensePolicy(), slice_, listing.revision):
            assert record.row == seen
            seen += record.rows if isinstance(record, Skip) else 1
            records.append(record)
    return listing, records


def reasons(records: list[SourcePair | Skip]) -> list[str]:
    return [record.reason if isinstance(record, Skip) else "pair" for record in records]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_becomes_a_pair(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    listing, records = run(tmp_path)
    first = row(0)
    assert records[0] == SourcePair(
        source="csn",
        source_revision=listing.revision,
        repo="owner/name",
        path="src/add 0.py",
        revision=SHA,
        url=first["url"],
        language="python",
        query=first["docstring"],
        code=first["code"],
        name="add_0",
        start_line=1,
        end_line=4,
        start_byte=-1,
        end_byte=-1,
        licenses=("MIT",),
        license_evidence="python_licenses.pkl: LICENSE: text of MIT",
        stars=-1,
        row=0,
        partition="",
    )
    assert len(records) == 3
    assert {slice_.stream for slice_ in listing.slices} == {"python"}
    assert str(tmp_path) not in repr((listing.revision, listing.provenance))
    assert not listing.quarantined


def test_every_layout_holds_the_same_rows(tmp_path: Path) -> None:
    result = []
    for layout in LAYOUTS:
        for language in ("python", "go"):
            write(tmp_path / layout, layout, language)
        records = run(tmp_path / layout, partition="keep")[1]
        items = [record for record in records if isinstance(record, SourcePair)]
        result.append(sorted((one.language, one.partition, one.query, one.url) for one in items))
    assert len(result[0]) == 18
    assert all(one == result[0] for one in result)


def test_the_url_keeps_its_own_anchor(tmp_path: Path) -> None:
    write(tmp_path, "zip")
    one = run(tmp_path)[1][1]
    assert isinstance(one, SourcePair)
    (pair,) = extract_pair(one, ExtractOptions()).pairs
    assert pair.url == row(1)["url"]
    assert (pair.start_line, pair.end_line) == (2, 5)
    assert '"""' not in pair.code


def test_the_rows_of_validation_and_test_are_held_out(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        root = tmp_path / layout
        for language in ("ruby", "python"):
            write(root, layout, language)
        options = CodeSearchNetOptions(path=str(root))
        listing = plan(options, "csn", LicensePolicy())
        items = list(holdout_rows(options, listing.revision))
        assert [(one.language, one.set) for one in items] == [
            (language, f"codesearchnet/{split}")
            for language in ("python", "ruby")
            for split in ("validation", "test")
            for _ in range(3)
        ]
        first = row(0, "valid")
        assert (items[0].item, items[0].query) == (first["url"], first["docstring"])
        assert items[0].code == first["code"]
        queries = {one.query for one in items}
        assert not queries & {getattr(one, "query", "") for one in run(root)[1]}
        keep = options.model_copy(update={"partition": "keep"})
        assert list(holdout_rows(keep, listing.revision)) == []


def test_keep_gives_each_pair_its_own_split(tmp_path: Path) -> None:
    write(tmp_path, "branch")
    records = run(tmp_path, partition="keep")[1]
    assert Counter(getattr(record, "partition", "") for record in records) == {
        "train": 3,
        "validation": 3,
        "test": 3,
    }
    digests = [
        {slice_.digest for slice_ in run(tmp_path, partition=partition)[0].slices}
        for partition in ("holdout", "keep")
    ]
    assert not digests[0] & digests[1]


def test_each_row_is_read_from_one_copy_only(tmp_path: Path) -> None:
    """The config `all` repeats the languages; a second layout or folder repeats the first."""
    write(tmp_path, "branch")
    write_branch(tmp_path, rows(), "all")
    write(tmp_path, "zip")
    write(tmp_path, "converted")
    write_branch(tmp_path / "backup", rows())
    listing, records = run(tmp_path, partition="keep")
    assert len(records) == 9
    assert all(".parquet" in part.name for slice_ in listing.slices for part in slice_.parts[:-1])
    assert {one.name.split("/")[0] for one in listing.quarantined} == {"backup"}


def test_languages_and_slices(tmp_path: Path) -> None:
    for language in ("python", "go", "ruby"):
        write(tmp_path, "branch", language)
    listing, records = run(tmp_path, 1, languages=["go", "python"])
    assert Counter(slice_.stream for slice_ in listing.slices) == {"go": 2, "python": 2}
    assert len({slice_.digest for slice_ in listing.slices}) == 4
    assert Counter(record.language for record in records) == {"go": 3, "python": 3}
    with pytest.raises(SourceError, match="no rows of java"):
        run(tmp_path, languages=["go", "java"])
    with pytest.raises(ValidationError, match="CodeSearchNet has no 'rust'"):
        CodeSearchNetOptions.model_validate({"path": "x", "languages": ["rust"]})


def test_nothing_to_read_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        run(tmp_path / "none")
    with pytest.raises(SourceError, match="any language of CodeSearchNet"):
        run(tmp_path)
    (tmp_path / "python.zip").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"first: python\.zip: unreadable zip"):
        run(tmp_path)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"docstring": None}, "null_query"),
    ({"docstring": ""}, "null_query"),
    ({"code": 5}, "wrong_type"),
    ({"code": "a\0b"}, "null_byte"),
    ({"code": "\ud800"}, "invalid_text"),
    ({"repo": None}, "null_repo"),
    ({"path": "a\nb.py"}, "invalid_path"),
    ({"partition": "test"}, "partition_mismatch"),
    ({"partition": None}, "pair"),
    ({"language": "java"}, "language_mismatch"),
    ({"repo": "other/gpl"}, "license_not_permissive"),
    ({"repo": "not/known"}, "license_unknown"),
    ({"url": "javascript:alert(1)"}, "pair"),
]


def test_each_bad_row_is_one_refusal(tmp_path: Path) -> None:
    bare = {key: value for key, value in row(0).items() if key != "docstring"}
    train: list[Row | bytes] = [
        *(row(i, **bad) for i, (bad, _) in enumerate(BAD)),
        bare,
        b"{oops",
        b"[]",
        b'{"code": "' + b"x" * 8_000_001 + b'"}',
    ]
    write_zip(tmp_path / "python.zip", {"train": train}, book=BOOK)
    records = run(tmp_path)[1]
    assert reasons(records) == [
        *(reason for _, reason in BAD),
        *("missing_column", "invalid_json", "not_an_object", "line_too_long"),
    ]
    strange = records[12]
    assert isinstance(strange, SourcePair)
    assert (strange.url, strange.start_line, strange.revision) == ("", -1, SHA)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/o/n/blob/" + SHA + "/a b/c#d.py#L3-L9", (SHA, 3, 9)),
        ("https://github.com/o/n/blob/" + SHA + "/a.py#L3", (SHA, 3, 3)),
        ("https://github.com/o/n/blob/" + SHA + "/a.py", (SHA, -1, -1)),
        ("https://github.com/o/n/blob/" + SHA + "/a.py#L9-L3", (SHA, -1, -1)),
        ("https://github.com/o/n/blob/master/a.py#L3-L9", ("", -1, -1)),
    ],
)
def test_commit_and_lines_come_from_the_url(
    tmp_path: Path, url: str, place: tuple[str, int, int]
) -> None:
    write_branch(tmp_path, {"train": [row(0, url=url)]})
    (one,) = run(tmp_path, declared_licenses=["MIT"])[1]
    assert isinstance(one, SourcePair)
    assert (one.revision, one.start_line, one.end_line) == place
    assert one.url == url


def test_without_licence_files_only_declared_licences_let_rows_in(tmp_path: Path) -> None:
    write_branch(tmp_path / "rows", rows())
    assert set(reasons(run(tmp_path / "rows")[1])) == {"license_unknown"}
    (one, *_) = run(tmp_path / "rows", declared_licenses=["ISC"])[1]
    assert isinstance(one, SourcePair)
    assert (one.licenses, one.license_evidence) == (("ISC",), "declared by config")
    write_zip(tmp_path / "books" / "python.zip", rows(), book=BOOK)
    listing, records = run(tmp_path / "rows", license_files=str(tmp_path / "books"))
    assert reasons(records) == ["pair"] * 3
    write_zip(tmp_path / "books" / "python.zip", rows(), book=licences(owner__name=GPL))
    again, records = run(tmp_path / "rows", license_files=str(tmp_path / "books"))
    assert set(reasons(records)) == {"license_not_permissive"}
    assert again.revision != listing.revision


def test_a_hostile_pickle_is_set_aside_and_lets_nothing_in(tmp_path: Path) -> None:
    write(tmp_path, "branch")
    (tmp_path / "python_licenses.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    listing, records = run(tmp_path)
    assert set(reasons(records)) == {"license_unknown"}
    (one,) = listing.quarantined
    assert (one.name, one.reason[:28]) == ("python_licenses.pkl", "licence pickle: opcode GLOBA")


def test_a_stream_that_breaks_off_gives_its_rows_and_one_refusal(tmp_path: Path) -> None:
    write_unpacked(tmp_path, {"train": [row(i) for i in range(300)]})
    path = next(tmp_path.rglob("*.gz"))
    path.write_bytes(path.read_bytes()[:-2000])
    records = run(tmp_path, declared_licenses=["MIT"])[1]
    kinds = Counter(reasons(records))
    assert kinds["corrupt_input"] == 1
    assert 0 < kinds["pair"] < 300
    last = records[-1]
    assert isinstance(last, Skip)
    assert last.quarantined == path.relative_to(tmp_path).as_posix()


def test_a_damaged_member_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "python.zip", rows(), compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    folder = data.index(packed(rows()["train"])) + 60
    data[folder] ^= 0xFF
    path.write_bytes(bytes(data))
    records = run(tmp_path, declared_licenses=["MIT"])[1]
    assert reasons(records)[-1] == "corrupt_input"
    assert "!python/final/jsonl/train/python_train_0.jsonl.gz" in getattr(
        records[-1], "quarantined", ""
    )


def test_rows_to_hold_out_are_read_strictly(tmp_path: Path) -> None:
    items = rows()
    items["test"][1]["code"] = None
    write_zip(tmp_path / "python.zip", items, book=BOOK)
    options = CodeSearchNetOptions(path=str(tmp_path))
    listing = plan(options, "csn", LicensePolicy())
    with pytest.raises(SourceError, match=r"held out.*python_test_0.*row 2.*null_code"):
        list(holdout_rows(options, listing.revision))
    with pytest.raises(SourceError, match="no longer the one"):
        list(holdout_rows(options, "another"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_changed_file_is_noticed(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout)
    options = CodeSearchNetOptions(path=str(tmp_path))
    listing = plan(options, "s", LicensePolicy())
    by_name = {split: [row(7, split)] for split in rows()}
    match layout:
        case "zip":
            write_zip(tmp_path / "python.zip", by_name, book=BOOK)
        case "unpacked":
            write_unpacked(tmp_path, by_name)
        case "branch":
            write_branch(tmp_path, by_name)
        case _:
            write_converted(tmp_path, by_name)
    with pytest.raises(ChangedInput):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


def test_a_changed_licence_pickle_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "branch")
    options = CodeSearchNetOptions(path=str(tmp_path))
    listing = plan(options, "s", LicensePolicy())
    (tmp_path / "python_licenses.pkl").write_bytes(licences(owner__name=MIT, a__b=MIT))
    with pytest.raises(ChangedInput, match="python_licenses"):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
def test_the_real_schema_is_read(tmp_path: Path) -> None:
    """The fixtures of the original repository: obfuscated rows, of no repository at GitHub."""
    source = Path(os.environ["XTROVE_DATA"]) / "eval/csn-fixtures/python.jsonl.gz"
    with gzip.open(source) as lines:
        real = [json.loads(line) for line in lines]
    assert real
    shutil.copy(source, tmp_path / f"python_{real[0]['partition']}_0.jsonl.gz")
    records = run(tmp_path, declared_licenses=["MIT"], partition="keep")[1]
    assert [getattr(record, "query", "") for record in records] == [
        one["docstring"] for one in real
    ]


def test_members_are_never_written_to_disk(tmp_path: Path) -> None:
    """Names that would lead out are just names: what they are called decides nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../python_train_0.jsonl.gz", packed([row(0)]))
        archive.writestr("/etc/python_train_1.jsonl.gz", packed([row(1)]))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "python.zip").write_bytes(buffer.getvalue())
    records = run(tmp_path / "in", declared_licenses=["MIT"])[1]
    assert reasons(records) == ["pair", "pair"]
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "python.zip"]


@pytest.mark.slow
@given(st.data())
def test_damage_is_a_reason_and_never_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(LAYOUTS))
    root = tmp_path / layout
    write(root, layout)
    path = data.draw(st.sampled_from(sorted(one for one in root.rglob("*") if one.is_file())))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    try:
        records = run(root, partition="keep")[1]
    except SourceError as error:
        assert error.remedy
    else:
        assert len(records) < 100
