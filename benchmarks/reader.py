"""The reader beside webdataset, `datasets`, MosaicML Streaming and `tarfile`, on the same samples.

`python benchmarks/reader.py DATASET [--copies 3] [--mosaic PYTHON] [--rows 3000] [--work DIR]`
writes the train samples of DATASET (a dataset of ours) `copies` times, with new ids, into shards of
2 MB, and reads one epoch of them by each way in a process of its own, bound to one core (where
the system can do that) with files in the system's cache: samples and MB a second, seconds to the
first sample and to be at 90% of an epoch again in the same process, and how well the order is
shuffled. Then: peak memory over three epochs through a cache of a twentieth of the dataset,
served by a web server on loopback; and opening, planning and resuming over 1,000 simulated
shards of `rows` samples, whose tars are holes: up to the first read, not with it.
PYTHON (or $XTROVE_MOSAIC_PYTHON) is that of an environment with mosaicml-streaming, which pins old
versions; without it that line is left out, by name.
Shuffle quality: `moved`, the mean distance of a sample from its place in the shards over that of
a perfect shuffle (n / 3); `apart`, the mean distance in the shards of two samples that follow one
another over the same; `serial`, the correlation of the places of two that follow one another.
A perfect shuffle has 1, 1 and 0.
Exit 1: slower than webdataset, a resume over 1 s, or memory that grows by over 50 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.reader_peers import WAYS
from shards.format import (
    Manifest,
    ShardFacts,
    encode_sample,
    layout,
    plan_shards,
    tar_sizes,
    text,
    write_checksums,
)
from shards.read import Dataset
from shards.write import write_shard
from tests.shards.simulated import simulate
from tests.shards.web_server import serving

SHARD_BYTES = 2 << 20
CACHE_SHARE = 20
OVER_HTTP = """
import json, sys, time
from pathlib import Path
from benchmarks.reader_peers import rss_mb
from shards.loader.reader import CacheOptions, PlanOptions, Reader, State
url, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
options = PlanOptions(seed=0, batch_size=64, window=2048, pool=1024)
cache = CacheOptions(folder=folder, max_bytes=size)
began, memory, seen, kept = time.perf_counter(), [], 0, 0
with Reader.open(url, cache=cache) as reader:
    start = reader.state(options, 0, 0)
    for epoch in range(3):
        for batch in reader.batches(options, start=start):
            seen += len(batch.samples)
            if batch.number % 50 == 10:
                memory.append(rss_mb())
                files = [one for one in (folder / "shards").iterdir()]
                kept = max(kept, sum(one.stat().st_size for one in files if one.exists()))
        start = State.from_dict(start.as_dict() | {"epoch": epoch + 1})
print(json.dumps([seen, time.perf_counter() - began, memory[0], max(memory), kept]))
"""
SIMULATED = """
import json, sys, time
from benchmarks.reader_peers import rss_mb
from xtrove.core.errors import DamagedData
from shards.loader.reader import PlanOptions, Reader, State
options = PlanOptions(seed=0, batch_size=256)
before, began = rss_mb(), time.perf_counter()
reader = Reader.open(sys.argv[1])
opened, memory = time.perf_counter() - began, rss_mb() - before
began = time.perf_counter()
count = reader.batch_count(options, 0)
planned = time.perf_counter() - began
state = reader.state(options, 0, int(count * 0.9))
resumed = []
for one in (state, State.from_dict(state.as_dict() | {"window": -1, "before": -1})):
    again = Reader.open(sys.argv[1])
    began = time.perf_counter()
    try:
        next(again.batches(options, start=one))
    except DamagedData:
        # The tars are holes: planned, located and opened is all that can be timed here.
        pass
    else:
        raise AssertionError("a sample was read from a hole")
    resumed.append(time.perf_counter() - began)
print(json.dumps([len(reader), opened, memory, planned, *resumed, rss_mb()]))
"""


def write_dataset(source: Path, base: Path, copies: int) -> Manifest:
    """The train samples of a dataset `copies` times, as small shards."""
    dataset = Dataset.open(source)
    rows: dict[str, list[tuple[str, bytes]]] = {}
    for sample in dataset.samples(split="train"):
        for copy in range(copies):
            name = hashlib.sha256(f"{copy} {sample['id']}".encode()).hexdigest()[:32]
            payload = encode_sample(sample | {"id": name})
            rows.setdefault(text(sample, "language"), []).append((name, payload))
    facts, names = [], [layout.MANIFEST]
    for language, members in sorted(rows.items()):
        members.sort()
        sizes = tar_sizes(np.array([len(payload) for _, payload in members]))
        cuts = plan_shards([name for name, _ in members], sizes, SHARD_BYTES)
        for number, (start, stop) in enumerate(cuts):
            files = write_shard(
                base,
                language,
                "train",
                number,
                members[start:stop],
                lambda licenses: "permissive",
                tmp=base / ".xtrove/tmp",
                work=base / ".xtrove/work",
            )
            names.extend((files.tar.path, layout.index_path(files.tar.path)))
            facts.append(
                ShardFacts(
                    path=files.tar.path,
                    sha256=files.tar.sha256,
                    bytes=files.tar.bytes,
                    samples=files.samples,
                    language=language,
                    split="train",
                )
            )
    known = {"shards": facts, "samples": sum(fact.samples for fact in facts), "tombstones": []}
    manifest = dataset.manifest.model_copy(update=known)
    (base / layout.MANIFEST).write_bytes(manifest.to_json())
    write_checksums(base, names, {}, base / ".xtrove/tmp")
    return manifest


def run(command: list[str], log: Console) -> str | None:
    """Standard output of a process on one core; None where it failed."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        log.print(f"{command[1:3]} failed: {done.stderr[-600:]}", markup=False)
        return None
    return done.stdout


def quality(ids: list[str]) -> tuple[float, float, float]:
    """`moved`, `apart` and `serial` of an order of ids; see the top of this file."""
    order = np.argsort(np.argsort(np.array(ids)))
    count = len(order)
    perfect = count / 3
    moved = np.abs(order - np.arange(count)).mean() / perfect
    apart = np.abs(np.diff(order)).mean() / perfect
    return float(moved), float(apart), float(np.corrcoef(order[:-1], order[1:])[0, 1])


def compare(work: Path, mosaic: str, size: int, log: Console) -> dict[str, dict[str, Any]]:
    """A row for each way."""
    table = Table(title="One epoch on one core")
    for column in ("way", "samples/s", "MB/s", "first sample s", "at 90% again s", "RSS MB"):
        table.add_column(column)
    for column in ("moved", "apart", "serial"):
        table.add_column(column)
    result: dict[str, dict[str, Any]] = {}
    script = str(ROOT / "benchmarks/reader_peers.py")
    for name in WAYS:
        python = mosaic if name == "mosaic" else sys.executable
        if not python:
            log.print("mosaic: left out, --mosaic PYTHON names no environment that has it")
            continue
        answer = work / "answer.json"
        if (
            name == "mosaic"
            and run([python, "-P", script, "write-mds", str(work), "-"], log) is None
        ):
            continue
        if run([python, "-P", script, name, str(work), str(answer)], log) is None:
            continue
        facts = result[name] = json.loads(answer.read_text())
        ids = facts.pop("ids")
        resume = f"{facts['resume_s']:.3f}" if facts["resume_s"] >= 0 else "no resume"
        table.add_row(
            name,
            f"{len(ids) / facts['seconds']:,.0f}",
            f"{size / 1e6 / facts['seconds']:.1f}",
            f"{facts['first_s']:.3f}",
            resume,
            f"{facts['rss_mb']:.0f}",
            *(f"{one:.3f}" for one in quality(ids)),
        )
        assert len(set(ids)) == len(ids) == json.loads((work / "facts.json").read_text())["samples"]
    log.print(table)
    return result


def over_http(work: Path, manifest: Manifest, log: Console) -> float:
    """Growth of memory in MB over three epochs through a small cache."""
    total = sum(shard.bytes for shard in manifest.shards)
    limit = total // CACHE_SHARE
    with serving(work / "dataset") as served:
        out = run(
            [sys.executable, "-c", OVER_HTTP, served.url, str(work / "cache"), str(limit)], log
        )
        fetched = sum(served.bytes.values())
    if out is None:
        return float("inf")
    seen, seconds, first, peak, kept = json.loads(out)
    log.print(
        f"three epochs through a cache of {limit / 1e6:.0f} MB for {total / 1e6:.0f} MB over HTTP: "
        f"{seen / seconds:,.0f} samples/s, {fetched / total / 3:.2f} of the dataset fetched an "
        f"epoch; RSS {first:.0f} MB at the start, {peak:.0f} MB at most (grew {peak - first:.0f}); "
        f"cache at most {kept / 1e6:.1f} MB"
    )
    return float(peak - first)


def simulated(work: Path, rows: int, log: Console) -> float:
    """Seconds to resume over 1,000 shards."""
    simulate(work / "simulated", languages=8, shards=125, rows=rows, repeats=0.001)
    out = run([sys.executable, "-c", SIMULATED, str(work / "simulated")], log)
    if out is None:
        return float("inf")
    count, opened, memory, planned, resumed, located, peak = json.loads(out)
    log.print(
        f"1,000 shards, {count:,} samples: opened in {opened:.3f} s (+{memory:.0f} MB), an epoch "
        f"planned at {count / planned:,.0f} samples/s, at 90% again in {resumed:.3f} s "
        f"({located:.3f} s from a batch number alone); RSS {peak:.0f} MB"
    )
    return float(resumed)


def main() -> None:
    """Runs everything and compares with the goals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--mosaic", default=os.environ.get("XTROVE_MOSAIC_PYTHON", ""))
    parser.add_argument("--work", type=Path, default=None)
    words = parser.parse_args()
    log = Console(width=130)
    with tempfile.TemporaryDirectory(dir=words.work) as folder:
        work = Path(folder)
        manifest = write_dataset(words.dataset, work / "dataset", words.copies)
        (work / "facts.json").write_text(json.dumps({"samples": manifest.samples}))
        size = sum(shard.bytes for shard in manifest.shards)
        log.print(
            f"{manifest.samples:,} samples in {len(manifest.shards)} shards, {size / 1e6:.0f} MB"
        )
        result = compare(work, words.mosaic, size, log)
        grown = over_http(work, manifest, log)
        resumed = simulated(work, words.rows, log)
    missed = []
    if result["reader"]["seconds"] > result["webdataset"]["seconds"]:
        missed.append("slower than webdataset")
    if max(result["reader"]["resume_s"], resumed) > 1:
        missed.append("a resume over 1 s")
    if grown > 50:
        missed.append("memory grows by over 50 MB")
    log.print("goals: " + ("; ".join(missed) or "all reached"))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
