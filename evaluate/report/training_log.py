"""The log of a training run as columns of numbers, for a report.

Method: `log.jsonl` is read line by line; a step adds one number to each column, a validation a
row. A curve of many steps becomes buckets of equal numbers of steps: mean, least and most. A
broken line (a kill leaves one) is counted and left out. Cost: 4 us a line. Memory: 100 bytes a
step. Limits: lines of 1 MiB, `MOST_VALIDATIONS` validations of 30 measures.
"""

from __future__ import annotations

import itertools
import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evaluate.report.html import Line
from train.run import MAX_LINE_BYTES

BUCKETS: Final = 200
MOST_VALIDATIONS: Final = 10_000
COLUMNS: Final = (
    *("step", "loss", "lr", "temperature", "empty_positives", "gradient_norm", "tokens"),
    *("padded_tokens", "pairs", "seconds", "waited", "peak_bytes", "mean_z", "k"),
)
_NAN: Final = float("nan")
_NOT_MEASURES: Final = frozenset({"time", "event", "step", "seconds"})
_LANGUAGES: Final = 200
_MEASURES: Final = 30


@dataclass(kw_only=True, slots=True)
class TrainingLog:
    """What a log says."""

    columns: dict[str, array[float]] = field(
        default_factory=lambda: {name: array("d") for name in COLUMNS}
    )
    """A number a step; nan where a line does not say."""
    validations: list[dict[str, float]] = field(default_factory=list)
    """`step` and the measures of each."""
    languages: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Steps of each language and the sum of their losses."""
    events: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    """Lines that could not be read."""

    def __len__(self) -> int:
        return len(self.columns["step"])

    def has(self, name: str) -> bool:
        """Whether any step has a number there."""
        return any(math.isfinite(value) for value in self.columns[name])

    def total(self, name: str) -> float:
        """The sum over all steps that have a number."""
        return math.fsum(value for value in self.columns[name] if math.isfinite(value))


def read_training_log(path: Path) -> TrainingLog:
    """Reads a log; `OSError` where there is none."""
    made = TrainingLog()
    with path.open("rb") as lines:
        while line := lines.readline(MAX_LINE_BYTES):
            try:
                row = json.loads(line)
                _take(made, row)
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                made.broken += 1
    return made


def _take(log: TrainingLog, row: Mapping[str, Any]) -> None:
    event, step = str(row["event"])[:60], float(row["step"])
    if event == "step":
        values = {name: _number(row.get(name)) for name in COLUMNS}
        for name, value in values.items():
            log.columns[name].append(value)
        _count_language(log, str(row.get("language", ""))[:60], values["loss"])
    elif event == "validation":
        if len(log.validations) < MOST_VALIDATIONS:
            found = [(k[:60], v) for k, v in row.items() if k not in _NOT_MEASURES]
            measures = {name: _number(value) for name, value in found[:_MEASURES]}
            log.validations.append({"step": step, **measures})
    elif len(log.events) < _LANGUAGES:
        log.events[event] = log.events.get(event, 0) + 1


def _count_language(log: TrainingLog, language: str, loss: float) -> None:
    if language in log.languages or len(log.languages) < _LANGUAGES:
        steps, sum_ = log.languages.get(language, (0, 0.0))
        log.languages[language] = (steps + 1, sum_ + (loss if math.isfinite(loss) else 0.0))


def _number(value: object) -> float:
    """The number, or nan for what is none."""
    return float(value) if isinstance(value, int | float) and value is not True else _NAN


def curve(log: TrainingLog, name: str, shown: str) -> Line:
    """A column over the steps; from `BUCKETS` steps on, the mean of each bucket in its bounds."""
    return bucketed(log.columns["step"], log.columns[name], shown)


def bucketed(xs: Sequence[float], ys: Sequence[float], name: str) -> Line:
    """Points as they are, or the mean, least and most of each of `BUCKETS` runs of them."""
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
    if len(points) <= BUCKETS:
        return Line(name=name, xs=[x for x, _ in points], ys=[y for _, y in points])
    size = math.ceil(len(points) / BUCKETS)
    parts = [points[at : at + size] for at in range(0, len(points), size)]
    sides = [[y for _, y in part] for part in parts]
    return Line(
        name=name,
        xs=[part[-1][0] for part in parts],
        ys=[math.fsum(side) / len(side) for side in sides],
        low=[min(side) for side in sides],
        high=[max(side) for side in sides],
    )


def trailing(line: Line, name: str) -> Line:
    """The mean of each point and those before it, a tenth of all: what the noise hides."""
    width = max(2, len(line.ys) // 10)
    sums = [0.0, *itertools.accumulate(line.ys)]
    ys = [(sums[n] - sums[m]) / (n - m) for n in range(1, len(sums)) for m in [max(0, n - width)]]
    return Line(name=name, xs=line.xs, ys=ys)


def rate(log: TrainingLog, name: str, shown: str) -> Line:
    """A column a second: sums over buckets, so that slow steps count as long as they took."""
    steps, amounts, seconds = (log.columns[one] for one in ("step", name, "seconds"))
    size = max(1, math.ceil(len(log) / BUCKETS))
    xs, ys = [], []
    for at in range(0, len(log), size):
        spent = math.fsum(seconds[at : at + size])
        done = math.fsum(amounts[at : at + size])
        if spent > 0 and math.isfinite(spent) and math.isfinite(done):
            xs.append(steps[min(at + size, len(log)) - 1])
            ys.append(done / spent)
    return Line(name=shown, xs=xs, ys=ys)


def measures(log: TrainingLog) -> dict[str, Line]:
    """The curve of each measure of the validations, in the order they were first seen."""
    names = list(dict.fromkeys(name for row in log.validations for name in row if name != "step"))
    del names[_MEASURES:]
    made: dict[str, Line] = {}
    for name in names:
        rows = [row for row in log.validations if math.isfinite(row.get(name, _NAN))]
        made[name] = Line(
            name=name,
            xs=[row["step"] for row in rows],
            ys=[row[name] for row in rows],
            dots=len(rows) <= BUCKETS,
        )
    return made
