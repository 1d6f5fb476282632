"""Arrow tables from plain values: equal to Arrow's own, and without pandas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shards.format.index import INDEX_SCHEMA
from shards.format.sample import ARROW_SCHEMA
from shards.storage import arrow_columns as columns
from shards.write.removals import REMOVALS_SCHEMA

TEXTS = ["", "plain", "h\u00e9llo \U0001f600", "nul\0"]


def _values(kind: Any) -> list[Any]:
    if pa.types.is_list(kind):
        item = _values(kind.value_type)
        return [item, [], item[:1], item[1:]]
    if pa.types.is_string(kind):
        return TEXTS
    if pa.types.is_floating(kind):
        return [0.0, -1.0, 0.7, 1e300]
    return [0, 2**64 - 1, 1, 2] if kind == pa.uint64() else [0, -1, 2**63 - 1, 5]


@pytest.mark.parametrize("schema", [ARROW_SCHEMA, REMOVALS_SCHEMA, INDEX_SCHEMA])
def test_a_table_is_arrows_own(schema: Any) -> None:
    rows = {field.name: _values(field.type) for field in schema}
    for expected in (rows, {name: [] for name in rows}):
        made = columns.table(expected, schema)
        made.validate(full=True)
        assert made.equals(pa.table(expected, schema=schema), check_metadata=True)


def test_what_cannot_stand_in_a_column_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        columns.array(["\ud800"], pa.string())
    with pytest.raises(OverflowError):
        columns.array([2**63], pa.int64())
    with pytest.raises(TypeError, match="date32"):
        columns.array([1], pa.date32())


def test_more_text_than_a_column_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_MAX_BYTES", 10)
    assert len(columns.array(["12345", "67890"], pa.string())) == 2
    with pytest.raises(OverflowError, match="11 bytes"):
        columns.array(["12345", "678901"], pa.string())
    with pytest.raises(OverflowError, match="11 bytes or items"):
        columns.array([np.arange(11).tolist()], pa.list_(pa.int64()))


@pytest.mark.slow
def test_a_worker_of_the_build_loads_neither_pandas_nor_scipy() -> None:
    """Each is 30 MB and 0.2 s in every worker."""
    code = (
        "import sys, pyarrow.parquet as pq, io, xtrove.stages.extract, xtrove.stages.shard\n"
        "from shards.storage import arrow_columns as columns\n"
        "from shards.write.removals import REMOVALS_SCHEMA as schema\n"
        "made = columns.table({name: [] for name in schema.names}, schema)\n"
        "pq.write_table(made.sort_by('id'), io.BytesIO())\n"
        "sys.exit(' '.join({'pandas', 'scipy', 'torch'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
