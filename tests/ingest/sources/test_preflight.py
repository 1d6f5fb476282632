"""A look at local sources: what is found in good ones, what is said of bad ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from ingest.licenses.policy import LicensePolicy
from ingest.sources.preflight import Check, Report, findings_of
from ingest.sources.preflight import look as look_at
from ingest.sources.registry import SourceOptions
from ingest.transport.rate_limit import ReadLimits
from ingest.transport.traffic import Traffic, meter
from tests.ingest import csn_copies, stack_tables, stack_v2_files
from tests.ingest.blob_server import bucket, status


def look(policy: LicensePolicy | None = None, **options: Any) -> Report:
    adapter: TypeAdapter[SourceOptions] = TypeAdapter(SourceOptions)
    chosen = adapter.validate_python(options)
    sheet = findings_of(chosen, "it")
    look_at(chosen, policy or LicensePolicy(), sheet, ReadLimits(patience_s=5))
    return sheet.report()


def bad(found: Report) -> list[Check]:
    return [check for check in found.checks if not check.ok]


def counts(found: Report) -> dict[tuple[str, str], int]:
    return {(license_.licenses, license_.verdict): license_.rows for license_ in found.licenses}


def lines(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
    return path


def pair(number: int, **changes: Any) -> dict[str, Any]:
    code = f"def f{number}(a):\n    return a + {number}\n"
    return {"query": f"adds {number}", "code": code, "language": "python", **changes}


def test_the_stack_is_read_by_its_footers_and_first_rows(tmp_path: Path) -> None:
    licences: tuple[list[str], ...] = (["MIT"], ["GPL-3.0-only"], ["MIT", "Apache-2.0"], [])
    rows = [stack_tables.row(i, max_stars_repo_licenses=licences[i % 4]) for i in range(12)]
    path = stack_tables.write(tmp_path / "data/python/train-00000-of-00001.parquet", rows, group=8)
    result = look(kind="the-stack", path=str(tmp_path))
    assert bad(result) == []
    assert result.languages == (("python", 1),)
    # Of both row groups, and judged as a build judges them.
    assert counts(result) == {
        ("MIT", "let in"): 3,
        ("Apache-2.0, MIT", "let in"): 3,
        ("GPL-3.0-only", "license_not_permissive"): 3,
        ("", "license_unknown"): 3,
    }
    reading = result.reading
    assert reading is not None
    assert (reading.files, reading.rows, reading.exact) == (1, 12, True)
    assert reading.stored_bytes == path.stat().st_size
    assert result.sample is not None
    assert result.sample.path == "src/f 0.py"


def test_what_a_build_would_read_is_scaled_from_some_footers(tmp_path: Path) -> None:
    for number in range(9):
        name = f"data/go/train-{number}.parquet"
        stack_tables.write(tmp_path / name, [stack_tables.row(i, lang="Go") for i in range(10)])
    reading = look(kind="the-stack", path=str(tmp_path)).reading
    assert reading is not None
    assert not reading.exact
    assert reading.files == 9
    assert 85 <= reading.rows <= 95


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ({"content": None}, "column content is missing (expected text)"),
        (
            {"max_stars_repo_licenses": pa.int64()},
            "column max_stars_repo_licenses is int64 (expected list of text)",
        ),
    ],
)
def test_a_schema_is_held_against_the_contract(
    types: dict[str, Any], words: str, tmp_path: Path
) -> None:
    row = stack_tables.row(1)
    if "content" not in types:
        row["max_stars_repo_licenses"] = 1
    stack_tables.write(tmp_path / "data/python/a.parquet", [row], **types)
    (fault,) = bad(look(kind="the-stack", path=str(tmp_path)))
    assert f"data/python/a.parquet: {words}" in fault.found
    assert "kind: pairs" in fault.remedy
    assert "The file has: " in fault.remedy
    assert "max_stars_repo_name" in fault.remedy


def test_a_language_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    stack_tables.write(tmp_path / "data/python/a.parquet", [stack_tables.row(1)])
    result = look(kind="the-stack", path=str(tmp_path), languages=["rust"])
    assert [one.name for one in bad(result)] == ["layout"]
    assert "rust" in bad(result)[0].found
    assert "found folders: python" in bad(result)[0].remedy


def test_rows_without_a_licence_that_passes_are_a_problem(tmp_path: Path) -> None:
    rows = [stack_tables.row(i, max_stars_repo_licenses=["GPL-3.0-only"]) for i in range(30)]
    stack_tables.write(tmp_path / "data/python/a.parquet", rows, group=30)
    result = look(kind="the-stack", path=str(tmp_path))
    assert [one.name for one in bad(result)] == ["rows"]
    assert bad(result)[0].found == "0 of 30 sampled rows pass; refused: license_not_permissive 30"
    assert "licenses.allow" in bad(result)[0].remedy
    policy = LicensePolicy(allow=("GPL-3.0-only",))
    assert bad(look(policy, kind="the-stack", path=str(tmp_path))) == []


def test_damage_in_the_only_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "data/python/a.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 half of a download")
    result = look(kind="the-stack", path=str(tmp_path))
    assert [one.name for one in bad(result)] == ["layout"]
    assert "PAR1" in bad(result)[0].found
    assert "download or write it again" in bad(result)[0].remedy


def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *(pair(i, license="MIT") for i in range(5)))
    columns = {"query": "querry", "code": "code"}
    result = look(kind="pairs", path=str(path), columns=columns)
    (fault,) = bad(result)
    assert fault.found == "0 of 5 sampled rows pass; refused: missing_column 5"
    assert "The file has: code, language, license, query. Did you mean 'query'?" in fault.remedy
    assert [(reason, rows) for reason, rows, _ in result.refused] == [("missing_column", 5)]
    # Its remedy, followed.
    again = look(kind="pairs", path=str(path), columns={**columns, "query": "query"})
    assert counts(again) == {("MIT", "let in"): 5}


def test_a_column_of_another_type_is_a_problem(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *(pair(i, license="MIT", code=["x"]) for i in range(3)))
    result = look(kind="pairs", path=str(path))
    assert bad(result)[0].found == "0 of 3 sampled rows pass; refused: wrong_type 3"
    assert result.refused == (("wrong_type", 3, "code: list, not text"),)


def test_a_text_that_is_not_utf8_costs_its_row_only(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([pair(i) for i in range(4)])
    raw = pa.array([b"x = 1", b"\xff\xfe", b"x = 2", b"x = 3"], pa.binary())
    table = table.set_column(1, "code", raw.cast(pa.string(), safe=False))
    pq.write_table(table, tmp_path / "a.parquet")
    result = look(kind="pairs", path=str(tmp_path), declared_licenses=["MIT"])
    assert bad(result) == []
    assert counts(result) == {("MIT", "let in"): 3}
    assert [(reason, rows) for reason, rows, _ in result.refused] == [("not_utf8", 1)]


def test_rows_of_who_opted_out_are_refused_here_too(tmp_path: Path) -> None:
    rows = [stack_tables.row(i, max_stars_repo_name=f"owner{i % 2}/name") for i in range(6)]
    stack_tables.write(tmp_path / "data/python/a.parquet", rows, group=6)
    result = look(kind="the-stack", path=str(tmp_path), opt_out=["owner1"])
    assert counts(result) == {("MIT", "let in"): 3}
    assert [(reason, rows) for reason, rows, _ in result.refused] == [("opted_out", 3)]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet"])
def test_pairs_in_other_formats(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    rows = [pair(i) for i in range(4)]
    if name.endswith(".csv"):
        text = "query,code,language\n" + "".join(f"q {i},x = {i},python\n" for i in range(4))
        path.write_text(text, "utf-8")
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    result = look(kind="pairs", path=str(path), declared_licenses=["MIT"])
    assert bad(result) == []
    assert counts(result) == {("MIT", "let in"): 4}
    without = look(kind="pairs", path=str(path))
    assert [one.name for one in bad(without)] in ([], ["rows"])
    assert ("", "license_unknown") in counts(without)


def test_a_folder_without_licences_is_a_problem_until_some_are_declared(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    result = look(kind="directory", path=str(tmp_path))
    assert [one.name for one in bad(result)] == ["rows"]
    assert "declared_licenses" in bad(result)[0].remedy
    declared = look(kind="directory", path=str(tmp_path), declared_licenses=["MIT"])
    assert bad(declared) == []
    assert declared.revision
    assert declared.sample is not None


def test_of_a_large_folder_some_files_are_looked_at(tmp_path: Path) -> None:
    for number in range(250):
        (tmp_path / f"{number}.py").write_text(f"x = {number}\n", "utf-8")
    result = look(kind="directory", path=str(tmp_path), declared_licenses=["MIT"])
    assert bad(result) == []
    assert result.languages == (("python", 250),)
    assert result.reading is not None
    assert not result.reading.exact
    assert 230 <= result.reading.rows <= 270
    assert result.revision == ""


def test_the_stack_v2_asks_for_one_content(tmp_path: Path) -> None:
    with bucket() as store:
        rows = stack_v2_files.rows(store, 6)
        rows[0]["license_type"] = "no_license"
        stack_v2_files.write(tmp_path / "data/Python/a.parquet", rows, stack_v2_files.FLAT)
        blobs = store.options().model_dump()
        before = meter().snapshot()
        result = look(kind="the-stack-v2", path=str(tmp_path), blobs=blobs)
        assert bad(result) == []
        packed = len(store.blobs[rows[1]["blob_id"]])
        asked = {f"127.0.0.1:{store.port}": Traffic(requests=1, bytes=packed)}
        assert meter().since(before) == asked
        assert store.asked == [rows[1]["blob_id"]]
    assert result.sample is not None
    assert getattr(result.sample, "content", b"") == b"x = 1\n"
    assert "5 of 6 sampled rows pass" in result.checks[-1].found
    assert ("", "no_license") in counts(result) or ("MIT", "no_license") in counts(result)


@pytest.mark.parametrize(("code", "remedy"), [(403, "AWS_ACCESS_KEY_ID"), (404, "Check `url`")])
def test_an_archive_that_gives_nothing_is_a_problem(code: int, remedy: str, tmp_path: Path) -> None:
    with bucket() as store:
        store.always = status(code)
        rows = stack_v2_files.rows(store, 6)
        stack_v2_files.write(tmp_path / "data/Python/a.parquet", rows, stack_v2_files.FLAT)
        blobs = store.options().model_dump()
        result = look(kind="the-stack-v2", path=str(tmp_path), blobs=blobs)
        assert len(store.asked) == 3
    assert result.sample is None
    assert [one.name for one in bad(result)] == ["reading"]
    assert "contents asked for could not be had" in bad(result)[0].found
    assert remedy in bad(result)[0].remedy


def test_one_cause_that_stops_every_slice_is_a_problem_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with bucket() as store:
        for language in ("Python", "Go", "Rust"):
            rows = [{**row, "language": language} for row in stack_v2_files.rows(store, 6)]
            path = tmp_path / f"data/{language}/a.parquet"
            stack_v2_files.write(path, rows, stack_v2_files.FLAT)
        blobs = store.s3_options().model_dump()
        findings = look(kind="the-stack-v2", path=str(tmp_path), blobs=blobs)
    [problem] = bad(findings)
    assert "no AWS credentials" in problem.found and "anonymous: true" in problem.remedy


def test_a_grouped_set_is_held_against_its_inner_columns(tmp_path: Path) -> None:
    with bucket() as store:
        inner = [dict(one) for one in stack_v2_files.rows(store, 3)]
        outer = {**inner[0], "files": inner, "num_files": 3}
        stack_v2_files.write(tmp_path / "data/a.parquet", [outer], stack_v2_files.GROUPED)
        blobs = store.options().model_dump()
        result = look(kind="the-stack-v2", path=str(tmp_path), blobs=blobs)
    assert bad(result) == []
    assert counts(result) == {("MIT", "let in"): 3}
    assert result.languages == (("", 1),)


def test_codesearchnet_without_licences_says_where_they_are(tmp_path: Path) -> None:
    csn_copies.write_branch(tmp_path, csn_copies.rows(count=25))
    result = look(kind="codesearchnet", path=str(tmp_path))
    assert [one.name for one in bad(result)] == ["rows"]
    assert "license_files" in bad(result)[0].remedy
    declared = look(kind="codesearchnet", path=str(tmp_path), declared_licenses=["MIT"])
    assert bad(declared) == []
    assert declared.reading is not None
    assert declared.reading.rows == 25


def test_codesearchnet_in_zips_with_their_licences(tmp_path: Path) -> None:
    book = csn_copies.licences(owner__name=csn_copies.MIT)
    held = csn_copies.rows(count=4)
    csn_copies.write_zip(tmp_path / "python.zip", held, book=book)
    result = look(kind="codesearchnet", path=str(tmp_path))
    assert bad(result) == []
    assert counts(result) == {("MIT", "let in"): 4}
    refused = csn_copies.licences(owner__name=csn_copies.GPL)
    csn_copies.write_zip(tmp_path / "python.zip", csn_copies.rows(count=25), book=refused)
    again = look(kind="codesearchnet", path=str(tmp_path))
    assert [one.name for one in bad(again)] == ["rows"]
    assert [license_.verdict for license_ in again.licenses] == ["license_not_permissive"]


def test_a_hostile_licence_pickle_is_named(tmp_path: Path) -> None:
    hostile = b"cos\nsystem\n(S'true'\ntR."
    csn_copies.write_zip(tmp_path / "python.zip", csn_copies.rows(), book=hostile)
    result = look(kind="codesearchnet", path=str(tmp_path), declared_licenses=["MIT"])
    aside = [check.found for check in result.checks if check.name == "set aside"]
    assert len(aside) == 1
    assert aside[0].startswith("python.zip: licence pickle: opcode GLOBAL")
    assert [one.name for one in bad(look(kind="codesearchnet", path=str(tmp_path)))] == ["rows"]


def test_the_common_pile_is_known_by_its_fields(tmp_path: Path) -> None:
    def row(number: int, **changes: object) -> dict[str, object]:
        metadata = {
            "license_type": "permissive",
            "detected_licenses": ["MIT"],
            "language": "Python",
            "path": f"/f{number}.py",
            "repo_name": "owner/name",
        }
        return {"text": f"x = {number}\n", "metadata": metadata, **changes}

    path = tmp_path / "python/a.json.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("".join(json.dumps(row(i)) + "\n" for i in range(3)).encode()))
    result = look(kind="common-pile-stack", path=str(tmp_path))
    assert bad(result) == []
    assert counts(result) == {("MIT", "let in"): 3}
    wrong = "".join(json.dumps(row(i, text=None)) + "\n" for i in range(3))
    path.write_bytes(gzip.compress(wrong.encode()))
    again = look(kind="common-pile-stack", path=str(tmp_path))
    assert [one.name for one in bad(again)] == ["rows"]
    assert "`text` and `metadata`" in bad(again)[0].remedy
