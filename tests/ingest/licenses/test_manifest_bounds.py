"""Manifests and headers that would take long to read."""

from __future__ import annotations

import time

import pytest

from ingest.formats.csv_records import NoHeader, header_of
from ingest.licenses.manifests import MAX_BYTES, manifest_statement

STATED = '[project]\nlicense = "MIT"\n'


@pytest.mark.parametrize(
    "more",
    [
        "a" + ".a" * 8_000 + " = 1\n",
        "[a" + ".a" * 30_000 + "]\n",
        "x = {a" + ".a" * 8_000 + " = 1}\n",
        "# " + "a" * MAX_BYTES + "\n",
    ],
    ids=["key", "table", "inline", "size"],
)
def test_toml_that_takes_long_says_nothing(more: str) -> None:
    """A dotted key of 16 kB took 0.63 s, and its square of the size."""
    begin = time.process_time()
    assert manifest_statement("pyproject.toml", (STATED + more).encode()).ids == ()
    assert time.process_time() - begin < 0.3


def test_toml_with_usual_keys_is_read() -> None:
    keys = "tool.a.b.c = 'https://a.b.c/d.e'\n" * 1 + "".join(f"k{n}.a.b = 1\n" for n in range(900))
    assert manifest_statement("pyproject.toml", (STATED + keys).encode()).ids == ("MIT",)


def test_a_header_of_many_columns_takes_linear_time() -> None:
    begin = time.process_time()
    names = ",".join(f"c{number}" for number in range(100_000))
    assert len(header_of(iter([names.encode() + b"\n"]))) == 100_000
    with pytest.raises(NoHeader, match="stands 100001 times"):
        header_of(iter([b"," * 100_000 + b"\n"]))
    assert time.process_time() - begin < 1
