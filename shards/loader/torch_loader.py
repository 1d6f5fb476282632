"""A reader behind torch: an iterable dataset, and a loader whose place survives prefetching.

Method: each loader process opens a reader of its own and takes every n-th batch, applies
`transform` (tokenising, collating) to it, and torch's loader asks the processes in turn, so that
batches arrive in the order of the plan. The state is that of the batch after the last one that
was *delivered*: what was prefetched is read again after a resume, never skipped. At the end of
an epoch the state moves on to the next; iterating again reads it.
Cost: a batch travels between processes once (by shared memory where it holds tensors); a new
epoch starts its processes anew (0.1 s forked, some seconds spawned, since they
import torch).
Limits: `transform` and `place` must be picklable where processes are spawned (macOS, Windows,
`context="spawn"`): a function of a module or an instance, no lambda. At most
`prefetch * workers` batches are in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from shards.access import CacheOptions
from shards.loader.batch_plan import PlanOptions
from shards.loader.reader import Reader
from shards.loader.state import Batch, Select, State

if TYPE_CHECKING:
    from torch.utils.data import DataLoader, IterableDataset
else:
    try:
        from torch.utils.data import IterableDataset
    except ImportError:

        class IterableDataset(Generic[TypeVar("_Item")]):
            """Without torch this module can be imported, and `Loader` works without processes."""


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed(Generic[T]):
    """Everything a process needs to make batches; picklable."""

    place: str | Path
    options: PlanOptions
    transform: Callable[[Batch], T]
    select: Select = Select()
    cache: CacheOptions | None = None
    rank: int = 0
    world: int = 1

    def open(self) -> Reader:
        """A reader of this process."""
        return Reader.open(self.place, select=self.select, cache=self.cache)

    def made(
        self, reader: Reader, start: State, offset: int, every: int
    ) -> Iterator[TransformedBatch[T]]:
        """Every n-th batch of the rest of the epoch, transformed."""
        batches = reader.batches(
            self.options,
            start=start,
            rank=self.rank,
            world=self.world,
            every=every,
            offset=offset,
        )
        for batch in batches:
            yield TransformedBatch(
                number=batch.number,
                window=batch.window,
                before=batch.before,
                value=self.transform(batch),
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformedBatch(Generic[T]):
    """A transformed batch and its place in the epoch."""

    number: int
    window: int
    before: int
    value: T


def itself(batch: Batch) -> Batch:
    """The transform that changes nothing."""
    return batch


class BatchDataset(IterableDataset[TransformedBatch[T]]):
    """The rest of an epoch for `torch.utils.data.DataLoader(..., batch_size=None)`.

    In a loader process it yields that process's share, every n-th batch; torch's loader asks
    the processes in turn, which restores the order.
    """

    def __init__(self, feed: Feed[T], start: State) -> None:
        super().__init__()
        self.feed = feed
        self.start = start

    def __iter__(self) -> Iterator[TransformedBatch[T]]:
        from torch.utils.data import get_worker_info

        worker = get_worker_info()
        offset, every = (0, 1) if worker is None else (worker.id, worker.num_workers)
        with self.feed.open() as reader:
            yield from self.feed.made(reader, self.start, offset, every)


class Loader(Generic[T]):
    """The batches of a feed, epoch by epoch; `state_dict` at any time is exact."""

    def __init__(
        self,
        feed: Feed[T],
        *,
        workers: int = 0,
        prefetch: int = 2,
        context: str | None = None,
        pin_memory: bool = False,
    ) -> None:
        self.feed = feed
        self.workers = workers
        self.prefetch = prefetch
        self.context = context
        """`fork`, `spawn` or `forkserver`; None for the platform's own."""
        self.pin_memory = pin_memory
        self._reader: Reader | None = None
        self._state: State | None = None

    @property
    def reader(self) -> Reader:
        """This process's reader, opened when first asked for.

        From then on the feed names the commit that it found: a branch of the Hub may be published
        again at any time, and loader processes and later epochs must read what this one reads.
        """
        if self._reader is None:
            self._reader = self.feed.open()
            self.feed = replace(self.feed, place=self._reader.uri or self.feed.place)
        return self._reader

    @property
    def state(self) -> State:
        """The place behind the last batch that was delivered."""
        if self._state is None:
            self._state = self.reader.state(self.feed.options, 0, 0)
        return self._state

    def state_dict(self) -> dict[str, str | int]:
        """The state, for JSON."""
        return self.state.as_dict()

    def load_state_dict(self, value: Mapping[str, object]) -> None:
        """Goes on from a state. `StateError` where it belongs to something else."""
        state = State.from_dict(value)
        self.reader.check(state, self.feed.options)
        self._state = state

    def seek(self, epoch: int) -> None:
        """Goes to the start of an epoch."""
        self._state = self.reader.state(self.feed.options, epoch, 0)

    def __iter__(self) -> Iterator[T]:
        """From the state to the end of its epoch; the state is then the next one's start."""
        state = self.state
        for transformed in self._made(state):
            self._state = replace(
                state,
                batch=transformed.number + 1,
                window=transformed.window,
                before=transformed.before,
            )
            yield transformed.value
        self._state = replace(state, epoch=state.epoch + 1, batch=0, window=0, before=0)

    def close(self) -> None:
        """Lets this process's reader go; the state stays."""
        state = self.state
        self.reader.close()
        self._reader, self._state = None, state

    def _made(self, start: State) -> Iterator[TransformedBatch[T]]:
        if self.workers == 0:
            return self.feed.made(self.reader, start, 0, 1)
        return iter(self._torch_loader(start))

    def _torch_loader(self, start: State) -> DataLoader[TransformedBatch[T]]:
        import torch
        from torch.utils.data import DataLoader

        options: dict[str, Any] = {"multiprocessing_context": self.context}
        return DataLoader(
            BatchDataset(self.feed, start),
            batch_size=None,
            collate_fn=_unchanged,
            num_workers=self.workers,
            prefetch_factor=self.prefetch,
            pin_memory=self.pin_memory,
            # The seeds of the processes must not be drawn from the trainer's generator.
            generator=torch.Generator(),
            **options,
        )


def _unchanged(batch: Any) -> Any:
    return batch
