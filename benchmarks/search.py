"""`xtrove search`: a first index, a question later, and what the candidates of large folders miss.

`python benchmarks/search.py FOLDER --model DIR [--spec evaluate/specs/code_queries.json]` indexes
FOLDER in a cache of its own with the command (cold), asks one question in processes of its own
(warm, median of three), touches one file and asks again. Then, inside this process, the questions
of the spec are asked twice: with every document scored, and with the candidates that a folder too
large for that gets (`evaluate.code_search.search`). Printed: seconds, and the share of the exact
best 1, 10 and 100 that the candidates find. Without --model only keyword search is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rooms_first  # noqa: F401
from rich.console import Console
from rich.table import Table

from evaluate.code_search import VectorSearch, update
from evaluate.retrieval import Hits

DEPTHS = (1, 10, 100)
QUESTION = "how are near duplicates removed"


def asked(folder: Path, model: str | None, cache: Path) -> tuple[float, dict[str, Any]]:
    """Wall seconds of one call of the command, and its answer."""
    arguments = [sys.executable, "-m", "xtrove", "search", str(folder), QUESTION, "--json"]
    arguments += ["--model-path", model] if model else []
    start = time.perf_counter()
    done = subprocess.run(
        arguments, env={**os.environ, "XTROVE_CACHE": str(cache)}, capture_output=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return time.perf_counter() - start, result


def timed(folder: Path, model: str | None, cache: Path, table: Table) -> None:
    """A row: cold, warm, with one file changed."""
    first, result = asked(folder, model, cache)
    warm = statistics.median(asked(folder, model, cache)[0] for _ in range(3))
    changed = next(path for path in sorted(folder.rglob("*.py")) if path.stat().st_size > 2_000)
    changed.write_bytes(changed.read_bytes() + b"\n\ndef added():\n    return 1\n")
    again, _ = asked(folder, model, cache)
    name = "keywords" if model is None else Path(model).name
    documents = result["index"]["documents"] if "index" in result else ""
    table.add_row(name, str(documents), f"{first:.1f}", f"{warm:.2f}", f"{again:.2f}")


def candidates(folder: Path, model: str, spec: Path, cache: Path, console: Console) -> None:
    """What the candidates find of the exact best."""
    from train.checkpoint import load_model

    encoder = load_model(model)
    start = time.perf_counter()
    snapshot = update(cache / "own", folder, lambda: lambda some: encoder.encode(some, "document"))
    seconds = time.perf_counter() - start
    rate = len(snapshot) / seconds
    console.print(f"{len(snapshot):,} documents encoded in {seconds:.0f} s, {rate:.0f} a second")
    spec_facts = json.loads(spec.read_text(encoding="utf-8"))
    questions = [entry["query"] for entry in spec_facts["queries"]]

    def vectors(question: str) -> Any:
        return encoder.encode([question], "query").values

    result: dict[str, Hits] = {}
    for name, exact in (("every document", 1 << 62), ("candidates", 0)):
        searcher = VectorSearch(snapshot, vectors, exact=exact)
        start = time.perf_counter()
        result[name] = searcher.search(questions, max(DEPTHS))
        each = (time.perf_counter() - start) / len(questions)
        console.print(f"{name}: {searcher.scored:,} scored, {each:.2f} s a question")
    for depth in DEPTHS:
        pairs = zip(result["every document"].ids, result["candidates"].ids, strict=True)
        shares = [float(np.isin(one[:depth], other).mean()) for one, other in pairs]
        console.print(f"of the exact best {depth}: {np.mean(shares):.1%} found")


def main() -> None:
    """Reads the words and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--spec", type=Path, default=Path("evaluate/specs/code_queries.json"))
    words = parser.parse_args()
    console = Console(width=120)
    table = Table(title=f"xtrove search {words.folder}, wall s")
    for name in ("model", "documents", "first", "unchanged", "one file changed"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as place:
        copied, cache = Path(place, "code"), Path(place, "cache")
        skipped = shutil.ignore_patterns(".git", "__pycache__", "test", "tests", "site-packages")
        shutil.copytree(words.folder, copied, ignore=skipped)
        for model in (None, words.model) if words.model else (None,):
            timed(copied, model, cache, table)
        console.print(table)
        if words.model:
            candidates(copied, words.model, words.spec, cache, console)


if __name__ == "__main__":
    main()
