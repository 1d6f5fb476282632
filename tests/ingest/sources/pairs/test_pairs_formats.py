"""Ready pairs as CSV, Parquet and compressed lines: bad rows cost themselves and nothing else."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ChangedInput, SourceError
from ingest.formats.bad_row import BadRow
from ingest.formats.csv_records import csv_rows
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourcePair
from ingest.sources.pairs.source import PairsOptions, plan, read

HEADER = ("query", "code", "language")
GOOD = (
    "adds two numbers",
    'def add(a, b):\n    """Say "hi", twice."""\n    return a + b',
    "python",
)


def run(
    path: Path, slice_bytes: int | None = None, **options: object
) -> tuple[Listing, list[SourcePair | Skip]]:
    config = {"path": str(path), "declared_licenses": ["MIT"], **options}
    chosen = PairsOptions.model_validate(config)
    listing = plan(chosen, "mine", LicensePolicy(), slice_bytes)
    records: list[SourcePair | Skip] = []
    for slice_ in listing.slices:
        seen = 0
        for record in read(chosen, "mine", LicensePolicy(), slice_, listing.revision):
            assert record.row == seen
            seen += record.rows if isinstance(record, Skip) else 1
            records.append(record)
    return listing, records


def reasons(records: Sequence[SourcePair | Skip]) -> list[str]:
    return [record.reason if isinstance(record, Skip) else "pair" for record in records]


def as_csv(*rows: Sequence[str], header: Sequence[str] = HEADER) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, *rows])
    return out.getvalue().encode()


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 2, **types: Any) -> None:
    kinds = dict.fromkeys(HEADER, pa.string()) | types
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items())))
    pq.write_table(table, path, row_group_size=group, write_page_checksum=True)


def test_every_format_holds_the_same_pairs(tmp_path: Path) -> None:
    rows = [dict(zip(HEADER, (f"{GOOD[0]} {i}", *GOOD[1:]), strict=True)) for i in range(7)]
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "a.csv").write_bytes(as_csv(*(tuple(row.values()) for row in rows)))
    write_parquet(tmp_path / "a.parquet", rows)
    result = [
        [(one.query, one.code, one.language) for one in run(path)[1] if isinstance(one, SourcePair)]
        for path in sorted(tmp_path.iterdir())
    ]
    assert result[0] == [tuple(row.values()) for row in rows]
    assert all(one == result[0] for one in result)
    listing, records = run(tmp_path)
    assert len(records) == 28
    assert [name for name, _ in listing.provenance] == [
        f"file a.{kind}" for kind in ("csv", "jsonl", "jsonl.gz", "parquet")
    ]


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=20)] * 3),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["\r\n", "\n"]),
)
def test_what_csv_writes_comes_back(rows: list[tuple[str, str, str]], end: str) -> None:
    """The oracle is the standard writer; records that are blank lines are no rows."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([HEADER, *rows])
    lines: list[bytes | None] = list(io.BytesIO(out.getvalue().encode()))
    result = list(csv_rows(iter(lines)))
    assert result == [dict(zip(HEADER, row, strict=True)) for row in rows]


CSV_FAULTS: list[tuple[bytes, list[str]]] = [
    (b"a,b\n", ["wrong_column_count"]),
    (b"a,b,c,d\n", ["wrong_column_count"]),
    (b'"open,b,python\n', ["invalid_csv"]),
    (b'q,"open\n', ["invalid_csv"]),
    (b'"a"x,b,python\n', ["invalid_csv"]),
    (b'"a\nb,1,2",c\n', ["wrong_column_count"]),
    (b"\xff,b,python\n", ["not_utf8"]),
    (b'"\xff\nb",c,python\n', ["not_utf8"]),
    (b"q,a\0b,python\n", ["null_byte"]),
    (b"q,b,cobol\n", ["unsupported_language"]),
    (b"q," + b"x" * 200_000 + b",python\n", ["invalid_csv"]),
    (b"q," + b"x" * 8_000_001 + b",python\n", ["line_too_long"]),
    (b"\n   \n\r\n", []),
]


@pytest.mark.parametrize(("fault", "expected"), CSV_FAULTS)
def test_a_bad_line_costs_no_good_one(tmp_path: Path, fault: bytes, expected: list[str]) -> None:
    good = as_csv(GOOD, header=HEADER).split(b"\r\n", 1)[1]
    (tmp_path / "a.csv").write_bytes(as_csv() + good + fault + good * 3)
    records = run(tmp_path / "a.csv")[1]
    assert reasons(records) == ["pair", *expected, "pair", "pair", "pair"]
    kept = {(record.query, record.code) for record in records if isinstance(record, SourcePair)}
    assert kept == {GOOD[:2]}


def test_a_quote_that_is_never_closed_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(as_csv(GOOD) + b'"open,b,python\n' + b"q,b,python\n" * 3)
    assert reasons(run(tmp_path)[1]) == ["pair", "unclosed_quote", "pair", "pair", "pair"]


def test_a_record_ends_where_the_csv_module_ends_it(tmp_path: Path) -> None:
    """Also where a quote inside an unquoted field makes the count of quotes odd."""
    (tmp_path / "a.csv").write_bytes(b'query,code,language\n"a\nb",c d",python\n' + as_csv(GOOD))
    records = run(tmp_path / "a.csv")[1]
    assert isinstance(records[0], SourcePair)
    assert (records[0].query, records[0].code) == ("a\nb", 'c d"')


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + as_csv(GOOD))
    assert reasons(run(tmp_path)[1]) == ["pair"]
    quoted = as_csv(GOOD).replace(b"query", b'"query"', 1)
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + quoted)
    assert reasons(run(tmp_path)[1]) == ["pair"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"query,query,code\n", "column 1 has a name that stands 2 times"),
        (b"query;code\na;b\n", "column query, code is missing"),
        (b'"query,code\n', "first record is no header: unclosed_quote"),
        (b"\xff,code\n", "first record is no header: not_utf8"),
    ],
)
def test_a_header_that_names_no_columns_is_said_at_once(
    tmp_path: Path, data: bytes, message: str
) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(SourceError, match=message):
        run(tmp_path)


def test_stars_come_as_text_from_csv(tmp_path: Path) -> None:
    header = (*HEADER, "stars")
    rows = [(*GOOD, stars) for stars in ("7", "", "many", "-1", "9" * 20)]
    (tmp_path / "a.csv").write_bytes(as_csv(*rows, header=header))
    records = run(tmp_path, columns={"stars": "stars"})[1]
    assert reasons(records) == ["pair", "pair", *["wrong_type"] * 3]
    assert [getattr(record, "stars", None) for record in records[:2]] == [7, -1]


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        (b'x ""y""\n', {"unclosed_quote", "wrong_column_count"}),
        (b'a","b\n', {"unclosed_quote"}),
        (b'x,"\n', {"unclosed_quote", "wrong_column_count"}),
        (b'"" "",""\n', {"unclosed_quote", "invalid_csv"}),
    ],
    ids=["even quotes", "closed and opened", "closed by the next", "broken"],
)
def test_a_line_is_looked_at_once_outside_and_once_inside_quotes(
    line: bytes, reasons: set[str]
) -> None:
    count = 32_000
    lines: list[bytes | None] = [b"query,code,language\n", b'a,"open\n', *[line] * count]
    start = time.process_time()
    rows = list(csv_rows(iter(lines)))
    # 0.2 s; looking from every line to the end would take minutes.
    assert time.process_time() - start < 10
    assert {row.reason for row in rows if isinstance(row, BadRow)} == reasons
    assert len(rows) >= count // 2


PARQUET_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"query": None}, "null_query"),
    ({"code": "a\0b"}, "null_byte"),
    ({"language": "cobol"}, "unsupported_language"),
    ({"license": ["GPL-3.0-only"]}, "license_not_permissive"),
    ({"license": ["ISC", "MIT"]}, "pair"),
    ({"stars": 3.0}, "pair"),
]


def test_each_bad_row_of_a_table_is_one_refusal(tmp_path: Path) -> None:
    good = dict(zip(HEADER, GOOD, strict=True))
    rows = [{**good, **bad} for bad, _ in PARQUET_FAULTS]
    write_parquet(tmp_path / "a.parquet", rows, license=pa.list_(pa.string()), stars=pa.float64())
    records = run(tmp_path, columns={"stars": "stars"})[1]
    assert reasons(records) == [reason for _, reason in PARQUET_FAULTS]
    assert [getattr(record, "stars", None) for record in records[-2:]] == [-1, 3]


def test_text_that_is_not_utf8_costs_its_row(tmp_path: Path) -> None:
    good = dict(zip(HEADER, GOOD, strict=True))
    rows = [{**good, "code": code} for code in (b"def f(): pass", b"\xff\xfe", b"def g(): pass")]
    write_parquet(tmp_path / "a.parquet", rows, code=pa.binary())
    assert reasons(run(tmp_path)[1]) == ["pair", "not_utf8", "pair"]


@pytest.mark.parametrize("slice_bytes", [1, 200, None])
def test_a_damaged_row_group_costs_its_rows(tmp_path: Path, slice_bytes: int | None) -> None:
    good = dict(zip(HEADER, GOOD, strict=True))
    rows = [{**good, "query": f"{GOOD[0]} {i}", "code": f"x = {i}\n" * 90} for i in range(9)]
    path = tmp_path / "a.parquet"
    write_parquet(path, rows, group=3)
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data = bytearray(path.read_bytes())
    middle = (column.dictionary_page_offset + column.data_page_offset) // 2
    for number in range(middle, middle + 8):
        data[number] ^= 0xFF
    path.write_bytes(bytes(data))
    listing, records = run(path, slice_bytes)
    assert reasons(records) == ["pair"] * 3 + ["corrupt_input"] + ["pair"] * 3
    assert getattr(records[3], "rows", 0) == 3
    assert getattr(records[3], "quarantined", "") == "a.parquet#1"
    assert len(listing.slices) == (1 if slice_bytes is None else 3)


@pytest.mark.parametrize(
    ("types", "columns", "message"),
    [
        ({"code": pa.int64()}, {}, r"column code is int64 \(expected text\)"),
        ({}, {"code": "positive"}, "column positive is missing"),
        ({}, {"repo": "gh"}, "column gh is missing"),
    ],
)
def test_a_table_that_does_not_fit_is_said_at_once(
    tmp_path: Path, types: dict[str, Any], columns: dict[str, str], message: str
) -> None:
    write_parquet(tmp_path / "a.parquet", [], **types)
    with pytest.raises(SourceError, match=message):
        run(tmp_path, columns=columns)


def test_a_compressed_file_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    good = json.dumps(dict(zip(HEADER, GOOD, strict=True))).encode() + b"\n"
    packed = gzip.compress(good * 10) + gzip.compress(good * 10)[:-4]
    (tmp_path / "a.jsonl.gz").write_bytes(packed)
    (tmp_path / "b.jsonl.gz").write_bytes(b"not gzip at all")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(good + b"{oops\n" + good))
    records = run(tmp_path)[1]
    assert reasons(records) == [
        *["pair"] * 20,
        *("corrupt_input", "corrupt_input", "pair", "invalid_json", "pair"),
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl.gz", "parquet"])
def test_a_changed_file_of_each_format_is_noticed(tmp_path: Path, kind: str) -> None:
    def write(word: str) -> None:
        row = dict(zip(HEADER, (word, *GOOD[1:]), strict=True))
        path = tmp_path / f"a.{kind}"
        match kind:
            case "csv":
                path.write_bytes(as_csv((word, *GOOD[1:])))
            case "jsonl.gz":
                path.write_bytes(gzip.compress(json.dumps(row).encode(), mtime=0))
            case _:
                write_parquet(path, [row])

    write("one word")
    options = PairsOptions(path=str(tmp_path), declared_licenses=("MIT",))
    listing = plan(options, "s", LicensePolicy())
    write("two word")
    with pytest.raises(ChangedInput, match=r"a\."):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))
