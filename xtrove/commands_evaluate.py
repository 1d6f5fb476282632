"""The command that measures a model, or keyword search alone: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from xtrove.errors import Misuse

ModeName = Literal["maxsim", "xtr", "bm25", "dense"]


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(evaluate)


def evaluate(
    spec: Annotated[
        Path | None,
        typer.Option(help="Query spec in JSON.", metavar="FILE"),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Dataset: its test split, each question against all of its language.",
            metavar="DIR",
        ),
    ] = None,
    cosqa: Annotated[
        Path | None, typer.Option(help="CoSQA-style folder: codebase.jsonl, dev.jsonl.")
    ] = None,
    beir: Annotated[
        Path | None, typer.Option(help="BEIR- or MTEB-style folder: corpus, queries, qrels.")
    ] = None,
    csn: Annotated[
        Path | None,
        typer.Option(
            help="CodeSearchNet challenge: annotationStore.csv, with --dataset or --predictions."
        ),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Rankings for --csn: a CSV of language, query, url.")
    ] = None,
    model_path: Annotated[
        str | None, typer.Option(help="Model, in the PyLate layout.", metavar="DIR")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Untrained encoder beside it (else the one the model names)."),
    ] = None,
    mode: Annotated[
        ModeName | None, typer.Option(help="How to search (else xtr with a model, else bm25).")
    ] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Fuse the model with BM25.")] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Measure nothing beside it (no baselines).")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="A line a question: rank, score, what stood first."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for result.json, result.md and run.trec.", metavar="DIR"),
    ] = None,
    keep_documentation: Annotated[
        bool,
        typer.Option("--keep-documentation", help="Leave documentation in the code (it flatters)."),
    ] = False,
    distractors: Annotated[
        int | None,
        typer.Option(help="For --dataset: this many others a question, drawn once.", min=1),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of --dataset, --cosqa or --beir.")
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(help="For --dataset: only these; for --beir: that of its documents."),
    ] = None,
    queries: Annotated[
        int | None, typer.Option(help="Ask at most this many questions; pools stay whole.", min=1)
    ] = None,
    depth: Annotated[
        int, typer.Option(help="Documents of a ranking that are looked at.", min=100, max=100_000)
    ] = 1_000,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Two results: questions won and lost, and whether by chance.",
            metavar="A.json B.json",
        ),
    ] = None,
) -> None:
    """Measure a search model the way it is used, beside its baselines, and how sure that is.

    Percentages with 95% bootstrap intervals. Documentation is cut out of the code that is searched.
    """
    from xtrove import evaluating

    if compare is not None:
        if any(one is not None for one in (spec, dataset, cosqa, beir, csn, model_path, output)):
            raise Misuse("--compare takes two results and nothing else", remedy="Leave the rest.")
        evaluating.compare(*compare)
        return
    request = evaluating.Request(
        spec=spec,
        dataset=dataset,
        cosqa=cosqa,
        beir=beir,
        csn=csn,
        predictions=predictions,
        model=model_path,
        base=base,
        mode=mode,
        hybrid=hybrid,
        alone=alone,
        verbose=verbose,
        output=output,
        keep_documentation=keep_documentation,
        distractors=distractors,
        split=split,
        languages=tuple(language or ()),
        queries=queries,
        depth=depth,
    )
    evaluating.evaluate(request)
