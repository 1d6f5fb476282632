"""The order of an epoch: keyed permutations of shards and of runs, computed where they are needed.

Method: a language's samples stand in the order of their shards. For an epoch its shards are
permuted and taken together in pools of at least `pool` samples; a pool is cut into runs of `run`
neighbours, and the runs are permuted. What follows one another in this order is the window,
which the plan shuffles sample by sample. Every permutation sorts the values of a bijection of
64 bits (splitmix64 over a key of seed, epoch and place): a pure function, the same on every
platform and NumPy.
Cost: O(pool / run) memory and time a pool, O(shards) an epoch; 64 neighbours stand in one
stretch of a tar, so that windows are read in stretches of about 150 kB.
Limits: two samples of one run always share a window; shards in id order are a random sample of
their language already, so that this is no bias of content. Pools bound how many shards a window
needs: about its own size and one pool a language.
Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
_STEP = np.uint64(0x9E3779B97F4A7C15)
_KEPT_POOLS = 2


def key_of(*parts: int | str) -> int:
    """A key of 64 bits from numbers and names."""
    text = "\0".join(str(part) for part in parts).encode("utf-8")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: a bijection of 64-bit words, shape kept."""
    z = values.copy()
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def shuffled(count: int, key: int) -> Positions:
    """A permutation of 0..count-1, shape (count,)."""
    words = np.arange(1, count + 1, dtype=np.uint64)
    words *= _STEP
    words += np.uint64(key)
    # The words differ, so that every way of sorting gives the same order.
    order: Positions = np.argsort(mixed(words))
    return order


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pool:
    """Shards that are taken together, as an order of runs."""

    bases: Positions
    """The position of each shard's first sample."""
    ends: Positions
    """Cumulative samples of the shards, from 0; one longer than `bases`."""
    runs: Positions
    """First index in the pool of each run, in permuted order."""
    stops: Positions
    """Cumulative lengths of the runs in that order, from 0; one longer than `runs`."""

    def positions(self, start: int, stop: int) -> Positions:
        """Positions of the samples `start:stop` of the pool's order."""
        slot = np.arange(start, stop, dtype=np.int64)
        run = np.searchsorted(self.stops, slot, side="right") - 1
        index = self.runs[run] + slot - self.stops[run]
        shard = np.searchsorted(self.ends, index, side="right") - 1
        positions: Positions = self.bases[shard] + index - self.ends[shard]
        return positions


@dataclass(kw_only=True, slots=True)
class EpochOrder:
    """The order of one language's samples in one epoch."""

    bases: Positions
    """The position of the first sample of each shard, shape (shards,)."""
    counts: Positions
    """Samples of each shard, shape (shards,)."""
    key: int
    run: int
    pool: int
    _order: Positions = field(init=False)
    _first: Positions = field(init=False)
    """Where each pool begins in `_order`; one longer than the pools."""
    _starts: Positions = field(init=False)
    """Where each pool begins in the epoch's order; one longer than the pools."""
    _pools: dict[int, _Pool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._order = shuffled(len(self.counts), key_of(self.key, "shards"))
        sums = np.concatenate([[0], np.cumsum(self.counts[self._order])]).astype(np.int64)
        first = [0]
        while first[-1] < len(self.counts):
            enough = sums[first[-1]] + self.pool
            first.append(min(int(np.searchsorted(sums, enough)), len(self.counts)))
        self._first = np.array(first, dtype=np.int64)
        self._starts = sums[self._first]

    def __len__(self) -> int:
        return int(self._starts[-1])

    def positions(self, start: int, stop: int) -> Positions:
        """Positions of the samples `start:stop` of this order, shape (stop - start,)."""
        pieces = [np.empty(0, dtype=np.int64)]
        pool = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            end = min(stop, int(self._starts[pool + 1]))
            base = int(self._starts[pool])
            pieces.append(self._pool(pool).positions(start - base, end - base))
            start, pool = end, pool + 1
        return np.concatenate(pieces)

    def _pool(self, number: int) -> _Pool:
        pool = self._pools.get(number)
        if pool is None:
            while len(self._pools) >= _KEPT_POOLS:
                del self._pools[next(iter(self._pools))]
            pool = self._pools[number] = self._made(number)
        return pool

    def _made(self, number: int) -> _Pool:
        shards = self._order[self._first[number] : self._first[number + 1]]
        ends = np.concatenate([[0], np.cumsum(self.counts[shards])]).astype(np.int64)
        total = int(ends[-1])
        runs = shuffled(-(-total // self.run), key_of(self.key, "runs", number)) * self.run
        lengths = np.minimum(runs + self.run, total) - runs
        stops = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return _Pool(bases=self.bases[shards], ends=ends, runs=runs, stops=stops)
