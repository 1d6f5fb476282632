"""Training speed, end to end, beside sentence-transformers and PyLate; and the loader alone.

`python benchmarks/train.py DATASET [--sizes 17m,150m] [--batches 32,128] [--pylate PYTHON]` makes
an encoder of random weights of each size (ModernBERT shapes, vocabulary of the dataset), takes
pairs of the dataset and lets every implementation train on them in a process of its own
(`train_child.py`): the same model folder, pairs, lengths, mini-batch tokens, k, temperature, AdamW
and precision; tokenising is part of the step for all. Printed: pairs and real tokens a second, the
share of padding the transformer sees, MFU as in `train.run.cost` (peak from the data sheet, or
measured), peak memory, and whether the first losses agree to 5e-3.
sentence-transformers runs its plain loss and its cached one with `mini_batch_num_tokens`; PyLate
is skipped, and said so, without `--pylate` or $XTROVE_PYLATE_PYTHON. (a), the loss alone, is
`benchmarks/xtr_loss.py`; `--loss` runs it too. (c) is the reader, tokeniser and collator alone.
`--cuda` sets what an H100/H200 is asked: batch 1,024, mini-batches of 65,536 tokens, lengths
64/512; `benchmarks/train_cuda.sh` is that in one script. Exit 1: ours was slower than a peer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

# The folder of a script comes first in the path, and this one has a `train` and an `ingest` in it.
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).parent]
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shards.loader import Feed, Loader, PlanOptions, Reader, Select
from train import choose_device
from train.checkpoint import CardFacts, save_model
from train.data import Collate
from train.model import Encoder, EncoderOptions, scratch
from train.objectives.base import train_k
from train.run import arithmetic

CHILD = Path(__file__).with_name("train_child.py")
ST, ST_PLAIN, PYLATE, OURS = (
    *("sentence-transformers", "sentence-transformers-plain", "pylate", "xtrove"),
)
AGREEMENT = 5e-3
"""Relative. With random weights an eighth of the query tokens have less than 1e-6 between their
k-th and next token, so that fp32 sums in another order retrieve another one; in fp64 the scores
of sentence-transformers and ours differ by 1e-7."""
OUT_OF_MEMORY = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One implementation at one size and batch."""

    size: str
    batch: int
    engine: str
    failed: str = ""
    step_seconds: float = 0.0
    pairs: float = 0.0
    tokens: float = 0.0
    padding: float = 0.0
    mfu: float = 0.0
    peak: int = 0
    loss: float = 0.0


def engines(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Name and python of what is compared."""
    result = [(OURS, sys.executable), (ST_PLAIN, sys.executable), (ST, sys.executable)]
    return result + ([(PYLATE, options.pylate)] if options.pylate else [])


def pairs_of(reader: Reader, count: int) -> list[tuple[str, str]]:
    """Pairs of one language, as a batch holds them; the largest language."""
    numbers = reader.language_numbers()
    largest = int(np.bincount(numbers).argmax())
    places = np.flatnonzero(numbers == largest)[:count]
    return [(str(sample["query"]), str(sample["code"])) for sample in reader.samples(places)]


def run(job: dict[str, Any], python: str, folder: Path) -> dict[str, Any]:
    """The facts of a child, or why there are none."""
    file = folder / "job.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    root = str(CHILD.parent.parent) if job["engine"] == OURS else ""
    done = subprocess.run(
        [python, str(CHILD), str(file)],
        env={**os.environ, "PYTHONPATH": root, "PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        return {"failed": "out of memory" if done.returncode == OUT_OF_MEMORY else last[:120]}
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def measured(options: argparse.Namespace, reader: Reader, folder: Path) -> Iterator[Row]:
    """All rows."""
    device = choose_device(options.device, options.precision)
    shape = EncoderOptions(
        query_length=options.query_length, document_length=options.document_length
    )
    for size in options.sizes.split(","):
        texts = (str(sample["code"]) for sample in reader.samples(range(min(2000, len(reader)))))
        encoder = scratch(texts, shape, size=size, vocabulary=options.vocabulary, seed=0)
        path = folder / size
        save_model(encoder, path, card=CardFacts(name=size, base="scratch"))
        for batch in map(int, options.batches.split(",")):
            pairs = pairs_of(reader, 4 * batch)
            queries = [len(row) for row in encoder.tokenize([p[0] for p in pairs], "query")]
            documents = [len(row) for row in encoder.tokenize([p[1] for p in pairs], "document")]
            job = {
                "model": str(path),
                "pairs": pairs,
                "batch": batch,
                "mini_batch_tokens": options.mini_batch_tokens,
                "score_rows": options.score_rows,
                "query_length": options.query_length,
                "document_length": options.document_length,
                "k": train_k(round(float(np.mean(documents)) * batch)),
                "device": device.torch.type,
                "precision": device.precision,
                "compile": options.compile,
                "threads": options.threads,
                "seconds": options.seconds,
            }
            share = batch / len(pairs)
            flops = arithmetic(encoder).training_flops(np.array(queries + documents)) * share
            tokens = (sum(queries) + sum(documents)) * share
            for engine, python in engines(options):
                facts = run({**job, "engine": engine}, python, folder)
                if "failed" in facts:
                    yield Row(size=size, batch=batch, engine=engine, failed=facts["failed"])
                    continue
                # The mean over all steps: they hold different pairs.
                seconds = float(np.mean(facts["seconds"]))
                yield Row(
                    size=size,
                    batch=batch,
                    engine=engine,
                    step_seconds=seconds,
                    pairs=batch / seconds,
                    tokens=tokens / seconds,
                    padding=facts["padding"],
                    mfu=flops / seconds / device.peak_flops,
                    peak=facts["peak"],
                    loss=facts["loss"],
                )


def table_of(rows: list[Row]) -> Table:
    """The rows for people."""
    table = Table(box=None, pad_edge=False)
    names = (
        "size",
        "batch",
        "engine",
        "s/step",
        "pairs/s",
        "tokens/s",
        "padding",
        "MFU",
        "peak GB",
    )
    for name in (*names, "loss"):
        table.add_column(name, justify="left" if name in ("size", "engine") else "right")
    for row in rows:
        cells = [row.size, str(row.batch), row.engine]
        if row.failed:
            table.add_row(*cells, row.failed)
            continue
        numbers = (f"{row.step_seconds:.3f}", f"{row.pairs:,.1f}", f"{row.tokens:,.0f}")
        shares = (f"{row.padding:.1%}", f"{row.mfu:.1%}", f"{row.peak / 1e9:.2f}")
        table.add_row(*cells, *numbers, *shares, f"{row.loss:.4f}")
    return table


def shortfalls(rows: list[Row]) -> list[str]:
    """Where ours was slower or the losses differ."""
    result = []
    ours = {(row.size, row.batch): row for row in rows if row.engine == OURS}
    for row in rows:
        mine = ours[row.size, row.batch]
        if row.failed or mine.failed or row is mine:
            result += (
                [f"ours failed at {row.size} {row.batch}"] if row is mine and row.failed else []
            )
            continue
        if row.step_seconds < mine.step_seconds:
            factor = mine.step_seconds / row.step_seconds
            result.append(f"{row.engine} is {factor:.2f} times as fast at {row.size} {row.batch}")
        if abs(row.loss - mine.loss) > AGREEMENT * max(1.0, abs(mine.loss)):
            result.append(f"{row.engine}'s first loss differs at {row.size} {row.batch}")
    return result


def loader_speed(place: str, encoder: Encoder, options: argparse.Namespace) -> tuple[float, float]:
    """Pairs and tokens a second of reader, tokeniser and collator, from the second batch on."""
    loader = Loader(
        Feed(
            place=place,
            options=PlanOptions(seed=0, batch_size=256),
            transform=Collate(tokenize=encoder.text_tokenizer),
            select=Select(splits=("train",)),
        ),
        workers=options.workers,
    )
    pairs = tokens = 0
    began = 0.0
    for batch in loader:
        if not began:
            began = time.perf_counter()
            continue
        pairs, tokens = pairs + batch.size, tokens + batch.tokens
        if time.perf_counter() - began > options.seconds:
            break
    seconds = time.perf_counter() - began
    loader.close()
    return pairs / seconds, tokens / seconds


def read_options() -> argparse.Namespace:
    """The words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--sizes", default="17m,150m")
    parser.add_argument("--batches", default="32,128")
    parser.add_argument("--mini-batch-tokens", type=int, default=8192)
    parser.add_argument(
        "--score-rows", type=int, default=32, help="queries the peers score at once"
    )
    parser.add_argument("--query-length", type=int, default=64)
    parser.add_argument("--document-length", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=32_768)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="loader processes of (c)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each implementation")
    parser.add_argument("--pylate", default=os.environ.get("XTROVE_PYLATE_PYTHON"))
    parser.add_argument("--loss", action="store_true", help="(a) too")
    parser.add_argument("--cuda", action="store_true", help="what an H100/H200 is asked")
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.cuda:
        options.batches, options.document_length = "1024", 512
        options.mini_batch_tokens, options.workers, options.device = 65_536, 8, "cuda"
    return options


def main() -> int:
    """Runs (b) and (c), and (a) where asked."""
    options, console = read_options(), Console(width=150, highlight=False)
    console.print(
        f"torch {torch.__version__}; {choose_device(options.device, options.precision).describe()}"
    )
    if not options.pylate:
        console.print("PyLate is left out: give --pylate PYTHON")
    with Reader.open(options.dataset) as reader, tempfile.TemporaryDirectory() as folder:
        rows = list(measured(options, reader, Path(folder)))
        console.print(table_of(rows))
        shape = EncoderOptions(document_length=options.document_length)
        texts = (str(sample["code"]) for sample in reader.samples(range(min(2000, len(reader)))))
        encoder = scratch(texts, shape, size="tiny", vocabulary=options.vocabulary, seed=0)
    pairs, tokens = loader_speed(options.dataset, encoder, options)
    console.print(
        f"loader alone, {options.workers} processes: {pairs:,.0f} pairs/s, {tokens:,.0f} tokens/s"
    )
    if options.json:
        listed = [{name: getattr(row, name) for name in Row.__slots__} for row in rows]
        Path(options.json).write_text(json.dumps(listed, indent=1), encoding="utf-8")
    code = 0
    if options.loss:
        script = Path(__file__).with_name("xtr_loss.py")
        code = subprocess.run([sys.executable, str(script)], check=False).returncode
    for line in shortfalls(rows):
        console.print(f"shortfall: {line}")
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
