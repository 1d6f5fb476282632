"""The command that measures a model, or keyword search alone: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evaluate.retrieval import SEARCHERS
from xtrove.core import Misuse

if TYPE_CHECKING:
    from evaluate.retrieval import SearcherOptions

Spec = Annotated[Path | None, typer.Option(help="Query spec in JSON.", metavar="FILE")]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="Dataset (folder, hf://, s3://, https://): its test split, each question against "
        "all of its language.",
        metavar="PLACE",
    ),
]
Cosqa = Annotated[
    Path | None,
    typer.Option(help="CoSQA-style folder: codebase.jsonl, dev.jsonl.", metavar="DIR"),
]
Beir = Annotated[
    Path | None,
    typer.Option(help="BEIR- or MTEB-style folder: corpus, queries, qrels.", metavar="DIR"),
]
Pools = Annotated[
    Path | None,
    typer.Option(
        help="Folder of corpus.jsonl and queries.jsonl: each question against its own pool.",
        metavar="DIR",
    ),
]
Csn = Annotated[
    Path | None,
    typer.Option(
        help="CodeSearchNet challenge: annotationStore.csv, with --dataset or --predictions.",
        metavar="CSV",
    ),
]
Predictions = Annotated[
    Path | None,
    typer.Option(help="Rankings for --csn: a CSV of language, query, url.", metavar="CSV"),
]
Model = Annotated[str | None, typer.Option(help="Model, in the PyLate layout.", metavar="DIR")]
Base = Annotated[
    str | None,
    typer.Option(help="Untrained encoder beside it (else the one the model names).", metavar="DIR"),
]
Mode = Annotated[
    str | None,
    typer.Option(
        help="How to search (else xtr with a model, else bm25).",
        metavar=f"[{'|'.join(SEARCHERS)}]",
    ),
]
Hybrid = Annotated[bool, typer.Option("--hybrid", help="Fuse the model with BM25.")]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune",
        help="With --hybrid: tune BM25's weight on half of the questions, store it with the "
        "model, measure the others.",
    ),
]
Precision = Annotated[
    Literal["fp16", "int8"], typer.Option(help="Of the token index; int8 is half the size.")
]
Retrieved = Annotated[
    int | None,
    typer.Option(help="Tokens that each query token retrieves (xtr; else 2,000).", min=1),
]
Alone = Annotated[bool, typer.Option("--alone", help="Measure nothing beside it (no baselines).")]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="A line a question: rank, score, what stood first.")
]
Output = Annotated[
    Path | None,
    typer.Option(help="Folder for result.json, result.md and run.trec.", metavar="DIR"),
]
Keep = Annotated[
    bool,
    typer.Option("--keep-documentation", help="Leave documentation in the code (it flatters)."),
]
Template = Annotated[
    str | None,
    typer.Option(
        help="Text of a document: {code}, {path}, {scope}, {name} (else as the model records).",
        metavar="TEXT",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, mps or cuda[:N] (else the best there is).", metavar="NAME"),
]
Distractors = Annotated[
    int | None, typer.Option(help="For --dataset: this many others a question, drawn once.", min=1)
]
Split = Annotated[str | None, typer.Option(help="Split of --dataset, --cosqa or --beir.")]
Languages = Annotated[
    list[str] | None,
    typer.Option(help="For --dataset: only these; for --beir: that of its documents."),
]
Queries = Annotated[
    int | None, typer.Option(help="Ask at most this many questions; pools stay whole.", min=1)
]
Depth = Annotated[
    int, typer.Option(help="Documents of a ranking that are looked at.", min=100, max=100_000)
]
Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        help="Two results: questions won and lost, and whether by chance.", metavar="A.json B.json"
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(evaluate)


def evaluate(
    context: typer.Context,
    spec: Spec = None,
    dataset: Dataset = None,
    cosqa: Cosqa = None,
    beir: Beir = None,
    pools: Pools = None,
    csn: Csn = None,
    predictions: Predictions = None,
    model_path: Model = None,
    base: Base = None,
    mode: Mode = None,
    hybrid: Hybrid = False,
    tune: Tune = False,
    document_template: Template = None,
    device: Device = None,
    precision: Precision = "fp16",
    retrieved: Retrieved = None,
    alone: Alone = False,
    verbose: Verbose = False,
    output: Output = None,
    keep_documentation: Keep = False,
    distractors: Distractors = None,
    split: Split = None,
    language: Languages = None,
    queries: Queries = None,
    depth: Depth = 1_000,
    compare: Compare = None,
) -> None:
    """Measure a search model the way it is used, beside its baselines, with 95% intervals."""
    from xtrove.commands.evaluate import request, run

    if compare is not None:
        _compare(context, compare)
        return
    asked = request.Request(
        spec=spec,
        dataset=dataset,
        cosqa=cosqa,
        beir=beir,
        pools=pools,
        csn=csn,
        predictions=predictions,
        model=model_path,
        base=base,
        mode=mode,
        hybrid=hybrid,
        tune=tune,
        options=_options(precision, retrieved, device, document_template),
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
    run.evaluate(asked)


def _options(
    precision: Literal["fp16", "int8"],
    retrieved: int | None,
    device: str | None,
    template: str | None,
) -> SearcherOptions:
    from evaluate.retrieval import SearcherOptions

    return SearcherOptions(
        precision=precision, retrieved=retrieved, device=device, template=template
    )


def _compare(context: typer.Context, results: tuple[Path, Path]) -> None:
    """Two results are compared as they are: any other word would be ignored."""
    from xtrove.commands.evaluate import run as evaluating

    for name in context.params:
        source = context.get_parameter_source(name)
        if name != "compare" and source is not None and source.name == "COMMANDLINE":
            word = f"--{name.replace('_', '-')}"
            raise Misuse(
                f"--compare takes two results and nothing else, not {word}",
                remedy=f"Leave {word} out.",
            )
    evaluating.compare(*results)
