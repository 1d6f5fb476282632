"""Selection: worked cases, and every decision against the definition written with loops."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupe.jaccard_edges import EDGE
from dedupe.options import DedupeOptions, QueryCapOptions
from dedupe.pair_rule import PairRule
from dedupe.selection import REASONS, Decisions, Items, SelectionInputError, exact_words, select

NO_CAP = QueryCapOptions(per_repo=None, total=None)
Decision = tuple[str, int, float]


@dataclass(frozen=True)
class One:
    """An item in a test: small numbers for keys."""

    exact: int
    query: int = 0
    repo: int = 0
    quota: int = -1
    name: int = 1
    words: frozenset[int] = frozenset()

    @property
    def tokens(self) -> int:
        """Of its code; codes 0 and 3 are short."""
        return 29 if self.exact in (0, 3) else 30


def items_of(ones: list[One], ranks: list[int] | None = None) -> Items:
    return Items(
        item=np.array(ranks or range(len(ones)), dtype=np.uint64),
        exact=exact_words([one.exact.to_bytes(16, "big") for one in ones]),
        query_group=np.array([one.query for one in ones], dtype=np.uint64),
        repo=np.array([one.repo for one in ones], dtype=np.uint64),
        quota=np.array([one.quota for one in ones], dtype=np.int32),
        name=np.array([one.name for one in ones], dtype=np.uint64),
        tokens=np.array([one.tokens for one in ones], dtype=np.uint32),
    )


RULE = PairRule.of(DedupeOptions())


def chosen(
    items: Items,
    ones: list[One],
    edges: list[tuple[int, int, int, int]],
    cap: QueryCapOptions,
    quotas: list[int],
) -> Decisions:
    """`select`; asked for queries, it gives the words of those it is asked for."""

    def words(places: NDArray[np.int64]) -> list[NDArray[np.uint64]]:
        assert (np.diff(places) > 0).all()
        return [np.array(sorted(ones[place].words), dtype=np.uint64) for place in places.tolist()]

    return select(items, edges_of(edges), cap, quotas, RULE, words)


def edges_of(edges: list[tuple[int, int, int, int]]) -> NDArray[Any]:
    return np.array(edges, dtype=EDGE)


def shown(decisions: Decisions) -> list[Decision]:
    return [
        (REASONS[reason], witness, score)
        for reason, witness, score in zip(
            decisions.reason.tolist(),
            decisions.witness.tolist(),
            decisions.score.tolist(),
            strict=True,
        )
    ]


def goes(later: One, earlier: One, score: Fraction) -> bool:
    """The pair rule, over sets."""
    same = later.name == earlier.name != 0
    both, either = later.words & earlier.words, later.words | earlier.words
    agree = bool(either) and Fraction(len(both), len(either)) >= Fraction(1, 2)
    if min(later.tokens, earlier.tokens) < 30:
        return same and agree
    return same or agree or score >= Fraction(19, 20)


def by_definition(
    ones: list[One],
    edges: list[tuple[int, int, int, int]],
    cap: QueryCapOptions,
    quotas: list[int],
) -> list[Decision]:
    """The rule of the module's docstring, one item after the other, nothing clever."""
    kept: list[int] = []
    decisions: list[Decision] = []
    for place, one in enumerate(ones):
        copies = [k for k in kept if ones[k].exact == one.exact]
        near: list[tuple[Fraction, int]] = []
        for a, b, shared, union in edges:
            for mine, theirs in ((a, b), (b, a)):
                if ones[mine].exact == one.exact:
                    near += [
                        (Fraction(shared, union), -k)
                        for k in kept
                        if ones[k].exact == ones[theirs].exact
                        and goes(one, ones[k], Fraction(shared, union))
                    ]
        same_query = [k for k in kept if ones[k].query == one.query]
        same_repo = [k for k in same_query if ones[k].repo == one.repo]
        in_quota = [k for k in kept if one.quota >= 0 and ones[k].quota == one.quota]
        if copies:
            decisions.append(("exact_duplicate", copies[0], 1.0))
        elif near:
            score, witness = max(near)
            decisions.append(("near_duplicate", -witness, float(score)))
        elif cap.total is not None and len(same_query) >= cap.total:
            decisions.append(("query_cap", same_query[0], 0.0))
        elif cap.per_repo is not None and len(same_repo) >= cap.per_repo:
            decisions.append(("query_cap", same_repo[0], 0.0))
        elif one.quota >= 0 and len(in_quota) >= quotas[one.quota]:
            decisions.append(("over_quota", -1, 0.0))
        else:
            kept.append(place)
            decisions.append(("", -1, 0.0))
    return decisions


ONES = st.builds(
    One,
    exact=st.integers(0, 6),
    query=st.integers(0, 3),
    repo=st.integers(0, 1),
    quota=st.integers(-1, 1),
    name=st.integers(0, 2),
    words=st.frozensets(st.integers(0, 3), max_size=3),
)
CAPS = st.builds(
    QueryCapOptions,
    per_repo=st.sampled_from([None, 1, 2]),
    total=st.sampled_from([None, 1, 3]),
)
SCORES = ((7, 10), (14, 20), (8, 10), (9, 10), (19, 20), (39, 40))
WORLDS = st.lists(ONES, min_size=1, max_size=14).flatmap(
    lambda ones: st.tuples(
        st.just(ones),
        st.lists(
            st.tuples(
                st.integers(0, len(ones) - 1),
                st.integers(0, len(ones) - 1),
                st.sampled_from(SCORES),
            ).map(lambda e: (e[0], e[1], *e[2])),
            max_size=12,
        ),
    )
)
QUOTAS = st.lists(st.integers(0, 6), min_size=2, max_size=2)


@pytest.mark.slow
@settings(max_examples=400)
@given(world=WORLDS, cap=CAPS, quotas=QUOTAS)
def test_decisions_follow_the_definition(
    world: tuple[list[One], list[tuple[int, int, int, int]]],
    cap: QueryCapOptions,
    quotas: list[int],
) -> None:
    ones, edges = world
    result = chosen(items_of(ones), ones, edges, cap, quotas)
    assert shown(result) == by_definition(ones, edges, cap, quotas)


@pytest.mark.slow
@given(world=WORLDS, cap=CAPS, quotas=QUOTAS, length=st.integers(0, 14))
def test_the_decisions_of_a_prefix_are_the_prefix_of_the_decisions(
    world: tuple[list[One], list[tuple[int, int, int, int]]],
    cap: QueryCapOptions,
    quotas: list[int],
    length: int,
) -> None:
    ones, edges = world
    # An edge names the earliest item of each exact group, as the bands do.
    first: dict[int, int] = {}
    for place, one in enumerate(ones):
        first.setdefault(one.exact, place)
    named = [(first[ones[a].exact], first[ones[b].exact], s, u) for a, b, s, u in edges]
    whole = shown(chosen(items_of(ones), ones, named, cap, quotas))
    inside = [edge for edge in named if max(edge[:2]) < length]
    part = shown(chosen(items_of(ones[:length]), ones, inside, cap, quotas))
    assert part == whole[:length]


@given(world=WORLDS, cap=CAPS)
def test_witnesses_are_kept_and_earlier_and_no_two_kept_are_duplicates(
    world: tuple[list[One], list[tuple[int, int, int, int]]], cap: QueryCapOptions
) -> None:
    ones, edges = world
    result = chosen(items_of(ones), ones, edges, cap, [100, 100])
    kept = result.reason == 0
    for place, witness in enumerate(result.witness.tolist()):
        assert (witness >= 0) == (not kept[place])
        assert witness < 0 or (witness < place and kept[witness])
    keys = [one.exact for place, one in enumerate(ones) if kept[place]]
    assert len(keys) == len(set(keys))
    of_key = {one.exact: place for place, one in enumerate(ones) if kept[place]}
    for a, b, shared, union in edges:
        if {ones[a].exact, ones[b].exact} <= set(keys) and ones[a].exact != ones[b].exact:
            one, other = (ones[of_key[ones[end].exact]] for end in (a, b))
            assert not goes(one, other, Fraction(shared, union))


def test_a_chain_does_not_remove_what_is_only_near_to_a_removed_item() -> None:
    ones = [One(exact=number, query=number) for number in (1, 2, 4)]
    result = chosen(items_of(ones), ones, [(1, 0, 7, 10), (2, 1, 9, 10)], NO_CAP, [])
    assert shown(result) == [("", -1, 0.0), ("near_duplicate", 0, 0.7), ("", -1, 0.0)]


def test_a_copy_of_a_near_duplicate_has_the_same_witness() -> None:
    ones = [One(exact=1, query=1), One(exact=2, query=2), One(exact=2, query=3)]
    result = chosen(items_of(ones), ones, [(1, 0, 4, 5)], NO_CAP, [])
    assert shown(result)[1:] == [("near_duplicate", 0, 0.8)] * 2


def test_another_name_and_query_stay_until_they_are_nearly_the_same_code() -> None:
    one, other = frozenset({1, 2, 3}), frozenset({3, 4, 5})
    ones = [
        One(exact=1, query=1, name=1, words=one),
        One(exact=2, query=2, name=2, words=other),
        One(exact=4, query=3, name=3, words=other | {6}),
        One(exact=5, query=4, name=4, words=other),
    ]
    edges = [(1, 0, 94, 100), (2, 0, 8, 10), (2, 1, 7, 10), (3, 0, 95, 100)]
    result = chosen(items_of(ones), ones, edges, NO_CAP, [])
    # The third is nearer to the first, but only the second may remove it: 3 of 4 words.
    assert shown(result) == [
        ("", -1, 0.0),
        ("", -1, 0.0),
        ("near_duplicate", 1, 0.7),
        ("near_duplicate", 0, 0.95),
    ]


def test_short_code_goes_only_where_name_and_query_agree() -> None:
    words = frozenset({1, 2})
    ones = [
        One(exact=3, query=1, words=words),
        One(exact=1, query=2, words=frozenset({3})),
        One(exact=2, query=3, name=2, words=words),
        One(exact=4, query=4, words=words | {3, 4}),
    ]
    edges = [(number, 0, 99, 100) for number in (1, 2, 3)]
    result = chosen(items_of(ones), ones, edges, NO_CAP, [])
    assert [reason for reason, _, _ in shown(result)] == ["", "", "", "near_duplicate"]


def test_the_copy_of_a_code_that_stayed_is_judged_by_its_own_query() -> None:
    """The first copy goes for its query cap; the second asks what the first item asks."""
    words = frozenset({1, 2})
    ones = [
        One(exact=1, query=1, name=1, words=words),
        One(exact=2, query=1, repo=0, name=2, words=frozenset({9})),
        One(exact=2, query=2, repo=0, name=2, words=words | {3}),
    ]
    result = chosen(items_of(ones), ones, [(1, 0, 8, 10)], QueryCapOptions(), [])
    assert [reason for reason, _, _ in shown(result)] == ["", "query_cap", "near_duplicate"]


def test_ranks_need_not_be_positions() -> None:
    top = 2**64 - 1
    ones = [One(exact=1), One(exact=2)]
    items = items_of(ones, ranks=[5, top])
    result = chosen(items, ones, [(top, 5, 4, 5)], NO_CAP, [])
    assert shown(result) == [("", -1, 0.0), ("near_duplicate", 0, 0.8)]


def test_a_capped_copy_leaves_its_code_to_the_next() -> None:
    """The first copy goes for its query, so the second, with another query, is kept."""
    ones = [One(exact=1, query=1), One(exact=2, query=1), One(exact=2, query=2)]
    result = chosen(items_of(ones), ones, [], QueryCapOptions(), [])
    assert shown(result) == [("", -1, 0.0), ("query_cap", 0, 0.0), ("", -1, 0.0)]


def test_a_full_quota_drops_the_rest_and_what_is_dropped_is_no_witness() -> None:
    ones = [One(exact=number, query=number, quota=0) for number in (1, 1, 2, 3)]
    ones.append(One(exact=3, query=9))
    result = chosen(items_of(ones), ones, [], NO_CAP, [2])
    reasons = [reason for reason, _, _ in shown(result)]
    assert reasons == ["", "exact_duplicate", "", "over_quota", ""]


def test_no_items() -> None:
    assert shown(chosen(items_of([]), [], [], QueryCapOptions(), [])) == []


@pytest.mark.parametrize(
    ("items", "edges", "quotas", "message"),
    [
        (items_of([One(1), One(2)], ranks=[3, 3]), [], [], "rank order.*: 3"),
        (items_of([One(1), One(2)]), [(1, 9, 7, 10)], [], "not among the items.*: 9"),
        (items_of([One(1, quota=2)]), [], [5], "outside the 1 quotas: 2"),
        (items_of([One(1)]), [], [-1], "negative"),
    ],
)
def test_contradictions_are_named(
    items: Items, edges: list[tuple[int, int, int, int]], quotas: list[int], message: str
) -> None:
    with pytest.raises(SelectionInputError, match=message):
        chosen(items, [], edges, NO_CAP, quotas)


def test_unequal_lengths_are_refused() -> None:
    whole, part = items_of([One(1), One(2)]), items_of([One(1)])
    for column in ("query_group", "name", "tokens"):
        broken = dataclasses.replace(whole, **{column: getattr(part, column)})
        with pytest.raises(SelectionInputError, match="unequal lengths"):
            chosen(broken, [], [], NO_CAP, [])


def test_an_id_that_is_kept_already_is_a_duplicate_of_it() -> None:
    # 0 and 2 are one snippet under two languages, 1 and 3 another one; 1 is over the quota.
    ones = [One(exact=1), One(exact=2, quota=0), One(exact=3), One(exact=4)]
    ids = exact_words([number.to_bytes(16, "big") for number in (7, 8, 7, 8)])
    items = dataclasses.replace(items_of(ones), id=ids)
    result = shown(chosen(items, ones, [], NO_CAP, [0]))
    assert result == [
        ("", -1, 0.0),
        ("over_quota", -1, 0.0),
        ("exact_duplicate", 0, 1.0),
        ("", -1, 0.0),
    ]
    with pytest.raises(SelectionInputError):
        chosen(dataclasses.replace(items, id=ids[:2]), ones, [], NO_CAP, [0])
