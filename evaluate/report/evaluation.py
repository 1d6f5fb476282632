"""The report on an evaluation: how well each system finds, how sure that is, and where it fails.

Method: everything comes from `result.json`; no number is computed anew but counts of ranks. The
first system is what was asked for: its worst questions are shown, the others stand beside it.
Cost: 0.1 s for 1,000 questions. Limits: `report_style.SERIES` systems in the curves, `SYSTEMS` in
tables, `WORST` questions, `GROUPS` groups of a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from evaluate.measure import SHOWN, Estimate, Evaluation, SystemResult
from evaluate.report.html import (
    SERIES,
    Axis,
    Bar,
    Html,
    Line,
    Page,
    Section,
    bar_table,
    facts_table,
    folded,
    joined,
    line_chart,
    number,
    paragraph,
    short,
    table,
    tag,
)
from evaluate.report.settings import flattened

SYSTEMS: Final = 20
WORST: Final = 40
GROUPS: Final = 25
_BESIDE: Final = 3
_SEEN: Final = 4
_BARS: Final = 24
_ANSWERS: Final = 3
_NAME: Final = 80
_RANKS: Final = (
    ("first", 1, 1), ("2 to 5", 2, 5), ("6 to 10", 6, 10), ("11 to 100", 11, 100),
    ("later", 101, 1 << 62), ("not found", 0, 0),
)  # fmt: skip


def evaluation_page(result: Evaluation) -> Page:
    """The report; a result without a system has nothing but its facts."""
    systems = [
        one.model_copy(update={"name": one.name[:_NAME]}) for one in result.systems[:SYSTEMS]
    ]
    parts: list[tuple[str, str, Html]] = []
    if systems:
        parts = [
            ("systems", "Systems", _systems(systems)),
            ("recall", "Recall", _recall(systems)),
            ("ranks", "Ranks", _ranks(systems)),
            ("groups", "Groups", _groups(systems)),
            ("seen", "Seen in training", _seen(systems)),
            ("worst", "Worst questions", _worst(result, systems)),
        ]
    parts.append(("about", "About this evaluation", _about(result)))
    return Page(
        kind="Evaluation",
        title=result.name,
        facts=_facts(result),
        sections=[Section(id=id_, title=title, body=body) for id_, title, body in parts],
    )


def _facts(result: Evaluation) -> list[tuple[str, str]]:
    made = [
        ("questions", f"{len(result.queries):,}"),
        ("documents", f"{result.documents:,}"),
        ("systems", f"{len(result.systems):,}"),
    ]
    if result.systems:
        first = result.systems[0]
        made += [
            (f"{name} of {first.name}"[:60], number(round(one.value, 4), percent=True))
            for name, one in list(first.metrics.items())[:2]
        ]
    return made


def interval(one: Estimate) -> str:
    """ "91.2 (88.0 to 93.9)", in percent."""
    return f"{100 * one.value:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f})"


def _names(system: SystemResult) -> list[str]:
    return [name for name in SHOWN if name in system.metrics] or list(system.metrics)[: len(SHOWN)]


def _systems(systems: Sequence[SystemResult]) -> Html:
    names = _names(systems[0])
    rows = [
        (
            one.name,
            *(interval(one.metrics[name]) if name in one.metrics else "-" for name in names),
        )
        for one in systems
    ]
    parts = [
        paragraph("Percent, with the 95% interval of a bootstrap over the questions."),
        *(_bars(name, systems) for name in names[:2]),
        table("Measures", ("system", *names), rows),
    ]
    compared = [one for one in systems if one.against is not None]
    if compared:
        title = f"{systems[0].name} against the others, by MRR, question by question"
        columns = ("against", "gains", "p", "questions won", "lost")
        parts.append(table(title, columns, [_against(one) for one in compared]))
        parts.append(paragraph("A gain whose interval holds 0 may be chance.", quiet=True))
    header = ("system", "index, s", "index, MB", "questions/s", "p50, ms", "p95, ms", "p99, ms")
    parts.append(
        table("Speed on the machine that ran it", header, [_speed(one) for one in systems])
    )
    return joined(parts)


def _bars(name: str, systems: Sequence[SystemResult]) -> Html:
    bars = [
        _bar(one.name, one.metrics[name], place)
        for place, one in enumerate(systems)
        if name in one.metrics
    ]
    return bar_table(f"{name}, %", ("system", "value and interval"), bars, longest=1.0)


def _bar(name: str | Html, one: Estimate, place: int) -> Bar:
    return Bar(
        name=name,
        number=joined(
            [f"{100 * one.value:.1f}", tag("small", f"{100 * one.low:.1f} to {100 * one.high:.1f}")]
        ),
        parts=((one.value, f"a{place % SERIES}"),),
        interval=(one.low, one.high),
    )


def _against(system: SystemResult) -> tuple[str, ...]:
    held = system.against
    if held is None:
        return (system.name,)
    return (
        system.name,
        f"{100 * held.value:+.1f} ({100 * held.low:+.1f} to {100 * held.high:+.1f})",
        f"{held.p:.3g}",
        f"{held.won:,}",
        f"{held.lost:,}",
    )


def _speed(system: SystemResult) -> tuple[str, ...]:
    times = system.times
    size = f"{times.index_bytes / 1e6:,.1f}" if times.index_bytes >= 0 else "-"
    latency = (number(round(times.latency_ms.get(one, -1.0), 2)) for one in ("p50", "p95", "p99"))
    rate = number(round(times.queries_per_second, 1))
    return (system.name, number(round(times.index_seconds, 2)), size, rate, *latency)


def _recall(systems: Sequence[SystemResult]) -> Html:
    drawn = [one for one in systems if one.recall_curve][:SERIES]
    if not drawn:
        return paragraph("The result has no recall curves.")
    lines = [
        Line(
            name=one.name,
            xs=range(1, len(one.recall_curve) + 1),
            ys=[point.value for point in one.recall_curve],
            low=[point.low for point in one.recall_curve],
            high=[point.high for point in one.recall_curve],
        )
        for one in drawn
    ]
    note = "Share of the relevant documents among the first k, with 95% intervals"
    return line_chart(
        "Recall@k", note, lines, Axis(name="k", least=0),
        Axis(name="recall", least=0, most=1, percent=True),
    )  # fmt: skip


def _ranks(systems: Sequence[SystemResult]) -> Html:
    first = systems[0]
    bars = []
    for name, low, high in _RANKS:
        count = sum(low <= rank <= high for rank in first.ranks)
        bars.append(Bar(name=name, number=f"{count:,}", parts=((count, "kept"),)))
    title = f"Where the first relevant document stands: {first.name}"
    rows = [
        (one.name, *(f"{sum(low <= r <= high for r in one.ranks):,}" for _, low, high in _RANKS))
        for one in systems
    ]
    parts = [bar_table(title, ("rank", "questions"), bars)]
    if len(systems) > 1:
        header = ("system", *(name for name, _, _ in _RANKS))
        parts.append(table("Ranks of every system", header, rows))
    return joined(parts)


def _groups(systems: Sequence[SystemResult]) -> Html:
    kinds = list(dict.fromkeys(kind for one in systems for kind in one.groups))
    if not kinds:
        return paragraph("The questions are of one group: one language, one length.")
    note = "Groups of fewer than five questions are left out; the whiskers are 95% intervals."
    return joined([paragraph(note, quiet=True), *(_kind(kind, systems) for kind in kinds[:6])])


def _kind(kind: str, systems: Sequence[SystemResult]) -> Html:
    name = next(
        (one for one in ("MRR", *SHOWN) if one in systems[0].metrics),
        next(iter(systems[0].metrics), ""),
    )
    labels = list(dict.fromkeys(one for system in systems for one in system.groups.get(kind, {})))
    bars = []
    for label in labels[:GROUPS]:
        for place, system in enumerate(systems[: _BESIDE + 1]):
            group = system.groups.get(kind, {}).get(label)
            if group is not None and name in group.metrics:
                small = tag("small", short(f"{system.name}, {group.queries:,} questions", 120))
                bars.append(_bar(joined([short(label, 100), small]), group.metrics[name], place))
    title = f"{name} by {kind[:_NAME]}, %"
    made = bar_table(title, (kind[:_NAME], "value and interval"), bars, longest=1.0)
    return made if len(bars) <= _BARS else folded(title, made)


def _seen(systems: Sequence[SystemResult]) -> Html:
    rows, silent = [], []
    for system in systems:
        if system.seen is None:
            if system.model:
                silent.append(system.name)
            continue
        name = next(iter(system.metrics))
        for by, one in list(system.seen.items())[:_SEEN]:
            unseen = interval(one.unseen[name]) if name in one.unseen else "-"
            rows.append(
                (
                    system.name, by, f"{one.seen_answers:,} of {one.answers:,}",
                    f"{one.unseen_queries:,} of {one.queries:,}", name,
                    interval(system.metrics[name]), unseen,
                )
            )  # fmt: skip
    parts = [paragraph(f"{', '.join(silent)[:300]}: does not say what it was trained on.")]
    if not silent:
        parts = []
    header = ("system", "by", "answers seen", "unseen questions", "measure", "all", "unseen")
    if rows:
        parts.append(table("Answers the model was trained on", header, rows, words=(0, 1, 4)))
    elif not silent:
        parts.append(paragraph("No system here was trained."))
    return joined(parts)


def worst_places(ranks: Sequence[int]) -> list[int]:
    """Places of the questions whose first relevant document does not stand first, worst first."""
    missed = [place for place, rank in enumerate(ranks) if rank != 1]
    return sorted(missed, key=lambda place: (-(ranks[place] or 1 << 62), place))[:WORST]


def _worst(result: Evaluation, systems: Sequence[SystemResult]) -> Html:
    first = systems[0]
    missed = sum(rank != 1 for rank in first.ranks)
    if not missed:
        return paragraph(f"{first.name} puts a relevant document first for every question.")
    places = worst_places(first.ranks)
    words = f"{first.name} puts no relevant document first for {missed:,} questions"
    more = f"; the {len(places):,} worst:" if missed > len(places) else ":"
    items = [_question(result, systems, place) for place in places]
    return joined([paragraph(words + more), tag("ol", *items, class_="worst")])


def _question(result: Evaluation, systems: Sequence[SystemResult], place: int) -> Html:
    """A question, where its answer stands for each system, and what stood first instead."""
    asked, top = result.queries[place], systems[0].firsts[place]
    ranks = "; ".join(
        f"{one.name[:60]}: {_rank(one.ranks[place])}" for one in systems[: _BESIDE + 1]
    )
    facts = (
        ("rank", short(ranks, 300)),
        ("stood first", short(top.place, 200) if top is not None else "nothing"),
        ("relevant", short("; ".join(asked.relevant[:_ANSWERS]), 300)),
    )
    rows = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    return tag("li", tag("p", short(asked.text, 400)), tag("dl", *rows))


def _rank(rank: int) -> str:
    return f"{rank:,}" if rank else "not found"


def _about(result: Evaluation) -> Html:
    copies = sum(one.duplicates > 0 for one in result.queries)
    identity = {
        "corpus_sha256": result.corpus_sha256,
        "ids_sha256": result.ids_sha256,
        "documents a question is searched in, at least": f"{result.pool:,}",
        "questions with a copy of their answer in the pool": f"{copies:,}",
    }
    return joined(
        [
            facts_table("Corpus", {**identity, **flattened(result.facts)}),
            facts_table("Settings", flattened(result.settings)),
            folded(
                "Versions", facts_table("Versions of what measured it", flattened(result.versions))
            ),
        ]
    )
