"""Wrong evidence is found: every score and key is recomputed on the witness."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.removals import Removal, write_removals
from tests.shards.builder import (
    Built,
    build,
    default_pairs,
    exact_removal,
    filtered,
    make_pair,
    near_copy,
    near_removal,
)
from tests.shards.damage import findings, resign


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A dataset that is never changed."""
    return build(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def copy(sound: Built, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    shutil.copytree(sound.path, tmp_path / "copy")
    return tmp_path / "copy"


Change = Callable[[Removal], Removal]


@pytest.mark.parametrize(
    ("reason", "change", "message"),
    [
        ("near_duplicate", lambda r: replace(r, score=r.score + 1e-9), "score is"),
        ("near_duplicate", lambda r: replace(r, shingles=r.shingles[:-30]), "score is"),
        ("near_duplicate", lambda r: replace(r, shingles=r.shingles[::-1]), "not sorted"),
        ("near_duplicate", lambda r: replace(r, shingles=()), "under the threshold"),
        ("near_duplicate", lambda r: replace(r, witness_id="0" * 32), "not in the dataset"),
        ("near_duplicate", lambda r: replace(r, language="go"), "the removed pair 'go'"),
        ("exact_duplicate", lambda r: replace(r, exact_key="0" * 32), "exact_key is"),
        ("exact_duplicate", lambda r: replace(r, score=0.5), "score is 0.5"),
        ("exact_duplicate", lambda r: replace(r, witness_id=""), "not in the dataset"),
        ("query_cap", lambda r: replace(r, witness_id="0" * 32), "not in the dataset"),
    ],
)
def test_wrong_evidence(
    sound: Built, copy: Path, reason: str, change: Change, message: str
) -> None:
    rows = [change(row) if row.reason == reason else row for row in sound.removed]
    wrong = next(row for row in rows if row.reason == reason)
    write_removals(copy, "part-00000", rows, tmp=copy / ".xtrove/tmp")
    resign(copy)
    found = [f for f in findings(copy) if f.check == "witness"]
    assert any(message in f.message and wrong.id in f.subject for f in found)


def test_a_near_duplicate_below_the_threshold(tmp_path: Path) -> None:
    pairs = default_pairs()
    far = make_pair(300, code=pairs[3].code.replace("+", "-"))
    built = build(tmp_path, pairs, [near_removal(far, pairs[3])])
    found = findings(built.path)
    assert [f.check for f in found] == ["witness"] and "under the threshold" in found[0].message


def test_a_pair_that_is_removed_and_kept(tmp_path: Path) -> None:
    pairs = default_pairs()
    built = build(tmp_path, pairs, [filtered(pairs[7], "short_query")])
    assert [(f.check, "is kept" in f.message) for f in findings(built.path)] == [("removal", True)]


def test_the_same_row_twice_is_a_duplicate_of_itself(tmp_path: Path) -> None:
    pairs = default_pairs()
    assert findings(build(tmp_path, pairs, [exact_removal(pairs[7], pairs[7])]).path) == []


def test_true_evidence_of_many_kinds(tmp_path: Path) -> None:
    pairs = default_pairs()
    removed = [near_removal(near_copy(pairs[n], 400 + n), pairs[n]) for n in range(60)]
    assert findings(build(tmp_path, pairs, removed).path) == []


def test_evidence_of_another_schema(copy: Path) -> None:
    pq.write_table(pa.table({"id": ["0" * 32]}), copy / "removals/part-00000.parquet")
    resign(copy)
    assert any(f.check == "removal" and "schema" in f.message for f in findings(copy))
