"""The windows of an epoch and their batches, and where in it a batch stands.

Method: see `shards.loader.batch_plan` for a window. How many batches a window has is known only by
planning it; a planner remembers the windows it passed, and a state carries what its own needs,
so that only `batch_count` and a state without a window have to plan an epoch.
Cost: about 15 ms a window of 65,536 samples. Memory: two numbers a window that was planned.
"""

from __future__ import annotations

import numpy as np

from shards.access import Indexes
from shards.loader.batch_plan import Candidates, PlanOptions, WindowPlan, arrange
from shards.loader.permutation import EpochOrder, Positions, key_of, shuffled
from shards.loader.selection import Selection


class Planner:
    """Plans over one selection; remembers how many batches the windows have."""

    def __init__(self, selection: Selection, indexes: Indexes) -> None:
        self._selection = selection
        self._indexes = indexes
        self._orders: tuple[object, list[EpochOrder]] = (None, [])
        self._known: dict[tuple[PlanOptions, int], dict[int, int]] = {}

    def window_count(self, options: PlanOptions) -> int:
        """How many windows an epoch has."""
        return -(-len(self._selection) // options.window)

    def before(self, options: PlanOptions, epoch: int, window: int) -> int:
        """How many batches the windows before this one have."""
        known = self._windows(options, epoch)
        if window not in known:
            last = max(other for other in known if other < window)
            for number in range(last, window):
                self.plan(options, epoch, number)
        return known[window]

    def learn(self, options: PlanOptions, epoch: int, window: int, before: int) -> None:
        """Takes from a state how many batches stand before its window."""
        self._windows(options, epoch)[window] = before

    def locate(self, options: PlanOptions, epoch: int, batch: int) -> tuple[int, int]:
        """The window of a batch and the batches before it.

        Behind the last batch it is the window after the last.
        """
        known, windows = self._windows(options, epoch), self.window_count(options)
        window = max(number for number, before in known.items() if before <= batch)
        while window < windows and self.before(options, epoch, window + 1) <= batch:
            window += 1
        return window, known[window]

    def plan(self, options: PlanOptions, epoch: int, window: int) -> WindowPlan:
        """The batches of a window."""
        plan = self._plan(options, epoch, window)
        self._indexes.release()
        known = self._windows(options, epoch)
        if window in known:
            known[window + 1] = known[window] + len(plan)
        return plan

    def shards_of(self, options: PlanOptions, epoch: int, window: int) -> list[int]:
        """The shards that a window needs, ascending; without opening an index."""
        if window >= self.window_count(options):
            return []
        pieces = self._pieces(options, epoch, window)
        shards: list[int] = np.unique(self._selection.shard_of(np.concatenate(pieces))).tolist()
        return shards

    def _windows(self, options: PlanOptions, epoch: int) -> dict[int, int]:
        return self._known.setdefault((options, epoch), {0: 0})

    def _plan(self, options: PlanOptions, epoch: int, window: int) -> WindowPlan:
        key = key_of(options.seed, epoch, "window", window)
        pieces = [
            (language, positions[shuffled(len(positions), key_of(key, language))])
            for language, positions in enumerate(self._pieces(options, epoch, window))
        ]
        if not options.one_language:
            together = np.concatenate([positions for _, positions in pieces])
            pieces = [(-1, together[shuffled(len(together), key_of(key, "mixed"))])]
        return arrange([(n, self._candidates(p, options)) for n, p in pieces], options, key)

    def _pieces(self, options: PlanOptions, epoch: int, window: int) -> list[Positions]:
        """Each language's samples in a window: a share in proportion of its order."""
        windows = self.window_count(options)
        pieces = []
        for order in self._epoch_orders(options, epoch):
            start, stop = (len(order) * (window + more) // windows for more in (0, 1))
            pieces.append(order.positions(start, stop))
        return pieces

    def _candidates(self, positions: Positions, options: PlanOptions) -> Candidates:
        groups = codes = np.zeros(len(positions), dtype=np.uint64)
        tokens = np.zeros(len(positions), dtype=np.int64)
        if options.unique:
            columns = ("query_group", "code_sha256")
            groups, codes = self._selection.many_hashes(columns, positions)
        if options.token_budget is not None:
            tokens = self._selection.numbers("tokens", positions)
        return Candidates(positions=positions, groups=groups, codes=codes, tokens=tokens)

    def _epoch_orders(self, options: PlanOptions, epoch: int) -> list[EpochOrder]:
        name = (options.seed, options.run, options.pool, epoch)
        if self._orders[0] != name:
            self._orders = (name, self._made_orders(options, epoch))
        return self._orders[1]

    def _made_orders(self, options: PlanOptions, epoch: int) -> list[EpochOrder]:
        selection, orders = self._selection, []
        for number, language in enumerate(selection.languages):
            shards = np.flatnonzero(selection.shard_languages == number)
            order = EpochOrder(
                bases=selection.bases[shards],
                counts=selection.counts[shards],
                key=key_of(options.seed, epoch, "order", language),
                run=options.run,
                pool=options.pool,
            )
            orders.append(order)
        return orders
