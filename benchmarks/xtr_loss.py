"""The XTR loss, forward and backward, beside those of sentence-transformers and PyLate.

`python benchmarks/xtr_loss.py [--batches 32,64,128,256,512,1024] [--pylate PYTHON] [--limit-gb 4]`
makes random unit vectors (B queries of 32 tokens, B documents of 128), hands the same tensors and
the same k to each implementation in a process of its own (`xtr_loss_child.py`) whose memory is
held to the limit, and prints best time, processor time and peak memory, whether loss and gradient
norms agree with ours to 1e-4, and the largest batch that each one survived. `NAME-16` is the
same implementation 16 queries at a time, as the peers' cached losses bound their memory.
An implementation that failed at a batch is not asked for a larger one. PyLate is skipped, and
said so, without `--pylate` or $XTROVE_PYLATE_PYTHON, the python of its own environment.
`--spread S` makes documents of 128 (1 - S) to 128 (1 + S) tokens, padded to the longest.
Cost on two cores at the defaults: about ten minutes, most of it for the peers. Exit 1: ours was
slower than sentence-transformers at a batch, or did not survive the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

CHILD = Path(__file__).with_name("xtr_loss_child.py")
OURS = "xtrove"
BASELINE = "sentence-transformers"
OUT_OF_MEMORY = 3
AGREEMENT = 1e-4
MEBI = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is measured."""

    batches: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    query_length: int = 32
    document_length: int = 128
    spread: float = 0.0
    dim: int = 128
    k: int | None = None
    """Tokens retrieved; None is 1% of the pool as in training."""
    limit_bytes: int = 4_000_000_000
    device: str = "cpu"
    threads: int = 0
    """0: what torch takes."""
    seconds: float = 10.0
    """Time for repeated runs of one implementation at one batch."""
    pylate: str | None = None
    chunked: int = 16
    """Queries at a time of the peers' second rows; 0 leaves these out."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One implementation at one batch; None where memory ran out."""

    engine: str
    batch: int
    k: int
    failure: str = ""
    seconds: float | None = None
    processor_seconds: float | None = None
    runs: int = 0
    peak_bytes: int | None = None
    before_bytes: int | None = None
    loss: float | None = None
    query_gradient: float | None = None
    document_gradient: float | None = None

    def agrees(self, other: Row) -> bool | None:
        """Whether loss and gradient norms are those of another; None where one has none."""
        mine = (self.loss, self.query_gradient, self.document_gradient)
        theirs = (other.loss, other.query_gradient, other.document_gradient)
        pairs = list(zip(mine, theirs, strict=True))
        if any(a is None or b is None for a, b in pairs):
            return None
        return all(
            abs(a - b) <= AGREEMENT * max(1e-6, abs(b))
            for a, b in pairs
            if a is not None and b is not None
        )


def engines(options: Options) -> list[tuple[str, str]]:
    """Names and the python that runs each."""
    result = [(OURS, sys.executable), (BASELINE, sys.executable)]
    if options.pylate:
        result.append(("pylate", options.pylate))
    if options.chunked:
        result += [(f"{name}-{options.chunked}", python) for name, python in result[1:]]
    return result


def make_tensors(options: Options, batch: int, path: Path) -> int:
    """Write the tensors of a batch; the number of real document tokens."""
    generator = torch.Generator().manual_seed(options.seed)
    low = round(options.document_length * (1 - options.spread))
    high = round(options.document_length * (1 + options.spread))
    lengths = torch.randint(max(1, low), high + 1, (batch,), generator=generator)
    lengths[0] = high

    def unit(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)

    save_file(
        {
            "queries": unit(batch, options.query_length, options.dim),
            "documents": unit(batch, high, options.dim),
            "lengths": lengths,
        },
        path,
    )
    return int(lengths.sum())


def run_child(options: Options, engine: str, python: str, path: Path, batch: int, k: int) -> Row:
    """One implementation at one batch, in its own process."""
    command = [python, str(CHILD), engine, str(path), str(k), str(options.limit_bytes)]
    command += [options.device, str(options.seconds), str(options.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Row(engine=engine, batch=batch, k=k, **json.loads(done.stdout.splitlines()[-1]))
    if done.returncode == OUT_OF_MEMORY or done.returncode < 0:
        return Row(engine=engine, batch=batch, k=k, failure="out of memory")
    last = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
    return Row(engine=engine, batch=batch, k=k, failure=last[0])


def measure(options: Options) -> Iterator[Row]:
    """Rows as they are measured, batch by batch, ours first."""
    # Run as a script, this folder comes first, and its train.py would stand for the package train/.
    sys.path.insert(0, str(CHILD.resolve().parents[1]))
    from train.objectives.base import train_k

    alive = engines(options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tensors.safetensors")
        for batch in options.batches:
            k = train_k(make_tensors(options, batch, path), options.k)
            for engine, python in list(alive):
                row = run_child(options, engine, python, path, batch, k)
                if row.failure:
                    alive.remove((engine, python))
                yield row


def table_of(rows: Sequence[Row]) -> Table:
    """All rows, agreement with ours at the same batch."""
    table = Table(title="XTR loss, forward and backward")
    for name in ("batch", "k", "engine", "s", "CPU s", "peak MiB", "added MiB", "agrees"):
        table.add_column(name, justify="left" if name == "engine" else "right", no_wrap=True)
    ours = {row.batch: row for row in rows if row.engine == OURS}
    for row in rows:
        if row.seconds is None or row.peak_bytes is None or row.before_bytes is None:
            table.add_row(str(row.batch), str(row.k), row.engine, row.failure)
            continue
        compared = row.engine != OURS and row.batch in ours
        agrees = row.agrees(ours[row.batch]) if compared else None
        table.add_row(
            str(row.batch),
            str(row.k),
            row.engine,
            f"{row.seconds:.3f}",
            f"{row.processor_seconds:.3f}",
            f"{row.peak_bytes / MEBI:.0f}",
            f"{(row.peak_bytes - row.before_bytes) / MEBI:.0f}",
            {True: "yes", False: "NO", None: "-"}[agrees],
        )
    return table


def largest(rows: Sequence[Row]) -> dict[str, int]:
    """The largest batch that each implementation survived."""
    result: dict[str, int] = {}
    for row in rows:
        result[row.engine] = max(result.get(row.engine, 0), 0 if row.failure else row.batch)
    return result


def shortfalls(rows: Sequence[Row]) -> list[str]:
    """Where ours is slower than the baseline or ran out of memory."""
    theirs = {row.batch: row for row in rows if row.engine == BASELINE}
    text = []
    for row in rows:
        if row.engine != OURS:
            continue
        if row.seconds is None:
            text.append(f"batch {row.batch}: {row.failure}")
            continue
        other = theirs.get(row.batch)
        if other is not None and other.seconds is not None and row.seconds > other.seconds:
            text.append(f"batch {row.batch}: {row.seconds:.3f} s, {BASELINE} {other.seconds:.3f} s")
    return text


def automatic_device() -> str:
    """The device that training would take."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def read_options() -> tuple[Options, str | None]:
    """Options of the command line, and where the rows go as JSON lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given = Options()
    parser.add_argument("--batches", default=",".join(map(str, given.batches)))
    parser.add_argument("--query-length", type=int, default=given.query_length)
    parser.add_argument("--document-length", type=int, default=given.document_length)
    parser.add_argument("--spread", type=float, default=given.spread)
    parser.add_argument("--dim", type=int, default=given.dim)
    parser.add_argument("--k", type=int)
    parser.add_argument("--limit-gb", type=float, default=given.limit_bytes / 1e9)
    parser.add_argument("--device", default=automatic_device())
    parser.add_argument("--threads", type=int, default=given.threads)
    parser.add_argument("--seconds", type=float, default=given.seconds)
    parser.add_argument("--pylate", default=os.environ.get("XTROVE_PYLATE_PYTHON"))
    parser.add_argument("--chunked", type=int, default=given.chunked)
    parser.add_argument("--json")
    words = parser.parse_args()
    return Options(
        batches=tuple(int(word) for word in words.batches.split(",")),
        query_length=words.query_length,
        document_length=words.document_length,
        spread=words.spread,
        dim=words.dim,
        k=words.k,
        limit_bytes=round(words.limit_gb * 1e9),
        device=words.device,
        threads=words.threads,
        seconds=words.seconds,
        pylate=words.pylate,
        chunked=words.chunked,
    ), words.json


def main() -> int:
    """Measure and print."""
    console = Console(width=100)
    options, output = read_options()
    if not options.pylate:
        console.print("pylate: skipped, no --pylate PYTHON and no $XTROVE_PYLATE_PYTHON")
    rows = []
    for row in measure(options):
        rows.append(row)
        text = row.failure or f"{row.seconds:.3f} s"
        console.print(f"{row.engine} at {row.batch}: {text}", highlight=False)
    console.print(table_of(rows))
    memory = f"{options.limit_bytes / 1e9:g} GB" if options.limit_bytes else "no limit"
    for engine, batch in largest(rows).items():
        console.print(f"largest batch with {memory}: {engine} {batch}", highlight=False)
    if output:
        fields = [{name: getattr(row, name) for name in Row.__slots__} for row in rows]
        Path(output).write_text("".join(json.dumps(row) + "\n" for row in fields))
    missed = shortfalls(rows)
    for line in missed:
        console.print(f"goal missed, {line}", highlight=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
