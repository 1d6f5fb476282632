"""The rows of The Stack v2: who is let in, by which columns, and where the links lead."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.records import SourceFile
from ingest.sources.the_stack_v2.schema import fields_of, shape_of
from tests.ingest.blob_server import Bucket, bucket
from tests.ingest.stack_v2_files import FILE, FLAT, GROUPED, reasons, row, rows, run, write


@pytest.fixture(name="store")
def _store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


SCANCODE = "LicenseRef-scancode-"
POINTER = f"{SCANCODE}unknown-license-reference"
ROWS: list[tuple[dict[str, Any], str]] = [
    ({}, "file"),
    ({"license_type": "no_license"}, "no_license"),
    ({"license_type": "no_license", "detected_licenses": []}, "no_license"),
    ({"license_type": "non_permissive"}, "license_not_permissive"),
    ({"license_type": None}, "license_unknown"),
    ({"detected_licenses": ["MIT", "GPL-2.0-only"]}, "license_not_permissive"),
    ({"detected_licenses": ["MIT", f"{SCANCODE}proprietary-license"]}, "license_not_permissive"),
    ({"detected_licenses": ["MIT", POINTER]}, "file"),
    ({"detected_licenses": [POINTER]}, "license_unknown"),
    ({"detected_licenses": [POINTER, f"{SCANCODE}warranty-disclaimer"]}, "license_unknown"),
    ({"detected_licenses": ["ISC", f"{SCANCODE}generic-cla"]}, "file"),
    ({"detected_licenses": ["MIT", None]}, "license_unknown"),
    ({"detected_licenses": []}, "license_unknown"),
    ({"detected_licenses": None}, "license_unknown"),
    ({"detected_licenses": [], "gha_license_id": "apache-2.0"}, "file"),
    ({"gha_license_id": "GPL-3.0"}, "license_not_permissive"),
    ({"gha_license_id": "NOASSERTION"}, "file"),
    ({"gha_license_id": "my own"}, "license_unknown"),
    ({"is_vendor": True}, "vendored"),
    ({"is_generated": True}, "generated"),
    ({"is_vendor": None, "is_generated": None}, "file"),
    ({"length_bytes": 1_000_001}, "too_large"),
    ({"length_bytes": -1}, "invalid_length"),
    ({"length_bytes": None}, "file"),
    ({"language": "Java"}, "language_mismatch"),
    ({"language": "C++"}, "language_mismatch"),
    ({"language": None}, "file"),
    ({"repo_name": None}, "null_repo"),
    ({"path": None}, "null_path"),
    ({"path": "/"}, "null_path"),
    ({"path": "/a\nb.py"}, "invalid_path"),
    ({"blob_id": None}, "invalid_blob_id"),
    ({"blob_id": "../" + "0" * 37}, "invalid_blob_id"),
    ({"blob_id": "A" * 40}, "invalid_blob_id"),
    ({"src_encoding": "x-unknown"}, "blob_undecodable"),
    ({"src_encoding": "hex"}, "blob_undecodable"),
    ({"src_encoding": None}, "file"),
]


def test_every_refusal_stands_before_a_request(store: Bucket, tmp_path: Path) -> None:
    made = rows(store, len(ROWS))
    content = [{**one, **bad} for one, (bad, _) in zip(made, ROWS, strict=True)]
    write(tmp_path / "data/Python/a.parquet", content, FLAT)
    records = run(store, tmp_path)[1]
    assert reasons(records) == [reason for _, reason in ROWS]
    assert len(store.asked) == sum(reason == "file" for _, reason in ROWS)


def test_the_evidence_names_the_columns(store: Bucket, tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
        ({"gha_license_id": "mit"}, ("MIT",), "detected_licenses and gha_license_id"),
        (
            {"detected_licenses": [POINTER, "ISC"], "gha_license_id": "MIT"},
            ("ISC", "MIT"),
            "detected_licenses and gha_license_id",
        ),
        ({"detected_licenses": [], "gha_license_id": "MIT"}, ("MIT",), "gha_license_id"),
        ({"gha_license_id": "NOASSERTION"}, ("MIT",), "detected_licenses"),
    ]
    made = rows(store, len(cases))
    content = [{**one, **case[0]} for one, case in zip(made, cases, strict=True)]
    write(tmp_path / "data/Python/a.parquet", content, FLAT)
    records = run(store, tmp_path)[1]
    assert [
        (record.licenses, record.license_evidence)
        for record in records
        if isinstance(record, SourceFile)
    ] == [(licenses, evidence) for _, licenses, evidence in cases]


def test_declared_licences_fill_what_says_nothing_but_never_no_license(
    store: Bucket, tmp_path: Path
) -> None:
    content = rows(store, 3)
    content[0]["detected_licenses"] = []
    content[1]["license_type"] = "no_license"
    content[2]["detected_licenses"] = ["GPL-3.0-only"]
    write(tmp_path / "data/Python/a.parquet", content, FLAT)
    records = run(store, tmp_path, declared_licenses=["ISC"])[1]
    assert reasons(records) == ["file", "no_license", "license_not_permissive"]
    assert isinstance(records[0], SourceFile)
    assert records[0].license_evidence == "declared by config"


def test_contents_of_those_who_opted_out_are_not_asked_for(store: Bucket, tmp_path: Path) -> None:
    content = rows(store, 3)
    content[1]["repo_name"] = "Gone/away"
    write(tmp_path / "data/Python/a.parquet", content, FLAT)
    records = run(store, tmp_path, opt_out=["gone"])[1]
    assert reasons(records) == ["file", "opted_out", "file"]
    assert content[1]["blob_id"] not in store.asked


def test_links_lead_to_github_or_to_the_archive(store: Bucket, tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"github_id": None},
        {"revision_id": "main"},
        {"repo_name": "no slash"},
    ]
    made = [row(store.put(b"x"), **change) for change in changes]
    write(tmp_path / "data/Python/a.parquet", made, FLAT)
    files = [one for one in run(store, tmp_path)[1] if isinstance(one, SourceFile)]
    archive = "https://archive.softwareheritage.org/swh:1:cnt:"
    git_id = hashlib.sha1(b"blob 1\0x").hexdigest()
    assert files[0].url.startswith("https://github.com/owner/name/blob/0123")
    assert [file.url for file in files[1:]] == [archive + git_id] * 3
    assert files[2].revision == ""


_IDS = st.lists(st.sampled_from(["MIT", None, "ISC", ""]), max_size=3)
_FILES = st.builds(
    lambda ids, path, vendor, length: {
        "detected_licenses": ids,
        "path": path,
        "is_vendor": vendor,
        "length_bytes": length,
    },
    st.none() | _IDS,
    st.none() | st.text(max_size=3),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 9),
)
_REPOS = st.lists(st.tuples(st.none() | st.text(max_size=3), st.none() | st.lists(_FILES)))


@given(_REPOS, st.integers(0, 5), st.integers(0, 20))
def test_unfolding_is_a_loop_over_repositories_and_their_files(
    repos: list[tuple[str | None, list[dict[str, Any]] | None]], start: int, count: int
) -> None:
    names = [field.name for field in FILE]
    content = [
        {
            "repo_name": repo,
            "files": None if files is None else [{n: file.get(n) for n in names} for file in files],
        }
        for repo, files in repos
    ]
    schema = pa.schema(list(GROUPED.items()))
    batch = pa.RecordBatch.from_pylist(content, schema=schema).slice(start, count)
    result = fields_of(batch, shape_of(schema))
    expected = [
        (repo, one)
        for repo, files in repos[start : start + count]
        for one in (files or [None])  # type: ignore[list-item]
    ]
    assert result.rows == len(expected)
    assert result.empty == {at for at, (_, one) in enumerate(expected) if one is None}
    for at, (repo, one) in enumerate(expected):
        path = (one or {}).get("path")
        assert result.texts["repo_name"][at] == (None if repo is None else repo.encode())
        assert result.texts["path"][at] == (None if path is None else path.encode())
        assert result.flags["is_vendor"][at] == (one or {}).get("is_vendor")
        assert result.numbers["length_bytes"][at] == (one or {}).get("length_bytes")
        stated = (one or {}).get("detected_licenses") or []
        assert result.licenses[at] == tuple(item or "" for item in stated)
