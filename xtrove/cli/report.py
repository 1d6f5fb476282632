"""The command that shows a dataset, a training run or an evaluation to people: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(report)


def report(
    path: Annotated[
        Path,
        typer.Argument(
            help="A dataset of `build`, the output of `train` or a model, or the folder of "
            "`evaluate --output`.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The page (else PATH-report.html beside PATH).", metavar="FILE"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the samples that are drawn.", min=0)] = 0,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Work folder of a dataset's build, for diffs (else PATH/.xtrove).", metavar="DIR"
        ),
    ] = None,
) -> None:
    """Write one HTML page to look at: plots, tables, samples. It loads nothing and runs no script.

    The same command on the same data writes the same bytes. An older report is replaced, any
    other file is not; a dataset is never written into.
    """
    from xtrove.commands import report as run

    run(path, output=output, seed=seed, work=work)
