"""`xtrove train`, `average` and `mine`. Torch is loaded only when one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xtrove.terminal import out

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one key, e.g. batch.size=256.", metavar="KEY=VALUE"),
]


def train(
    config: Annotated[
        Path, typer.Argument(help="YAML file, e.g. config/train_smoke.yaml.", show_default=False)
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of the output folder.")
    ] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Show dataset, batch, memory and expected time, and train nothing."
        ),
    ] = False,
    output: Annotated[
        str | None, typer.Option(help="Folder of the model (else `output:`).", metavar="DIR")
    ] = None,
    settings: Settings = None,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Show defaults, file and --set merged, and stop."),
    ] = False,
) -> None:
    """Train an encoder on a dataset; Ctrl-C saves, and --resume goes on exactly there.

    `torchrun --nproc-per-node N -m xtrove train CONFIG` trains on several GPUs.
    """
    from xtrove.config import as_yaml, load

    chosen = load(config, settings or (), output)
    if print_config:
        out().print(as_yaml(chosen), end="")
        return
    from xtrove.commands import plan as show_plan
    from xtrove.commands import train as run

    if plan:
        show_plan(chosen)
    else:
        run(chosen, resume=resume)


def average(
    first: Annotated[Path, typer.Argument(help="Model of `xtrove train`.", show_default=False)],
    second: Annotated[
        Path, typer.Argument(help="Another one of the same architecture.", show_default=False)
    ],
    output: Annotated[Path, typer.Option(help="Folder of the mean.", show_default=False)],
    weight: Annotated[
        float | None,
        typer.Option(
            help="Share of SECOND: 0 is FIRST, 1 is SECOND; 0.5 where nothing is said.",
            min=0.0,
            max=1.0,
            show_default=False,
        ),
    ] = None,
    choose: Annotated[
        Path | None,
        typer.Option(
            help="Of 0, 0.25, 0.5, 0.75 and 1 the best by the `validation:` of this config.",
            metavar="CONFIG",
        ),
    ] = None,
    settings: Settings = None,
) -> None:
    """Average the weights of two models, such as a model and the one its training began with.

    The model before the first step is in `trainer_state/start` of a run, that after the last one
    in `trainer_state/last` where another one was the best.
    """
    from xtrove.commands import average as run
    from xtrove.config import load
    from xtrove.core import Misuse

    if choose is not None and weight is not None:
        raise Misuse("--choose finds the weight", remedy="leave --weight out")
    if settings and choose is None:
        raise Misuse("--set changes the config of --choose", remedy="name one, or leave --set out")
    config = load(choose, settings or ()) if choose else None
    run(first, second, weight=0.5 if weight is None else weight, output=output, choose=config)


def mine(
    dataset: Annotated[
        str, typer.Argument(help="Folder or address of a finished build.", show_default=False)
    ],
    model: Annotated[
        Path, typer.Option("--model-path", help="Model of `xtrove train`.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(help="Folder of the negatives, never inside DATASET.", show_default=False),
    ],
    per_query: Annotated[int, typer.Option(help="Negatives a query.", min=1, max=1000)] = 10,
    candidates: Annotated[
        int, typer.Option(help="Nearest functions that are ranked exactly.", min=1, max=100_000)
    ] = 100,
    ratio: Annotated[
        float,
        typer.Option(
            help="Drop what scores at least this share of the answer's score.", min=0.0, max=10.0
        ),
    ] = 0.95,
    languages: Annotated[
        list[str] | None, typer.Option("--language", help="Only these.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, mps or cuda[:N].")] = "auto",
) -> None:
    """Find hard negatives of a dataset's train split with a model, for a second stage.

    Never the same query group, equal code or a near-duplicate of the answer; keyed by id. The
    same command goes on where it was stopped.
    """
    from xtrove.commands import mine as run

    run(
        dataset,
        model,
        output,
        per_query=per_query,
        candidates=candidates,
        ratio=ratio,
        languages=tuple(languages) if languages else None,
        device=device,
    )


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(train)
    app.command()(average)
    app.command()(mine)
