"""Licences of CodeSearchNet: by the nearest folder, in each shape that the pickles may have."""

from __future__ import annotations

import ast
import gzip
import json
import os
import pickle
from pathlib import Path

import pytest

from extract.options import ExtractOptions, FilterOptions
from extract.pipeline.extraction import extract_pair
from ingest.formats.plain_pickle import HostilePickle
from ingest.licenses.policy import LicensePolicy
from ingest.records import SourcePair
from ingest.sources.codesearchnet.license_index import parse_license_index
from ingest.sources.codesearchnet.source import CodeSearchNetOptions, plan, read
from tests.ingest.csn_copies import GPL, MIT, row


@pytest.mark.parametrize(
    "value",
    [
        ("LICENSE", MIT),
        [("LICENSE", MIT)],
        (("LICENSE", MIT),),
        {"LICENSE": MIT},
        [["./LICENSE", MIT]],
        [("", MIT)],
        [("docs/about.txt", MIT)],
    ],
)
def test_every_shape_of_an_entry_is_read(value: object) -> None:
    book = parse_license_index("x.pkl", pickle.dumps({"Owner/Name": value}))
    ids, output = book.of("owner/name", "src/a.py")
    assert ids == ("MIT",)
    assert output.startswith("x.pkl: ")
    assert len(book) == 1


def test_the_nearest_licence_counts_and_unknown_texts_let_nothing_in() -> None:
    by_name = {
        "a/b": [("LICENSE", MIT), ("vendor/COPYING", GPL)],
        "c/d": [("LICENSE", "do as you please")],
        "e/f": [("packages/x/LICENSE", MIT)],
        "g/h": [],
    }
    book = parse_license_index("x.pkl", pickle.dumps(by_name))
    assert book.of("a/b", "src/a.py")[0] == ("MIT",)
    assert book.of("a/b", "vendor/deep/a.py")[0] == ("GPL-3.0-only",)
    assert book.of("c/d", "a.py")[0] == ()
    assert book.of("e/f", "packages/x/a.py")[0] == ("MIT",)
    assert book.of("e/f", "packages/y/a.py")[0] == ()
    assert book.of("g/h", "a.py")[0] == ()
    assert book.of("i/j", "a.py") == ((), "x.pkl: no entry for the repository")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([("a/b", MIT)], "holds list, not a dict"),
        ({"a/b": 5}, r"\(sha256 c14cddc033f64b9d\) has int"),
        ({"a/b": [("LICENSE", 5)]}, r"has tuple, not \(path, text\)"),
        ({"a/b": [("LICENSE",)]}, r"not \(path, text\)"),
        ({"a/b": MIT}, "has str"),
    ],
)
def test_another_shape_makes_it_unusable(value: object, message: str) -> None:
    with pytest.raises(HostilePickle, match=message):
        parse_license_index("x.pkl", pickle.dumps(value))


@pytest.mark.slow
@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
def test_the_documentation_is_cut_out_of_real_functions(tmp_path: Path) -> None:
    """CoSQA's code base are Python functions of CodeSearchNet; the oracle is Python's parser."""
    source = Path(os.environ["XTROVE_DATA"]) / "eval/cosqa/codebase.jsonl"
    lines: list[bytes] = []
    for number, line in enumerate(source.read_bytes().splitlines()[:2000]):
        code = json.loads(line)["code"]
        docstring = _docstring(code)
        if docstring:
            lines.append(json.dumps(row(number, code=code, docstring=docstring)).encode())
    (tmp_path / "python_train_0.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    options = CodeSearchNetOptions(path=str(tmp_path), declared_licenses=("MIT",))
    listing = plan(options, "csn", LicensePolicy())
    chosen = ExtractOptions(filters=FilterOptions(min_query_chars=1, min_code_chars=1))
    kept = clean = agreed = 0
    for slice_ in listing.slices:
        for record in read(options, "csn", LicensePolicy(), slice_, listing.revision):
            assert isinstance(record, SourcePair)
            for pair in extract_pair(record, chosen).pairs:
                kept += 1
                clean += _docstring(pair.code) == ""
                agreed += pair.query.split()[:3] == record.query.split()[:3]
    assert len(lines) > 1_500
    assert kept > 0.8 * len(lines)
    assert clean == kept
    assert agreed > 0.9 * kept


def _docstring(code: str) -> str:
    """The docstring of the first function; "" if it has none or is not of Python 3."""
    try:
        first = ast.parse(code).body[0]
    except (SyntaxError, ValueError, IndexError):
        return ""
    return (ast.get_docstring(first) or "") if isinstance(first, ast.FunctionDef) else ""
