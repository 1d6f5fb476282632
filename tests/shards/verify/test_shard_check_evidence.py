"""Wrong evidence is found: every score and key is recomputed on the witness."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.format.manifest import Fact
from shards.write.removals import FIRST_SCHEMA, Removal, find_removal, read_removals, write_removals
from tests.shards.builder import (
    DEDUPE,
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reason", "change", "message"),
    [
        ("near_duplicate", lambda r: replace(r, score=r.score + 1e-9), "score is"),
        ("near_duplicate", lambda r: replace(r, shingles=r.shingles[:-30]), "score is"),
        ("near_duplicate", lambda r: replace(r, shingles=r.shingles[::-1]), "not sorted"),
        ("near_duplicate", lambda r: replace(r, shingles=()), "under the threshold"),
        ("near_duplicate", lambda r: replace(r, witness_id="0" * 32), "not in the dataset"),
        ("near_duplicate", lambda r: replace(r, query="Something else"), "share 0 of 8 words"),
        ("near_duplicate", lambda r: replace(r, query="", name=""), "the pair rule keeps it"),
        ("near_duplicate", lambda r: replace(r, tokens=29), "the pair rule keeps it"),
        ("near_duplicate", lambda r: replace(r, tokens=29), "29 tokens cannot have"),
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
    result = [f for f in findings(copy) if f.check == "witness"]
    assert any(message in f.message and wrong.id in f.subject for f in result)


def test_a_near_duplicate_below_the_threshold(tmp_path: Path) -> None:
    pairs = default_pairs()
    far = make_pair(300, code=pairs[3].code.replace("+", "-"))
    built = build(tmp_path, pairs, [near_removal(far, pairs[3])])
    result = findings(built.path)
    assert [f.check for f in result] == ["witness"] and "under the threshold" in result[0].message


def test_the_same_name_is_enough(tmp_path: Path) -> None:
    pairs = default_pairs()
    row = replace(near_removal(near_copy(pairs[3], 203), pairs[3]), query="Something else")
    assert findings(build(tmp_path, pairs, [replace(row, name="Other.WORK_3")]).path) == []


def _before_the_pair_rule(tmp_path: Path) -> Path:
    """A dataset of before: no rule in its manifest, neither query nor tokens in its evidence."""
    pairs = default_pairs()
    row = near_removal(near_copy(pairs[3], 203), pairs[3])
    facts = {name: DEDUPE[name] for name in ("threshold", "ngram", "bands", "rows")}
    path = build(tmp_path, pairs, [replace(row, name="another")], dedupe=facts).path
    file = path / "removals/part-00000.parquet"
    pq.write_table(pq.read_table(file).select(FIRST_SCHEMA.names).cast(FIRST_SCHEMA), file)
    resign(path)
    return path


def test_a_dataset_of_before_is_checked_by_its_own_rule(tmp_path: Path) -> None:
    path = _before_the_pair_rule(tmp_path)
    assert findings(path) == []
    row = next(read_removals(path / "removals/part-00000.parquet"))
    assert (row.reason, row.query, row.tokens) == ("near_duplicate", "", -1)
    assert find_removal(path, row.id) == row
    assert "went as a near-duplicate" not in (path / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({**DEDUPE, "rule": 3}, "rule is 3; this version of xtrove knows [1, 2]"),
        ({**DEDUPE, "rule": "2"}, "rule is '2'"),
        ({"threshold": 0.7, "ngram": 5, "rule": 2}, "no other_name_threshold and no query_overlap"),
        ({"rule": 1}, "no threshold and no ngram"),
        ({**DEDUPE, "query_overlap": "high"}, "query_overlap"),
        ({**DEDUPE, "ngram": 0}, "ngram"),
    ],
)
def test_a_manifest_without_a_rule_that_can_be_checked(
    tmp_path: Path, facts: dict[str, Fact], message: str
) -> None:
    result = findings(build(tmp_path, dedupe=facts).path)
    assert any(f.check == "manifest" and message in f.message for f in result)


def test_a_card_that_states_another_rule(copy: Path) -> None:
    card = copy / "README.md"
    text = card.read_text(encoding="utf-8")
    assert "only from 0.95 on" in text
    card.write_text(text.replace("only from 0.95 on", "only from 0.9 on"), encoding="utf-8")
    resign(copy)
    assert [f.check for f in findings(copy)] == ["card"]


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
