"""The report on an evaluation: how well each system finds, how sure that is, and where it fails.

Method: everything comes from `result.json`; no number is computed anew but counts of ranks. The
first system is what was asked for: its worst questions are shown, the others stand beside it.
Cost: 0.1 s for 1,000 questions. Limits: `charts.SERIES` systems in the curves, `SYSTEMS` in
tables, `WORST` questions, `GROUPS` groups of a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from evaluate.measure import FILE, SHOWN, Estimate, Evaluation, SystemResult, load_result
from evaluate.report.charts import SERIES, Axis, Bar, Line, count_bars, line_chart, number
from evaluate.report.page import Page, Report, Request
from evaluate.report.settings import flattened
from evaluate.report.training import is_run

SYSTEMS: Final = 20
WORST: Final = 40
GROUPS: Final = 25
_KINDS: Final = 6
_BESIDE: Final = 3
_SEEN: Final = 4
_ANSWERS: Final = 3
_NAME: Final = 80
_RANKS: Final = (
    ("first", 1, 1), ("2 to 5", 2, 5), ("6 to 10", 6, 10), ("11 to 100", 11, 100),
    ("later", 101, 1 << 62), ("not found", 0, 0),
)  # fmt: skip
_SECTIONS: Final = {
    "systems": "Systems",
    "recall": "Recall",
    "ranks": "Ranks",
    "groups": "Groups",
    "seen": "Seen in training",
    "worst": "Worst questions",
    "about": "About this evaluation",
}


def _matches(path: Path) -> bool:
    return path.is_file() or (path / FILE).is_file() and not is_run(path)


def evaluation_page(path: Path, request: Request) -> Page:
    """The report on a result or the folder of one. Raises `Misuse`."""
    return result_page(load_result(path))


def result_page(result: Evaluation) -> Page:
    """The report; a result without a system has nothing but its facts."""
    systems = [
        system.model_copy(update={"name": system.name[:_NAME]})
        for system in result.systems[:SYSTEMS]
    ]
    content = _about(result)
    sections = _SECTIONS if systems else {"about": _SECTIONS["about"]}
    if systems:
        content |= {
            "systems": systems,
            "by_repository": result.by_repository,
            **_measures(systems),
            "recall_chart": _recall(systems),
            **_ranks(systems),
            "groups": _groups(systems),
            **_seen(systems),
            **_worst(result, systems),
        }
    return Page(
        kind=REPORT.kind,
        template="evaluation.html.j2",
        title=result.name,
        cards=_cards(result),
        sections=sections,
        content=content,
    )


def _cards(result: Evaluation) -> list[tuple[str, str]]:
    cards = [
        ("questions", f"{len(result.queries):,}"),
        ("documents", f"{result.documents:,}"),
        ("systems", f"{len(result.systems):,}"),
    ]
    for system in result.systems[:1]:
        cards += [
            (f"{name} of {system.name}"[:60], number(round(metric.value, 4), percent=True))
            for name, metric in list(system.metrics.items())[:2]
        ]
    return cards


def interval(estimate: Estimate) -> str:
    """ "91.2 (88.0 to 93.9)", in percent."""
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def _measures(systems: Sequence[SystemResult]) -> dict[str, Any]:
    """Bars of the first two measures, tables of all, of the comparisons and of the speed."""
    metrics = systems[0].metrics
    names = [name for name in SHOWN if name in metrics] or list(metrics)[: len(SHOWN)]
    return {
        "measure_bars": [
            (name, [_bar(system.name, system.metrics[name], series)
                    for series, system in enumerate(systems) if name in system.metrics])
            for name in names[:2]
        ],
        "measure_names": names,
        "measure_rows": [
            (system.name, *(interval(system.metrics[name]) if name in system.metrics else "-"
                            for name in names))
            for system in systems
        ],
        "comparison_rows": [
            (
                system.name,
                f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})",
                f"{gain.p:.3g}", f"{gain.won:,}", f"{gain.lost:,}",
            )
            for system in systems if (gain := system.against) is not None
        ],
        "speed_rows": [_speed(system) for system in systems],
    }  # fmt: skip


def _bar(name: str, estimate: Estimate, series: int, note: str = "") -> Bar:
    return Bar(
        name=name,
        note=note,
        number=f"{100 * estimate.value:.1f}",
        parts=((estimate.value, f"a{series % SERIES}"),),
        interval=(estimate.low, estimate.high),
    )


def _speed(system: SystemResult) -> tuple[str, ...]:
    times = system.times
    return (
        system.name,
        number(round(times.index_seconds, 2)),
        f"{times.index_bytes / 1e6:,.1f}" if times.index_bytes >= 0 else "-",
        number(round(times.queries_per_second, 1)),
        *(number(round(times.latency_ms.get(name, -1.0), 2)) for name in ("p50", "p95", "p99")),
    )


def _recall(systems: Sequence[SystemResult]) -> Any:
    lines = [
        Line(
            name=system.name,
            xs=range(1, len(system.recall_curve) + 1),
            ys=[point.value for point in system.recall_curve],
            low=[point.low for point in system.recall_curve],
            high=[point.high for point in system.recall_curve],
        )
        for system in systems
        if system.recall_curve
    ]
    note = "Share of the relevant documents among the first k, with 95% intervals"
    y = Axis(name="recall", least=0, most=1, percent=True)
    return line_chart("Recall@k", lines, Axis(name="k", least=0), y, note)


def _ranks(systems: Sequence[SystemResult]) -> dict[str, Any]:
    counts = [
        [sum(low <= rank <= high for rank in system.ranks) for _, low, high in _RANKS]
        for system in systems
    ]
    names = [name for name, _, _ in _RANKS]
    return {
        "rank_names": names,
        "rank_bars": count_bars(zip(names, counts[0], strict=True)),
        "rank_rows": [
            (system.name, *(f"{count:,}" for count in row))
            for system, row in zip(systems, counts, strict=True)
        ],
    }


def _groups(systems: Sequence[SystemResult]) -> list[tuple[str, str, list[Bar]]]:
    """(kind, measure, bars): the first systems beside each other in each group of a kind."""
    metrics = systems[0].metrics
    measure = next((name for name in ("MRR", *SHOWN) if name in metrics), next(iter(metrics), ""))
    kinds = list(dict.fromkeys(kind for system in systems for kind in system.groups))[:_KINDS]
    return [(kind[:_NAME], measure, _group_bars(systems, kind, measure)) for kind in kinds]


def _group_bars(systems: Sequence[SystemResult], kind: str, measure: str) -> list[Bar]:
    labels = list(dict.fromkeys(x for system in systems for x in system.groups.get(kind, {})))
    return [
        _bar(label[:100], group.metrics[measure], series,
             f"{system.name}, {group.queries:,} questions")
        for label in labels[:GROUPS]
        for series, system in enumerate(systems[: _BESIDE + 1])
        if (group := system.groups.get(kind, {}).get(label)) and measure in group.metrics
    ]  # fmt: skip


def _seen(systems: Sequence[SystemResult]) -> dict[str, Any]:
    """What of the answers each model was trained on."""
    rows = []
    for system in systems:
        name = next(iter(system.metrics), "")
        for by, seen in list((system.seen or {}).items())[:_SEEN]:
            rows.append(
                (
                    system.name, by, f"{seen.seen_answers:,} of {seen.answers:,}",
                    f"{seen.unseen_queries:,} of {seen.queries:,}", name,
                    interval(system.metrics[name]),
                    interval(seen.unseen[name]) if name in seen.unseen else "-",
                )
            )  # fmt: skip
    unknown = [system.name for system in systems if system.seen is None and system.model]
    return {"seen_rows": rows, "unknown": ", ".join(unknown)}


def worst_places(ranks: Sequence[int]) -> list[int]:
    """Positions of the questions whose first relevant document is not at rank 1, worst first."""
    missed = [row for row, rank in enumerate(ranks) if rank != 1]
    return sorted(missed, key=lambda row: (-(ranks[row] or 1 << 62), row))[:WORST]


def _worst(result: Evaluation, systems: Sequence[SystemResult]) -> dict[str, Any]:
    """The worst questions: ranks of their answers, the first hit, what is relevant."""
    first = systems[0]
    return {
        "missed": sum(rank != 1 for rank in first.ranks),
        "worst": [
            {
                "question": result.queries[row].text,
                "ranks": "; ".join(f"{system.name[:60]}: {_rank(system.ranks[row])}"
                                   for system in systems[: _BESIDE + 1]),
                "top": top.place if (top := first.firsts[row]) is not None else "nothing",
                "relevant": "; ".join(result.queries[row].relevant[:_ANSWERS]),
            }
            for row in worst_places(first.ranks)
        ],
    }  # fmt: skip


def _rank(rank: int) -> str:
    return f"{rank:,}" if rank else "not found"


def _about(result: Evaluation) -> dict[str, Any]:
    copies = sum(query.duplicates > 0 for query in result.queries)
    return {
        "corpus": {
            "corpus_sha256": result.corpus_sha256,
            "ids_sha256": result.ids_sha256,
            "documents a question is searched in, at least": f"{result.pool:,}",
            "questions with a copy of their answer in the pool": f"{copies:,}",
            **flattened(result.facts),
        },
        "settings": flattened(result.settings),
        "versions": flattened(result.versions),
    }


REPORT: Final = Report(
    kind="Evaluation",
    paths=f"a folder with {FILE} (xtrove evaluate --output)",
    matches=_matches,
    build=evaluation_page,
)
