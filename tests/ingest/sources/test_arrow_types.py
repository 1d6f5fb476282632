"""Parquet as its many writers type it: one text is one text, in every source that reads Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip, SourceFile, SourcePair
from ingest.sources.pairs.source import PairsOptions
from ingest.sources.preflight import Findings, findings_of, look
from ingest.sources.registry import SourceOptions, plan, read
from ingest.sources.the_stack.source import TheStackOptions
from ingest.transport.rate_limit import ReadLimits
from tests.ingest import csn_copies, stack_tables, stack_v2_files
from tests.ingest.blob_server import Bucket, bucket
from tests.ingest.sources.codesearchnet import test_csn_source

TEXTS: dict[str, Any] = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "binary_view": pa.binary_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "dictionary of large": pa.dictionary(pa.int8(), pa.large_string()),
    "dictionary of binary": pa.dictionary(pa.int32(), pa.binary()),
    "json": pa.json_(pa.string()),
}
LISTS: dict[str, Callable[[Any], Any]] = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "list_view": pa.list_view,
    "large_list_view": pa.large_list_view,
    "fixed_size_list": lambda text: pa.list_(text, 2),
}
WRITERS: dict[str, dict[str, Any]] = {
    "as Arrow": {},
    "without Arrow's types": {"store_schema": False},
    "format 1.0": {"version": "1.0", "use_dictionary": False, "compression": "none"},
    "second pages": {"data_page_version": "2.0", "compression": "zstd"},
    "old lists": {"use_compliant_nested_type": False, "compression": "gzip"},
    "deltas": {
        "use_dictionary": False,
        "compression": "lz4",
        "column_encoding": "DELTA_BYTE_ARRAY",
    },
    "lengths": {"use_dictionary": False, "column_encoding": "DELTA_LENGTH_BYTE_ARRAY"},
}


def records_of(options: SourceOptions) -> list[SourceFile | SourcePair | Skip]:
    listing = plan(options, "s", LicensePolicy())
    assert listing.quarantined == ()
    return [
        record
        for slice_ in listing.slices
        for record in read(options, "s", LicensePolicy(), slice_, listing.revision)
    ]


def checked(options: SourceOptions) -> Findings:
    findings = findings_of(options, "s")
    look(options, LicensePolicy(), findings, ReadLimits())
    return findings


def rewrite(path: Path, types: Mapping[str, Any], **settings: Any) -> None:
    """The same rows in other types, by a writer with other settings."""
    table = pq.ParquetFile(path).read()
    kinds = [(field.name, types.get(field.name, field.type)) for field in table.schema]
    arrays = [as_type(table.column(name), kind) for name, kind in kinds]
    encoding = settings.pop("column_encoding", None)
    if encoding:
        text = (pa.types.is_string, pa.types.is_binary)
        settings["column_encoding"] = {
            name: encoding for name, kind in kinds if any(test(kind) for test in text)
        }
    pq.write_table(pa.table(arrays, names=[name for name, _ in kinds]), path, **settings)


def as_type(column: Any, kind: Any) -> Any:
    values = column.to_pylist()
    if isinstance(kind, pa.DictionaryType):
        plain = pa.array(values, pa.string()).cast(kind.value_type)
        return plain.dictionary_encode().cast(kind)
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    if kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
        return pa.array([None if value is None else value.encode() for value in values], kind)
    return pa.array(values, kind)


def pairs_at(root: Path) -> tuple[Path, PairsOptions]:
    path = root / "a.parquet"
    rows = [
        {
            "query": f"adds {number}",
            "code": f"def add(a): return a + {number} # é",
            "language": "python",
            "repo": "owner/name",
            "license": ["MIT", "ISC"],
        }
        for number in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    return path, PairsOptions(path=str(root))


def stack_at(root: Path) -> tuple[Path, TheStackOptions]:
    rows = [stack_tables.row(n, max_stars_repo_licenses=["MIT", "ISC"]) for n in range(6)]
    path = stack_tables.write(root / "data/python/a.parquet", rows)
    return path, TheStackOptions(path=str(root))


AT: dict[str, Callable[[Path], tuple[Path, Any]]] = {"pairs": pairs_at, "the-stack": stack_at}
TEXT_COLUMNS = {
    "pairs": ("query", "code", "language", "repo"),
    "the-stack": (
        "content",
        "lang",
        "max_stars_repo_name",
        "max_stars_repo_path",
        "max_stars_repo_head_hexsha",
    ),
}
LIST_COLUMN = {"pairs": "license", "the-stack": "max_stars_repo_licenses"}


def without_revision(
    records: list[SourceFile | SourcePair | Skip],
) -> list[dict[str, object]]:
    """What must be the same of two files with the same rows: all but the revision."""
    names = [one for one in type(records[0]).__dataclass_fields__ if one != "source_revision"]
    return [{name: getattr(record, name) for name in names} for record in records]


@pytest.mark.parametrize("source", list(AT))
@pytest.mark.parametrize("kind", list(TEXTS))
def test_every_type_of_text_is_read_as_text(tmp_path: Path, source: str, kind: str) -> None:
    path, options = AT[source](tmp_path)
    expected = without_revision(records_of(options))
    rewrite(path, dict.fromkeys(TEXT_COLUMNS[source], TEXTS[kind]))
    assert without_revision(records_of(options)) == expected
    assert all(check.ok for check in checked(options).report().checks)


@pytest.mark.slow
@pytest.mark.parametrize("source", list(AT))
@pytest.mark.parametrize("kind", list(LISTS))
@pytest.mark.parametrize("text", ["string", "large_string", "string_view", "dictionary"])
def test_every_type_of_list_is_read_as_texts(
    tmp_path: Path, source: str, kind: str, text: str
) -> None:
    path, options = AT[source](tmp_path)
    expected = without_revision(records_of(options))
    values = pq.read_table(path).column(LIST_COLUMN[source]).to_pylist()
    type_ = LISTS[kind](TEXTS[text])
    try:
        pa.array(values, type_)
    except pa.ArrowNotImplementedError:
        pytest.skip(f"pyarrow makes no {type_}")
    rewrite(path, {LIST_COLUMN[source]: type_})
    assert without_revision(records_of(options)) == expected


@pytest.mark.parametrize("source", list(AT))
@pytest.mark.parametrize("writer", list(WRITERS))
def test_every_way_of_writing_gives_the_same_rows(tmp_path: Path, source: str, writer: str) -> None:
    path, options = AT[source](tmp_path)
    expected = without_revision(records_of(options))
    rewrite(path, {}, **WRITERS[writer])
    assert without_revision(records_of(options)) == expected


@pytest.mark.parametrize("kind", ["string_view", "binary_view", "dictionary", "large_string"])
def test_codesearchnet_takes_every_type_of_text(tmp_path: Path, kind: str) -> None:
    test_csn_source.write(tmp_path, "branch")
    expected = csn(tmp_path)
    columns = [
        hub_name for hub_name in csn_copies.HUB_NAMES.values() if not hub_name.endswith("_tokens")
    ]
    for path in sorted((tmp_path / "python").iterdir()):
        rewrite(path, dict.fromkeys(columns, TEXTS[kind]))
    assert csn(tmp_path) == expected


def csn(root: Path) -> list[dict[str, object]]:
    return without_revision(list(test_csn_source.run(root)[1]))


@pytest.fixture(name="store")
def _store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


@pytest.mark.parametrize("kind", ["string_view", "binary_view", "dictionary", "large_binary"])
def test_the_stack_v2_takes_every_type_of_text(store: Bucket, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "data/Python/a.parquet"
    stack_v2_files.write(path, stack_v2_files.rows(store, 4), stack_v2_files.FLAT)
    expected = without_revision(list(stack_v2_files.run(store, tmp_path)[1]))
    columns = ("blob_id", "path", "language", "src_encoding", "license_type", "repo_name")
    types = dict.fromkeys(columns, TEXTS[kind])
    rewrite(path, {**types, "detected_licenses": pa.list_(pa.string_view())})
    assert without_revision(list(stack_v2_files.run(store, tmp_path)[1])) == expected
    assert [getattr(one, "licenses", None) for one in stack_v2_files.run(store, tmp_path)[1]] == [
        ("MIT",)
    ] * 4


@pytest.mark.parametrize("kind", ["binary_view", "dictionary of binary"])
def test_a_text_that_is_not_utf8_costs_its_row_in_every_type(tmp_path: Path, kind: str) -> None:
    arguments = [b"def f(): pass", b"\xff\xfe", b"def g(): pass"]
    code = pa.array(arguments, pa.binary())
    code = code.dictionary_encode() if "dictionary" in kind else code.cast(TEXTS[kind])
    columns = {"query": ["a b", "c d", "e f"], "code": code, "language": ["python"] * 3}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    options = PairsOptions(path=str(tmp_path), declared_licenses=("MIT",))
    result = [getattr(one, "reason", "pair") for one in records_of(options)]
    assert result == ["pair", "not_utf8", "pair"]


def test_a_dictionary_with_one_bad_text_costs_one_row(tmp_path: Path) -> None:
    """Arrow refuses to decode such a dictionary at all, the good rows with it."""
    good, bad = "def f(): return 11", "def g(): return 22"
    table = pa.table(
        {
            "query": ["a b", "c d", "e f"],
            "code": pa.array([good, bad, good]).dictionary_encode(),
            "language": ["python"] * 3,
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, compression="none")
    path.write_bytes(path.read_bytes().replace(b"def g(): return 22", b"def g(): return \xff\xff"))
    options = PairsOptions(path=str(tmp_path), declared_licenses=("MIT",))
    result = [getattr(one, "reason", "pair") for one in records_of(options)]
    assert result == ["pair", "not_utf8", "pair"]
