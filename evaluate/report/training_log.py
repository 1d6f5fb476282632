"""The log of a training run as columns of numbers, for a report.

Method: `log.jsonl` is read line by line; a step adds one number to each column, a validation a
row. A curve of many steps becomes buckets of equal numbers of steps: mean, least and most. A
broken line (a kill leaves one) is counted and left out. Cost: 4 us a line. Memory: 100 bytes a
step. Limits: lines of 1 MiB, `MOST_VALIDATIONS` validations of 30 measures.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluate.report.charts import Line
from train.run import MAX_LINE_BYTES

BUCKETS: Final = 200
MOST_VALIDATIONS: Final = 10_000
COLUMNS: Final = (
    *("step", "loss", "lr", "temperature", "empty_positives", "gradient_norm", "tokens"),
    *("padded_tokens", "pairs", "seconds", "waited", "peak_bytes", "mean_z", "k"),
)
_NAN: Final = float("nan")
_NOT_MEASURES: Final = frozenset({"time", "event", "step", "seconds"})
_NAMES: Final = 200
_MEASURES: Final = 30
_NAME: Final = 60


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
        return bool(np.isfinite(self.columns[name]).any())

    def total(self, name: str) -> float:
        """The sum over all steps that have a number."""
        return math.fsum(filter(math.isfinite, self.columns[name]))


def read_training_log(path: Path) -> TrainingLog:
    """Reads a log; `OSError` where there is none."""
    log = TrainingLog()
    with path.open("rb") as lines:
        while line := lines.readline(MAX_LINE_BYTES):
            try:
                _add(log, json.loads(line))
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                log.broken += 1
    return log


def _add(log: TrainingLog, row: Mapping[str, Any]) -> None:
    event, step = str(row["event"])[:_NAME], float(row["step"])
    if event == "step":
        values = {name: _number(row.get(name)) for name in COLUMNS}
        for name, value in values.items():
            log.columns[name].append(value)
        language, loss = str(row.get("language", ""))[:_NAME], values["loss"]
        if language in log.languages or len(log.languages) < _NAMES:
            steps, total = log.languages.get(language, (0, 0.0))
            log.languages[language] = (steps + 1, total + (loss if math.isfinite(loss) else 0.0))
    elif event == "validation":
        if len(log.validations) < MOST_VALIDATIONS:
            fields = [(name[:_NAME], row[name]) for name in row if name not in _NOT_MEASURES]
            measures = {name: _number(value) for name, value in fields[:_MEASURES]}
            log.validations.append({"step": step, **measures})
    elif len(log.events) < _NAMES:
        log.events[event] = log.events.get(event, 0) + 1


def _number(value: object) -> float:
    """The number, or nan for a value of another type."""
    return float(value) if isinstance(value, int | float) and value is not True else _NAN


def curve(log: TrainingLog, column: str, name: str) -> Line:
    """A column over the steps; from `BUCKETS` steps on, the mean of each bucket in its bounds."""
    return bucketed(log.columns["step"], log.columns[column], name)


def bucketed(xs: Sequence[float], ys: Sequence[float], name: str) -> Line:
    """Points as they are, or the mean, least and most of each of `BUCKETS` runs of them."""
    x_values, y_values = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
    finite = np.isfinite(y_values)
    x_values, y_values = x_values[finite], y_values[finite]
    if len(x_values) <= BUCKETS:
        return Line(name=name, xs=x_values.tolist(), ys=y_values.tolist())
    size = math.ceil(len(x_values) / BUCKETS)
    buckets = [y_values[start : start + size] for start in range(0, len(y_values), size)]
    return Line(
        name=name,
        xs=[*x_values[size - 1 : -1 : size].tolist(), float(x_values[-1])],
        ys=[float(bucket.mean()) for bucket in buckets],
        low=[float(bucket.min()) for bucket in buckets],
        high=[float(bucket.max()) for bucket in buckets],
    )


def trailing(line: Line, name: str) -> Line:
    """The mean of each point and those before it, a tenth of all: the trend without the noise."""
    width = max(2, len(line.ys) // 10)
    sums = np.concatenate([[0.0], np.cumsum(line.ys)])
    last = np.arange(1, len(sums))
    first = np.maximum(0, last - width)
    return Line(name=name, xs=line.xs, ys=((sums[last] - sums[first]) / (last - first)).tolist())


def rate(log: TrainingLog, column: str, name: str) -> Line:
    """A column a second: sums over buckets, so that slow steps count as long as they took."""
    size = max(1, math.ceil(len(log) / BUCKETS))
    starts = range(0, len(log), size)
    amounts, seconds = (
        np.array([math.fsum(log.columns[key][start : start + size]) for start in starts])
        for key in (column, "seconds")
    )
    steps = [log.columns["step"][min(start + size, len(log)) - 1] for start in starts]
    # A bucket without a duration has no rate: the chart leaves out what is not finite.
    with np.errstate(divide="ignore", invalid="ignore"):
        return Line(name=name, xs=steps, ys=np.where(seconds > 0, amounts / seconds, _NAN).tolist())


def measures(log: TrainingLog) -> dict[str, Line]:
    """The curve of each measure of the validations, in the order they were first seen."""
    names = list(dict.fromkeys(name for row in log.validations for name in row if name != "step"))
    curves: dict[str, Line] = {}
    for name in names[:_MEASURES]:
        rows = [row for row in log.validations if math.isfinite(row.get(name, _NAN))]
        curves[name] = Line(
            name=name,
            # The start is measured before step 0.
            xs=[max(0.0, row["step"]) for row in rows],
            ys=[row[name] for row in rows],
            dots=len(rows) <= BUCKETS,
        )
    return curves
