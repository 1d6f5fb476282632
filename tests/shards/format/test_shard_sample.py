"""A sample survives its JSON and its Parquet twin whatever text it holds."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.format.sample import (
    ARROW_SCHEMA,
    FIELDS,
    Value,
    decode,
    encode,
    encode_sample,
    tar_size,
    validate_sample,
)
from tests.shards.builder import make_pair, payload
from xtrove.core.errors import DamagedData

DESIGN_FIELDS = """id, query, code, language, name, scope, repo, path, revision, start_line,
end_line, start_byte, end_byte, url, source, source_revision, licenses, license_evidence,
query_source, query_group, quality, stars, code_sha256, tokens, extractor"""
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def test_the_fields_are_those_of_the_contract() -> None:
    assert sorted(DESIGN_FIELDS.replace("\n", " ").split(", ")) == list(FIELDS)
    assert ARROW_SCHEMA.names == list(FIELDS)
    assert not any(field.nullable for field in ARROW_SCHEMA)


@given(query=TEXT, code=TEXT, name=TEXT, licenses=st.lists(TEXT, min_size=1, max_size=3))
def test_any_text_comes_back(query: str, code: str, name: str, licenses: list[str]) -> None:
    pair = replace(
        make_pair(1), query=query, code=code, name=name, url="", licenses=tuple(licenses)
    )
    data = encode(pair, tokens=3, query_group="00ff" * 4)
    sample = decode(data)
    assert (sample["query"], sample["code"], sample["name"]) == (query, code, name)
    assert sample["licenses"] == licenses
    assert encode_sample(sample) == data
    assert b"\n" not in data and len(data) > 0
    table = pa.Table.from_pylist([sample], schema=ARROW_SCHEMA)
    assert table.to_pylist() == [sample]


def test_keys_are_sorted_and_text_is_not_escaped() -> None:
    data = payload(make_pair(4))
    assert list(json.loads(data)) == list(FIELDS)
    assert 'naïve, \\"fast\\" 🙂'.encode() in data
    assert b'": ' not in data


def test_a_lone_surrogate_is_refused_with_the_id() -> None:
    pair = replace(make_pair(1), name="bad \ud800 name")
    with pytest.raises(DamagedData, match=pair.id):
        encode(pair, tokens=1, query_group="0" * 16)
    escaped = payload(make_pair(1)).replace(b'"work_1"', b'"\\ud800"')
    with pytest.raises(DamagedData, match="surrogate"):
        encode_sample(decode(escaped))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("licenses", [], "non-empty"),
        ("licenses", [""], "non-empty"),
        ("licenses", "MIT", "non-empty"),
        ("tokens", True, "whole number"),
        ("stars", -2, "whole number"),
        ("start_line", 1 << 63, "whole number"),
        ("quality", 1001, "0..1000"),
        ("quality", -1, "0..1000"),
        ("id", "AB" * 16, "hex"),
        ("id", "ab" * 16 + "\n", "hex"),
        ("query_group", "12", "hex"),
        ("query", "", "not empty"),
        ("code", "", "not empty"),
        ("repo", 7, "text"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Value, message: str) -> None:
    sample = {**decode(payload(make_pair(1))), name: value}
    with pytest.raises(DamagedData, match=f"{name} is .*{message}"):
        validate_sample(sample)


def test_missing_and_unknown_fields_are_named() -> None:
    sample = decode(payload(make_pair(1)))
    del sample["url"]
    sample["uri"] = ""
    with pytest.raises(DamagedData, match=r"missing fields \['url'\], unknown fields \['uri'\]"):
        validate_sample(sample)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", b"null"]
)
def test_what_is_no_sample_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedData):
        decode(data)


@pytest.mark.parametrize(("length", "size"), [(0, 512), (1, 1024), (512, 1024), (513, 1536)])
def test_tar_size(length: int, size: int) -> None:
    assert tar_size(length) == size
