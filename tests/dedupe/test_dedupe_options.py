"""The options: ranges, the recall formula and the messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dedupe.options import DecontaminateSet, DedupeOptions, QueryCapOptions, recall


def test_recall_is_the_formula_worked_by_hand() -> None:
    assert recall(0.5, 1, 1) == 0.5
    assert recall(0.5, 2, 1) == 0.75  # one of two bands: 1 - 1/2 * 1/2
    assert recall(0.5, 1, 2) == 0.25  # both rows agree
    assert DedupeOptions().recall_at_threshold == pytest.approx(0.9547, abs=1e-4)
    assert DedupeOptions().permutations == 252


def test_a_banding_that_misses_most_pairs_is_refused_with_its_recall() -> None:
    with pytest.raises(ValidationError, match=r"8 bands of 16 rows find 2\.6% .*more bands"):
        DedupeOptions(bands=8, rows=16)


@pytest.mark.parametrize(
    "fields",
    [
        {"other_name_threshold": 1.01},
        {"query_overlap": 0.0},
        {"threshold": 1.1},
        {"threshold": 0.1},
        {"ngram": 0},
        {"bands": 0},
        {"rows": 0},
        {"seed": -1},
    ],
)
def test_values_out_of_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DedupeOptions.model_validate(fields)


def test_unknown_fields_are_refused_and_options_do_not_change() -> None:
    with pytest.raises(ValidationError, match="bnads"):
        DedupeOptions.model_validate({"bnads": 3})
    with pytest.raises(ValidationError, match="frozen"):
        DedupeOptions().threshold = 0.8


def test_null_turns_a_cap_off_and_zero_is_refused() -> None:
    assert QueryCapOptions(per_repo=None, total=None).total is None
    with pytest.raises(ValidationError, match="write null"):
        QueryCapOptions(total=0)


def test_a_decontamination_set_names_only_columns_it_uses() -> None:
    with pytest.raises(ValidationError, match="anwser"):
        DecontaminateSet(name="x", path=Path("x"), columns={"anwser": "a"})
