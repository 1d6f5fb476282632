"""The pair rule: its table of cases worked by hand, names, and the words of queries."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dedupe.options import DedupeOptions
from dedupe.pair_rule import (
    PairRule,
    name_key,
    name_number,
    query_hashes,
    query_jaccard,
    query_words,
    same_name,
)
from dedupe.shingling import jaccard

RULE = PairRule.of(DedupeOptions())


def removes(
    score: tuple[int, int], *, name: bool, words: tuple[int, int], tokens: int = 30
) -> bool:
    return RULE.removes(score, same_name=name, tokens=tokens, queries=lambda: words)


def test_the_defaults_are_the_decimals_that_were_written() -> None:
    assert RULE.threshold == Fraction(7, 10) and RULE.other_name_threshold == Fraction(19, 20)
    assert RULE.query_overlap == Fraction(1, 2) and RULE.min_tokens == 30


@pytest.mark.parametrize(
    ("score", "name", "words", "gone"),
    [
        ((69, 100), True, (5, 5), False),
        ((7, 10), True, (0, 5), True),
        ((7, 10), False, (3, 6), True),
        ((7, 10), False, (4, 9), False),
        ((94, 100), False, (4, 9), False),
        ((95, 100), False, (0, 9), True),
        ((95, 100), False, (0, 0), True),
        ((94, 100), False, (0, 0), False),
    ],
)
def test_long_functions(
    score: tuple[int, int], name: bool, words: tuple[int, int], gone: bool
) -> None:
    assert removes(score, name=name, words=words) is gone


@pytest.mark.parametrize(
    ("score", "name", "words", "gone"),
    [
        ((7, 10), True, (3, 6), True),
        ((69, 100), True, (3, 6), False),
        ((99, 100), True, (4, 9), False),
        ((99, 100), False, (6, 6), False),
    ],
)
def test_short_functions_go_only_where_both_agree(
    score: tuple[int, int], name: bool, words: tuple[int, int], gone: bool
) -> None:
    assert removes(score, name=name, words=words, tokens=29) is gone


def test_queries_are_not_asked_where_they_do_not_decide() -> None:
    def never() -> tuple[int, int]:
        raise AssertionError("asked")

    assert RULE.removes((8, 10), same_name=True, tokens=30, queries=never)
    assert RULE.removes((96, 100), same_name=False, tokens=30, queries=never)
    assert not RULE.removes((6, 10), same_name=False, tokens=30, queries=never)
    assert not RULE.removes((8, 10), same_name=False, tokens=29, queries=never)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("morphOne", "morphMany", False),
        ("getURL", "getUrl", True),
        ("HasRelations.morphOne", "morphone", True),
        ("Map::get", "Store#get", True),
        ("get_user", "getUser", False),
        ("caf\u00e9", "cafe\u0301", True),
        ("STRASSE", "stra\u00dfe", True),
        ("", "", False),
        ("Map.", "", False),
    ],
)
def test_names_are_equal_by_their_last_component(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
    assert (name_number(one) == name_number(other) != 0) is same


def test_operators_of_ruby_are_names() -> None:
    assert name_key("Set#<=>") == "<=>" and name_key("==") == "=="


def test_the_words_of_a_query_are_runs_of_word_characters() -> None:
    assert query_words("Returns the `first_with` row, the 2nd: returnS it!") == {
        "returns", "the", "first_with", "row", "2nd", "it",
    }  # fmt: skip
    assert query_words("na\u00efve Stra\u00dfe \u4e2d\u6587") == {
        "na\u00efve", "strasse", "\u4e2d\u6587",
    }  # fmt: skip
    assert query_words("... -- !") == frozenset()
    assert "getusername" in query_words("getUserName") and "user" not in query_words("getUserName")


def test_hashed_words_share_as_much_as_the_words() -> None:
    one, other = "Find the first row with a value.", "Find the last row without a value"
    assert query_jaccard(one, other) == (5, 9)
    assert jaccard(query_hashes(one), query_hashes(other)) == (5, 9)
    assert query_jaccard("", "?!") == (0, 0)
    assert not len(query_hashes("?!"))
