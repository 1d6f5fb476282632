"""`xtrove train` and `xtrove average`: display, signals, validation and exit codes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import torch

from shards.loader import PlanError
from train import DocumentTemplate, Processes, TrainConfig, choose_device
from train.data import open_reader
from train.model import Encoder
from train.run import check_memory, new_encoder, plan_run, save_start, started_encoder
from train.run import train as run
from xtrove.commands.train_display import TrainDisplay
from xtrove.core import Misuse
from xtrove.terminal import Step, duration, err, out


def train(config: TrainConfig, *, resume: bool) -> None:
    """Trains or goes on training; says at the end what to type next."""
    first = _is_first()
    with TrainDisplay(show=first) as display, _asked_to_stop() as asked:
        trained = run(config, validate=_measure, resume=resume, watch=display, interrupted=asked)
    if not first:
        return
    shown = ", ".join(f"{name} {value:.4f}" for name, value in trained.metrics.items())
    best = f" (step {trained.best_step:,})" if trained.best_step is not None else ""
    last = f", last loss {trained.loss:.4f}" if trained.loss is not None else ""
    out().print(f"\n{trained.steps:,} steps in {duration(trained.seconds)}{last}")
    if shown:
        out().print(f"best validation{best}: {shown}")
    if trained.best_step == 0:
        out().print("No measured step was better than the start: the model is the start.")
    out().print(f"The model is in {trained.output}. Next:")
    arguments = f"--dataset {config.data.path} --model-path {trained.output}"
    out().print(f"  xtrove evaluate {arguments}")


def average(
    first: Path, second: Path, *, weight: float, output: Path, choose: TrainConfig | None = None
) -> None:
    """Writes the mean of two models; exit 2 where they cannot be averaged or `output` stands.

    With `choose`, the weight is the one whose mean is the best by the validation of that config;
    of equals the least.
    """
    from train.checkpoint import average_models

    metrics: Mapping[str, float] = {}
    if choose is not None:
        if output.exists():
            raise Misuse(f"{output} exists already", remedy="give another --output")
        weight, metrics = _best_weight(first, second, choose)
    with Step("averaging"):
        average_models(first, second, output, weight=weight, metrics=metrics)
    shares = f"{1 - weight:g} of {first.name} and {weight:g} of {second.name}"
    out().print(f"{output}: {shares}. Next:")
    out().print(f"  xtrove evaluate --dataset DATASET --model-path {output}")


def _best_weight(
    first: Path, second: Path, config: TrainConfig
) -> tuple[float, Mapping[str, float]]:
    """The share of the second model whose mean is the best, and its measures; all are printed."""
    from train.checkpoint import measure_means
    from train.model import recorded_template

    device, best_by = choose_device(config.device, config.precision), config.validation.best_by
    best: tuple[float, Mapping[str, float]] | None = None
    with Step("measuring means") as step:
        measure = _measure(config, recorded_template(first))
        for weight, measures in measure_means(first, second, measure, device=device.torch):
            shown = ", ".join(f"{name} {measures[name]:.4f}" for name in measures
                              if name.rpartition(" ")[2] == config.validation.metric)  # fmt: skip
            step.say(f"{weight:g} of {second.name}: {shown}")
            if best is None or measures[best_by] > best[1][best_by]:
                best = weight, measures
    assert best is not None  # There are weights.
    return best


def plan(config: TrainConfig) -> None:
    """What the run will be, said by the first process; nothing is written or trained."""
    if not _is_first():
        return
    with open_reader(config, "train") as reader:
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if config.threads:
            torch.set_num_threads(config.threads)
        device = choose_device(config.device, config.precision)
        with Step("making the encoder", timed=True), TemporaryDirectory() as folder:
            # As the run does it: its attention, its adapters, its dropout.
            start = Path(folder) / "start"
            save_start(config, new_encoder(config, reader), start)
            encoder = started_encoder(config, start, device)
        with Step("measuring a step", timed=True):
            made = plan_run(config, reader, encoder, device, Processes(world=world), measure=True)
    out().print(f"device: {made.device}")
    for line in made.lines():
        out().print(line)
    check_memory(made, config, device)


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _measure(
    config: TrainConfig, template: DocumentTemplate | None = None
) -> Callable[[Encoder], Mapping[str, float]]:
    """The measure on the validation split and the sets; the config's template where none is."""
    from evaluate.measure import ValidationWithSets, read_validation_set, validation_measure

    section = config.validation
    template = template or DocumentTemplate(config.encoder.document_template)
    try:
        reader = open_reader(config, "validation")
    except PlanError as error:
        raise Misuse(
            f"{config.data.path} has nothing to validate with: {error}",
            remedy="set validation.every: null, or build with shards.splits.validation above 0",
        ) from None
    with reader:
        held_out = validation_measure(
            reader, queries=section.queries, documents=section.pool, template=template
        )
    if not section.sets:
        return held_out
    sets = {part.name: read_validation_set(part, template) for part in section.sets}
    return ValidationWithSets(held_out=held_out, sets=sets, metric=section.metric)


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Ctrl-C or SIGTERM asks once for a stop behind the step; a second one ends at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        err().print("stopping behind this step; once more stops at once")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
