"""Batches for the trainer, epoch after epoch, each with the state behind it.

Loader processes read and tokenise (`shards.loader.torch_loader`); the state is that of the last
batch that was delivered, so that it is exact however far they have read ahead. A batch of one pair
says nothing (its softmax has one column) and is not in the plan.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shards.loader import Feed, Loader, State
from train.config import TrainConfig
from train.data.collate import Collate, TokenBatch
from train.data.dataset import cache_options, plan_options, selection
from train.distributed import Processes
from train.errors import TrainingFault

MOST_WORKERS: Final = 8
"""Of one process, unless the config says more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchWithState:
    """A batch and where the run stands behind it."""

    batch: TokenBatch
    after: State


def feed(
    config: TrainConfig, collate: Collate, *, start: Mapping[str, Any] | None, group: Processes
) -> Iterator[BatchWithState]:
    """From a state to the end of the last epoch; without end where `steps` says how many.

    `TrainingFault` where a whole epoch has no batch.
    """
    loader = Loader(
        Feed(
            place=config.data.path,
            options=plan_options(config),
            transform=collate,
            select=selection(config, "train"),
            cache=cache_options(config),
            rank=group.rank,
            world=group.world,
        ),
        workers=worker_count(config, group),
        prefetch=config.loader.prefetch,
    )
    if start is not None:
        loader.load_state_dict(start)
    try:
        while config.steps is not None or loader.state.epoch < config.epochs:
            began, some = loader.state.batch, False
            for batch in loader:
                some = True
                yield BatchWithState(batch=batch, after=loader.state)
            if not some and began == 0:
                raise TrainingFault(
                    f"{config.data.path} has no batch of two pairs for this config",
                    remedy="set batch.one_language: false, or use more data",
                )
    finally:
        loader.close()


def worker_count(config: TrainConfig, group: Processes) -> int:
    """Loader processes of this process: those of the config, or half of its share of the CPUs."""
    if config.loader.workers is not None:
        return config.loader.workers
    share = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(MOST_WORKERS, (share or 1) // (2 * group.world)))
