"""Results for people: rows of one table, a line a question, what two results won and lost.

Method: plain text cells, which the command line puts into a terminal and `markdown` into
result.md. Numbers are percentages with the half width of the wider side of their interval.
Cost: none. Limits: groups show P@1, MRR and nDCG@10 only; result.json has all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.measure.result import COMPARED, Estimate, Evaluation, Group, SystemResult
from evaluate.metrics import column_means, paired
from xtrove.core import Misuse

SHOWN = ("P@1", "MRR", "nDCG@10", "Recall@10", "Recall@100", "R@100 AUC")
_GROUP_SHOWN = 3
_CUT = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells as text; the first row is the header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    long: bool = False
    """Too long for a terminal: written only."""


def percent(estimate: Estimate) -> str:
    """ "91.2 ±1.4": the value and how far the interval reaches at most."""
    half = max(estimate.value - estimate.low, estimate.high - estimate.value)
    return f"{100 * estimate.value:.1f} ±{100 * half:.1f}"


def systems_table(result: Evaluation) -> Table:
    """A row a system: metrics, then how it differs from the first, then its speed."""
    names = [name for name in SHOWN if name in result.systems[0].metrics]
    names = names or list(result.systems[0].metrics)
    beside = len(result.systems) > 1
    pool = f", pools from {result.pool:,}" if result.pool < result.documents else ""
    hard = sum(not query.easy for query in result.queries)
    if 0 < hard < len(result.queries):
        pool += f"; of the {hard:,} hard questions"
    if result.by_repository:
        pool += f", mean over {len({query.repo for query in result.queries})} repositories"
    against = ("first - this, MRR",) if beside else ()
    return Table(
        title=f"{result.name}: {len(result.queries):,} questions, {result.documents:,} documents"
        + pool,
        header=("system", *names, *against, "questions/s", "p50 ms", "p95 ms"),
        rows=tuple(
            (
                system.name,
                *(percent(system.metrics[name]) for name in names),
                *((_difference(system),) if beside else ()),
                f"{system.times.queries_per_second:,.0f}",
                f"{system.times.latency_ms['p50']:.1f}",
                f"{system.times.latency_ms['p95']:.1f}",
            )
            for system in result.systems
        ),
    )


def seen_lines(result: Evaluation) -> list[str]:
    """For each model: P@1 of all and of unseen questions, by code and by repository."""
    made: list[str] = []
    for system in result.systems:
        if not system.model:
            continue
        if system.seen is None:
            made.append(f"{system.name}: the model does not say what it was trained on")
            continue
        name = next(iter(system.metrics))
        for by, seen in system.seen.items():
            unseen = f"{seen.unseen[name].value:.2f}" if seen.unseen else "-"
            made.append(
                f"{system.name}: {name} {system.metrics[name].value:.2f} (unseen {unseen}, "
                f"{seen.unseen_queries} of {seen.queries}); trained on {seen.seen_answers} of "
                f"{seen.answers} answers by {by}"
            )
    return made


def duplicate_line(result: Evaluation) -> str:
    """How many questions have a copy of their answer in the pool; "" where none has."""
    count = sum(query.duplicates > 0 for query in result.queries)
    if not count:
        return ""
    firsts = ", ".join(f"{system.name} {system.duplicates_first}" for system in result.systems)
    return (
        f"{count} questions have a copy of an answer in the pool that counts as wrong; "
        f"it stood first for: {firsts}"
    )


def group_tables(system: SystemResult) -> Iterator[Table]:
    """A table for each kind of group."""
    names = [name for name in SHOWN[:_GROUP_SHOWN] if name in system.metrics] or list(
        system.metrics
    )
    for kind, groups in system.groups.items():
        yield Table(
            title=f"{system.name} by {kind}",
            header=(kind, "questions", *names),
            rows=tuple(_group_row(label, group, names) for label, group in groups.items()),
            long=kind == "repository",
        )


def question_lines(result: Evaluation, system: SystemResult) -> Iterator[str]:
    """A line a question: rank and score of the first relevant, and what stood first instead."""
    for row, query in enumerate(result.queries):
        rank, score, first = system.ranks[row], system.scores[row], system.firsts[row]
        shown = f"{rank:>5}" if rank else "    -"
        number = f"{score:9.3f}" if score is not None else "        -"
        line = f"{shown} {number}  {_one_line(query.text)}  -> {', '.join(query.relevant[:2])}"
        if rank != 1:
            instead = f"{first.place} ({first.score:.3f})" if first is not None else "nothing"
            line += f"  | first: {instead}"
        yield line


def compare_tables(before: Evaluation, after: Evaluation, names: tuple[str, str]) -> list[Table]:
    """The paired test of the first systems of two results, and the questions won and lost.

    `Misuse` where the questions or the pools differ: their difference would mean nothing.
    """
    if [(query.id, query.text) for query in before.queries] != [
        (query.id, query.text) for query in after.queries
    ]:
        raise Misuse("the two results answer different questions: compare like with like")
    if before.ids_sha256 != after.ids_sha256 or before.by_repository != after.by_repository:
        raise Misuse("the two results searched different documents: compare like with like")
    first, second = before.systems[0], after.systems[0]
    metrics = [name for name in COMPARED if name in first.values and name in second.values]
    metrics = metrics or [name for name in first.values if name in second.values]
    title = f"{names[1]} ({second.name}) against {names[0]} ({first.name})"
    if before.corpus_sha256 != after.corpus_sha256:
        title += ", whose documents have other texts (documentation cut out or left in)"
    header = ("metric", names[0], names[1], "difference", "95% interval", "p", "won", "lost")
    easy = [row for row, query in enumerate(after.queries) if query.easy]
    hard = [row for row, query in enumerate(after.queries) if not query.easy]
    tests = [
        Table(
            title=title + label,
            header=header,
            rows=tuple(_test_row(name, first, second, after, rows) for name in metrics),
        )
        for label, rows in ((", hard" if easy else "", hard), (", easy", easy))
        if rows
    ]
    return [*tests, _moved(after, first, second, won=True), _moved(after, first, second, won=False)]


def markdown(result: Evaluation, tables: Sequence[Table], lines: Sequence[str]) -> str:
    """result.md: facts, tables, notes."""
    facts = [f"- {key}: {value}" for key, value in sorted(result.facts.items())]
    facts += [f"- {key}: {value}" for key, value in sorted(result.settings.items())]
    facts.append(f"- pool: {result.pool:,} documents (sha256 {result.corpus_sha256[:16]})")
    parts = [f"# {result.name}", "\n".join(facts)]
    parts += [f"## {_cell(table.title)}\n\n{_markdown_table(table)}" for table in tables]
    if lines:
        parts.append("## Notes\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    rows = [table.header, tuple("---" for _ in table.header), *table.rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _difference(system: SystemResult) -> str:
    gain = system.against
    if gain is None:
        return ""
    return f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] p={gain.p:.3g}"


def _group_row(label: str, group: Group, names: Sequence[str]) -> tuple[str, ...]:
    return (label, f"{group.queries:,}", *(percent(group.metrics[name]) for name in names))


def _test_row(
    name: str, first: SystemResult, second: SystemResult, result: Evaluation, rows: Sequence[int]
) -> tuple[str, ...]:
    """The test of a metric over some of the questions."""
    before, after = (np.array(system.values[name])[rows] for system in (first, second))
    strata = [result.queries[row].repo for row in rows] if result.by_repository else ()
    test = paired(before, after, strata)
    return (
        name,
        *(f"{100 * column_means(side[:, None], strata)[0]:.1f}" for side in (before, after)),
        f"{100 * test.difference:+.1f}",
        f"[{100 * test.low:+.1f}, {100 * test.high:+.1f}]",
        f"{test.p:.3g}",
        str(test.won),
        str(test.lost),
    )


def _moved(result: Evaluation, first: SystemResult, second: SystemResult, *, won: bool) -> Table:
    """Questions whose first relevant document moved up (won) or down (lost), most first."""
    moved: list[tuple[float, tuple[str, ...]]] = []
    for position, (before, after) in enumerate(zip(first.ranks, second.ranks, strict=True)):
        gain = (1 / after if after else 0) - (1 / before if before else 0)
        if gain and (gain > 0) == won:
            row = (str(before or "-"), str(after or "-"), _one_line(result.queries[position].text))
            moved.append((abs(gain), row))
    moved.sort(key=lambda row: -row[0])
    return Table(
        title=f"questions {'won' if won else 'lost'}: {len(moved)}",
        header=("rank before", "rank after", "question"),
        rows=tuple(row for _, row in moved),
    )


def _one_line(text: str) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= _CUT else f"{folded[: _CUT - 1]}…"
