"""One way of reading the benchmark's samples, in a process of its own; see `benchmarks/reader.py`.

`python -P benchmarks/reader_peers.py NAME FOLDER ANSWER`: reads one epoch, decodes every sample's
JSON, and writes ANSWER: seconds to the first sample and to the last, seconds to be at 90% of an
epoch again (-1 where there is no resume), memory, and the order of the ids. Imports are done
before the clock starts. MosaicML's functions need nothing of ours: they run in its environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Ids = Iterator[str]
BATCH = 64


def rss_mb() -> float:
    """Resident memory of this process; -1 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return -1.0
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def tars_of(folder: Path) -> list[str]:
    """The tars of the benchmark's dataset."""
    return [str(path) for path in sorted((folder / "dataset/data").rglob("*.tar"))]


def by_tarfile(folder: Path) -> Callable[[int], Ids]:
    """The limit: `tarfile` over the shards, in order."""
    import tarfile

    def read(skip: int) -> Ids:
        for path in tars_of(folder):
            with tarfile.open(path) as tar:
                for member in tar:
                    stream = tar.extractfile(member)
                    if stream is not None:
                        yield json.loads(stream.read())["id"]

    return read


def by_webdataset(folder: Path) -> Callable[[int], Ids]:
    """webdataset with shuffled shards and its shuffle buffer of 1,000 samples."""
    import webdataset

    def read(skip: int) -> Ids:
        data = webdataset.WebDataset(tars_of(folder), shardshuffle=1000, seed=0)
        for sample in data.shuffle(1000).decode():
            yield sample["json"]["id"]

    return read


def by_webdataset_in_order(folder: Path) -> Callable[[int], Ids]:
    """webdataset without any shuffle."""
    import webdataset

    def read(skip: int) -> Ids:
        for sample in webdataset.WebDataset(tars_of(folder), shardshuffle=False).decode():
            yield sample["json"]["id"]

    return read


def by_datasets(folder: Path) -> Callable[[int], Ids]:
    """`datasets`, streaming the same tars, with a shuffle buffer of 1,000 samples."""
    import datasets

    data = datasets.load_dataset(
        "webdataset",
        data_files=tars_of(folder),
        split="train",
        streaming=True,
        cache_dir=str(folder / "cache-datasets"),
    ).shuffle(seed=0, buffer_size=1000)
    states: dict[int, Any] = {}

    def read(skip: int) -> Ids:
        if skip:
            data.load_state_dict(states[skip])
        total = json.loads((folder / "facts.json").read_text())["samples"]
        for number, sample in enumerate(data):
            if not skip and number == int(total * 0.9):
                states[int(total * 0.9)] = data.state_dict()
            yield sample["json"]["id"]

    return read


def by_mosaic(folder: Path) -> Callable[[int], Ids]:
    """MosaicML Streaming over the same samples as MDS, shuffled by its default (py1e)."""
    import streaming

    made = 0

    def read(skip: int) -> Ids:
        nonlocal made
        made += 1
        streaming.base.util.clean_stale_shared_memory()
        data = streaming.StreamingDataset(
            local=str(folder / "mds"), shuffle=True, batch_size=BATCH, shuffle_seed=0
        )
        if skip:
            state = {"epoch": 0, "sample_in_epoch": skip, "num_canonical_nodes": 1}
            data.load_state_dict(state | {"shuffle_seed": 0, "initial_physical_nodes": 1})
        for sample in data:
            yield json.loads(sample["payload"])["id"]

    return read


def write_mds(folder: Path) -> None:
    """The samples as MDS, from the tars."""
    import tarfile

    import streaming

    columns = {"payload": "bytes"}
    with streaming.MDSWriter(out=str(folder / "mds"), columns=columns, size_limit=1 << 21) as out:
        for path in tars_of(folder):
            with tarfile.open(path) as tar:
                for member in tar:
                    stream = tar.extractfile(member)
                    if stream is not None:
                        out.write({"payload": stream.read()})


def by_reader(folder: Path) -> Callable[[int], Ids]:
    """Ours: planned batches, everything checked."""
    from shards.loader import PlanOptions, Reader

    options = PlanOptions(seed=0, batch_size=BATCH)

    def read(skip: int) -> Ids:
        with Reader.open(folder / "dataset") as reader:
            start = None
            if skip:
                # The state that a trainer has kept; making it is no part of a resume.
                start = states[skip]
            for batch in reader.batches(options, start=start):
                for sample in batch.samples:
                    yield str(sample["id"])

    with Reader.open(folder / "dataset") as reader:
        at = int(len(reader) * 0.9)
        states = {at: reader.state(options, 0, at // BATCH)}
    return read


def by_reader_in_order(folder: Path) -> Callable[[int], Ids]:
    """Ours, in the order of the index."""
    from shards.loader import Reader

    def read(skip: int) -> Ids:
        with Reader.open(folder / "dataset") as reader:
            for sample in reader.iterate():
                yield str(sample["id"])

    return read


WAYS: dict[str, Callable[[Path], Callable[[int], Ids]]] = {
    "tarfile": by_tarfile,
    "webdataset": by_webdataset,
    "webdataset, in order": by_webdataset_in_order,
    "datasets": by_datasets,
    "mosaic": by_mosaic,
    "reader": by_reader,
    "reader, in order": by_reader_in_order,
}
RESUMES = ("datasets", "mosaic", "reader")


def measure(name: str, folder: Path) -> dict[str, Any]:
    """One epoch by one way, and its resume."""
    read = WAYS[name](folder)
    ids: list[str] = []
    began = time.perf_counter()
    first = 0.0
    for record in read(0):
        if not ids:
            first = time.perf_counter() - began
        ids.append(record)
    seconds = time.perf_counter() - began
    resume = -1.0
    if name in RESUMES:
        began = time.perf_counter()
        next(read(int(len(ids) * 0.9)))
        resume = time.perf_counter() - began
    return {
        "first_s": first,
        "seconds": seconds,
        "resume_s": resume,
        "rss_mb": rss_mb(),
        "ids": ids,
    }


def main() -> None:
    """Runs one way."""
    name, folder, answer = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if name == "write-mds":
        write_mds(folder)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    answer.write_text(json.dumps(measure(name, folder)))


if __name__ == "__main__":
    main()
