"""Which checkpoint of a run is the best, and what the run has done to each kind of question.

With `validation.sets` the start is measured too, and may be the best: a run that harms leaves what
it began with. Measures are named `MRR` (held-out docstrings), `NAME MRR` (a set), `mean MRR`.
Cost: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from train.config import TrainConfig, ValidationSection
from train.run.state import RunState


def best_of(config: TrainConfig) -> str:
    """What the best value is a value of: others cannot be compared with it."""
    section = config.validation
    held_out = f"{section.metric} of {section.queries} questions in a pool of {section.pool}"
    sets = (
        f"{part.name} ({', '.join(filter(None, (part.kind, part.split, part.language)))}: "
        f"{part.queries} in {part.documents})"
        for part in section.sets
    )
    return ", ".join((held_out, *sets))


def compared_measures(section: ValidationSection) -> list[str]:
    """The measures that are compared with those of the start; none without sets."""
    if not section.sets:
        return []
    sets = (f"{part.name} {section.metric}" for part in section.sets)
    return [section.metric, *sets, section.best_by]


def differences_from_start(
    measures: Mapping[str, float], start: Mapping[str, float] | None, section: ValidationSection
) -> list[str]:
    """A sentence of all compared measures, and one of those that fell below the start."""
    if start is None:
        return []
    changes = {name: measures[name] - start[name] for name in compared_measures(section)}
    lines = [f"against the start: {_shown(changes)}"]
    fallen = {name: change for name, change in changes.items() if change < 0}
    if fallen:
        lines.append(f"WORSE than the start: {_shown(fallen)}")
    return lines


def card_metrics(run_state: RunState, section: ValidationSection) -> dict[str, float]:
    """The last measures, and what the compared ones were at the start."""
    metrics = dict(run_state.metrics or {})
    start = run_state.start_metrics
    if start is not None:
        metrics |= {f"{name} at the start": start[name] for name in compared_measures(section)}
    return metrics


def _shown(changes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {change:+.4f}" for name, change in changes.items())
