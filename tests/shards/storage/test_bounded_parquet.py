"""Parquet of strangers: some kilobytes that stand for gigabytes are refused or read in pieces."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.format.sample import ARROW_SCHEMA
from shards.storage import bounded_parquet
from shards.storage.bounded_parquet import MOST_VALUES, open_parquet
from shards.storage.parquet_headers import read_pages
from shards.write.removals import REMOVALS_SCHEMA, find_removal, read_removals
from tests.shards.builder import Built, build
from tests.shards.damage import findings, resign
from xtrove.core.errors import DamagedData

MIB = 1_000_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A small dataset."""
    return build(tmp_path_factory.mktemp("bounded"))


def _evidence(path: Path, rows: int, **columns: Any) -> Path:
    """Rows of evidence with one id, some columns given."""
    by_name: dict[str, Any] = {}
    for field in REMOVALS_SCHEMA:
        if field.name in columns:
            by_name[field.name] = columns[field.name]
        elif field.type == pa.string():
            by_name[field.name] = pa.array(["a"] * rows)
        elif field.name == "shingles":
            by_name[field.name] = pa.array([[]] * rows, type=field.type)
        else:
            by_name[field.name] = pa.array([0] * rows, type=field.type)
    arrays = [by_name[name] for name in REMOVALS_SCHEMA.names]
    table = pa.Table.from_arrays(arrays, names=REMOVALS_SCHEMA.names)
    # Without Arrow's own schema in the file, dictionaries are plain texts to a reader.
    pq.write_table(_marked(table), path, compression="zstd", store_schema=False)
    return path


def _marked(table: Any) -> Any:
    """No column may be null, as the schema of the evidence has it."""
    fields = [
        pa.field(one.name, table.column(one.name).type, nullable=False) for one in REMOVALS_SCHEMA
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def _one_text(text: str, rows: int) -> Any:
    places = pa.array(np.zeros(rows, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(places, pa.array([text]))


def _run(length: int) -> Any:
    """One list of equal numbers."""
    field = REMOVALS_SCHEMA.field("shingles").type
    values = pa.array(np.zeros(length, dtype=np.uint64))
    return pa.ListArray.from_arrays(pa.array([0, length], pa.int32()), values).cast(field)


def test_what_is_sound_is_read_as_pyarrow_reads_it(built: Built) -> None:
    for path in sorted(built.path.rglob("*.parquet")):
        schema = REMOVALS_SCHEMA if path.parent.name == "removals" else ARROW_SCHEMA
        whole = pq.read_table(path)
        with open_parquet(path, schema) as file:
            assert pa.Table.from_batches(file.batches(), schema=schema).equals(whole.cast(schema))
            ids = [row for batch in file.batches(["id"]) for row in batch.column(0).to_pylist()]
            assert ids == whole.column("id").to_pylist()
            assert file.may_hold(0, schema.names.index("id"), ids[0])
        metadata = pq.read_metadata(path)
        for number, column in enumerate(read_pages(path)[0]):
            stated = metadata.row_group(0).column(number)
            assert stated.num_values <= column.values <= 2 * stated.num_values
            assert column.bytes == stated.total_uncompressed_size


def test_the_group_of_an_id_is_found_by_its_statistics(built: Built) -> None:
    (path,) = (built.path / "removals").iterdir()
    with open_parquet(path, REMOVALS_SCHEMA) as file:
        assert not file.may_hold(0, 0, "f" * 33) and not file.may_hold(0, 0, "0")


@pytest.mark.slow
def test_a_text_that_many_rows_name_comes_in_pieces(tmp_path: Path) -> None:
    """3 kB on disk, 20 GB spelled out: 67 rows of a megabyte are what 64 MiB hold."""
    rows = 20_000
    path = _evidence(tmp_path / "text.parquet", rows, detail=_one_text("x" * MIB, rows))
    assert path.stat().st_size < 10_000
    before = pa.total_allocated_bytes()
    with open_parquet(path, REMOVALS_SCHEMA) as file:
        pieces = file.batches()
        for piece in islice(pieces, 3):
            assert piece.num_rows == 67
            assert pa.total_allocated_bytes() - before < 200 * MIB
        with pytest.raises(DamagedData, match="row group 0 spells out to more than 1073741824"):
            list(pieces)


def test_a_run_of_numbers_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = _evidence(tmp_path / "run.parquet", 1, shingles=_run(MOST_VALUES + 1))
    assert path.stat().st_size < 20_000
    with pytest.raises(DamagedData, match=f"over {MOST_VALUES}"):
        list(read_removals(path))


def test_metadata_that_states_less_than_the_pages_hold(tmp_path: Path) -> None:
    path = _evidence(tmp_path / "run.parquet", 1, shingles=_run(MOST_VALUES + 1))
    data = path.read_bytes()
    reported, true = _varint(2 * (1 << 22)), _varint(2 * (MOST_VALUES + 1))
    assert len(reported) == len(true)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    assert true in data[footer:]
    path.write_bytes(data[:footer] + data[footer:].replace(true, reported))
    with pytest.raises(DamagedData, match=f"over {MOST_VALUES}"):
        list(read_removals(path))


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def test_a_page_that_unpacks_to_more_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _evidence(tmp_path / "zeros.parquet", 1, detail=pa.array(["\0" * 4 * MIB]))
    monkeypatch.setattr(bounded_parquet, "MOST_GROUP_BYTES", MIB)
    with (
        pytest.raises(DamagedData, match=r"row group 0 has [0-9]{7} bytes, more than 1000000"),
        open_parquet(path, REMOVALS_SCHEMA),
    ):
        raise AssertionError("it was opened")


@pytest.mark.slow
def test_verify_and_why_refuse_such_evidence(tmp_path: Path) -> None:
    path = build(tmp_path).path
    (evidence,) = (path / "removals").iterdir()
    _evidence(evidence, 1, shingles=_run(MOST_VALUES + 1))
    resign(path)
    assert any(f"over {MOST_VALUES}" in finding.message for finding in findings(path))
    with pytest.raises(DamagedData, match=f"over {MOST_VALUES}"):
        find_removal(path, "0" * 32)
