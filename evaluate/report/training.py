"""The report on a training run: its curves, what it was trained on, how well and how fast.

Method: reads `trainer_state/run.json` and `log.jsonl` of a run, `xtrove_training.json` of a model;
a model that was moved away from its run has no curves, and the page says so. Nothing is loaded
but these files. Cost: 0.1 s, and 4 us a step. Limits: 4 MiB for the JSON files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from evaluate.measure import SHOWN
from evaluate.report.charts import Axis, Chart, Line, line_chart, number
from evaluate.report.page import Page, Report, Request
from evaluate.report.settings import flattened, shown
from evaluate.report.training_log import (
    TrainingLog,
    curve,
    measures,
    rate,
    read_training_log,
    trailing,
)
from ingest.files import read_capped
from xtrove.core import XtroveError

RUN: Final = "trainer_state/run.json"
LOG: Final = "trainer_state/log.jsonl"
TRAINING: Final = "xtrove_training.json"
_MAX_BYTES: Final = 4 << 20
_HIDDEN: Final = frozenset({"output", "data.cache.folder"})
_ROWS: Final = 30
_LANGUAGES: Final = 40
_SMOOTHED: Final = 20
_STEP: Final = Axis(name="step", least=0)
_OBJECTIVE: Final = (
    ("lr", "Learning rate", "", Axis(name="learning rate", least=0)),
    ("temperature", "Temperature", "Scores are divided by it", Axis(name="temperature")),
    ("empty_positives", "Empty positives", "Share of the questions none of whose tokens retrieved "
     "a token of its answer", Axis(name="share", least=0, percent=True)),
    ("gradient_norm", "Gradient norm", "Before clipping", Axis(name="norm", least=0)),
    ("mean_z", "Query tokens that found their answer", "Share of a question's tokens that "
     "retrieved a token of its answer", Axis(name="share", least=0, percent=True)),
)  # fmt: skip


def is_run(path: Path) -> bool:
    """Whether a folder is the output of a run or a model."""
    return (path / RUN).is_file() or (path / TRAINING).is_file()


def training_page(root: Path, request: Request) -> Page:
    """The report on the run or model in a folder. Raises `XtroveError`."""
    run, card = _object(root / RUN), _object(root / TRAINING)
    if run is None and card is None:
        raise XtroveError(
            f"{root} holds neither {RUN} nor {TRAINING}: it is not an output of xtrove train"
        )
    run, card = run or {}, card or {}
    log = _log(root / LOG)
    curves = {
        "loss": "Loss",
        "validation": "Validation",
        "objective": "What the loss saw",
        "speed": "Speed",
    }
    content = {} if log is None else {**_loss(log), **_validation(log, card), **_charts(log)}
    return Page(
        kind=REPORT.kind,
        template="training.html.j2",
        title=str(run.get("name") or card.get("name") or root.name),
        cards=_cards(run, card, log),
        sections={**({"curves": "Curves"} if log is None else curves), "config": "Config and data"},
        content={"log_file": LOG, **content, **_config(run, card)},
    )


def _object(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file, None where there is no file. Raises `XtroveError`."""
    if not path.exists():
        return None
    data = read_capped(str(path), _MAX_BYTES)
    if data is None:
        raise XtroveError(f"{path} is not a regular file of at most {_MAX_BYTES:,} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise XtroveError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise XtroveError(f"{path} holds a {type(value).__name__}, should hold an object")
    return value


def _log(path: Path) -> TrainingLog | None:
    if path.is_symlink() or not path.is_file():
        return None
    try:
        return read_training_log(path)
    except OSError as error:
        raise XtroveError(f"{path} cannot be read: {error}") from error


def _part(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, dict) else {}


def _numbers(card: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of the model that was kept."""
    metrics = list(_part(card, "metrics").items())[:_ROWS]
    return {name: value for name, value in metrics if isinstance(value, int | float)}


def _cards(
    run: Mapping[str, Any], card: Mapping[str, Any], log: TrainingLog | None
) -> list[tuple[str, str]]:
    cards = []
    if run:
        cards.append(("state", "finished" if run.get("finished") is True else "not finished"))
    if log is not None and len(log):
        cards += [
            ("steps", f"{len(log):,}"),
            ("pairs seen", number(log.total("pairs"))),
            ("time in steps", _duration(log.total("seconds"))),
            ("last loss", number(log.columns["loss"][-1])),
        ]
    best = _numbers(card)
    return cards + [
        (f"best {name}", number(best[name], percent=True))
        for name in ("P@1", "MRR", "mean P@1", "mean MRR")
        if name in best
    ]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _loss(log: TrainingLog) -> dict[str, Any]:
    line = curve(log, "loss", "loss")
    note = "Mean of each stretch of steps, within the least and the most of it" if line.low else ""
    lines = [line]
    if len(line.ys) >= _SMOOTHED:
        lines.append(trailing(line, "mean of the last tenth of the points"))
    languages = sorted(log.languages.items(), key=lambda item: (-item[1][0], item[0]))
    return {
        "log": log,
        "loss_chart": line_chart(
            "Loss of each step", lines, _STEP, Axis(name="loss", least=0), note
        ),
        "language_rows": [
            (name or "(mixed)", f"{steps:,}", number(total / steps))
            for name, (steps, total) in languages[:_LANGUAGES]
        ],
    }


def _validation(log: TrainingLog, card: Mapping[str, Any]) -> dict[str, Any]:
    curves = measures(log)
    shares = [name for name in curves if name != "empty_positives" and _is_share(curves[name])]
    drawn = [name for name in SHOWN if name in shares]
    drawn += [name for name in shares if name.endswith(" MRR") or name.startswith("mean ")]
    drawn = drawn or shares
    axis = Axis(name="measure", least=0, most=1, percent=True)
    rows = [
        (number(row["step"] + 1), *(number(row.get(name, float("nan"))) for name in curves))
        for row in log.validations[-_ROWS:]
    ]
    return {
        "validation_chart": line_chart(
            "Measures of the validations", [curves[name] for name in drawn], _STEP, axis
        ),
        "best": {name: number(value, percent=True) for name, value in _numbers(card).items()},
        "validation_header": ["steps done", *curves],
        "validation_rows": rows,
    }


def _is_share(line: Line) -> bool:
    return all(0 <= value <= 1 for value in line.ys)


def _charts(log: TrainingLog) -> dict[str, Any]:
    """Charts of the objective, charts and totals of the speed."""
    seconds, tokens, padded = (log.total(key) for key in ("seconds", "tokens", "padded_tokens"))
    totals = {
        "tokens a second": number(round(tokens / seconds)) if seconds else "-",
        "pairs a second": number(round(log.total("pairs") / seconds, 2)) if seconds else "-",
        "padding": number(1 - tokens / padded, percent=True) if padded else "-",
        "waited for the loader": number(log.total("waited") / seconds, True) if seconds else "-",
        "peak memory, MB": number(round(max(log.columns["peak_bytes"], default=0) / 1e6)),
        **{f"{name}s": f"{count:,}" for name, count in sorted(log.events.items())},
    }

    def chart(title: str, line: Line, axis: Axis, note: str = "") -> Chart:
        return line_chart(title, [line], _STEP, axis, note)

    return {
        "objective_charts": [
            chart(title, curve(log, column, title.lower()), axis, note)
            for column, title, note, axis in _OBJECTIVE
            if log.has(column)
        ],
        "speed_charts": [
            chart("Tokens a second", rate(log, "tokens", "tokens a second"),
                  Axis(name="tokens a second", least=0), "Real tokens, padding left out"),
            chart("Seconds a step", curve(log, "seconds", "seconds"),
                  Axis(name="seconds", least=0)),
        ],
        "totals": totals if log.has("seconds") else {},
    }  # fmt: skip


def _config(run: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(_part(card, "data"))
    if run.get("dataset"):
        data.setdefault("reader_digest", run["dataset"])
    config = _part(run, "config") or _part(card, "config")
    return {
        "data": flattened(data),
        "others": {
            "base": shown(card.get("base") or config.get("base")),
            "torch": shown(run.get("torch")),
            **flattened({"progress": _part(card, "progress")}),
        },
        "config": flattened(config, without=_HIDDEN),
    }


REPORT: Final = Report(
    kind="Training run",
    paths=f"a folder with {RUN} or {TRAINING} (xtrove train)",
    matches=is_run,
    build=training_page,
)
