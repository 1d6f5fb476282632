"""From a config to the samples of a run: selection, batches, cache of remote shards."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from shards.access import CacheOptions
from shards.loader import PlanOptions, Reader, Select
from train.config import TrainConfig

Split = Literal["train", "validation"]


def cache_options(config: TrainConfig) -> CacheOptions | None:
    """Where remote shards are kept; None for the reader's own place and limit."""
    section = config.data.cache
    if section.folder is None:
        return None
    return CacheOptions(folder=Path(section.folder), max_bytes=section.max_bytes)


def selection(config: TrainConfig, split: Split) -> Select:
    """Which samples of a split the config takes."""
    data = config.data
    return Select(
        languages=data.languages,
        splits=(split,),
        min_quality=data.min_quality,
        license_classes=data.license_classes,
    )


def open_reader(config: TrainConfig, split: Split) -> Reader:
    """The samples of a split that the config takes."""
    return Reader.open(
        config.data.path, select=selection(config, split), cache=cache_options(config)
    )


def plan_options(config: TrainConfig) -> PlanOptions:
    """The batches of the config."""
    batch = config.batch
    return PlanOptions(
        seed=config.seed,
        batch_size=batch.size,
        window=max(batch.window, batch.size),
        one_language=batch.one_language,
        unique=batch.unique,
        token_budget=batch.pool_tokens,
        # The softmax of one pair has one column: it says nothing.
        smallest=2,
    )
