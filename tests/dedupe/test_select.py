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

from dedupe.options import QueryCapOptions
from dedupe.select import (
    REASONS,
    Decisions,
    Items,
    SelectionInputError,
    exact_words,
    select,
)
from dedupe.verify import EDGE

NO_CAP = QueryCapOptions(per_repo=None, total=None)
Decision = tuple[str, int, float]


@dataclass(frozen=True)
class One:
    """An item in a test: small numbers for keys."""

    exact: int
    query: int = 0
    repo: int = 0
    quota: int = -1


def items_of(ones: list[One], ranks: list[int] | None = None) -> Items:
    return Items(
        item=np.array(ranks or range(len(ones)), dtype=np.uint64),
        exact=exact_words([one.exact.to_bytes(16, "big") for one in ones]),
        query_group=np.array([one.query for one in ones], dtype=np.uint64),
        repo=np.array([one.repo for one in ones], dtype=np.uint64),
        quota=np.array([one.quota for one in ones], dtype=np.int32),
    )


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
)
CAPS = st.builds(
    QueryCapOptions,
    per_repo=st.sampled_from([None, 1, 2]),
    total=st.sampled_from([None, 1, 3]),
)
SCORES = ((7, 10), (14, 20), (8, 10), (9, 10))
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


@settings(max_examples=400)
@given(world=WORLDS, cap=CAPS, quotas=QUOTAS)
def test_decisions_follow_the_definition(
    world: tuple[list[One], list[tuple[int, int, int, int]]],
    cap: QueryCapOptions,
    quotas: list[int],
) -> None:
    ones, edges = world
    found = select(items_of(ones), edges_of(edges), cap, quotas)
    assert shown(found) == by_definition(ones, edges, cap, quotas)


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
    whole = shown(select(items_of(ones), edges_of(named), cap, quotas))
    inside = [edge for edge in named if max(edge[:2]) < length]
    part = shown(select(items_of(ones[:length]), edges_of(inside), cap, quotas))
    assert part == whole[:length]


@given(world=WORLDS, cap=CAPS)
def test_witnesses_are_kept_and_earlier_and_no_two_kept_are_duplicates(
    world: tuple[list[One], list[tuple[int, int, int, int]]], cap: QueryCapOptions
) -> None:
    ones, edges = world
    found = select(items_of(ones), edges_of(edges), cap, [100, 100])
    kept = found.reason == 0
    for place, witness in enumerate(found.witness.tolist()):
        assert (witness >= 0) == (not kept[place])
        assert witness < 0 or (witness < place and kept[witness])
    keys = [one.exact for place, one in enumerate(ones) if kept[place]]
    assert len(keys) == len(set(keys))
    for a, b, _, _ in edges:
        if ones[a].exact != ones[b].exact:
            assert not {ones[a].exact, ones[b].exact} <= set(keys)


def test_a_chain_does_not_remove_what_is_only_near_to_a_removed_item() -> None:
    ones = [One(exact=number, query=number) for number in range(3)]
    found = select(items_of(ones), edges_of([(1, 0, 7, 10), (2, 1, 9, 10)]), NO_CAP, [])
    assert shown(found) == [("", -1, 0.0), ("near_duplicate", 0, 0.7), ("", -1, 0.0)]


def test_a_copy_of_a_near_duplicate_has_the_same_witness() -> None:
    ones = [One(exact=1, query=1), One(exact=2, query=2), One(exact=2, query=3)]
    found = select(items_of(ones), edges_of([(1, 0, 4, 5)]), NO_CAP, [])
    assert shown(found)[1:] == [("near_duplicate", 0, 0.8)] * 2


def test_ranks_need_not_be_positions() -> None:
    top = 2**64 - 1
    items = items_of([One(exact=1), One(exact=2)], ranks=[5, top])
    found = select(items, edges_of([(top, 5, 4, 5)]), NO_CAP, [])
    assert shown(found) == [("", -1, 0.0), ("near_duplicate", 0, 0.8)]


def test_a_capped_copy_leaves_its_code_to_the_next() -> None:
    """The first copy goes for its query, so the second, with another query, is kept."""
    ones = [One(exact=1, query=1), One(exact=2, query=1), One(exact=2, query=2)]
    found = select(items_of(ones), edges_of([]), QueryCapOptions(), [])
    assert shown(found) == [("", -1, 0.0), ("query_cap", 0, 0.0), ("", -1, 0.0)]


def test_a_full_quota_drops_the_rest_and_what_is_dropped_is_no_witness() -> None:
    ones = [One(exact=number, query=number, quota=0) for number in (1, 1, 2, 3)]
    ones.append(One(exact=3, query=9))
    found = select(items_of(ones), edges_of([]), NO_CAP, [2])
    reasons = [reason for reason, _, _ in shown(found)]
    assert reasons == ["", "exact_duplicate", "", "over_quota", ""]


def test_no_items() -> None:
    assert shown(select(items_of([]), edges_of([]), QueryCapOptions(), [])) == []


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
        select(items, edges_of(edges), NO_CAP, quotas)


def test_unequal_lengths_are_refused() -> None:
    whole, part = items_of([One(1), One(2)]), items_of([One(1)])
    broken = Items(
        item=whole.item,
        exact=whole.exact,
        query_group=part.query_group,
        repo=whole.repo,
        quota=whole.quota,
    )
    with pytest.raises(SelectionInputError, match="unequal lengths"):
        select(broken, edges_of([]), NO_CAP, [])


def test_an_id_that_is_kept_already_is_a_duplicate_of_it() -> None:
    # 0 and 2 are one snippet under two languages, 1 and 3 another one; 1 is over the quota.
    ones = [One(exact=1), One(exact=2, quota=0), One(exact=3), One(exact=4)]
    ids = exact_words([number.to_bytes(16, "big") for number in (7, 8, 7, 8)])
    items = dataclasses.replace(items_of(ones), id=ids)
    found = shown(select(items, edges_of([]), NO_CAP, [0]))
    assert found == [
        ("", -1, 0.0),
        ("over_quota", -1, 0.0),
        ("exact_duplicate", 0, 1.0),
        ("", -1, 0.0),
    ]
    with pytest.raises(SelectionInputError):
        select(dataclasses.replace(items, id=ids[:2]), edges_of([]), NO_CAP, [0])
