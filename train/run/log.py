"""What a run writes down: JSON lines, TensorBoard, and the speed of the last steps.

`log.jsonl` has a line a step with the loss as a hexadecimal float too, so that two runs can be
compared bit by bit, and a line for every validation, checkpoint and stop. After a kill the lines
beyond the checkpoint that is gone on from are cut off: every step stands once.

    MFU = 3 x forward FLOPs of the real tokens / (seconds x peak FLOP/s of all processes)
    forward FLOPs of a token = 2 x parameters outside the embeddings
                               + 4 x hidden x (sum over the layers of the tokens it attends to)

Padding and GradCache's second forward are not counted as work done.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from xtrove.core import staged

SPEED_STEPS: Final = 20
MAX_LINE_BYTES: Final = 1 << 20
BEFORE_FIRST: Final = -1
"""The step of a validation before the first step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFacts:
    """One step of all processes together."""

    step: int
    """From 0."""
    epoch: int
    batch: int
    language: str
    pairs: int
    tokens: int
    """Real tokens of both sides."""
    padded_tokens: int
    flops: float
    """3 x forward of the real tokens."""
    loss: float
    lr: float
    gradient_norm: float
    seconds: float
    waited: float
    """Of `seconds`, for the loader."""
    peak_bytes: int
    loss_facts: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """The JSON line."""
        facts: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("step", "epoch", "batch", "language", "pairs", "tokens", "padded_tokens")
        }
        facts |= {"loss": self.loss, "loss_hex": self.loss.hex(), "lr": self.lr}
        facts |= {
            "gradient_norm": self.gradient_norm,
            "seconds": round(self.seconds, 4),
            "waited": round(self.waited, 4),
            "peak_bytes": self.peak_bytes,
        }
        return facts | dict(self.loss_facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Of the last steps together."""

    pairs_per_second: float
    tokens_per_second: float
    padding: float
    """Share of the tokens in mini-batches that are padding."""
    mfu: float
    waited: float
    """Share of the time that the loader was waited for."""
    seconds_per_step: float


class Meter:
    """Keeps the last steps; the first one, with its warm-up, is left out once there are others."""

    def __init__(self, peak_flops: float) -> None:
        self._peak = peak_flops
        self._steps: deque[StepFacts] = deque(maxlen=SPEED_STEPS)
        self._first = True

    def add(self, facts: StepFacts) -> Speed:
        """The speed with this step in it."""
        if self._first and self._steps:
            self._steps.clear()
            self._first = False
        self._steps.append(facts)
        return self.speed()

    def speed(self) -> Speed:
        """The speed so far."""
        seconds = max(sum(facts.seconds for facts in self._steps), 1e-9)
        tokens = sum(facts.tokens for facts in self._steps)
        padded = sum(facts.padded_tokens for facts in self._steps)
        return Speed(
            pairs_per_second=sum(facts.pairs for facts in self._steps) / seconds,
            tokens_per_second=tokens / seconds,
            padding=1 - tokens / padded if padded else 0.0,
            mfu=sum(facts.flops for facts in self._steps) / seconds / self._peak,
            waited=sum(facts.waited for facts in self._steps) / seconds,
            seconds_per_step=seconds / max(1, len(self._steps)),
        )


class Watch(Protocol):
    """Receives the events of a run (the display of `xtrove train`)."""

    def step(self, facts: StepFacts, speed: Speed, total: int) -> None:
        """A step has ended."""

    def say(self, message: str) -> None:
        """Something people should know."""


class SilentWatch:
    """Ignores every event."""

    def step(self, facts: StepFacts, speed: Speed, total: int) -> None:
        """Nothing."""

    def say(self, message: str) -> None:
        """Nothing."""


class RunLog:
    """`log.jsonl` and TensorBoard of one run; only the first process has one."""

    def __init__(self, folder: Path, *, tensorboard: bool, every: int) -> None:
        self.path = folder / "log.jsonl"
        self._folder = folder
        self._every = every
        self._wanted = tensorboard
        self._board: Any = None

    def open(self, step: int) -> None:
        """Goes on at a step: lines of later ones are cut off, at the first one all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            cut_from(self.path, step or BEFORE_FIRST)
        if self._wanted:
            from torch.utils.tensorboard import SummaryWriter

            # Events of later steps are hidden by the viewer: purge_step says from where.
            self._board = SummaryWriter(str(self._folder / "tensorboard"), purge_step=step)

    def close(self) -> None:
        """Flushes TensorBoard."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def step(self, facts: StepFacts, speed: Speed) -> None:
        """A step of the run."""
        self._line({"event": "step", **facts.row()})
        if self._board is None or facts.step % self._every:
            return
        shown = {
            "train/loss": facts.loss,
            "train/lr": facts.lr,
            "train/gradient_norm": facts.gradient_norm,
            "speed/pairs_per_second": speed.pairs_per_second,
            "speed/tokens_per_second": speed.tokens_per_second,
            "speed/padding": speed.padding,
            "speed/mfu": speed.mfu,
            "speed/waited": speed.waited,
            "memory/peak_bytes": facts.peak_bytes,
        } | {f"loss/{name}": value for name, value in facts.loss_facts.items()}
        for name, value in shown.items():
            self._board.add_scalar(name, value, facts.step)

    def validation(self, step: int, measures: Mapping[str, float], seconds: float) -> None:
        """The validation after a step, or `BEFORE_FIRST`."""
        facts = {name: float(value) for name, value in measures.items()}
        self._line({"event": "validation", "step": step, "seconds": round(seconds, 3), **facts})
        if self._board is not None:
            for name, value in facts.items():
                self._board.add_scalar(f"validation/{name}", value, step)

    def event(self, event: str, step: int, **facts: object) -> None:
        """Anything else that happened at a step."""
        self._line({"event": event, "step": step, **facts})

    def _line(self, facts: Mapping[str, object]) -> None:
        row = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts}
        # One write of a whole line: a kill leaves at most one broken line, at the end.
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def cut_from(path: Path, step: int) -> None:
    """Drops the lines of a log from `step` on, and a broken last line."""
    with path.open("rb") as lines, staged(path.parent, path.name, path.parent) as kept:
        while line := lines.readline(MAX_LINE_BYTES):
            try:
                if int(json.loads(line)["step"]) >= step:
                    continue
            except (ValueError, KeyError, TypeError):
                continue
            kept.write(line)
        kept.commit()
