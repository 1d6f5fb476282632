"""A training run from its first step, or from its last checkpoint, to a finished model.

A step: a batch from the loader, losses and gradients (`train.run.step`), clipping, AdamW, the logs;
then, when it is their turn, the validation and a checkpoint. Before every step the generators are
seeded from (seed, step, rank), so that a step is a function of the checkpoint before it alone: a
run that was killed and resumed logs the losses of one that was not, bit by bit, on the same
machine, thread count and number of processes, on a CPU (on CUDA the backward of attention adds in
an order of its own: up to its rounding). The validation comes as a callable: its metrics live
to the right. Limits: all since the last checkpoint is lost by a kill; Ctrl-C loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from shards.access import is_remote
from shards.loader import Reader
from train.config import TrainConfig
from train.data import BatchWithState, feed, open_reader, plan_options
from train.device import Device, choose_device, self_test
from train.distributed import Processes, join, processes
from train.errors import TrainingFault
from train.model import Encoder
from train.run.best import best_of, differences_from_start
from train.run.cost import explained
from train.run.log import Meter, RunLog, SilentWatch, StepFacts, Watch
from train.run.plan import RunPlan, check_memory, plan_run
from train.run.run_folder import (
    RunFolder,
    RunSaver,
    claim_run_folder,
    config_of_run,
    is_finished,
    lock_run_folder,
    write_run_start,
)
from train.run.schedule import learning_rate
from train.run.self_test import loss_self_test
from train.run.setup import collate, new_encoder, started_encoder
from train.run.state import RunState, load_checkpoint, read_run_state, step_seed
from train.run.step import Stepper, StepResult, new_stepper
from xtrove.core import Interrupted, write_json

Validate = Callable[[Encoder], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a run left."""

    output: Path
    steps: int
    loss: float | None
    """Of the last step; None where none was left to do."""
    metrics: Mapping[str, float]
    best_step: int | None
    seconds: float


def train(
    config: TrainConfig,
    *,
    validate: Callable[[TrainConfig], Validate] | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Trained:
    """Trains, or goes on training, what the config says.

    `validate` makes the measure (called once, in the first process). `Misuse` where the output,
    dataset or device does not fit the config, `Interrupted` after an interrupt, `TrainingFault` for
    a loss that is no number or too little memory.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    group = processes()
    device = choose_device(
        config.device,
        config.precision,
        local_rank=group.local_rank,
        local_world=group.local_world,
        world=group.world,
    )
    group = join(group, device.torch)
    watch = watch or SilentWatch()
    watch.say(f"device: {device.describe()}")
    self_test(device.torch)
    loss_self_test(device.torch)
    if is_remote(config.data.path):
        watch.say(f"fetching the first shards of {config.data.path}")
    requested_path = config.data.path
    if resume:
        config = config_of_run(config, RunFolder(root=Path(config.output)))
    opened = open_reader(config, "train") if group.first else None
    # A branch may be published again while the run goes on: all read the commit of the first.
    uri = group.of_first((opened.uri if opened else "") or config.data.path)
    config = config.reading(uri)
    with opened or open_reader(config, "train") as reader:
        run = _Run(config, device, group, reader, watch, interrupted, requested_path)
        return run.train(validate, resume)


class _Run:
    """One run in one process."""

    def __init__(
        self,
        config: TrainConfig,
        device: Device,
        group: Processes,
        reader: Reader,
        watch: Watch,
        interrupted: Callable[[], bool],
        requested_path: str,
    ) -> None:
        self._requested_path = requested_path
        self._config = config
        self._device = device
        self._group = group
        self._reader = reader
        self._watch = watch
        self._interrupted = interrupted
        self._output = RunFolder(root=Path(config.output))
        self._log = RunLog(
            self._output.state,
            tensorboard=config.logging.tensorboard,
            every=config.logging.every,
        )
        self._meter = Meter(device.peak_flops * group.world)
        self._saved_at = -1

    def train(self, validate: Callable[[TrainConfig], Validate] | None, resume: bool) -> Trained:
        """From the claim of the folder to the finished model."""
        with lock_run_folder(self._output) if self._group.first else nullcontext():
            return self._train(validate, resume)

    def _train(self, validate: Callable[[TrainConfig], Validate] | None, resume: bool) -> Trained:
        began = time.monotonic()
        self._claim(resume)
        if resume and is_finished(self._output):
            return self._finished()
        encoder = started_encoder(self._config, self._output.start, self._device)
        stepper = new_stepper(self._config, encoder, self._device, self._group)
        run_state = self._resumed(stepper)
        plan = plan_run(self._config, self._reader, encoder, self._device, self._group)
        check_memory(plan, self._config, self._device)
        for line in plan.lines():
            self._watch.say(line)
        measure = None
        if self._group.first and validate is not None and self._config.validation.every:
            measure = validate(self._config)
        saver = RunSaver(
            output=self._output,
            config=self._config,
            reader=self._reader,
            encoder=encoder,
            parameters=stepper.parameters,
            optimizer=stepper.optimizer,
        )
        if self._group.first:
            self._log.open(run_state.step)
        try:
            run_state = self._measured_start(run_state, saver, measure, encoder)
            run_state, loss = self._steps(run_state, plan, stepper, saver, measure)
            if self._group.first:
                self._save(saver, run_state)
                saver.finish(run_state)
            self._group.barrier()
        finally:
            self._log.close()
        return Trained(
            output=self._output.root,
            steps=run_state.step,
            loss=loss,
            metrics=run_state.best_metrics or run_state.metrics or {},
            best_step=run_state.best_step,
            seconds=time.monotonic() - began,
        )

    def _finished(self) -> Trained:
        """What a run that came to its end left."""
        self._watch.say(f"{self._output.root} is finished; set output: to a new folder for more")
        run_state = self._output.run_state() or RunState(step=0, reader={})
        return Trained(
            output=self._output.root,
            steps=run_state.step,
            loss=None,
            metrics=run_state.best_metrics or {},
            best_step=run_state.best_step,
            seconds=0.0,
        )

    def _claim(self, resume: bool) -> None:
        """The first process claims the folder and writes what the run starts from."""
        if self._group.first:
            going_on = claim_run_folder(
                self._output, self._config, self._reader.digest, resume=resume
            )
            if not going_on:
                encoder = new_encoder(self._config, self._reader)
                write_run_start(
                    self._output,
                    self._config,
                    self._reader,
                    encoder,
                    self._watch.say,
                    requested_path=self._requested_path,
                )
        self._group.barrier()

    def _resumed(self, stepper: Stepper) -> RunState:
        """The state of the last checkpoint, its weights restored; else that of the first step."""
        last = self._output.last()
        options = plan_options(self._config)
        if last is None:
            start = self._reader.state(options, 0, 0)
            return RunState(step=0, reader=start.as_dict())
        load_checkpoint(last, stepper.parameters, stepper.optimizer)
        run_state = read_run_state(last)
        self._saved_at = run_state.step
        self._watch.say(f"going on behind step {run_state.step:,}")
        if run_state.best_value is not None and run_state.best_of != best_of(self._config):
            self._watch.say(f"the best so far was by {run_state.best_of}: it counts no more")
            run_state = replace(run_state, best_value=None, start_metrics=None)
        return run_state

    def _measured_start(
        self, run_state: RunState, saver: RunSaver, measure: Validate | None, encoder: Encoder
    ) -> RunState:
        """With `validation.sets`, what a run begins with is measured: what falls is seen."""
        if run_state.step or not self._config.validation.sets:
            return run_state
        if self._group.first and measure is not None:
            run_state = self._validated(run_state, saver, measure, encoder)
            run_state = replace(run_state, start_metrics=run_state.metrics)
        self._group.barrier()
        return run_state

    def _steps(
        self,
        run_state: RunState,
        plan: RunPlan,
        stepper: Stepper,
        saver: RunSaver,
        measure: Validate | None,
    ) -> tuple[RunState, float | None]:
        loss, config = None, self._config
        collate_batch = collate(config, stepper.encoder, self._reader)
        source = feed(config, collate_batch, start=run_state.reader, group=self._group)
        asked_at = time.perf_counter()
        while run_state.step < plan.steps:
            fed = next(source, None)
            if fed is None:
                break
            waited = time.perf_counter() - asked_at
            result = self._step(run_state.step, plan.steps, stepper, fed)
            loss = result.loss
            seconds = time.perf_counter() - asked_at
            self._tell(run_state.step, plan.steps, fed, result, seconds, waited)
            run_state = replace(
                run_state,
                step=run_state.step + 1,
                reader=fed.after.as_dict(),
                pairs=run_state.pairs + fed.batch.size,
                empty_sum=run_state.empty_sum + result.facts.get("empty_positives", 0.0),
                empty_steps=run_state.empty_steps + 1,
            )
            self._device.after_step(run_state.step)
            run_state = self._after(run_state, plan.steps, saver, measure, stepper.encoder)
            asked_at = time.perf_counter()
        return run_state, loss

    def _step(self, step: int, total: int, stepper: Stepper, fed: BatchWithState) -> StepResult:
        """One step; a loss that is no number ends the run with the batch named."""
        config = self._config
        rate = learning_rate(
            step,
            total=total,
            peak=config.optimizer.lr,
            warmup=config.optimizer.warmup,
            final=config.optimizer.final,
        )
        torch.manual_seed(step_seed(config.seed, step, self._group.rank))
        with explained(config, self._device):
            result = stepper.step(fed.batch, step=step, total=total, rate=rate)
        if not result.finite:
            if self._group.first:
                # Other processes hold the rest of the batch: the state behind it names it whole.
                facts = {"step": step, "batch": fed.batch.name(), "ids": list(fed.batch.ids)}
                write_json(self._output.state / "bad_batch.json", facts)
            raise TrainingFault(
                f"step {step}: the loss is {result.loss}, the gradient norm "
                f"{result.gradient_norm}, in {fed.batch.name()}: "
                f"{', '.join(fed.batch.ids[:3])}, ...",
                remedy="all ids are in trainer_state/bad_batch.json; lower optimizer.lr, or use "
                "precision: fp32, and go on with --resume from the last checkpoint",
            )
        return result

    def _tell(
        self,
        step: int,
        total: int,
        fed: BatchWithState,
        result: StepResult,
        seconds: float,
        waited: float,
    ) -> None:
        facts = StepFacts(
            step=step,
            epoch=fed.batch.epoch,
            batch=fed.batch.number,
            language=fed.batch.language,
            pairs=fed.batch.size,
            tokens=result.tokens,
            padded_tokens=result.padded_tokens,
            flops=result.flops,
            loss=result.loss,
            lr=result.rate,
            gradient_norm=result.gradient_norm,
            seconds=seconds,
            waited=waited,
            peak_bytes=self._device.peak_memory(),
            loss_facts=result.facts,
        )
        speed = self._meter.add(facts)
        if self._group.first:
            self._log.step(facts, speed)
            self._watch.step(facts, speed, total)

    def _after(
        self,
        run_state: RunState,
        total: int,
        saver: RunSaver,
        measure: Validate | None,
        encoder: Encoder,
    ) -> RunState:
        """Validation, checkpoint and interrupt behind a step, when it is their turn."""
        config, last = self._config, run_state.step == total
        every = config.validation.every
        if every and (run_state.step % every == 0 or last):
            if self._group.first and measure is not None:
                run_state = self._validated(run_state, saver, measure, encoder)
            self._group.barrier()
        if run_state.step % config.checkpoints.every == 0 and not last:
            if self._group.first:
                self._save(saver, run_state)
            self._group.barrier()
        if self._group.any(self._interrupted()) and not last:
            if self._group.first:
                self._save(saver, run_state)
                self._log.event("stopped", run_state.step - 1)
            self._group.barrier()
            raise Interrupted(
                f"stopped behind step {run_state.step:,} of {total:,}; everything is saved",
                remedy="the same command with --resume goes on there",
            )
        return run_state

    def _save(self, saver: RunSaver, run_state: RunState) -> None:
        if self._saved_at != run_state.step:
            saver.checkpoint(run_state)
            self._saved_at = run_state.step
            self._log.event("checkpoint", run_state.step - 1)

    def _validated(
        self, run_state: RunState, saver: RunSaver, measure: Validate, encoder: Encoder
    ) -> RunState:
        began = time.perf_counter()
        with self._device.autocast():
            measures = dict(measure(encoder))
        if run_state.empty_steps:
            # Of the batches since the last validation: what the loss could not see.
            measures["empty_positives"] = run_state.empty_sum / run_state.empty_steps
        self._log.validation(run_state.step - 1, measures, time.perf_counter() - began)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in measures.items())
        self._watch.say(f"validation behind step {run_state.step:,}: {shown}")
        section = self._config.validation
        for line in differences_from_start(measures, run_state.start_metrics, section):
            self._watch.say(line)
        value = measures[section.best_by]
        run_state = replace(run_state, metrics=measures, empty_sum=0.0, empty_steps=0)
        if run_state.best_value is None or value > run_state.best_value:
            run_state = replace(
                run_state,
                best_value=value,
                best_of=best_of(self._config),
                best_step=run_state.step,
                best_metrics=measures,
            )
            saver.best(run_state)
        return run_state
