"""From a config to everything a run needs: processes, device, reader, encoder, plan of the data.

Under `torchrun` (WORLD_SIZE above 1) a process group is made, NCCL on CUDA and Gloo elsewhere. The
encoder a run starts from is written to `trainer_state/start` before the first step, and every
resume begins from that folder: a name on the Hub may change, and `base: scratch` need not be
trained again. Cost: one write of the weights, one pass over the index for the epoch's batches.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
import torch.distributed as dist

from shards.reader import CacheOptions, PlanOptions, Reader, Select
from train.batches import Collate, Lengths
from train.config import TrainConfig
from train.device import Device
from train.encoder import Encoder, EncoderOptions
from train.lora import LoraOptions
from train.negatives import load_negatives

Split = Literal["train", "validation"]
WAIT: Final = timedelta(hours=2)
"""The others wait so long while the first process validates or saves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """This process among those of the run."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where messages between processes lie."""

    @property
    def first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def any(self, here: bool) -> bool:
        """Whether it is so in any process; all must ask together."""
        if self.world == 1:
            return here
        flag = torch.tensor([float(here)], device=self.device)
        dist.all_reduce(flag)
        return bool(flag.item() > 0)

    def of_first(self, text: str) -> str:
        """What the first process has said; all must ask together."""
        if self.world == 1:
            return text
        data = text.encode()
        size = torch.tensor(len(data), device=self.device)
        dist.broadcast(size, 0)
        message = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.first:
            message.copy_(torch.from_numpy(np.frombuffer(data, np.uint8).copy()))
        dist.broadcast(message, 0)
        return bytes(message.cpu().numpy()).decode()

    def barrier(self) -> None:
        """Waits for all."""
        if self.world > 1:
            dist.barrier()


def processes() -> Processes:
    """What `torchrun` says, or one process."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Processes()
    return Processes(
        rank=int(os.environ["RANK"]), world=world, local_rank=int(os.environ.get("LOCAL_RANK", "0"))
    )


def join(group: Processes, device: torch.device) -> Processes:
    """Joins the process group, where there are several."""
    group = replace(group, device=device)
    if group.world == 1 or dist.is_initialized():
        return group
    if device.type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=WAIT, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=WAIT)
    return group


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


def encoder_options(config: TrainConfig) -> EncoderOptions:
    """The encoder of the config."""
    return EncoderOptions(**config.encoder.model_dump(exclude={"dropout", "projection"}))


def new_encoder(config: TrainConfig, reader: Reader) -> Encoder:
    """The encoder before the first step, on the CPU, without adapters."""
    from train.bases import has_projection, load_base

    options = encoder_options(config)
    if config.base != "scratch":
        encoder = load_base(config.base, options, seed=config.seed)
        if config.encoder.projection == "principal" and not has_projection(config.base):
            fit_projection(encoder, reader, plan_options(config))
        return encoder
    from train.scratch import scratch

    section = config.scratch
    return scratch(
        _texts(reader, plan_options(config), section.texts),
        options,
        size=section.size,
        vocabulary=section.vocabulary,
        seed=config.seed,
    )


def fit_projection(encoder: Encoder, reader: Reader, options: PlanOptions) -> None:
    """Gives the projection the principal components of samples spread over the first window."""
    from train.projection import TEXTS, principal_projection

    if encoder.projection.out_features > encoder.projection.in_features:
        return
    samples = reader.samples(reader.spread(options, TEXTS))
    weight = principal_projection(
        encoder,
        [str(one["query"]) for one in samples],
        [str(one["code"]) for one in samples],
    )
    with torch.no_grad():
        encoder.projection.weight.copy_(weight)


def _texts(reader: Reader, options: PlanOptions, count: int) -> Iterator[str]:
    """Queries and codes of samples spread over the first window: others would be fetched first."""
    places = np.sort(reader.spread(options, count))
    for start in range(0, len(places), 256):
        for sample in reader.samples(places[start : start + 256]):
            yield str(sample["query"])
            yield str(sample["code"])


def started_encoder(config: TrainConfig, start: Path, device: Device) -> Encoder:
    """The encoder of `trainer_state/start` on the device, with the config's adapters."""
    from train.bases import load_base

    lora = config.lora
    encoder = load_base(
        str(start),
        encoder_options(config),
        seed=config.seed,
        device=device.torch,
        lora=LoraOptions(**lora.model_dump()) if lora else None,
    )
    if not config.encoder.dropout:
        without_dropout(encoder.base)
    return encoder


def without_dropout(base: torch.nn.Module) -> None:
    """Turns the dropout of a transformer off, that of adapters left alone."""
    for name, module in base.named_modules():
        if "lora_" in name:
            continue
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        # Attentions hold a number and hand it on.
        for attribute in ("dropout", "attention_dropout"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)


def lengths_of(config: TrainConfig, device: Device) -> Lengths:
    """`batch.lengths`, decided."""
    wanted = config.batch.lengths
    if wanted != "auto":
        return wanted
    return "few" if device.few_shapes or config.compile else "fine"


def collate(config: TrainConfig, encoder: Encoder, reader: Reader) -> Collate:
    """What loader processes do with a batch."""
    negatives: Any = None
    if config.negatives is not None:
        negatives = load_negatives(
            Path(config.negatives.path),
            reader.key_hashes(),
            functools.partial(open_reader, config, "train"),
            dataset=reader.digest,
            per_query=config.negatives.per_query,
            seed=config.seed,
        )
    return Collate(tokenize=encoder.text_tokenizer, negatives=negatives)
