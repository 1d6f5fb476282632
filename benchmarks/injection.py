"""Recall of the decontamination by how an evaluation function was changed, and its false alarms.

`python benchmarks/injection.py --set FILE [--language NAME] [--functions N]` protects N functions
of the installed standard library, injects each in every form of `FORMS`, and counts what is found;
then it protects the rows of FILE (JSON lines) and counts the functions of the standard library that
are hits, each of which is printed: all of them were written by others than FILE's, so a hit is a
copy or a false alarm. Cost: 15 microseconds a function, and 5 s to index CoSQA's code base.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import tempfile
import textwrap
import tokenize
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    import rooms_first  # noqa: F401 - run as a script, not imported by a test

from rich.console import Console
from rich.table import Table

from benchmarks.recall import CLASSES, library_functions, plant
from dedupe import DecontaminateSet, DedupeOptions, EvaluationIndex, fingerprints
from dedupe.decontaminate import Hit

FORMS = (
    *CLASSES,
    "comments stripped",
    "documented",
    "reformatted",
    "embedded",
    "reordered",
)
OPTIONS = DedupeOptions()
BATCH = 256


def injected(kind: str, functions: Sequence[str], others: Sequence[str]) -> list[str]:
    """Each function in the form `kind`; `others` stand around those that are embedded."""
    if kind in CLASSES:
        return [planted.code for planted in plant(functions, seed=5) if planted.kind == kind]
    if kind == "embedded":
        return [embedded(*both) for both in zip(functions, others, strict=True)]
    change = {
        "comments stripped": stripped,
        "documented": documented,
        "reformatted": lambda code: ast.unparse(ast.parse(code)),
        "reordered": reordered,
    }[kind]
    return [change(code) for code in functions]


def documented(code: str) -> str:
    """The function with a docstring as its first statement."""
    function = ast.parse(code).body[0]
    assert isinstance(function, ast.FunctionDef)
    first = function.body[0]
    lines = code.splitlines(keepends=True)
    if first.lineno == function.lineno:
        return code
    docstring = f'{" " * first.col_offset}"""Do it well.\n\n    And say so."""\n'
    return "".join([*lines[: first.lineno - 1], docstring, *lines[first.lineno - 1 :]])


def embedded(code: str, around: str) -> str:
    """The function inside another one, between two copies of `around`."""
    return f"def outer(one):\n{textwrap.indent(around + code + around, '    ')}    return one\n"


def reordered(code: str) -> str:
    """The function with the second half of its statements before the first."""
    tree = ast.parse(code)
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    half = len(function.body) // 2
    function.body = function.body[half:] + function.body[:half]
    return ast.unparse(tree)


def stripped(code: str) -> str:
    """The function without its comments."""
    lines = code.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            row, start = token.start
            lines[row - 1] = lines[row - 1][:start] + lines[row - 1][token.end[1] :]
    return "".join(lines)


def hits_of(index: EvaluationIndex, codes: Sequence[str], query: str = "") -> list[Hit | None]:
    """What the index finds in each Python function."""
    hits: list[Hit | None] = []
    for start in range(0, len(codes), BATCH):
        batch = codes[start : start + BATCH]
        prints = fingerprints([("python", code, query) for code in batch], OPTIONS)
        hits += [
            index.match("python", code, query, fingerprint)
            for code, fingerprint in zip(batch, prints, strict=True)
        ]
    return hits


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--language")
    parser.add_argument("--functions", type=int, default=1_000)
    arguments = parser.parse_args()
    console = Console()
    functions = library_functions(2 * arguments.functions)
    protected, others = functions[: len(functions) // 2], functions[-(len(functions) // 2) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.jsonl"
        rows = ({"code": code, "language": "python"} for code in protected)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        index = EvaluationIndex.build([DecontaminateSet(name="library", path=path)], OPTIONS)
    table = Table("form", "functions", "recall", "layers", title="injected copies")
    for kind in FORMS:
        hits = hits_of(index, injected(kind, protected, others))
        layers = Counter(hit.layer for hit in hits if hit is not None)
        table.add_row(kind, str(len(hits)), f"{layers.total() / len(hits):.2%}", str(dict(layers)))
    console.print(table)
    chosen = DecontaminateSet(name="set", path=arguments.set, language=arguments.language)
    index = EvaluationIndex.build([chosen], OPTIONS)
    real = library_functions(1_000_000, min_tokens=0)
    alarms = [
        (code, hit) for code, hit in zip(real, hits_of(index, real), strict=True) if hit is not None
    ]
    console.print(f"{len(real)} real functions, {len(alarms)} hits")
    for code, hit in alarms:
        console.print(f"{hit.layer} {hit.score:.2f} {hit.item}", highlight=False)
        console.print(textwrap.indent("\n".join(code.splitlines()[:6]), "    "), markup=False)


if __name__ == "__main__":
    main()
