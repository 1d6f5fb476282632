"""The command that finds code: search. Keyword search loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from xtrove.terminal import err

ModeName = Literal["maxsim", "xtr", "bm25"]


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(search)
    app.command()(mcp)


def search(
    path: Annotated[Path, typer.Argument(help="Folder of code.", show_default=False)],
    question: Annotated[str, typer.Argument(help="In words, in quotes.", show_default=False)],
    model_path: Annotated[
        Path | None, typer.Option(help="Model, in the PyLate layout.", metavar="DIR")
    ] = None,
    count: Annotated[int, typer.Option("-k", help="Answers.", min=1, max=1_000)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for agents.")] = False,
    mode: Annotated[
        ModeName | None, typer.Option(help="How to search (else maxsim with a model, else bm25).")
    ] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Fuse the model with BM25.")] = False,
    lines: Annotated[
        int, typer.Option(help="Lines of a snippet; 0 is all.", min=0, max=100_000)
    ] = 10,
    path_filter: Annotated[
        str, typer.Option("--path", help="Only in this folder or glob, e.g. 'src/*'.")
    ] = "",
    language: Annotated[str, typer.Option(help="Only this language.")] = "",
    regex: Annotated[str, typer.Option(help="Only functions whose text matches it.")] = "",
    files: Annotated[bool, typer.Option("--files", help="Print paths only, best first.")] = False,
    no_ignore: Annotated[
        bool, typer.Option("--no-ignore", help="Search what .gitignore leaves out too.")
    ] = False,
) -> None:
    """Find functions in a folder by a question, with documentation and code.

    The first call indexes the folder (in $XTROVE_CACHE/search, else ~/.cache/xtrove/search);
    later ones read what has changed. Hidden folders, node_modules, caches, virtual environments,
    links and what .gitignore names are skipped, files over 1 MB, minified and binary ones are left
    out and counted. Exit 1: nothing was found.

    --json prints {"version": 1, "query", "root", "mode", "hybrid", "model", "scored" (documents
    whose score is exact), "hits": [{"rank", "score", "path" (in root), "start_line", "end_line"
    (from 1, inclusive), "name" ("" for a piece of a file without functions), "language",
    "snippet"}], "index": {"documents", "files", "read", "cut", "removed", "made", "left_out":
    {reason: files}}, "seconds": {"index", "search"}}, best first.
    """
    from xtrove.commands.search import Filters, Request
    from xtrove.commands.search import search as run

    is_found = run(
        Request(
            root=path,
            question=question,
            model=model_path,
            count=count,
            as_json=as_json,
            mode=mode,
            hybrid=hybrid,
            lines=lines,
            filters=Filters.of(path_filter, language, regex),
            files_only=files,
            ignored=no_ignore,
        )
    )
    if not is_found:
        if not as_json:
            err().print("nothing found")
        raise typer.Exit(1)


def mcp(
    path: Annotated[Path, typer.Argument(help="Folder of code.", show_default=False)],
    model_path: Annotated[
        Path | None, typer.Option(help="Model, in the PyLate layout.", metavar="DIR")
    ] = None,
) -> None:
    """Serve the search of a folder to agents: Model Context Protocol over stdio.

    Tools: search_code, read_function, index_status. Without a model the search is by keywords,
    with one by both. Nothing outside of the folder is read. How to add it to an agent:
    docs/agents.md.
    """
    from xtrove.commands.search import serve

    serve(path, model_path)
