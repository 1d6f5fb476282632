"""From a config to everything a run needs: processes, device, reader, encoder, plan of the data.

Under `torchrun` (WORLD_SIZE above 1) a process group is made, NCCL on CUDA and Gloo elsewhere. The
encoder a run starts from is written to `trainer_state/start` before the first step, and every
resume begins from that folder: a name on the Hub may change, and `base: scratch` need not be
trained again. Cost: one write of the weights, one pass over the index for the epoch's batches.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards.loader import PlanOptions, Reader
from train.config import TrainConfig
from train.data import Collate, Lengths, open_reader, plan_options
from train.device import Device
from train.mining import load_negatives
from train.model import Encoder, EncoderOptions, LoraOptions


def encoder_options(config: TrainConfig) -> EncoderOptions:
    """The encoder of the config."""
    return EncoderOptions(**config.encoder.model_dump(exclude={"dropout", "projection"}))


def new_encoder(config: TrainConfig, reader: Reader) -> Encoder:
    """The encoder before the first step, on the CPU, without adapters."""
    from train.model import has_projection, load_base

    options = encoder_options(config)
    if config.base != "scratch":
        encoder = load_base(config.base, options, seed=config.seed)
        if config.encoder.projection == "principal" and not has_projection(config.base):
            fit_projection(encoder, reader, plan_options(config))
        return encoder
    from train.model import scratch

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
    from train.model import PROJECTION_TEXTS, principal_projection

    if encoder.projection.out_features > encoder.projection.in_features:
        return
    samples = reader.samples(reader.spread(options, PROJECTION_TEXTS))
    weight = principal_projection(
        encoder,
        [str(sample["query"]) for sample in samples],
        [encoder.options.template.of_sample(sample) for sample in samples],
    )
    with torch.no_grad():
        encoder.projection.weight.copy_(weight)


def _texts(reader: Reader, options: PlanOptions, count: int) -> Iterator[str]:
    """Queries and codes of samples spread over the first window: others would be fetched first."""
    positions = np.sort(reader.spread(options, count))
    for start in range(0, len(positions), 256):
        for sample in reader.samples(positions[start : start + 256]):
            yield str(sample["query"])
            yield str(sample["code"])


def started_encoder(config: TrainConfig, start: Path, device: Device) -> Encoder:
    """The encoder of `trainer_state/start` on the device, with the config's adapters."""
    from train.model import load_base

    lora = config.lora
    encoder = load_base(
        str(start),
        encoder_options(config),
        seed=config.seed,
        device=device.torch,
        lora=LoraOptions(**lora.model_dump()) if lora else None,
        fp32=device.precision == "fp32",
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
    choice = config.batch.lengths
    if choice != "auto":
        return choice
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
    return Collate(
        tokenize=encoder.text_tokenizer,
        negatives=negatives,
        template=encoder.options.template,
        path_dropout=config.data.path_dropout,
        seed=config.seed,
    )
