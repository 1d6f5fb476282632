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
from evaluate.report.html import (
    Axis,
    Html,
    Line,
    Page,
    Section,
    facts_table,
    folded,
    joined,
    line_chart,
    number,
    paragraph,
    table,
    tag,
)
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

RUN: Final = "trainer_state/run.json"
LOG: Final = "trainer_state/log.jsonl"
TRAINING: Final = "xtrove_training.json"
_MAX_BYTES: Final = 4 << 20
_HIDDEN: Final = frozenset({"output", "data.cache.folder"})
_ROWS: Final = 30
_LANGUAGES: Final = 40
_SMOOTHED: Final = 20


class RunError(ValueError):
    """A run that cannot be read."""


def training_page(root: Path) -> Page:
    """The report on the run or model in a folder. Raises `RunError`."""
    run, card = _object(root / RUN), _object(root / TRAINING)
    if run is None and card is None:
        raise RunError(
            f"{root} holds neither {RUN} nor {TRAINING}: it is no output of xtrove train"
        )
    run, card = run or {}, card or {}
    log = _log(root / LOG)
    parts: list[tuple[str, str, Html]] = []
    if log is None:
        words = f"No curves: {LOG} is not here; it stays with the output of the run."
        parts.append(("curves", "Curves", paragraph(words)))
    else:
        parts += [
            ("loss", "Loss", _loss(log)),
            ("validation", "Validation", _validation(log, card)),
            ("objective", "What the loss saw", _objective(log)),
            ("speed", "Speed", _speed(log)),
        ]
    parts.append(("config", "Config and data", _config(run, card)))
    return Page(
        kind="Training run",
        title=str(run.get("name") or card.get("name") or root.name),
        facts=_facts(run, card, log),
        sections=[Section(id=id_, title=title, body=body) for id_, title, body in parts],
    )


def _object(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file, None where there is no file. Raises `RunError`."""
    if not path.exists():
        return None
    data = read_capped(str(path), _MAX_BYTES)
    if data is None:
        raise RunError(f"{path} is no regular file of at most {_MAX_BYTES:,} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} holds a {type(value).__name__}, should hold an object")
    return value


def _log(path: Path) -> TrainingLog | None:
    if path.is_symlink() or not path.is_file():
        return None
    try:
        return read_training_log(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _part(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, dict) else {}


def _facts(
    run: Mapping[str, Any], card: Mapping[str, Any], log: TrainingLog | None
) -> list[tuple[str, str]]:
    made = []
    if run:
        made.append(("state", "finished" if run.get("finished") is True else "not finished"))
    if log is not None and len(log):
        made.append(("steps", f"{len(log):,}"))
        made.append(("pairs seen", number(log.total("pairs"))))
        made.append(("time in steps", _spent(log.total("seconds"))))
        made.append(("last loss", number(log.columns["loss"][-1])))
    for name, value in _part(card, "metrics").items():
        if name in ("P@1", "MRR") and isinstance(value, int | float):
            made.append((f"best {name}", number(value, percent=True)))
    return made


def _spent(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _x() -> Axis:
    return Axis(name="step", least=0)


def _loss(log: TrainingLog) -> Html:
    if not len(log):
        return paragraph("No step has been logged yet.")
    line = curve(log, "loss", "loss")
    note = "Mean of each stretch of steps, within the least and the most of it" if line.low else ""
    lines = [line]
    if len(line.ys) >= _SMOOTHED:
        lines.append(trailing(line, "mean of the last tenth of the points"))
    rows = [
        (name or "(mixed)", f"{steps:,}", number(total / steps))
        for name, (steps, total) in sorted(
            log.languages.items(), key=lambda item: (-item[1][0], item[0])
        )[:_LANGUAGES]
    ]
    parts = [line_chart("Loss of each step", note, lines, _x(), Axis(name="loss", least=0))]
    if len(rows) > 1:
        parts.append(
            table("Loss by language, over the whole run", ("language", "steps", "mean loss"), rows)
        )
    if log.broken:
        parts.append(paragraph(f"{log.broken:,} lines of the log could not be read.", quiet=True))
    return joined(parts)


def _validation(log: TrainingLog, card: Mapping[str, Any]) -> Html:
    curves = measures(log)
    if not log.validations:
        return paragraph("No validation has been logged.")
    shares = [name for name, line in curves.items() if name != "empty_positives" and _share(line)]
    known = [name for name in SHOWN if name in shares]
    drawn = [curves[name] for name in known or shares]
    parts = [
        line_chart(
            "Measures on the validation split", "", drawn, _x(),
            Axis(name="measure", least=0, most=1, percent=True),
        )
    ]  # fmt: skip
    if metrics := _part(card, "metrics"):
        best = {
            name: number(value, percent=True)
            for name, value in list(metrics.items())[:_ROWS]
            if isinstance(value, int | float)
        }
        parts.append(facts_table("The model that was kept", best))
    names = list(curves)
    rows = [
        (number(row["step"] + 1), *(number(row.get(name, float("nan"))) for name in names))
        for row in log.validations[-_ROWS:]
    ]
    title = f"Validations: the last {len(rows)} of {len(log.validations):,}"
    parts.append(folded(title, table(title, ("steps done", *names), rows, words=())))
    return joined(parts)


def _share(line: Line) -> bool:
    return all(0 <= value <= 1 for value in line.ys)


def _objective(log: TrainingLog) -> Html:
    charts = (
        ("lr", "Learning rate", "", Axis(name="learning rate", least=0)),
        ("temperature", "Temperature", "What scores are divided by", Axis(name="temperature")),
        (
            "empty_positives",
            "Empty positives",
            "Share of the questions none of whose tokens retrieved a token of its answer",
            Axis(name="share", least=0, percent=True),
        ),
        ("gradient_norm", "Gradient norm", "Before clipping", Axis(name="norm", least=0)),
        (
            "mean_z",
            "Query tokens that found their answer",
            "Share of a question's tokens that retrieved a token of its answer",
            Axis(name="share", least=0, percent=True),
        ),
    )
    made = [
        line_chart(title, note, [curve(log, name, title.lower())], _x(), axis)
        for name, title, note, axis in charts
        if log.has(name)
    ]
    if not made:
        return paragraph("Nothing has been logged yet.")
    return tag("div", *made, class_="pair")


def _speed(log: TrainingLog) -> Html:
    if not log.has("seconds"):
        return paragraph("Nothing has been logged yet.")
    seconds, tokens = log.total("seconds"), log.total("tokens")
    padded = log.total("padded_tokens")
    facts = {
        "tokens a second": number(round(tokens / seconds)) if seconds else "-",
        "pairs a second": number(round(log.total("pairs") / seconds, 2)) if seconds else "-",
        "padding": number(1 - tokens / padded, percent=True) if padded else "-",
        "waited for the loader": number(log.total("waited") / seconds, percent=True)
        if seconds
        else "-",
        "peak memory, MB": number(round(max(log.columns["peak_bytes"]) / 1e6)),
        **{f"{name}s": f"{count:,}" for name, count in sorted(log.events.items())},
    }
    charts = [
        line_chart(
            "Tokens a second", "Real tokens, padding left out",
            [rate(log, "tokens", "tokens a second")], _x(), Axis(name="tokens a second", least=0),
        ),
        line_chart(
            "Seconds a step", "", [curve(log, "seconds", "seconds")], _x(),
            Axis(name="seconds", least=0),
        ),
    ]  # fmt: skip
    return joined([tag("div", *charts, class_="pair"), facts_table("Over the whole run", facts)])


def _config(run: Mapping[str, Any], card: Mapping[str, Any]) -> Html:
    data = dict(_part(card, "data"))
    if run.get("dataset"):
        data.setdefault("reader_digest", run["dataset"])
    config = _part(run, "config") or _part(card, "config")
    others = {
        "base": shown(card.get("base") or config.get("base")),
        "torch": shown(run.get("torch")),
        **flattened({"progress": _part(card, "progress")}),
    }
    return joined(
        [
            facts_table("Fingerprint of the training data", flattened(data)),
            facts_table("Beside it", others),
            folded(
                "The whole config",
                facts_table("Config", flattened(config, without=_HIDDEN)),
                opened=True,
            ),
        ]
    )
