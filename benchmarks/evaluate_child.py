"""What `evaluate.py` runs in a process of its own: one engine over one index; prints a JSON line.

`maxsim|xtr FOLDER SINGLES` asks the questions of FOLDER/questions.npz of FOLDER/index; `plaid` does
it with PyLate's index and its python; `real` evaluates a model on a dataset.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

K = 100


class Memory(threading.Thread):
    """Watches the memory of this process that is not a mapped file."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.anonymous = 0

    def run(self) -> None:
        while True:
            self.anonymous = max(self.anonymous, status("RssAnon"))
            time.sleep(0.02)


def status(name: str) -> int:
    """Bytes of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


def timed(ask: Callable[[int, int], Any], count: int, singles: int) -> dict[str, float]:
    """Questions a second asked together, and seconds of one asked alone."""
    start = time.perf_counter()
    ask(0, count)
    rate = count / (time.perf_counter() - start)
    times = []
    for number in range(min(singles, count)):
        start = time.perf_counter()
        ask(number, number + 1)
        times.append(time.perf_counter() - start)
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    return {"rate": rate, "p50": p50, "p95": p95}


def ours(mode: str, folder: Path, singles: int) -> dict[str, float]:
    """MaxSim or XTR over a token index."""
    import rooms_first  # noqa: F401
    import torch

    from evaluate.index import TokenIndex
    from evaluate.retrieval import MaxSimSearcher, XtrSearcher
    from train.model import TokenVectors

    values, offsets = questions(folder)

    def some(places: list[str]) -> TokenVectors:
        first, last = int(places[0]), int(places[-1]) + 1
        return TokenVectors(
            values=values[offsets[first] : offsets[last]],
            offsets=offsets[first : last + 1] - offsets[first],
        )

    kind = MaxSimSearcher if mode == "maxsim" else XtrSearcher
    searcher = kind(
        index=TokenIndex.open(folder / "index"), encode=some, device=torch.device("cpu")
    )
    return timed(
        lambda first, last: searcher.search([str(number) for number in range(first, last)], K),
        len(offsets) - 1,
        singles,
    )


def plaid(folder: Path, singles: int) -> dict[str, float]:
    """PyLate's PLAID over the vectors of the same index."""
    from pylate import indexes, retrieve

    meta = json.loads((folder / "index" / "meta.json").read_text())
    bounds = np.fromfile(folder / "index" / "offsets.bin", dtype="<i8")
    small = np.memmap(folder / "index" / "values.bin", dtype="i1", mode="r")
    if meta["precision"] == "fp16":
        rows = np.memmap(folder / "index" / "values.bin", dtype="<f2", mode="r")
        whole = rows.reshape(-1, meta["dim"]).astype(np.float32)
    else:
        scales = np.fromfile(folder / "index" / "scales.bin", dtype="<f4")
        whole = small.reshape(-1, meta["dim"]).astype(np.float32) * scales[:, None]
    documents = [whole[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    start = time.perf_counter()
    index = indexes.PLAID(
        index_folder=str(folder / "plaid"), index_name="index", override=True, device="cpu"
    )
    index.add_documents([str(number) for number in range(len(documents))], documents)
    built = len(documents) / (time.perf_counter() - start)
    searcher = retrieve.ColBERT(index=index)
    values, offsets = questions(folder)
    asked = [values[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    result = timed(
        lambda first, last: searcher.retrieve(queries_embeddings=asked[first:last], k=K),
        len(asked),
        singles,
    )
    size = sum(path.stat().st_size for path in (folder / "plaid").rglob("*") if path.is_file())
    return {**result, "built": built, "index_bytes": size}


def questions(folder: Path) -> tuple[Any, Any]:
    """Vectors of all questions, and where each starts."""
    with np.load(folder / "questions.npz") as held:
        return held["values"], held["offsets"]


def real(words: list[str]) -> dict[str, float]:
    """A cold evaluation of one system over functions of a dataset and the questions of some."""
    import rooms_first  # noqa: F401

    from evaluate.corpora import Corpus, Document, Query
    from evaluate.measure import measure_system
    from evaluate.retrieval import SearcherOptions, make_searcher
    from shards.loader import Reader

    folder, model, dataset, functions, count, mode = words
    start = time.perf_counter()
    reader = Reader.open(dataset)
    rows = reader.samples(range(min(int(functions), len(reader))))
    documents = [
        Document(
            id=row["id"], text=row["code"], path=row["path"], name=row["name"], start_line=1,
            end_line=1, language=row["language"],
        )
        for row in rows
    ]  # fmt: skip
    step = max(1, len(rows) // int(count))
    asked = [
        Query(id=row["id"], text=row["query"], relevant={row["id"]: 1})
        for row in rows[::step][: int(count)]
    ]
    corpus = Corpus(name="real", documents=documents, queries=asked)
    read = time.perf_counter() - start
    measured = measure_system(
        [corpus],
        lambda one: make_searcher(mode, model, one, SearcherOptions(cache=Path(folder))),  # type: ignore[arg-type]
    )
    values = measured.values
    return {
        "functions": len(documents),
        "questions": len(asked),
        "seconds": time.perf_counter() - start,
        "read_seconds": read,
        "index_seconds": measured.speed.index_seconds,
        "questions_per_second": measured.speed.queries_per_second,
        "p50_ms": measured.speed.latency_p50,
        "p95_ms": measured.speed.latency_p95,
        "index_bytes": measured.speed.index_bytes,
        **{name: float(values.column(name).mean()) for name in ("P@1", "MRR", "Recall@100")},
    }


def main() -> None:
    """Runs what the first word names."""
    memory = Memory()
    memory.start()
    engine, folder, *rest = sys.argv[1:]
    if engine == "real":
        result = real([folder, *rest])
    elif engine == "plaid":
        result = plaid(Path(folder), int(rest[0]))
    else:
        result = ours(engine, Path(folder), int(rest[0]))
    by_name = {"peak": status("VmHWM"), "anonymous": memory.anonymous}
    sys.stdout.write(json.dumps({**result, **by_name}) + "\n")


if __name__ == "__main__":
    main()
