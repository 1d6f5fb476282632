"""What is written about bad input holds none of it."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.fault_text import code_frames, code_place, digest_of, fault_of
from ingest.formats.bad_row import BadRow
from ingest.formats.csv_records import NoHeader, csv_rows
from ingest.formats.parquet import BrokenFile, ParquetReader, kind_name
from ingest.formats.parquet_rows import contract
from ingest.formats.rows import json_row
from ingest.records import Skip

SECRET = "Zq7hunter2CANARY"
DIGEST = "sha256 c9e1051ac5afb53b"
"""`printf '{"k": "Zq7hunter2CANARY"' | sha256sum`, the first 16 digits."""


def test_a_digest_is_the_first_sixteen_digits() -> None:
    # printf abc | sha256sum
    assert digest_of(b"abc") == digest_of("abc") == "sha256 ba7816bf8f01cfea"
    assert digest_of("\ud800").startswith("sha256 ")


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_an_exception_is_its_type_and_place() -> None:
    error = _raised(ValueError(SECRET))
    assert code_place(error).startswith("ValueError at ingest/test_fault_text.py:")
    assert "in _raised" in code_frames(error)
    assert SECRET not in code_place(error) + code_frames(error)
    assert code_place(KeyError(SECRET)) == "KeyError"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (zipfile.BadZipFile(f"File name in directory {SECRET!r} and header differ"), "BadZipFile"),
        (tarfile.ReadError(SECRET), "ReadError"),
        (gzip.BadGzipFile(SECRET), "BadGzipFile"),
        (pa.ArrowInvalid(SECRET), "ArrowInvalid"),
        (zlib.error("Error -3 while decompressing data"), "Error -3 while decompressing data"),
        (EOFError("ended before the end"), "ended before the end"),
        (EOFError(), "EOFError"),
    ],
)
def test_only_constant_messages_of_libraries_are_kept(error: Exception, words: str) -> None:
    assert fault_of(error) == words


def test_a_refused_row_is_its_number_and_a_digest() -> None:
    skip = Skip(language="", reason="unsupported_language", row=7, detail="abc")
    assert skip.evidence == "row 7, sha256 ba7816bf8f01cfea"
    assert Skip(language="", reason="null_code", row=7).evidence == "row 7"
    own = Skip(language="", reason="corrupt_input", row=7, detail=SECRET, fact="5 rows of 6")
    assert own.evidence == "row 7, 5 rows of 6"


def _evidence(rows: Iterator[object]) -> list[str]:
    return [row.skip("", 3).evidence for row in rows if isinstance(row, BadRow)]


def test_a_bad_line_is_a_digest_of_the_line() -> None:
    row = json_row(b'{"k": "' + SECRET.encode() + b'"')
    assert isinstance(row, BadRow)
    assert row.skip("", 3).evidence == f"row 3, {DIGEST}"


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        (f"{SECRET},b,c\n", "row 3, 3 columns, the header has 2, sha256 "),
        (f'"{SECRET},b\n', "row 3, sha256 "),
        (f'"{SECRET}"x,b\n', "row 3, sha256 "),
    ],
)
def test_a_bad_record_of_a_table_is_a_digest_of_it(line: str, fact: str) -> None:
    result = _evidence(csv_rows(iter([b"query,code\n", line.encode()])))
    assert len(result) == 1
    assert result[0].startswith(fact)
    assert SECRET not in result[0]


@pytest.mark.parametrize("header", [f'query,"{SECRET}', f"{SECRET},{SECRET}", f'"{SECRET}"x,a'])
def test_a_bad_header_is_not_quoted(header: str) -> None:
    with pytest.raises(NoHeader) as caught:
        list(csv_rows(iter([header.encode() + b"\n"])))
    assert SECRET not in str(caught.value)
    assert "sha256 " in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.struct([(SECRET, pa.string())]), "struct"),
        (pa.list_(pa.struct([(SECRET, pa.string())])), "list<struct>"),
        (pa.map_(pa.string(), pa.struct([(SECRET, pa.int8())])), "map"),
        (pa.timestamp("us", tz=SECRET), "timestamp"),
        (pa.decimal128(5, 2), "decimal128"),
        (pa.int64(), "int64"),
        (pa.dictionary(pa.int8(), pa.string()), "dictionary"),
    ],
)
def test_a_type_is_named_without_what_a_file_calls_its_fields(kind: pa.DataType, name: str) -> None:
    assert kind_name(kind) == name


def test_a_column_of_the_wrong_type_is_not_quoted(tmp_path: Path) -> None:
    from ingest.formats.parquet import Column

    pq.write_table(pa.table({"code": [{SECRET: "x"}]}), tmp_path / "a.parquet")
    data = BytesIO((tmp_path / "a.parquet").read_bytes())
    expected = contract({"code": Column(kind="text")})
    with (
        ParquetReader.of(data) as reader,
        pytest.raises(BrokenFile, match=r"^column code is struct \(expected text\)$"),
    ):
        expected(reader)
