"""Selection: the greedy keep-first that decides every pair, in rank order.

An item goes, for the first of these reasons that holds, else it is kept:

1. `exact_duplicate`: a KEPT earlier item has the same exact key, or the same id (an id holds no
   language: one snippet under two languages would stand in the dataset twice). Score 1.
2. `near_duplicate`: a KEPT earlier item stands in an exact group that has an edge with this
   item's, and the pair rule removes the later of the two (`dedupe.pair_rule`: their names and
   queries count). The witness is the one of the highest score, the earliest among equals.
3. `query_cap`: its query group already has `total` kept items (witness: the first of them), or
   `per_repo` kept items of its repository (witness: the first of those).
4. `over_quota`: its quota is full. No witness.

Since a decision looks at earlier items only, the decisions over a prefix are the prefix of the
decisions, which is what lets a build stop reading when a quota is certain. A removed item is
nobody's witness, so removals never chain.

Method: items that share nothing with others (no copy, no edge, no query, no quota that can
fill) are kept by array operations; the rest are walked once in Python.
Queries are read in one go, in rank order, for the items of those groups that names alone do not
decide.
Cost: 0.3 microseconds an uncontested item, 2.5 a contested one, 5 more where queries decide.
Memory: about 120 bytes an item, 300 more a contested one, 200 more where queries decide. Limits:
scores are floats, so two scores are told apart only down to 2^-52; unions under 2^26 shingles
cannot come closer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dedupe.jaccard_edges import EDGE
from dedupe.lsh_bands import Rows
from dedupe.options import QueryCapOptions
from dedupe.pair_rule import PairRule
from dedupe.shingling import U64, jaccard
from xtrove.core import XtroveError

KEPT, EXACT_DUPLICATE, NEAR_DUPLICATE, QUERY_CAP, OVER_QUOTA = range(5)
REASONS = ("", "exact_duplicate", "near_duplicate", "query_cap", "over_quota")
"""Names of the reasons: `REASONS[code]`; "" for a kept item."""
_ROWS_AT_ONCE = 1 << 14
_SLACK = 1e-6
"""Above what rounding can do to a threshold: it asks for a query too many, never one too few."""
Queries: TypeAlias = Callable[[NDArray[np.int64]], Sequence[U64]]
"""Places of items, ascending, to the words of their queries (`pair_rule.query_hashes`)."""


class SelectionInputError(XtroveError, ValueError):
    """The arrays contradict each other; `value` holds the offending one."""

    def __init__(self, message: str, value: object) -> None:
        super().__init__(f"{message}: {value!r}")
        self.value = value


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """Arrays of equal length n, one entry an item, in rank order."""

    item: U64
    """Rank numbers, strictly ascending."""
    exact: U64
    """Shape (n, 2): the 16 bytes of the exact key as two words, as `exact_words` makes them."""
    query_group: U64
    repo: U64
    """A number for the repository; one of its own for an item that names none."""
    quota: NDArray[np.int32]
    """Index into `quotas`; -1 for none."""
    name: U64
    """Of the function, as `pair_rule.name_number` makes it; 0 where it is unknown."""
    tokens: NDArray[np.uint32]
    """Lexical tokens of the code."""
    id: U64 | None = None
    """Shape (n, 2): the ids as two words; None where they are known to differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decisions:
    """Arrays of length n, in the order of the items."""

    reason: NDArray[np.uint8]
    """Index into `REASONS`."""
    witness: NDArray[np.int64]
    """Position of the kept item that this one lost to; -1 for none."""
    score: NDArray[np.float64]
    """Jaccard with the witness for duplicates, else 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Neighbours:
    """Edges between exact groups, both ways, as rows of a sparse matrix."""

    start: NDArray[np.int64]
    source: NDArray[np.int64]
    """The group whose row an entry stands in; `group` is the other one."""
    group: NDArray[np.int64]
    shared: NDArray[np.int64]
    union: NDArray[np.int64]


def exact_words(keys: Sequence[bytes]) -> U64:
    """Exact keys of 16 bytes as an array of shape (len(keys), 2), for `Items.exact`."""
    return np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2).astype(np.uint64)


def select(
    items: Items,
    edges: Rows,
    cap: QueryCapOptions,
    quotas: Sequence[int],
    rule: PairRule,
    queries: Queries,
) -> Decisions:
    """Decide every item. `edges` (dtype `EDGE`) name exact groups by any of their items.

    Raises `SelectionInputError` for arrays of unequal length, ranks that do not ascend, an edge
    that names an unknown item, or a quota index out of range.
    """
    _check(items, edges, quotas)
    group, group_sizes = _group_ids(items.exact)
    neighbours = _neighbours(items.item, group, edges, len(group_sizes))
    binding = _binding_quotas(items.quota, quotas)
    twin = _twins(items.id, len(items.item))
    contested = (
        (twin >= 0)
        | (group_sizes[group] > 1)
        | (np.diff(neighbours.start)[group] > 0)
        | (binding >= 0)
    )
    if cap.total is not None or cap.per_repo is not None:
        _, inverse, sizes = np.unique(items.query_group, return_inverse=True, return_counts=True)
        contested |= sizes[inverse] > 1
    columns = (group, twin, items.query_group, items.repo, binding)
    compared = _places_to_ask(items, group, neighbours, rule)
    near = _Near(items, neighbours, rule, compared, queries(compared))
    return _walk(len(items.item), _rows(np.flatnonzero(contested), columns), near, cap, quotas)


def _walk(
    count: int,
    contested: Iterator[tuple[int, ...]],
    neighbours: _Near,
    cap: QueryCapOptions,
    quotas: Sequence[int],
) -> Decisions:
    """Decide the contested items one after the other; all others are kept.

    `contested`: place, exact group, group of equal ids (-1: no other), query, repository, quota.
    """
    reason = np.zeros(count, dtype=np.uint8)
    witness = np.full(count, -1, dtype=np.int64)
    score = np.zeros(count, dtype=np.float64)
    kept_of_group: dict[int, int] = {}
    queries = _QueryCap(cap)
    left = list(quotas)
    kept_of_twin: dict[int, int] = {}
    for item, its_group, twin, query, repo, quota in contested:
        same = kept_of_group.get(its_group, kept_of_twin.get(twin, -1))
        if same >= 0:
            reason[item], witness[item], score[item] = EXACT_DUPLICATE, same, 1.0
            continue
        near, near_score = neighbours.best_witness(item, its_group, kept_of_group)
        if near >= 0:
            reason[item], witness[item], score[item] = NEAR_DUPLICATE, near, near_score
            continue
        full = queries.first_if_full(query, repo)
        if full >= 0:
            reason[item], witness[item] = QUERY_CAP, full
        elif quota >= 0 and left[quota] == 0:
            reason[item] = OVER_QUOTA
        else:
            kept_of_group[its_group] = item
            if twin >= 0:
                kept_of_twin[twin] = item
            queries.keep(query, repo, item)
            if quota >= 0:
                left[quota] -= 1
    return Decisions(reason=reason, witness=witness, score=score)


def _rows(places: NDArray[np.int64], columns: Sequence[NDArray[Any]]) -> Iterator[tuple[int, ...]]:
    """Each place with its entry in every column, as Python numbers, some thousands at a time."""
    for first in range(0, len(places), _ROWS_AT_ONCE):
        here = places[first : first + _ROWS_AT_ONCE]
        yield from zip(here.tolist(), *(c[here].tolist() for c in columns), strict=True)


class _QueryCap:
    """Kept items by query, and by query and repository: [number, first place]."""

    def __init__(self, cap: QueryCapOptions) -> None:
        self._total = cap.total
        self._per_repo = cap.per_repo
        self._by_query: dict[int, list[int]] = {}
        self._by_repo: dict[tuple[int, int], list[int]] = {}

    def first_if_full(self, query: int, repo: int) -> int:
        """The place of the first kept item where one more would be too many, else -1."""
        for limit, kept in (
            (self._total, self._by_query.get(query)),
            (self._per_repo, self._by_repo.get((query, repo))),
        ):
            if limit is not None and kept is not None and kept[0] >= limit:
                return kept[1]
        return -1

    def keep(self, query: int, repo: int, item: int) -> None:
        """Count a kept item against the limits that are on."""
        if self._total is not None:
            self._by_query.setdefault(query, [0, item])[0] += 1
        if self._per_repo is not None:
            self._by_repo.setdefault((query, repo), [0, item])[0] += 1


class _Near:
    """The kept neighbours that the rule lets remove an item."""

    def __init__(
        self,
        items: Items,
        neighbours: _Neighbours,
        rule: PairRule,
        compared: NDArray[np.int64],
        words: Sequence[U64],
    ) -> None:
        self._items = items
        self._neighbours = neighbours
        self._rule = rule
        self._compared = compared
        self._words = words

    def best_witness(
        self, later: int, group: int, kept_of_group: dict[int, int]
    ) -> tuple[int, float]:
        """Place and score of the witness of highest score, earliest first; -1 for none."""
        best, best_score = -1, 0.0
        edges = self._neighbours
        for at in range(int(edges.start[group]), int(edges.start[group + 1])):
            item = kept_of_group.get(int(edges.group[at]), -1)
            if item < 0:
                continue
            both = int(edges.shared[at]), int(edges.union[at])
            score = both[0] / max(both[1], 1)
            better = score > best_score or (score == best_score and item < best)
            if better and self._removes(later, item, both):
                best, best_score = item, score
        return best, best_score

    def _removes(self, later: int, earlier: int, both: tuple[int, int]) -> bool:
        name, tokens = self._items.name, self._items.tokens
        return self._rule.removes(
            both,
            same_name=bool(name[later] == name[earlier] != 0),
            tokens=int(min(tokens[later], tokens[earlier])),
            queries=lambda: jaccard(self._query(later), self._query(earlier)),
        )

    def _query(self, item: int) -> U64:
        return self._words[int(np.searchsorted(self._compared, item))]


def _places_to_ask(
    items: Items, group: NDArray[np.int64], neighbours: _Neighbours, rule: PairRule
) -> NDArray[np.int64]:
    """Places of the items whose queries may decide: names and scores alone do not, somewhere."""
    groups = len(neighbours.start) - 1
    name, tokens = np.zeros(groups, dtype=np.uint64), np.zeros(groups, dtype=np.uint32)
    name[group], tokens[group] = items.name, items.tokens
    # Equal code has equal tokens, but may be told under several names.
    mixed = np.zeros(groups, dtype=np.bool_)
    mixed[group[items.name != name[group]]] = True
    source, target = neighbours.source, neighbours.group
    same = (name[source] == name[target]) & (name[source] != 0) & ~mixed[source] & ~mixed[target]
    short = np.minimum(tokens[source], tokens[target]) < rule.min_tokens
    far = neighbours.shared < (float(rule.other_name_threshold) + _SLACK) * neighbours.union
    open_groups = np.zeros(groups, dtype=np.bool_)
    open_groups[source[short | (far & ~same)]] = True
    return np.flatnonzero(open_groups[group])


def _group_ids(exact: U64) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number for each distinct exact key: (number of each item, size of each group)."""
    order = np.lexsort((exact[:, 1], exact[:, 0]))
    ordered = exact[order]
    new = np.ones(len(ordered), dtype=np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = np.empty(len(ordered), dtype=np.int64)
    group[order] = np.cumsum(new) - 1
    return group, np.bincount(group).astype(np.int64)


def _twins(ids: U64 | None, count: int) -> NDArray[np.int64]:
    """A number for each id that stands more than once; -1 for all others."""
    if ids is None or len(np.unique(ids[:, 0])) == count:
        return np.full(count, -1, dtype=np.int64)
    group, sizes = _group_ids(ids)
    return np.where(sizes[group] > 1, group, -1)


def _neighbours(item: U64, group: NDArray[np.int64], edges: Rows, groups: int) -> _Neighbours:
    ends = [group[_places(item, edges[side].astype(np.uint64))] for side in ("later", "earlier")]
    source, target = np.concatenate(ends), np.concatenate(ends[::-1])
    order = np.lexsort((target, source))
    start = np.zeros(groups + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=groups), out=start[1:])
    return _Neighbours(
        start=start,
        source=source[order],
        group=target[order],
        shared=np.tile(edges["intersection"].astype(np.int64), 2)[order],
        union=np.tile(edges["union"].astype(np.int64), 2)[order],
    )


def _places(item: U64, values: U64) -> NDArray[np.int64]:
    places = np.searchsorted(item, values)
    inside = places < len(item)
    inside[inside] = item[places[inside]] == values[inside]
    if not inside.all():
        raise SelectionInputError(
            "an edge names an item that is not among the items (select over the same build's "
            "items and edges)",
            int(values[~inside][0]),
        )
    return places


def _binding_quotas(quota: NDArray[np.int32], quotas: Sequence[int]) -> NDArray[np.int32]:
    """The quota of each item, -1 where it has none or where it cannot fill up."""
    if not len(quotas):
        return quota
    wanting = np.bincount(quota[quota >= 0], minlength=len(quotas))
    can_fill = wanting > np.asarray(quotas, dtype=np.int64)
    return np.where((quota >= 0) & can_fill[quota], quota, -1).astype(np.int32)


def _check(items: Items, edges: Rows, quotas: Sequence[int]) -> None:
    count = len(items.item)
    columns = (items.item, items.query_group, items.repo, items.quota, items.name, items.tokens)
    single = [column.shape for column in columns]
    double = [column.shape for column in (items.exact, items.id) if column is not None]
    shapes = single + double
    if shapes != [(count,)] * len(single) + [(count, 2)] * len(double):
        raise SelectionInputError("the arrays of the items have unequal lengths", shapes)
    disorder = np.flatnonzero(items.item[1:] <= items.item[:-1])
    if len(disorder):
        raise SelectionInputError(
            "items must be in rank order, each rank once; this one is not above the one before",
            int(items.item[disorder[0] + 1]),
        )
    if edges.dtype != EDGE:
        raise SelectionInputError(f"edges must have dtype {EDGE}, not", edges.dtype)
    outside = (items.quota < -1) | (items.quota >= len(quotas))
    if outside.any():
        raise SelectionInputError(
            f"a quota index is outside the {len(quotas)} quotas", int(items.quota[outside][0])
        )
    if any(limit < 0 for limit in quotas):
        raise SelectionInputError("a quota is negative", list(quotas))
