"""Folders that hold columns (`language=python`), every ending of a format, odd but legal names."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.errors import SourceError
from ingest.files.tree_walk import publishable
from ingest.formats.file_names import folder_values, format_of
from ingest.languages import folder_language
from ingest.records import Skip, SourceFile, SourcePair
from ingest.sources.codesearchnet.source import CodeSearchNetOptions
from ingest.sources.pairs.source import PairsOptions
from ingest.sources.preflight import Check
from ingest.sources.the_stack.source import TheStackOptions
from ingest.sources.the_stack_v2.common_pile import CommonPileOptions
from tests.ingest import csn_copies, git_repositories, stack_tables, stack_v2_files
from tests.ingest.blob_server import Bucket, bucket
from tests.ingest.sources.test_arrow_types import checked, records_of
from tests.ingest.sources.the_stack_v2 import test_common_pile

ROW = {"query": "adds one", "code": "x = 1"}
ENDINGS = (
    *(".jsonl", ".ndjson", ".jsonlines", ".json", ".JSONL"),
    *(".jsonl.gz", ".ndjson.gz", ".jsonlines.gz", ".json.gz"),
)
TABLES = (".parquet", ".parq", ".pq", ".PARQUET", ".c000.snappy.parquet")


def put(path: Path, *rows: dict[str, Any]) -> Path:
    """Rows in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match format_of(path.name):
        case "parquet":
            pq.write_table(pa.Table.from_pylist(list(rows)), path)
        case "csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        case _:
            data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def pairs(path: Path, **options: object) -> list[SourceFile | SourcePair | Skip]:
    config = {"path": str(path), "declared_licenses": ["MIT"], **options}
    return records_of(PairsOptions.model_validate(config))


def facts(records: Sequence[SourceFile | SourcePair | Skip], *names: str) -> list[list[object]]:
    return [
        [getattr(record, name, getattr(record, "reason", None)) for name in names]
        for record in records
    ]


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "ndjson.gz", "csv"])
@pytest.mark.parametrize("key", ["language", "lang"])
def test_the_folder_says_the_language_where_no_column_does(
    tmp_path: Path, ending: str, key: str
) -> None:
    put(tmp_path / f"{key}=python" / f"part-0.{ending}", ROW)
    put(tmp_path / f"{key}=Go" / f"part-0.{ending}", ROW)
    put(tmp_path / f"{key}=cobol" / f"part-0.{ending}", ROW)
    result = facts(pairs(tmp_path), "language")
    assert sorted(str(one) for (one,) in result) == ["", "go", "python"]
    options = PairsOptions(path=str(tmp_path), declared_licenses=("MIT",))
    contact = checked(options).report()
    assert all(check.ok for check in contact.checks), contact.checks


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "jsonl.gz", "csv"])
def test_any_column_can_stand_in_the_folders(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "language=python" / "repo=owner%2Fna%20me" / "license=ISC" / "stars=7"
    put(folder / f"a.{ending}", ROW)
    records = pairs(tmp_path, columns={"repo": "repo", "license": "license", "stars": "stars"})
    assert facts(records, "language", "repo", "licenses", "stars") == [
        ["python", "owner/na me", ("ISC",), 7]
    ]


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_a_row_is_believed_before_its_folder(tmp_path: Path, ending: str) -> None:
    put(tmp_path / "language=python" / f"a.{ending}", {**ROW, "language": "ruby"})
    assert facts(pairs(tmp_path), "language") == [["ruby"]]


@pytest.mark.parametrize("below", ["", "part-0.jsonl"])
def test_a_place_within_the_folders_is_read_as_from_above(tmp_path: Path, below: str) -> None:
    path = tmp_path / "name=no" / "x" / "language=rust" / "repo=a%2Fb"
    put(path / "part-0.jsonl", ROW)
    records = pairs(path / below if below else path)
    assert facts(records, "language", "repo", "name") == [["rust", "a/b", ""]]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_column_of_the_config_can_stand_in_the_folders(tmp_path: Path, ending: str) -> None:
    put(tmp_path / "sprache=php" / f"a.{ending}", ROW)
    assert facts(pairs(tmp_path, columns={"language": "sprache"}), "language") == [["php"]]
    shutil.rmtree(tmp_path / "sprache=php")
    put(tmp_path / "other=php" / f"a.{ending}", ROW)
    with pytest.raises(SourceError, match="column sprache is missing"):
        pairs(tmp_path, columns={"language": "sprache"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", {}),
        ("language=python/a.jsonl", {"language": "python"}),
        ("language=python/language=go/a", {"language": "go"}),
        ("a%20b=c/x=1=2/y=%C3%A9/z=%FF/e=/=v/n=__HIVE_DEFAULT_PARTITION__/a",
         {"x": "1=2", "y": "é"}),
        ("q=a+b/file=x.jsonl", {"q": "a+b"}),
    ],
)  # fmt: skip
def test_what_folders_say(name: str, expected: dict[str, str]) -> None:
    assert folder_values(name, f"/data/{name}") == expected


def test_only_folders_next_to_the_place_count() -> None:
    assert folder_values("a", "/lang=go/data/lang=php/k=v/a") == {"lang": "php", "k": "v"}


@pytest.mark.parametrize(
    ("folder", "language"),
    [
        ("python", "python"), ("TSX", "typescript"), ("language=python", "python"),
        ("lang=Go", "go"), ("Language=JavaScript", "javascript"), ("lang=T%53X", "typescript"),
        ("year=python", ""), ("lang=", ""), ("lang=cobol", ""), ("python=x", ""),
    ],
)  # fmt: skip
def test_what_language_a_folder_is_called_after(folder: str, language: str) -> None:
    assert folder_language(folder) == language


@pytest.mark.parametrize("ending", [*TABLES, ".jsonl", ".ndjson", ".json.gz"])
@pytest.mark.parametrize("folder", ["data/lang=Python", "language=python", "lang=python/year=2023"])
def test_the_stack_in_folders_of_hive(tmp_path: Path, ending: str, folder: str) -> None:
    rows = [{**stack_tables.row(n), "lang": None} for n in range(3)]
    path = tmp_path / folder / f"part-0{ending}"
    if format_of(path.name) == "parquet":
        stack_tables.write(path, rows, lang=None)
    else:
        put(path, *rows)
    options = TheStackOptions(path=str(tmp_path))
    assert facts(records_of(options), "language", "path") == [
        ["python", f"src/f {n}.py"] for n in range(3)
    ]
    assert all(check.ok for check in checked(options).report().checks)


@pytest.fixture(name="store")
def _store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


@pytest.mark.parametrize("name", ["data/language=Python/a.parq", "lang=python/year=2020/b.parquet"])
def test_the_stack_v2_in_folders_of_hive(store: Bucket, tmp_path: Path, name: str) -> None:
    stack_v2_files.write(tmp_path / name, stack_v2_files.rows(store, 2), stack_v2_files.FLAT)
    assert facts(stack_v2_files.run(store, tmp_path)[1], "language") == [["python"]] * 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_common_pile_in_folders_of_hive(tmp_path: Path, ending: str) -> None:
    rows = [test_common_pile.row(n, language=None) for n in range(2)]
    put(tmp_path / "language=python" / f"a{ending}", *rows)
    options = CommonPileOptions(path=str(tmp_path))
    assert facts(records_of(options), "language") == [["python"]] * 2


@pytest.mark.parametrize(
    "name",
    [
        "language=python/train-00000.parq",
        "language=python/partition=train/part-0.parquet",
        "lang=python/split=train/part-0.pq",
    ],
)
def test_codesearchnet_in_folders_of_hive(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(csn_copies.parquet_bytes([csn_copies.row(0), csn_copies.row(1)]))
    table = pq.ParquetFile(path).read().drop_columns(["language", "split_name"])
    pq.write_table(table, path)
    options = CodeSearchNetOptions(path=str(tmp_path), declared_licenses=("MIT",))
    assert facts(records_of(options), "language", "name") == [
        ["python", "add_0"],
        ["python", "add_1"],
    ]


@pytest.mark.parametrize("ending", [*ENDINGS, *TABLES, ".csv"])
def test_every_ending_of_pairs(tmp_path: Path, ending: str) -> None:
    put(tmp_path / f"a{ending}", *({**ROW, "language": "python"} for _ in range(3)))
    for path in (tmp_path, tmp_path / f"a{ending}"):
        assert facts(pairs(path), "query", "language") == [["adds one", "python"]] * 3
    options = PairsOptions(path=str(tmp_path), declared_licenses=("MIT",))
    contact = checked(options).report()
    assert all(check.ok for check in contact.checks), contact.checks
    assert contact.sample is not None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'[{"query": "a b", "code": "x"}]', r"an array of JSON, not lines: `jq -c '\.\[\]'"),
        (b'{\n  "query": "a b",\n  "code": "x"\n}\n', r"JSON, but no object a line: `jq -c \."),
        (b'{"default": {"features": {}}}\n', "JSON lines without query or code"),
        (b"\xef\xbb\xbf  [\n1\n]", "an array of JSON"),
    ],
)
def test_other_json_is_set_aside_with_its_way_out(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "other.json").write_bytes(data)
    options = PairsOptions(path=str(tmp_path), language="python", declared_licenses=("MIT",))
    with pytest.raises(SourceError, match=f"other.json: {reason}"):
        records_of(options)
    bad = [check for check in checked(options).report().checks if not check.ok]
    assert [one.name for one in bad] == ["layout"]
    assert "other.json" in bad[0].found
    # Beside good data it costs nothing but a line in the manifest.
    put(tmp_path / "a.jsonl", ROW)
    contact = checked(options).report()
    assert all(check.ok for check in contact.checks), contact.checks


def test_the_doctor_names_the_columns_of_a_table_and_the_one_that_was_meant(
    tmp_path: Path,
) -> None:
    put(tmp_path / "a.parquet", {"query": "a b", "codes": "x"})
    (bad,) = [one for one in doctor(tmp_path) if not one.ok]
    assert "a.parquet: column code is missing (expected text)" in bad.found
    assert bad.remedy.endswith("The file has: query, codes. Did you mean 'codes'?")
    # Its remedy, followed.
    contact = doctor(tmp_path, columns={"code": "codes"}, language="python")
    assert [one.found for one in contact if not one.ok] == []
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    (bad,) = [one for one in doctor(tmp_path) if not one.ok]
    assert bad.remedy == "The file itself is broken: download or write it again."


def doctor(path: Path, **options: object) -> Sequence[Check]:
    config = {"path": str(path), "declared_licenses": ["MIT"], **options}
    return checked(PairsOptions.model_validate(config)).report().checks


def test_a_first_line_longer_than_the_look_is_read(tmp_path: Path) -> None:
    put(tmp_path / "a.json", {**ROW, "code": "x = 1\n" * 20_000, "language": "python"}, ROW)
    assert facts(pairs(tmp_path), "reason") == [[None], ["unsupported_language"]]


LEGAL = (
    "a\u00a0b",
    "日本\u3000語",
    "a\u2009b",
    "👩\u200d💻",
    "می\u200cخواهم",
    "a'b\"c",
    "q?x#y%20z",
    " a ",
    "a=b",
)
ILLEGAL = ("a\u202eb", "a\x1bb", "a\nb", "a\u2028b", "a\ud800", "a\u200fb", "a\ufeffb")


def test_which_names_are_legal() -> None:
    assert [name for name in LEGAL if not publishable(name)] == []
    assert [name for name in ILLEGAL if publishable(name)] == []


@pytest.mark.parametrize("name", LEGAL)
def test_odd_but_legal_names_are_read(store: Bucket, tmp_path: Path, name: str) -> None:
    put(tmp_path / "pairs" / name / f"{name}.jsonl", {**ROW, "language": "python"})
    put(tmp_path / "pairs" / name / f"{name}.parquet", {**ROW, "language": "python"})
    assert facts(pairs(tmp_path / "pairs"), "language") == [["python"]] * 2
    stack = tmp_path / "stack"
    stack_tables.write(
        stack / f"python/{name}.parquet", [stack_tables.row(0, max_stars_repo_path=f"{name}.py")]
    )
    assert facts(records_of(TheStackOptions(path=str(stack))), "path") == [[f"{name}.py"]]
    pile = tmp_path / "pile"
    put(pile / f"{name}.jsonl", test_common_pile.row(0, path=f"/{name}.py"))
    assert facts(records_of(CommonPileOptions(path=str(pile))), "path") == [[f"{name}.py"]]
    rows = stack_v2_files.rows(store, 1, path=f"/{name}.py")
    stack_v2_files.write(tmp_path / f"v2/Python/{name}.parquet", rows, stack_v2_files.FLAT)
    assert facts(stack_v2_files.run(store, tmp_path / "v2")[1], "path") == [[f"{name}.py"]]
    csn = csn_copies.packed([csn_copies.row(0, path=f"{name}.py")])
    (tmp_path / "csn" / name).mkdir(parents=True)
    (tmp_path / "csn" / name / "python_train_0.jsonl.gz").write_bytes(csn)
    options = CodeSearchNetOptions(path=str(tmp_path / "csn"), declared_licenses=("MIT",))
    assert facts(records_of(options), "path") == [[f"{name}.py"]]
    folder = tmp_path / "folder"
    git_repositories.put(folder, {"LICENSE": git_repositories.MIT, f"{name}.py": "x = 1\n"})
    assert set(git_repositories.run(folder)[1]) == {f"{name}.py"}
