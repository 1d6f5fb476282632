"""What an evaluation shows on the terminal and writes into its folder.

Written: result.json (everything), result.md (the tables), run.trec of each system (the first is
what was asked for) and qrels.trec. The folder is whole when result.json stands in it.
A line of a TREC run is `query Q0 document rank score system`; white space and "%" in ids are
percent-encoded, for the format splits fields at white space. Scores are written in full, ties in
the order the metrics count them, so that reading gives the same ranking.
Limits: nothing is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from rich.table import Table as RichTable

from evaluate.corpora import Corpus, Query, collapse
from evaluate.measure import (
    FILE,
    Evaluation,
    Run,
    System,
    Table,
    duplicate_line,
    group_tables,
    markdown,
    question_lines,
    seen_lines,
    systems_table,
    write_files,
)
from evaluate.metrics import settle_ties
from xtrove.terminal import err, out

_UNSAFE = re.compile(r"[\s%\x00-\x1f\x7f]")


def shown(result: Evaluation, notes: Sequence[str]) -> tuple[list[Table], list[str]]:
    """The tables of a result, and what is to be said beside them."""
    tables = [systems_table(result), *group_tables(result.systems[0])]
    lines = [*seen_lines(result), *filter(None, [duplicate_line(result)]), *notes]
    return tables, lines


def show(
    result: Evaluation, tables: Sequence[Table], lines: Sequence[str], *, verbose: bool
) -> None:
    """A line a question where asked for, the tables, the notes: to stdout."""
    if verbose:
        out().print(" rank     score  question -> answer | what stood first instead")
        for line in question_lines(result, result.systems[0]):
            out().print(line, soft_wrap=True)
        out().print()
    for table in tables:
        if not table.long:
            print_table(table)
    for line in lines:
        out().print(line, soft_wrap=True)


def print_table(table: Table) -> None:
    """A table with its title, to stdout."""
    out().print(table.title, style="bold")
    shown = RichTable(box=None, pad_edge=False)
    for index, name in enumerate(table.header):
        right = index > 0 and name != "question"
        shown.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    out().print(shown)
    out().print()


def write(
    folder: Path,
    result: Evaluation,
    corpora: Sequence[Corpus],
    systems: Sequence[System],
    tables: Sequence[Table],
    lines: Sequence[str],
) -> None:
    """Writes the files of a result. Raises `Misuse` where one is there already."""
    queries = [query for corpus in corpora for query in corpus.queries]
    files = {"result.md": markdown(result, tables, lines).encode("utf-8", "replace")}
    for index, system in enumerate(systems):
        name = "run.trec" if index == 0 else f"run.{index + 1}.trec"
        tag = "-".join(system.name.split())
        text = "\n".join(trec_lines(system.measured.run, queries, tag))
        files[name] = text.encode("utf-8", "surrogatepass") + b"\n"
    judged = qrels_lines({query.id: query.relevant for query in queries})
    files["qrels.trec"] = "\n".join(judged).encode("utf-8", "surrogatepass") + b"\n"
    # The last to appear: a folder with a result.json is whole.
    files[FILE] = result.to_json()
    write_files(folder, files)
    err().print(f"written to {folder}")


def trec_lines(run: Run, queries: Iterable[Query], system: str) -> Iterator[str]:
    """The lines of one system, question by question, without line ends."""
    for query in queries:
        hits = collapse(run.get(query.id, ()), query)
        scores = dict(hits)
        for rank, document in enumerate(settle_ties(hits, query.relevant), start=1):
            fields = (query.id, "Q0", document, str(rank), repr(scores[document]), system)
            yield " ".join(_safe(field) for field in fields)


def qrels_lines(relevant: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """The judgements beside a run: `query 0 document grade`."""
    for query, grades in relevant.items():
        for document, grade in grades.items():
            yield f"{_safe(query)} 0 {_safe(document)} {grade}"


def _safe(field: str) -> str:
    return _UNSAFE.sub(lambda match: quote(match[0], safe=""), field) or "%20"
