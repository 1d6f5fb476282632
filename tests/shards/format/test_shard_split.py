"""The split of a sample is a pure function that follows the stated shares."""

from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from shards.format.split import SplitOptions, choose_rule, group_hash, require_splits, split_of
from xtrove.core.errors import XtroveError

CODE = "0" * 64
HALVES = SplitOptions(validation=0.25, test=0.25)


def test_the_hash_is_the_documented_one() -> None:
    key = b"xtrove split" + (3).to_bytes(8, "big") + b"o/r"
    assert group_hash("o/r", None, code_sha256=CODE) == int.from_bytes(
        hashlib.sha256(key).digest()[:8], "big"
    )


def test_shares_come_out_as_asked() -> None:
    counts = {"train": 0, "validation": 0, "test": 0}
    for number in range(8000):
        counts[split_of(f"owner/{number}", "x", HALVES, "repository", code_sha256=CODE)] += 1
    assert abs(counts["validation"] - 2000) < 200
    assert abs(counts["test"] - 2000) < 200


def test_by_repository_the_path_does_not_matter_and_by_path_it_does() -> None:
    paths = [f"src/{number}.py" for number in range(60)]
    assert (
        len({split_of("o/r", path, HALVES, "repository", code_sha256=CODE) for path in paths}) == 1
    )
    assert len({split_of("o/r", path, HALVES, "path", code_sha256=CODE) for path in paths}) == 3


def test_repository_and_path_cannot_run_into_each_other() -> None:
    assert group_hash("a", "bc", code_sha256=CODE) != group_hash("ab", "c", code_sha256=CODE)


def test_a_larger_share_never_takes_from_validation() -> None:
    more = SplitOptions(validation=0.3, test=0.2)
    for number in range(500):
        if split_of(f"o/{number}", "", HALVES, "repository", code_sha256=CODE) == "validation":
            assert split_of(f"o/{number}", "", more, "repository", code_sha256=CODE) == "validation"


def test_nothing_asked_for_is_all_train() -> None:
    none = SplitOptions(validation=0, test=0)
    assert {split_of(f"o/{n}", "", none, "repository", code_sha256=CODE) for n in range(300)} == {
        "train"
    }
    require_splits(none, "repository", {"train": 5}, 1)


def test_the_rule_of_the_source_cannot_be_computed() -> None:
    with pytest.raises(ValueError, match="source"):
        split_of("o/r", "p", HALVES, "source", code_sha256=CODE)


@pytest.mark.parametrize(
    ("repositories", "largest", "by"),
    [(199, 1, "path"), (200, 1, "repository"), (300, 74, "repository"), (300, 75, "path")],
)
def test_auto_rule(repositories: int, largest: int, by: str) -> None:
    # 300 repositories with one pair each but one: 74 / 373 is under a fifth, 75 / 374 above.
    counts = [("python", f"o/{n}", 1) for n in range(repositories - 1)]
    rule = choose_rule(SplitOptions(), [*counts, ("python", "o/big", largest)])
    assert rule.by == by
    if by == "path" and repositories >= 200:
        assert rule.reason == "o/big holds 75 of 374 python pairs, more than 20%"


def test_a_repository_that_fills_a_small_language_decides() -> None:
    counts = [("python", f"o/{n}", 10) for n in range(500)] + [("go", "o/1", 3)]
    assert choose_rule(SplitOptions(), counts).by == "path"
    assert choose_rule(SplitOptions(by="repository"), counts).by == "repository"


def test_pairs_that_name_no_repository_are_grouped_by_their_code() -> None:
    codes = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(60)]
    for by in ("repository", "path"):
        result = [split_of("", "", HALVES, by, code_sha256=code) for code in codes]
        assert set(result) == {"train", "validation", "test"}
        assert result == [split_of("", "", HALVES, by, code_sha256=code) for code in codes]
    one_file = {split_of("", "a.py", HALVES, "path", code_sha256=code) for code in codes}
    assert len(one_file) == 1


def test_pairs_that_name_no_repository_do_not_decide_the_rule() -> None:
    counts = [("python", f"o/{n}", 1) for n in range(200)]
    rule = choose_rule(SplitOptions(), [*counts, ("python", "", 100_000), ("go", "", 7)])
    assert (rule.by, rule.reason) == ("repository", "200 repositories")
    assert choose_rule(SplitOptions(), [("python", "", 9)]).by == "path"


def test_an_empty_split_says_which_and_what_to_do() -> None:
    with pytest.raises(XtroveError) as caught:
        require_splits(SplitOptions(), "path", {"train": 40, "validation": 2}, 7)
    assert "'test' (0.01 of the data)" in str(caught.value)
    assert "42 pairs in 7 files" in str(caught.value)
    assert "shards.splits" in str(caught.value)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.1), (1.0, 0.0), (1e-9, 0.0)])
def test_impossible_shares(shares: tuple[float, float]) -> None:
    with pytest.raises(ValidationError):
        SplitOptions(validation=shares[0], test=shares[1])
