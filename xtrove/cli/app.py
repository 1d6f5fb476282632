"""The command line. Exit 0 done, 1 the work failed, 2 the words or the config are wrong."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from importlib import metadata
from pathlib import Path
from typing import Annotated, TextIO

import typer

from xtrove.cli import datasets as commands_shards
from xtrove.cli import evaluate as commands_evaluate
from xtrove.cli import report as commands_report
from xtrove.cli import search as commands_search
from xtrove.cli import train as commands_train
from xtrove.core import Interrupted, Misuse, XtroveError, system_fault
from xtrove.terminal import err, out

app = typer.Typer(
    name="xtrove",
    help="Permissively licensed code in; a verified dataset, a code-search model, its measure out.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "safetensors": "train",
    "tokenizers": "train",
    "peft": "train",
    "tensorboard": "train",
    "bm25s": "train",
    "ir_measures": "train",
    "mcp": "mcp",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
}
"""Module -> the extra of pyproject.toml that brings it."""


def _version(requested: bool) -> None:
    if requested:
        out().print(f"xtrove {metadata.version('xtrove')}", highlight=False)
        raise typer.Exit


STEPS = """\
From code to a search model, each step with its defaults; `xtrove COMMAND --help` says more.

  1  xtrove build CONFIG.yaml           source code to a dataset of (question, function) pairs
     xtrove doctor CONFIG.yaml          a look at every source first: access, licences, amount
  2  xtrove verify DATASET              recompute every claim; inspect and why show samples
  3  xtrove publish DATASET OWNER/NAME  to the Hugging Face Hub; --dry-run shows what would go
  4  xtrove train TRAIN.yaml            a model from the shards; --plan shows memory and time
  5  xtrove evaluate --dataset DATASET --model-path MODEL
     xtrove search FOLDER "a question"  use it; xtrove mcp FOLDER serves agents

Try it without a config or a network: xtrove build, then xtrove inspect data/installed.
"""
"""What `xtrove` alone prints."""


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        out().print(STEPS, end="")


Dataset = Annotated[Path, typer.Argument(help="Folder of a finished build.", show_default=False)]


@app.command()
def build(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="YAML file. Without it: the Python standard library and the packages xtrove "
            "depends on, as installed here.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Folder of the dataset (else `output:`, else data/NAME).", metavar="DIR"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Tasks at once (else one a CPU). 0: in this process, without Ray, for debugging; "
            "only the parsing of untrusted rows stays in a child process.",
            min=0,
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change one key, e.g. dedupe.threshold=0.8.", metavar="KEY=VALUE"
        ),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Show defaults, file and --set merged, and stop."),
    ] = False,
) -> None:
    """Build a dataset; the same command goes on with a build that was stopped."""
    from xtrove.config import build as configs

    changes = list(settings or [])
    chosen = configs.load(config, changes)
    update = {"output": output, "workers": workers}
    chosen = chosen.model_copy(update={k: v for k, v in update.items() if v is not None})
    if output is not None:
        chosen = configs.validate(chosen.dump(), name="--output")
    if print_config:
        out().print(configs.as_yaml(chosen), end="")
        return
    from xtrove.build import build as run
    from xtrove.build import show

    show(run(chosen, Path.cwd()), out())


@app.command()
def doctor(
    config: Annotated[Path, typer.Argument(help="YAML file of a build.", show_default=False)],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key, as for build.", metavar="KEY=VALUE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead.")] = False,
    deadline: Annotated[
        float, typer.Option(help="Seconds for each source.", min=1, max=3600, metavar="SECONDS")
    ] = 30.0,
) -> None:
    """First contact with every source, without Ray, in seconds: access, gate, layout, schema,
    licences, bytes, a sample row; and with what a build needs here. Exit 1: it would fail."""
    from xtrove.commands import diagnose, doctor_report
    from xtrove.config import build as configs

    diagnosis = diagnose(configs.load(config, settings or ()), Path.cwd(), deadline)
    if as_json:
        out().print(doctor_report.as_json(diagnosis), soft_wrap=True)
    else:
        doctor_report.show(diagnosis, out())
    sys.stdout.flush()
    if diagnosis.hung:
        # The threads of a pool that hang would hold up the end of the interpreter.
        os._exit(1)
    raise typer.Exit(code=0 if diagnosis.ok else 1)


@app.command()
def verify(dataset: Dataset) -> None:
    """Recompute everything a dataset claims: checksums, index, counts, witnesses, splits."""
    from xtrove.commands import verify as run

    run(dataset)


@app.command()
def inspect(
    dataset: Dataset,
    samples: Annotated[int, typer.Option(help="How many samples to show.", min=0, max=1000)] = 3,
) -> None:
    """Show counts by language, split, licence and reason, and readable samples."""
    from xtrove.commands import inspect as run

    run(dataset, samples)


@app.command()
def why(
    dataset: Dataset,
    id: Annotated[str, typer.Argument(help="32 hex digits, or at least the first 6.")],
    work: Annotated[
        Path | None,
        typer.Option(help="Work folder of the build, for the diff (else DATASET/.xtrove)."),
    ] = None,
) -> None:
    """Explain a pair: kept or dropped, by which rule, its witness, the licence evidence."""
    from xtrove.commands import why as run

    run(dataset, id, work)


@app.command()
def forget(
    dataset: Dataset,
    repositories: Annotated[
        list[str],
        typer.Argument(help="owner/repo, in any case; several are one step.", show_default=False),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show shards and counts, and change nothing.")
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Work folder of the build, to keep them out of later builds too "
            "(else DATASET/.xtrove)."
        ),
    ] = None,
) -> None:
    """Take repositories out of a dataset, rewriting only the shards concerned.

    A tombstone (the digest of the name) stays, so that no later build brings them back. The
    dataset is the old one or the new one at any moment; after a kill run the same command.
    """
    from xtrove.commands import forget as run

    run(dataset, repositories, work=work, dry_run=dry_run)


commands_shards.register(app)
commands_evaluate.register(app)
commands_train.register(app)
commands_report.register(app)
commands_search.register(app)


def _report(error: XtroveError) -> int:
    """Its words and remedy on stderr, and its exit code."""
    if isinstance(error, Interrupted):
        # What was asked for is no failure.
        err().print(error.message, style="bold yellow")
    else:
        err().print(f"error: {error.message}", style="bold red")
    if error.remedy:
        err().print(f"  {error.remedy}")
    return error.exit_code


def as_misuse(error: ModuleNotFoundError) -> Misuse | None:
    """Exit 2 with the command that installs the module; None where no extra has it.

    The build runs without torch, so a command that needs more may meet an import that fails. A
    missing module of any other name is a fault of ours and keeps its traceback.
    """
    module = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(module)
    if extra is None:
        return None
    return Misuse(
        f"this command needs the package {module.replace('_', '-')}, which is not installed",
        remedy=f"pip install -e '.[{extra}]' -c constraints.txt   (in the checkout of xtrove)",
    )


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Python would print a warning as it is, with the line of code that gave it."""
    err().print(f"warning: {message}", style="yellow")


def main() -> None:
    """The console script."""
    warnings.showwarning = _show_warning
    try:
        app()
    except XtroveError as error:
        sys.exit(_report(error))
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        sys.exit(_report(system_fault(error)))
    except ModuleNotFoundError as error:
        misuse = as_misuse(error)
        if misuse is None:
            raise
        sys.exit(_report(misuse))
    except KeyboardInterrupt:
        err().print("stopped", style="bold yellow")
        sys.exit(130)
    except Exception:
        # Python would print its message as it is, and messages quote what they stumble over.
        err().print(traceback.format_exc().rstrip())
        sys.exit(1)
