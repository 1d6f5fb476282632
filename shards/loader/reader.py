"""Reading a dataset for training: random access, a shuffled order, and exact resume.

Method: the shards of a selection stand one after another, a position names a sample. An epoch
is a sequence of windows; `plan(seed, epoch, window) -> batches` is a pure function of the index
(`shards.loader.permutation`, `shards.loader.batch_plan`), so that the whole state is (manifest
digest, options, seed, epoch, batch). Every sample comes exactly once an epoch over all ranks, never
padded or repeated: a rank takes `batch[rank::world]`, and all ranks see every batch number, so that
a batch smaller than the world has empty shares and collectives stay in step.
Cost: opening reads the manifest only; a sample is a `pread` and a JSON decode (about 12 us); a
resume plans one window. A filter by quality or licence looks at each row of the index once and
keeps one bit a sample. Memory: a window's plan; half of the files that a process may open.
Limits: a damaged or changed shard stops the reading with its name; nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shards.access import CacheOptions, Indexes, OpenedDataset, OpenTars, open_dataset
from shards.format import Sample, ShardFacts
from shards.loader.batch_plan import PlanError, PlanOptions
from shards.loader.epoch_plan import Planner
from shards.loader.fetch_samples import SampleSpans, locate, needs, read
from shards.loader.permutation import Positions
from shards.loader.selection import Selection
from shards.loader.state import Batch, Select, State, StateError

__all__ = [
    "Batch",
    "CacheOptions",
    "PlanError",
    "PlanOptions",
    "Reader",
    "Select",
    "State",
    "StateError",
]
_STEP: Final = 4096
_READ: Final = 64


class Reader:
    """The selected samples of a dataset; not safe for threads, each process opens its own."""

    def __init__(self, opened: OpenedDataset, select: Select) -> None:
        self.digest = opened.digest
        self.manifest = opened.manifest
        self.uri = opened.uri
        """Of a remote dataset: the URI that opens these bytes again, of the Hub at its resolved
        commit (`hf://datasets/O/N@<commit>`); "" for a local folder."""
        self.select = select
        self._shards = _chosen(opened, select)
        self._files = opened.files_of(self._shards)
        self._tars = OpenTars(self._files)
        self._indexes = Indexes(self._files.open_index)
        self._selection = Selection(self._shards, self._indexes, select)
        self._planner = Planner(self._selection, self._indexes)

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        select: Select | None = None,
        cache: CacheOptions | None = None,
    ) -> Self:
        """The samples of a dataset in a folder or at hf://datasets/O/N[@REV], s3://, http(s)://.

        `ManifestError` (and its kinds) where there is no dataset that can be read, `PlanError`
        where the selection names a language it does not have or leaves nothing.
        """
        opened = open_dataset(location, cache or CacheOptions())
        reader = cls(opened, select or Select())
        if not len(reader):
            reader.close()
            raise PlanError(f"{location}: no sample has {reader.select.describe()}")
        return reader

    def __len__(self) -> int:
        return len(self._selection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets files and maps go."""
        self._tars.close()
        self._indexes.close()
        self._files.close()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the selection, sorted."""
        return self._selection.languages

    def language(self, position: int) -> str:
        """The language of a position."""
        shard = int(self._selection.shard_of(np.array([position]))[0])
        return self._shards[shard].language

    def language_numbers(self, positions: Positions | None = None) -> NDArray[np.int64]:
        """The place in `languages` of each position's language, shape (n,)."""
        return self._selection.shard_languages[self._selection.shard_of(self._all(positions))]

    def tokens(self, positions: Positions | None = None) -> NDArray[np.int64]:
        """Lexical tokens of each position's code (all without an argument), shape (n,)."""
        return self._selection.numbers("tokens", self._all(positions))

    def quality(self, positions: Positions | None = None) -> NDArray[np.int64]:
        """Quality 0..1000 of each position, shape (n,)."""
        return self._selection.numbers("quality", self._all(positions))

    def query_groups(self, positions: Positions | None = None) -> NDArray[np.uint64]:
        """`query_group` of each position as a number, shape (n,)."""
        return self._selection.hashes("query_group", self._all(positions))

    def code_hashes(self, positions: Positions | None = None) -> NDArray[np.uint64]:
        """The first 64 bits of `code_sha256` of each position, shape (n,)."""
        return self._selection.hashes("code_sha256", self._all(positions))

    def key_hashes(self, positions: Positions | None = None) -> NDArray[np.uint64]:
        """The first 64 bits of the id of each position, shape (n,)."""
        return self._selection.hashes("key", self._all(positions))

    def sample(self, position: int) -> Sample:
        """The sample at a position. `IndexError` outside 0..len-1, `DamagedData` on damage."""
        return self.samples([position])[0]

    def samples(self, positions: Sequence[int] | Positions) -> list[Sample]:
        """The samples at these positions, in their order."""
        chosen = np.asarray(positions, dtype=np.int64)
        if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < len(self):
            raise IndexError(f"positions {chosen!r:.200} reach outside 0..{len(self) - 1}")
        return self._read(locate(self._selection, chosen))

    def iterate(self) -> Iterator[Sample]:
        """All samples in the order of their positions."""
        for start in range(0, len(self), _STEP):
            spans = locate(self._selection, np.arange(start, min(start + _STEP, len(self))))
            self._tars.close()
            last = int(spans.shards[-1])
            self._files.prefetch(needs(spans), range(last + 1, min(last + 2, len(self._shards))))
            for first in range(0, len(spans.positions), _READ):
                yield from self._read(spans.part(first, first + _READ))
            self._indexes.release()

    def spread(self, options: PlanOptions, count: int) -> Positions:
        """At most `count` positions spread over the first window: of shards that come first."""
        plan = self._planner.plan(options, 0, 0)
        many = min(count, len(plan.positions))
        return plan.positions[np.arange(many) * len(plan.positions) // max(1, many)]

    def batch_count(self, options: PlanOptions, epoch: int) -> int:
        """How many global batches an epoch has: plans every window of it, without reading."""
        return self._planner.before(options, epoch, self._planner.window_count(options))

    def state(self, options: PlanOptions, epoch: int, batch: int) -> State:
        """The state whose next batch is `batch`; O(1) behind batches that were just yielded.

        `StateError` where the epoch has fewer batches.
        """
        window, before = self._planner.locate(options, epoch, batch)
        if window == self._planner.window_count(options) and batch > before:
            raise StateError(f"epoch {epoch} has {before} batches, not {batch}")
        return self._state(options, epoch, batch, window, before)

    def _state(
        self, options: PlanOptions, epoch: int, batch: int, window: int, before: int
    ) -> State:
        return State(
            dataset=self.digest,
            plan=options.digest(self.select.as_list()),
            seed=options.seed,
            epoch=epoch,
            batch=batch,
            window=window,
            before=before,
        )

    def batches(
        self,
        options: PlanOptions,
        *,
        start: State | None = None,
        rank: int = 0,
        world: int = 1,
        every: int = 1,
        offset: int = 0,
    ) -> Iterator[Batch]:
        """This rank's share of the batches from `start` (epoch 0 without one) to the epoch's end.

        `every` and `offset` take every n-th batch, counted from the start: for loader processes.
        `StateError` where the state is of another dataset, selection, seed or options.
        """
        if not 0 <= rank < world or not 0 <= offset < every:
            raise PlanError(f"rank {rank} of {world}, batch {offset} of every {every}")
        state = start or self.state(options, 0, 0)
        self.check(state, options)
        if state.window < 0:
            state = self.state(options, state.epoch, state.batch)
        return self._batches(options, state, slice(rank, None, world), every, offset)

    def _batches(
        self, options: PlanOptions, state: State, share: slice, every: int, offset: int
    ) -> Iterator[Batch]:
        before, number = state.before, state.batch + offset
        self._planner.learn(options, state.epoch, state.window, before)
        self._files.prefetch((), self._planner.shards_of(options, state.epoch, state.window))
        for window in range(state.window, self._planner.window_count(options)):
            plan = self._planner.plan(options, state.epoch, window)
            picked = range(number - before, len(plan), every)
            shares = [plan.positions[plan.bounds[b] : plan.bounds[b + 1]][share] for b in picked]
            spans = locate(self._selection, np.concatenate([plan.positions[:0], *shares]))
            # A window is the unit of memory: index pages and open tars of the last one go before
            # those of this one come, so that neither grows with the epoch.
            self._indexes.release()
            self._tars.close()
            # The plan of window w+1 needs no sample of w, so its shards are fetched meanwhile.
            following = self._planner.shards_of(options, state.epoch, window + 1)
            self._files.prefetch(needs(spans), following)
            cuts = np.cumsum([0, *(len(positions) for positions in shares)]).tolist()
            for b, (first, last) in zip(picked, pairwise(cuts), strict=True):
                language = int(plan.languages[b])
                yield Batch(
                    epoch=state.epoch,
                    number=before + b,
                    language=self.languages[language] if language >= 0 else "",
                    size=int(plan.bounds[b + 1] - plan.bounds[b]),
                    samples=tuple(self._read(spans.part(first, last))),
                    positions=spans.positions[first:last],
                    window=window,
                    before=before,
                )
            number += len(picked) * every
            before += len(plan)

    def check(self, state: State, options: PlanOptions) -> None:
        """`StateError` unless the state is of this dataset, selection, seed and options."""
        expected = self._state(options, state.epoch, state.batch, state.window, state.before)
        for name, what in _PARTS.items():
            stated, value = getattr(state, name), getattr(expected, name)
            if stated != value:
                raise StateError(
                    f"the state is of {what}: its {name} is {stated!r}, here it is {value!r}; "
                    "resume with what it was made with, or start a new run"
                )

    def _all(self, positions: Positions | None) -> Positions:
        return np.arange(len(self), dtype=np.int64) if positions is None else positions

    def _read(self, spans: SampleSpans) -> list[Sample]:
        return read(spans, self._selection, self._tars)


_PARTS: Final = {
    "dataset": "another dataset",
    "seed": "another seed",
    "plan": "other options or another selection",
}


def _chosen(opened: OpenedDataset, select: Select) -> tuple[ShardFacts, ...]:
    """The shards of the wanted languages and splits."""
    present = sorted({facts.language for facts in opened.manifest.shards})
    unknown = sorted(set(select.languages or ()) - set(present))
    if unknown:
        raise PlanError(f"languages {unknown} are not in the dataset, which has {present}")
    return tuple(
        facts
        for facts in opened.manifest.shards
        if facts.split in select.splits
        and (select.languages is None or facts.language in select.languages)
    )
