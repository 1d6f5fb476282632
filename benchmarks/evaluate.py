"""The evaluator: making a token index, searching it, and a whole evaluation with a real encoder.

`python benchmarks/evaluate.py [--sizes 10000,100000,1000000] [--modes maxsim,xtr] [--dim 48]
[--precision int8] [--tokens 100] [--questions 100] [--pylate PYTHON]` makes random unit vectors for
functions of about `--tokens` tokens, writes the index (functions/s without an encoder), and asks
questions of 16 tokens in a process of its own for each mode: all at once (questions/s) and one by
one (p50, p95), with the peak of its memory, whole and without mapped files, and the index's size.
PyLate's PLAID index is asked the same questions over the same vectors up to `--pylate-limit`
functions; it is skipped, and said so, without `--pylate` or $XTROVE_PYLATE_PYTHON.
`python benchmarks/evaluate.py --model DIR --dataset DIR [--functions 20000] [--questions 1000]
[--mode xtr]` is the real thing instead: everything `xtrove evaluate` does to one system, cold.
Cost at the defaults: 6 GB of disk, some minutes. Random vectors have no neighbours, so what PLAID
finds of the exact answers means nothing here and is not printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rooms_first  # noqa: F401
from rich.console import Console
from rich.table import Table

from evaluate.index import build_index
from train.model import TokenVectors

CHILD = Path(__file__).with_name("evaluate_child.py")
QUESTION_TOKENS = 16
MEBI = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is measured."""

    sizes: tuple[int, ...]
    modes: tuple[str, ...]
    dim: int
    tokens: int
    precision: Any
    questions: int
    singles: int
    pylate: str | None
    pylate_limit: int


def vectors(count: int, options: Options, random: np.random.Generator, mean: int) -> TokenVectors:
    """Texts of half to one and a half times `mean` tokens, as random unit vectors."""
    lengths = random.integers(max(1, mean // 2), mean + mean // 2 + 1, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = random.standard_normal((int(offsets[-1]), options.dim), dtype=np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return TokenVectors(values=values, offsets=offsets)


def synthetic(options: Options, table: Table) -> None:
    """Rows for every size and engine."""
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            random = np.random.default_rng(size)
            texts = np.broadcast_to(np.array(""), (size,))
            start = time.perf_counter()
            index = build_index(
                Path(folder, "index"),
                texts,  # type: ignore[arg-type]
                lambda some, random=random: vectors(len(some), options, random, options.tokens),
                precision=options.precision,
            )
            built = size / (time.perf_counter() - start)
            asked = vectors(options.questions, options, random, QUESTION_TOKENS)
            np.savez(Path(folder, "questions.npz"), values=asked.values, offsets=asked.offsets)
            engines = [(mode, sys.executable) for mode in options.modes]
            if options.pylate and size <= options.pylate_limit:
                engines.append(("plaid", options.pylate))
            for engine, python in engines:
                result = child(python, [engine, folder, str(options.singles)])
                rate = f"{built:,.0f}" if engine != "plaid" else f"{result.get('built', 0):,.0f}"
                held = result.get("index_bytes", index.bytes)
                table.add_row(f"{size:,}", engine, rate, *shown(result, held))


def shown(found: dict[str, Any], held: int) -> list[str]:
    """Cells of what a child measured."""
    if "failure" in found:
        return [found["failure"], "", "", "", "", ""]
    return [
        f"{found['rate']:,.2f}",
        f"{1000 * found['p50']:,.0f}",
        f"{1000 * found['p95']:,.0f}",
        f"{found['peak'] / MEBI:,.0f}",
        f"{found['anonymous'] / MEBI:,.0f}",
        f"{held / MEBI:,.0f}",
    ]


def child(python: str, words: Sequence[str]) -> dict[str, Any]:
    """What a process of its own measured: its last line of output."""
    done = subprocess.run([python, str(CHILD), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        return {"failure": last[0][:200]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def real(words: argparse.Namespace, console: Console) -> None:
    """One evaluation, cold: reading, encoding, searching, metrics."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = child(
            sys.executable,
            [
                "real",
                folder,
                words.model,
                words.dataset,
                str(words.functions),
                str(words.questions),
                words.mode,
            ],
        )
        whole = time.perf_counter() - start
    console.print(f"{whole:.0f} s in all, {words.mode}: {json.dumps(result)}")
    sys.exit("failure" in result)


def main() -> None:
    """Reads the words and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--modes", default="maxsim,xtr")
    parser.add_argument("--dim", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--precision", choices=("fp16", "int8"), default="int8")
    parser.add_argument("--questions", type=int)
    parser.add_argument("--singles", type=int, default=20)
    parser.add_argument("--pylate", default=os.environ.get("XTROVE_PYLATE_PYTHON"))
    parser.add_argument("--pylate-limit", type=int, default=10_000)
    parser.add_argument("--model")
    parser.add_argument("--dataset")
    parser.add_argument("--functions", type=int, default=20_000)
    parser.add_argument("--mode", default="xtr")
    words = parser.parse_args()
    console = Console(width=160)
    if words.model or words.dataset:
        words.questions = words.questions or 1_000
        if not (words.model and words.dataset):
            parser.error("--model and --dataset go together")
        real(words, console)
    options = Options(
        sizes=tuple(int(size) for size in words.sizes.split(",")),
        modes=tuple(words.modes.split(",")),
        dim=words.dim,
        tokens=words.tokens,
        precision=words.precision,
        questions=words.questions or 100,
        singles=words.singles,
        pylate=words.pylate,
        pylate_limit=words.pylate_limit,
    )
    title = f"dim {options.dim}, {options.precision}, {options.tokens} tokens a function"
    table = Table(title=f"Token index and search: {title}, {options.questions} questions")
    for name in (
        "functions", "engine", "written/s", "questions/s", "p50 ms", "p95 ms", "peak MiB",
        "without files MiB", "index MiB",
    ):  # fmt: skip
        table.add_column(name, justify="left" if name == "engine" else "right", no_wrap=True)
    synthetic(options, table)
    console.print(table)
    if not options.pylate:
        console.print("plaid is skipped: name PyLate's python by --pylate")


if __name__ == "__main__":
    main()
