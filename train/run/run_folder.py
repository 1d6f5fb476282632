"""The output folder of a run: claimed once, checkpoints, the best model, the finished one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from shards.loader import Reader
from train.checkpoint import CardFacts, save_model, write_trained_on
from train.config import TrainConfig
from train.json_files import read_json
from train.model import Encoder
from train.run.best import card_metrics
from train.run.state import (
    FOLDER,
    FORMAT,
    Parameters,
    RunState,
    check_same_run,
    checkpoints,
    clear_halves,
    publish,
    read_run_state,
    save_checkpoint,
)
from xtrove.core import LockHeld, Misuse, hold_lock, write_json

RUNNING: Final = ".running"
SAY_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFolder:
    """The folders of a run."""

    root: Path

    @property
    def state(self) -> Path:
        """`trainer_state`."""
        return self.root / FOLDER

    @property
    def run_file(self) -> Path:
        """What the run is."""
        return self.state / "run.json"

    @property
    def start(self) -> Path:
        """The encoder before the first step."""
        return self.state / "start"

    @property
    def best(self) -> Path:
        """The best model so far."""
        return self.state / "best"

    @property
    def last_model(self) -> Path:
        """The model after the last step, where another one is the best."""
        return self.state / "last"

    @property
    def checkpoints(self) -> Path:
        """What to go on from."""
        return self.state / "checkpoints"

    @property
    def trained_on(self) -> Path:
        """Digests of the functions and repositories."""
        return self.state / "trained_on.arrow"

    def last(self) -> Path | None:
        """The last whole checkpoint."""
        whole = checkpoints(self.checkpoints)
        return whole[-1] if whole else None

    def run_state(self) -> RunState | None:
        """Where the last checkpoint stands."""
        last = self.last()
        return read_run_state(last) if last else None


@contextmanager
def lock_run_folder(output: RunFolder) -> Iterator[None]:
    """Holds the folder for one run; `Misuse` where another process trains there."""
    if output.root.exists() and not output.root.is_dir():
        raise Misuse(f"output: {output.root} is a file", remedy="set output: to a new folder")
    output.root.mkdir(parents=True, exist_ok=True)
    path = output.root / RUNNING
    with ExitStack() as stack:
        try:
            # Forked loaders do not keep the lock when this process is killed.
            stack.enter_context(hold_lock(path, of_process=True))
        except LockHeld as error:
            raise Misuse(
                f"output: another process trains in {output.root} ({error.holder})",
                remedy="wait for it, or set output: to a new folder",
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if not any(output.root.iterdir()):
                output.root.rmdir()


def claim_run_folder(output: RunFolder, config: TrainConfig, dataset: str, *, resume: bool) -> bool:
    """Whether a run is gone on with; `Misuse` where the folder is not for this run.

    A run that stopped before its first checkpoint has nothing to lose: it is begun anew, with
    another config too.
    """
    root, run_file = output.root, output.run_file
    if not run_file.exists() or (not resume and output.last() is None):
        if resume:
            raise Misuse(f"--resume: {root} holds no run", remedy="leave --resume out to start one")
        others = [entry.name for entry in root.iterdir() if entry.name not in (FOLDER, RUNNING)]
        if others:
            raise Misuse(
                f"output: {root} is not empty ({', '.join(sorted(others)[:3])})",
                remedy="set output: to a new folder",
            )
        shutil.rmtree(output.state, ignore_errors=True)
        return False
    run = read_json(run_file)
    check_same_run(run, config.decisive(), dataset)
    if not resume:
        run_state = output.run_state()
        raise Misuse(
            f"output: {root} holds this run, {run_state.step if run_state else 0} steps done",
            remedy="add --resume to go on with it, or set output: to a new folder",
        )
    clear_halves(output.checkpoints)
    return True


def save_start(config: TrainConfig, encoder: Encoder, folder: Path) -> None:
    """The encoder before the first step, as `train.run.setup.started_encoder` reads it."""
    card = CardFacts(name=config.name, base=config.base)
    save_model(encoder, folder, card=card, replace=True)


def write_run_start(
    output: RunFolder,
    config: TrainConfig,
    reader: Reader,
    encoder: Encoder,
    say: Callable[[str], None] = lambda message: None,
    *,
    requested_path: str = "",
) -> None:
    """Writes what a run starts from; `run.json` comes last and makes it one.

    `requested_path` is the dataset as the user named it; `config` has its resolved commit.
    """
    save_start(config, encoder, output.start)
    write_trained_on(_digests(reader, say), output.trained_on)
    run = {
        "format": FORMAT,
        "name": config.name,
        "dataset": reader.digest,
        "asked": requested_path or config.data.path,
        "decisive": config.decisive(),
        "config": config.dump(),
        "torch": torch.__version__,
        "finished": False,
    }
    write_json(output.run_file, run)


def config_of_run(config: TrainConfig, output: RunFolder) -> TrainConfig:
    """The config of a run to go on with: its dataset at the commit that the run began with."""
    if not output.run_file.exists():
        return config
    run = read_json(output.run_file)
    known = run.get("config", {}).get("data", {}).get("path", "")
    if run.get("asked") != config.data.path or not isinstance(known, str) or not known:
        return config
    return config.reading(known)


def _digests(reader: Reader, say: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Digest and repository of every function; all shards are fetched for them."""
    logged_at = time.monotonic()
    for done, sample in enumerate(reader.iterate()):
        if time.monotonic() - logged_at > SAY_SECONDS:
            logged_at = time.monotonic()
            say(f"noting what the run is trained on: {done:,} of {len(reader):,} functions")
        yield str(sample["code_sha256"]), str(sample["repo"])


def is_finished(output: RunFolder) -> bool:
    """Whether the run came to its end."""
    return bool(read_json(output.run_file).get("finished"))


@dataclass(kw_only=True, slots=True)
class RunSaver:
    """Saves a run as it goes; only the first process has one."""

    output: RunFolder
    config: TrainConfig
    reader: Reader
    encoder: Encoder
    parameters: Parameters
    optimizer: torch.optim.Optimizer

    def checkpoint(self, run_state: RunState) -> None:
        """What to go on from; a step that is kept already is not written again."""
        last = self.output.last()
        if last is not None and last.name == f"step-{run_state.step:08}":
            return
        save_checkpoint(
            self.output.checkpoints,
            run_state,
            self.parameters,
            self.optimizer,
            keep=self.config.checkpoints.keep,
        )

    def best(self, run_state: RunState) -> None:
        """The model as it is now becomes the best."""
        self._save_model(self.output.best, run_state)

    def _save_model(self, folder: Path, run_state: RunState) -> None:
        save_model(
            self.encoder,
            folder,
            card=self.card(run_state),
            trained_on=self.output.trained_on,
            replace=True,
        )

    def finish(self, run_state: RunState) -> None:
        """The best model (the last one without a validation) becomes the model of the folder.

        Where the last one is not the best it is kept beside it, in `last_model`.
        """
        if not self.output.best.exists() or run_state.best_step is None:
            self.best(run_state)
        elif run_state.best_step != run_state.step:
            self._save_model(self.output.last_model, run_state)
        publish(self.output.best, self.output.root)
        run = read_json(self.output.run_file)
        write_json(self.output.run_file, {**run, "finished": True, "steps": run_state.step})

    def card(self, run_state: RunState) -> CardFacts:
        """What the model card says."""
        manifest = self.reader.manifest
        data: dict[str, Any] = {
            "dataset": manifest.name,
            "reader_digest": self.reader.digest,
            "content_sha256": manifest.content_sha256,
            "samples": len(self.reader),
            "languages": list(self.reader.languages),
        }
        section = self.config.validation
        progress: dict[str, Any] = {"step": run_state.step, "pairs": run_state.pairs}
        if section.sets:
            names = ", ".join(("held-out docstrings", *(part.name for part in section.sets)))
            progress["best by"] = f"{section.metric}, mean over {names}"
        config = {**self.config.decisive(), "name": self.config.name}
        return CardFacts(
            name=self.config.name,
            base=self.config.base,
            data=data,
            metrics=card_metrics(run_state, section),
            config=config,
            progress=progress,
        )
