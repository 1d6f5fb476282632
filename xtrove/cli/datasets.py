"""The commands about finished datasets that travel: publish, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Dataset = Annotated[Path, typer.Argument(help="Folder of a finished build.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(publish)
    app.command()(export)


def publish(
    dataset: Dataset,
    repo: Annotated[
        str, typer.Argument(help="Data set on the Hugging Face Hub.", metavar="OWNER/NAME")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    revision: Annotated[
        str, typer.Option(help="Branch (made where there is none) or refs/pr/N.", metavar="BRANCH")
    ] = "main",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the Hub, show what would happen, change nothing.")
    ] = False,
    commit_files: Annotated[
        int, typer.Option(help="Files in one commit on the staging branch.", min=1, max=95)
    ] = 50,
) -> None:
    """Publish a dataset on the Hugging Face Hub; the same command goes on after an interruption.

    Readers of the branch see the old dataset or the new one, never a mix. A dataset with content
    of The Stack is gated with its terms. The token comes from HF_TOKEN or `hf auth login`.
    """
    from shards.publish import PublishOptions
    from xtrove.commands import publish as run

    options = PublishOptions(revision=revision, private=private, files_per_commit=commit_files)
    run(dataset, repo, options, dry_run=dry_run)


def export(
    path: Annotated[
        Path,
        typer.Argument(help="Folder of a finished build; of a model for onnx.", show_default=False),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="jsonl, parquet (whole samples), st-pairs (anchor, positive), pylate-triplets "
            "(query, positive, negative), or onnx.",
            metavar="FORMAT",
        ),
    ],
    output: Annotated[Path, typer.Option(help="A new folder.", metavar="DIR")],
    split: Annotated[
        list[str] | None,
        typer.Option(help="train, validation or test; several: again (else all).", metavar="SPLIT"),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(help="Only this one; several: again (else all).", metavar="NAME"),
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(help="What `xtrove mine` wrote, for pylate-triplets.", metavar="DIR"),
    ] = None,
    per_query: Annotated[
        int | None,
        typer.Option(
            help="Negatives a query, a row each, for pylate-triplets (else 1).",
            min=1,
            max=100,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a dataset for other trainers, one file a split, or a model as ONNX.

    The folder gets its name when all of it is there; one that stands is never written into.
    """
    from xtrove.commands import ExportRequest, run

    run(
        ExportRequest(
            path=path,
            to=to,
            output=output,
            splits=split or [],
            languages=language or [],
            negatives=negatives,
            per_query=per_query,
        )
    )
