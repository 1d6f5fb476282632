"""Which samples make which batch: a pure function of the index, the seed and the epoch.

Method: an epoch is cut into windows; a window holds a proportional piece of every language's
order (`shards.loader.permutation`), shuffled. Each language is cut into batches: a sample whose
query group or code is in the open batch already waits for the next one; a batch ends when it is
full or its token budget is. Full batches of all languages are shuffled, so that languages follow
one another in proportion; what is smaller than a full batch comes at the end of its window.
Without `one_language` the window is cut as a whole.
Cost: a Python step a batch and a repeated sample, everything else is NumPy: about 10 ms a
window of 65,536. Memory: some hundred bytes a sample of a window, nothing a sample of the epoch.
Limits: a sample over the token budget is a batch by itself. Of the samples that wait, a batch
looks at the first `batch_size + 64` only, so that an index of nothing but repeats stays linear.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from shards.loader.permutation import Positions, key_of, shuffled
from xtrove.core import Misuse

_LOOK = 64
Words = NDArray[np.uint64]


class PlanError(Misuse):
    """Options that make no plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """What an epoch's batches are like; part of a state's digest."""

    seed: int
    batch_size: int
    """Samples of a full batch, over all ranks."""
    window: int = 65_536
    """Samples that are shuffled together."""
    one_language: bool = True
    unique: bool = True
    """No two samples of a batch share a query group or their code."""
    token_budget: int | None = None
    """The most lexical tokens (the index's `tokens`) of a batch; None for no bound."""
    run: int = 64
    """Neighbours in a shard that are read together."""
    pool: int = 131_072
    """Samples of a language whose runs are mixed: its shards are taken until they hold so many."""
    smallest: int = 1
    """Batches of fewer samples are left out, and their samples with them."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "window", "run", "pool", "smallest", "token_budget"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise PlanError(f"{name} is {value}, should be 1 or more")
        if self.window < self.batch_size:
            raise PlanError(
                f"window is {self.window}, smaller than batch_size {self.batch_size}: raise it"
            )

    def digest(self, *more: object) -> str:
        """16 hex digits over the options (and `more`, as JSON)."""
        text = json.dumps([asdict(self), *more], sort_keys=True, default=list)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """The samples of one language in a window, in shuffled order; arrays of shape (n,)."""

    positions: Positions
    groups: Words
    codes: Words
    tokens: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowPlan:
    """The batches of a window."""

    positions: Positions
    """All samples, batch after batch, shape (n,)."""
    bounds: Positions
    """Batch b is `positions[bounds[b] : bounds[b + 1]]`; shape (batches + 1,)."""
    languages: NDArray[np.int64]
    """The number of each batch's language, -1 for a mixed one; shape (batches,)."""

    def __len__(self) -> int:
        return len(self.languages)


def arrange(languages: list[tuple[int, Candidates]], options: PlanOptions, key: int) -> WindowPlan:
    """The plan of a window from each language's candidates; `key` orders the full batches."""
    full: list[tuple[int, Positions]] = []
    rest: list[tuple[int, Positions]] = []
    for language, samples in languages:
        batches = cut(samples, options)
        for number, members in enumerate(batches):
            if len(members) < options.smallest:
                continue
            spent = options.token_budget is not None and number + 1 < len(batches)
            whole = spent or len(members) == options.batch_size
            (full if whole else rest).append((language, samples.positions[members]))
    order = shuffled(len(full), key_of(key, "batches"))
    arranged = [full[index] for index in order.tolist()] + rest
    lengths = [len(positions) for _, positions in arranged]
    return WindowPlan(
        positions=np.concatenate([np.empty(0, dtype=np.int64), *(p for _, p in arranged)]),
        bounds=np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))]).astype(np.int64),
        languages=np.array([language for language, _ in arranged], dtype=np.int64),
    )


def cut(samples: Candidates, options: PlanOptions) -> list[Positions]:
    """Batches as places in the candidates: every place once, in the order of the batches."""
    count = len(samples.positions)
    repeats = _repeats(samples) if options.unique else np.empty(0, dtype=np.int64)
    cutter = _Cutter(samples, repeats, options)
    batches = []
    while cutter.at < count or cutter.waiting:
        batches.append(np.array(cutter.next_batch(), dtype=np.int64))
    return batches


def _repeats(samples: Candidates) -> Positions:
    """Places of samples whose group or code another sample has too, ascending."""
    seen = np.zeros(len(samples.positions), dtype=bool)
    for words in (samples.groups, samples.codes):
        # Sorting values is ten times faster than sorting places, and few values repeat.
        ordered = np.sort(words)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(twice):
            seen |= np.isin(words, twice)
    return np.flatnonzero(seen)


class _Cutter:
    """Cuts batches from the front; repeated samples are looked at one by one."""

    def __init__(self, samples: Candidates, repeats: Positions, options: PlanOptions) -> None:
        self.at = 0
        self.waiting: list[int] = []
        self._count = len(samples.positions)
        self._size = options.batch_size
        self._bounded = options.token_budget is not None
        self._budget = options.token_budget or 0
        # Python's numbers: one value of an array at a time costs ten times as much.
        self._repeats = repeats.tolist()
        self._groups = dict(zip(self._repeats, samples.groups[repeats].tolist(), strict=True))
        self._codes = dict(zip(self._repeats, samples.codes[repeats].tolist(), strict=True))
        self._sums = np.cumsum(np.concatenate([[0], np.maximum(samples.tokens, 0)]))
        self._repeat = 0
        self._held: tuple[set[int], set[int]] = (set(), set())
        self._taken: list[int] = []
        self._left = 0

    def next_batch(self) -> list[int]:
        """The places of the next batch; at least one."""
        self._held, self._taken, self._left = (set(), set()), [], self._budget
        self._take_waiting()
        while len(self._taken) < self._size and self.at < self._count:
            following = self._count
            if self._repeat < len(self._repeats):
                following = self._repeats[self._repeat]
            if not (self._pass_repeat() if following == self.at else self._take_up_to(following)):
                break
        return self._taken

    def _take_waiting(self) -> None:
        looked = self.waiting[: self._size + _LOOK]
        kept = [candidate for candidate in looked if not self._take_repeat(candidate)]
        self.waiting[: len(looked)] = kept

    def _take_up_to(self, following: int) -> bool:
        """Takes samples before the next repeat; False where the budget is used up."""
        stop = min(following, self.at + self._size - len(self._taken))
        if self._bounded:
            bound = int(self._sums[self.at]) + self._left
            stop = min(stop, int(np.searchsorted(self._sums, bound, side="right")) - 1)
            if stop <= self.at and self._taken:
                return False
            stop = max(stop, self.at + 1)
            self._left -= int(self._sums[stop] - self._sums[self.at])
        self._taken.extend(range(self.at, stop))
        self.at = stop
        return True

    def _pass_repeat(self) -> bool:
        """Takes the repeat that comes next or lets it wait; False where the budget is used up."""
        if not self._fits(self.at):
            return False
        if not self._take_repeat(self.at):
            self.waiting.append(self.at)
        self._repeat += 1
        self.at += 1
        return True

    def _take_repeat(self, candidate: int) -> bool:
        group, code = self._groups[candidate], self._codes[candidate]
        groups, codes = self._held
        if group in groups or code in codes or not self._fits(candidate):
            return False
        groups.add(group)
        codes.add(code)
        self._taken.append(candidate)
        if self._bounded:
            self._left -= int(self._sums[candidate + 1] - self._sums[candidate])
        return True

    def _fits(self, candidate: int) -> bool:
        if not self._taken:
            return True
        if len(self._taken) >= self._size:
            return False
        return (
            not self._bounded
            or int(self._sums[candidate + 1] - self._sums[candidate]) <= self._left
        )
