"""What a run will be, before its first step: data, batch, pool, k, mini-batches, memory, time.

Method: the batches of the epochs are counted from the index; the tokens of a pair are the mean of
`_SAMPLES` samples spread over the first window, whose shards must be fetched anyway, through the
run's tokenizer; memory is the formula of `train.run.cost` on these; time is that of one
mini-batch of full documents, measured on the device (two forward passes and one backward, the
fastest of two) where the memory suffices, a token of it times the tokens of a step.
Cost: about 2 s, and two mini-batches. Limits: the loss, the optimizer and the loader are not in the
time; a mini-batch that does not fit fails here, in words.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from shards.loader import Reader
from train.config import TrainConfig
from train.data import plan_options
from train.device import Device
from train.distributed import Processes
from train.errors import TrainingFault
from train.model import Encoder
from train.run.cost import RESERVE, SLACK, Demand, activation_bytes, advice, explained
from train.scores import CPU_CHUNK_BYTES, DEVICE_CHUNK_BYTES, MOST_TOKENS
from xtrove.core import Misuse

_SAMPLES = 512
_FEWEST = 8
"""Samples from which a language's mean is taken."""
_PADDING = 1.15
"""Padded tokens of a step over real ones, a little more than what is measured."""
_CPU_TOKENS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPlan:
    """The figures of a run; tokens and mini-batches are those of a step and process."""

    dataset: str
    samples: int
    languages: tuple[str, ...]
    steps: int
    batch_size: int
    world: int
    query_tokens: float
    document_tokens: float
    """Real tokens of a text, mean."""
    pool_tokens: int
    """Document tokens that a query token chooses from, over all processes."""
    k: int
    """Tokens that it chooses after the warm-up; 0 for an objective that retrieves none."""
    query_mini_batches: int
    document_mini_batches: int
    demand: Demand
    available: int
    seconds_per_step: float | None
    device: str

    def lines(self) -> list[str]:
        """For people, one figure a line."""
        parts = sorted(self.demand.parts().items(), key=lambda part: -part[1])
        memory = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts if size >= 5e6)
        listed = ", ".join(self.languages)
        lines = [
            f"dataset: {self.dataset}, {self.samples:,} samples ({listed})",
            f"batch: {self.batch_size:,} pairs over {self.world} process"
            + ("es" if self.world > 1 else ""),
            f"texts: {self.query_tokens:.1f} tokens a query, {self.document_tokens:.1f} a document",
            f"pool: {self.pool_tokens:,} tokens" + (f", k {self.k:,}" if self.k else ""),
            f"mini-batches a step: {self.query_mini_batches} of queries, "
            f"{self.document_mini_batches} of documents",
            f"memory: {self.demand.total() / 1e9:.2f} GB of {self.available / 1e9:.1f} GB "
            f"({memory})",
            f"steps: {self.steps:,}",
        ]
        if self.seconds_per_step is not None:
            whole = self.steps * self.seconds_per_step
            lines.append(
                f"time: {self.seconds_per_step:.2f} s a step, {_duration(whole)} in all "
                "(one mini-batch measured here; loss and loader not in it)"
            )
        return lines


def plan_run(
    config: TrainConfig,
    reader: Reader,
    encoder: Encoder,
    device: Device,
    group: Processes,
    *,
    measure: bool = False,
) -> RunPlan:
    """The plan; `measure` times a mini-batch on the device."""
    lengths = _lengths(config, reader, encoder)
    pairs = -(-config.batch.size // group.world)
    own_documents = pairs * _documents_a_query(config)
    pool = round(lengths.document * own_documents * group.world)
    _check_pool(round(lengths.longest_document * own_documents * group.world), config)
    demand = _demand(config, encoder, device, group, lengths)
    query_tokens, document_tokens = lengths.query * pairs, lengths.document * own_documents
    budget = config.batch.mini_batch_tokens
    seconds = None
    if measure and demand.total() <= RESERVE * device.memory_bytes:
        seconds = _measured(config, encoder, device, query_tokens, document_tokens)
    return RunPlan(
        dataset=reader.manifest.name,
        samples=len(reader),
        languages=reader.languages,
        steps=total_steps(config, reader),
        batch_size=config.batch.size,
        world=group.world,
        query_tokens=lengths.query,
        document_tokens=lengths.document,
        pool_tokens=pool,
        k=config.objective.k(pool),
        query_mini_batches=max(1, -(-round(query_tokens) // budget)),
        document_mini_batches=max(1, -(-round(document_tokens) // budget)),
        demand=demand,
        available=device.memory_bytes,
        seconds_per_step=seconds,
        device=device.describe(),
    )


def _check_pool(tokens: int, config: TrainConfig) -> None:
    """The tokens that the loss retrieves from must be countable. Raises `Misuse`."""
    if tokens >= MOST_TOKENS and config.objective.k(tokens):
        raise Misuse(
            f"a batch would hold about {tokens:,} document tokens; the loss retrieves from fewer "
            f"than {MOST_TOKENS:,}",
            remedy=f"use batch.size: {config.batch.size * MOST_TOKENS * 4 // (tokens * 5):,} or "
            "less, or a smaller encoder.document_length",
        )


def _documents_a_query(config: TrainConfig) -> int:
    return 1 + (config.negatives.per_query if config.negatives else 0)


def _demand(
    config: TrainConfig, encoder: Encoder, device: Device, group: Processes, lengths: _Lengths
) -> Demand:
    """What a step of this process holds, a batch of the longest language taken."""
    pairs = -(-config.batch.size // group.world)
    own_documents = pairs * _documents_a_query(config)
    documents = own_documents * group.world
    tokens = lengths.query * pairs + lengths.longest_document * own_documents
    longest = config.encoder.document_length
    bf16 = device.precision == "bf16"
    on_cpu = device.torch.type == "cpu"
    with torch.random.fork_rng(devices=[]):
        activations = activation_bytes(encoder, longest, bf16=bf16)
    return Demand(
        parameters=sum(p.numel() for p in encoder.parameters()),
        trained=sum(p.numel() for p in encoder.parameters() if p.requires_grad),
        activation_bytes=activations,
        mini_batch_tokens=min(config.batch.mini_batch_tokens, round(_PADDING * tokens) + longest),
        query_tokens=round(lengths.query * pairs),
        document_tokens=round(lengths.longest_document * documents),
        queries=pairs,
        documents=documents,
        dim=config.encoder.dim,
        score_state=config.objective.state_bytes(
            query_tokens=round(lengths.query * pairs),
            documents=documents,
            pool_tokens=round(lengths.document * documents),
        ),
        chunk_bytes=CPU_CHUNK_BYTES if on_cpu else DEVICE_CHUNK_BYTES,
        bf16=bf16,
        slack=SLACK if on_cpu else 0.0,
    )


def total_steps(config: TrainConfig, reader: Reader) -> int:
    """`steps`, or the batches of `epochs`."""
    if config.steps is not None:
        return config.steps
    options = plan_options(config)
    return sum(reader.batch_count(options, epoch) for epoch in range(config.epochs))


def check_memory(plan: RunPlan, config: TrainConfig, device: Device) -> None:
    """`TrainingFault` with the setting to lower where the formula finds too little memory."""
    usable = round(RESERVE * plan.available)
    if plan.demand.total() <= usable:
        return
    longest = max(config.encoder.query_length, config.encoder.document_length)
    fix = advice(plan.demand, plan.available, batch_size=config.batch.size, longest=longest)
    raise TrainingFault(
        f"a step needs {plan.demand.total() / 1e9:.2f} GB, of {plan.available / 1e9:.2f} GB free "
        f"on {device.torch} {usable / 1e9:.2f} GB may be used",
        remedy=fix.describe(),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lengths:
    """Mean real tokens of a query, of a document, of a document of the longest language."""

    query: float
    document: float
    longest_document: float
    """A batch of one language is as long as that language's code."""


def _lengths(config: TrainConfig, reader: Reader, encoder: Encoder) -> _Lengths:
    samples = reader.samples(reader.spread(plan_options(config), _SAMPLES))
    queries = encoder.tokenize([str(sample["query"]) for sample in samples], "query")
    template = encoder.options.template
    documents = encoder.tokenize([template.of_sample(sample) for sample in samples], "document")
    mean = float(np.mean([len(row) for row in documents]))
    by_language: dict[str, list[int]] = {}
    for sample, row in zip(samples, documents, strict=True):
        by_language.setdefault(str(sample["language"]), []).append(len(row))
    means = [float(np.mean(rows)) for rows in by_language.values() if len(rows) >= _FEWEST]
    return _Lengths(
        query=float(np.mean([len(row) for row in queries])),
        document=mean,
        longest_document=max([mean, *means]) if config.batch.one_language else mean,
    )


def _measured(
    config: TrainConfig, encoder: Encoder, device: Device, query_tokens: float, tokens: float
) -> float:
    """Seconds of the mini-batches of a step: two forwards and a backward each (GradCache)."""
    length = config.encoder.document_length
    budget = config.batch.mini_batch_tokens
    if device.torch.type == "cpu":
        # A processor is as fast with a part of it.
        budget = min(budget, _CPU_TOKENS)
    ids = torch.zeros(
        (max(1, budget // length), length),
        dtype=torch.long,
        device=device.torch,
    )
    best = float("inf")
    with explained(config, device):
        for _ in range(2):
            began = time.perf_counter()
            with encoder.quick():
                with torch.no_grad(), device.autocast():
                    encoder(ids, torch.ones_like(ids))
                with device.autocast():
                    out = encoder(ids, torch.ones_like(ids))
                out.sum().backward()
            # Reading a number waits for the device.
            out[0, 0, 0].item()
            best = min(best, time.perf_counter() - began)
            encoder.zero_grad(set_to_none=True)
    return best / ids.numel() * (query_tokens + tokens)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
