"""Reading from a Hub on loopback beside the same local file: speed, bytes, memory; blobs a second.

`python benchmarks/ingest.py [--megabytes 200] [--times 50] [--skip-blobs] [...]` starts the small
Hub of the tests in a process of its own, puts one file of The Stack v1 on it (the schema's own
columns, row groups of 1,000 rows, of the rows of $XTROVE_DATA/the-stack or the standard library)
and reads it in child processes, one after another:

1. MB/s and rows/s of one worker: our reader over the Hub and from the same local file, pyarrow
   from the local file (the same columns, every row), and `datasets` streaming from the Hub.
2. Bytes over the wire against bytes needed (goal under 1.1), for a whole file, for slices of it,
   for two small columns, for small files, JSON lines and CodeSearchNet tables. Needed: of Parquet
   the footers once and the chunks of the columns that were decoded; of lines the file.
3. Memory of one worker that reads a file `--times` times as large as its slice, slice by slice.
4. Blobs a second from moto with 1, 16, 64 and 256 in flight (`benchmarks/blobs.py`).

MB are decimal and of uncompressed wanted columns, as the footer states them. Every process has
one core to itself on a machine of two: the Hub takes the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
GOAL = 1.1
SLICE_BYTES = 8_000_000
ROWS_A_GROUP = 1000
REPO = "bench/stack"


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """What one child process read."""

    what: str
    seconds: float
    rows: int
    raw: int
    """Uncompressed bytes of the wanted columns."""
    wire: int
    """Bytes of answers."""
    needed: int
    peak: int
    """Peak resident bytes of the process."""
    peaks: tuple[int, ...] = ()
    """The same after each tenth of the slices."""


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=200, help="uncompressed, of the file")
    parser.add_argument("--times", type=int, default=50, help="file / slice, for the memory")
    parser.add_argument("--data", type=Path, help="a folder of The Stack v1")
    parser.add_argument("--skip-blobs", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.child:
        sys.stdout.write("\n" + json.dumps(asdict(child(json.loads(words.child)))) + "\n")
        return 0
    sys.path.insert(0, str(ROOT))
    console = Console(width=None if sys.stdout.isatty() else 118)
    with tempfile.TemporaryDirectory(prefix="xtrove-ingest-") as name:
        ratios = measure(words, Path(name), console)
    if not words.skip_blobs:
        subprocess.run([sys.executable, str(ROOT / "benchmarks" / "blobs.py")], check=True)
    return 0 if max(ratios) < GOAL else 1


def measure(words: argparse.Namespace, folder: Path, console: Console) -> list[float]:
    """All that needs the Hub; returns the ratios of bytes."""
    from tests.hub.running import running_hub

    with running_hub(folder / "hub") as hub:
        files = dict(inputs(words, folder))
        hub.store.commit(REPO, {name: path.read_bytes() for name, path in files.items()})
        environment = {**os.environ, **hub.environment()}

        def run(job: str, **more: object) -> Read:
            text = json.dumps({"job": job, "root": str(folder / "local"), **more})
            command = [sys.executable, __file__, "--child", text]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"{job}: {done.stderr[-2000:]}")
            held: dict[str, Any] = json.loads(done.stdout.rpartition("\n{")[2].join(("{", "")))
            return Read(**{**held, "peaks": tuple(held["peaks"])})

        speeds = [run(job) for job in ("ours-hub", "ours-local", "pyarrow", "datasets")]
        show_speeds(speeds, console)
        costs = [speeds[0], *(run("cost", case=case) for case in COSTS)]
        show_costs(costs, console)
        show_memory(run("memory"), words.times, console)
    return [one.wire / one.needed for one in costs]


def inputs(words: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of the Hub by name, which lie in `local` too."""
    local = folder / "local"
    rows = list(stack_rows(words.data, words.megabytes * 1_000_000))
    yield from _table(local, "data/python/train-00000-of-00001.parquet", rows, ROWS_A_GROUP)
    few = rows[: max(1, len(rows) // 40)]
    for number in range(8):
        name = f"small/data/python/train-{number:05d}-of-00008.parquet"
        yield from _table(local, name, few[number::8], 100)
    path = local / "smol/data/python/data.json"
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows[: len(rows) // 4])
    yield "smol/data/python/data.json", path
    csn = [csn_row(row) for row in rows[: len(rows) // 4]]
    yield from _table(local, "csn/python/train-00000-of-00001.parquet", csn, ROWS_A_GROUP)
    expected = words.times * SLICE_BYTES
    long = [row for _ in range(1 + expected // max(1, _bytes(rows))) for row in rows]
    held, stop = 0, 0
    while held < expected:
        held += len(long[stop]["content"])
        stop += 1
    yield from _table(local, "long/data/python/train-00000-of-00001.parquet", long[:stop], 500)


def _table(
    local: Path, name: str, rows: Sequence[dict[str, Any]], group: int
) -> Iterator[tuple[str, Path]]:
    path = local / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=group)
    yield name, path


def _bytes(rows: Sequence[dict[str, Any]]) -> int:
    return sum(len(row["content"]) for row in rows)


def stack_rows(data: Path | None, wanted: int) -> Iterator[dict[str, Any]]:
    """Rows of The Stack v1 until there are so many bytes of content, each copy changed."""
    from memory import library_batches, stack_batches

    folder = data or Path(os.environ.get("XTROVE_DATA", "/nowhere")) / "the-stack"
    held = copy = 0
    while held < wanted:
        batches = stack_batches(folder) if folder.is_dir() else library_batches()
        for _, table in batches:
            for row in table.to_pylist():
                text = row["content"] or ""
                row["content"] = f"# copy {copy}\n{text}"
                row["lang"] = "Python"
                row["max_stars_repo_licenses"] = ["MIT"]
                # Columns that no build reads.
                row["max_issues_repo_path"] = row["max_forks_repo_path"] = "x" * 40
                yield row
                held += len(text)
                if held >= wanted:
                    return
        copy += 1


def csn_row(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of the Hub's copy of CodeSearchNet, those that are not read included."""
    text = row["content"][:4000]
    return {
        "repository_name": row["max_stars_repo_name"],
        "func_path_in_repository": row["max_stars_repo_path"],
        "func_name": "f",
        "whole_func_string": text,
        "language": "python",
        "func_code_string": text,
        "func_code_tokens": text.split()[:400],
        "func_documentation_string": text[:200],
        "func_documentation_tokens": text[:200].split(),
        "split_name": "train",
        "func_code_url": "https://github.com/a/b/blob/" + "0" * 40 + "/x.py#L1-L2",
    }


COSTS = ("slices", "columns", "small", "lines", "csn")


def child(job: dict[str, Any]) -> Read:
    """One measurement, in this process."""
    sys.path.insert(0, str(ROOT))
    root = Path(job["root"])
    doing: dict[str, Callable[[], Read]] = {
        "ours-hub": lambda: ours(root, f"hf://datasets/{REPO}/data", "our reader, Hub", None),
        "ours-local": lambda: ours(root, str(root / "data"), "our reader, local file", None),
        "pyarrow": lambda: by_pyarrow(root),
        "datasets": lambda: by_datasets(root),
        "cost": lambda: cost(root, job["case"]),
        "memory": lambda: ours(
            root, f"hf://datasets/{REPO}/long/data", "slice by slice", SLICE_BYTES
        ),
    }
    return doing[job["job"]]()


def cost(root: Path, case: str) -> Read:
    """One way of reading, for its bytes."""
    base = f"hf://datasets/{REPO}"
    if case == "slices":
        return ours(root, f"{base}/data", "slices of 8 MB", SLICE_BYTES)
    if case == "small":
        return ours(root, f"{base}/small/data", "8 small files", None)
    if case == "lines":
        return ours(root, f"{base}/smol/data", "JSON lines, 4 MB ranges", 4_000_000)
    if case == "csn":
        words = {"kind": "codesearchnet", "declared_licenses": ["MIT"]}
        return ours(root, f"{base}/csn", "CodeSearchNet tables", SLICE_BYTES, words)
    return two_columns(root)


def ours(
    root: Path, path: str, what: str, slice_bytes: int | None, words: dict[str, Any] | None = None
) -> Read:
    """Plan and read a source, every row."""
    from pydantic import TypeAdapter

    from ingest import SourceFile, SourcePair
    from ingest.licenses import LicensePolicy
    from ingest.sources import SourceOptions, plan, read
    from ingest.transport import ReadLimits, meter

    adapter: TypeAdapter[Any] = TypeAdapter(SourceOptions)
    options = adapter.validate_python({"kind": "the-stack", **(words or {}), "path": path})
    policy, limits = LicensePolicy(), ReadLimits()
    start = time.monotonic()
    listing = plan(options, "s", policy, slice_bytes, limits=limits)
    rows, peaks = 0, [_peak()]
    for number, piece in enumerate(listing.slices, start=1):
        for one in read(options, "s", policy, piece, listing.revision, limits=limits):
            rows += isinstance(one, SourceFile | SourcePair)
        if number * 10 // len(listing.slices) >= len(peaks):
            peaks.append(_peak())
    seconds = time.monotonic() - start
    names = sorted({part.name for slice_ in listing.slices for part in slice_.parts})
    base = root / path.removeprefix(f"hf://datasets/{REPO}/") if "://" in path else Path(path)
    raw = needed = 0
    for name in names:
        one = _needed(base / name)
        raw, needed = raw + one[0], needed + one[1]
    wire = sum(one.bytes for host, one in meter().snapshot().items())
    return Read(
        what=what, seconds=seconds, rows=rows, raw=raw, wire=wire, needed=needed, peak=_peak(),
        peaks=tuple(peaks),
    )  # fmt: skip


def _needed(path: Path, columns: Sequence[str] | None = None) -> tuple[int, int]:
    """Uncompressed bytes of the wanted columns, and bytes of the footer and their chunks."""
    from ingest.sources.codesearchnet import rows as csn_rows
    from ingest.sources.the_stack import rows as stack

    if path.suffix != ".parquet":
        return path.stat().st_size, path.stat().st_size
    expected = set(columns or {*stack.COLUMNS, *csn_rows.COLUMNS})
    facts = pq.ParquetFile(path).metadata
    raw, needed = 0, facts.serialized_size + 8
    for group in map(facts.row_group, range(facts.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema.split(".", 1)[0] in expected:
                raw += column.total_uncompressed_size
                needed += column.total_compressed_size
    return raw, needed


def two_columns(root: Path) -> Read:
    """Two small columns of every row group of the file."""
    from ingest.formats import ParquetReader
    from ingest.storage import open_entry, pin
    from ingest.transport import ReadLimits, meter

    name, columns = "data/python/train-00000-of-00001.parquet", ["max_stars_repo_name", "lang"]
    (entry,) = pin(f"hf://datasets/{REPO}/{name}", ReadLimits()).files()
    before, start, rows = meter().snapshot(), time.monotonic(), 0
    with ParquetReader.of(open_entry(entry, ReadLimits())) as reader:
        for number, group in enumerate(reader.groups(columns)):
            for batch in reader.batches(number, columns, group.size, group.rows):
                rows += batch.num_rows
    raw, needed = _needed(root / name, columns)
    wire = sum(one.bytes for one in meter().since(before).values())
    return Read(
        what="two columns", seconds=time.monotonic() - start, rows=rows, raw=raw, wire=wire,
        needed=needed, peak=_peak(),
    )  # fmt: skip


def by_pyarrow(root: Path) -> Read:
    """The local file with the same columns, one thread, to Python values as our rows are."""
    from ingest.sources.the_stack import COLUMNS

    path = root / "data/python/train-00000-of-00001.parquet"
    start, rows = time.monotonic(), 0
    with pq.ParquetFile(path) as file:
        items = [name for name in COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=1000, columns=items, use_threads=False):
            rows += len(batch.to_pylist())
    return _peer("pyarrow, local file", start, rows, path, 0)


def by_datasets(root: Path) -> Read:
    """Streaming from the Hub with the same columns."""
    import datasets

    from ingest.sources.the_stack import COLUMNS

    path = root / "data/python/train-00000-of-00001.parquet"
    items = [name for name in COLUMNS if name in pq.read_schema(path).names]
    start = time.monotonic()
    stream = datasets.load_dataset(
        REPO, data_dir="data/python", split="train", streaming=True, columns=items
    )
    rows = sum(1 for _ in stream)
    return _peer("datasets, streaming", start, rows, path, 0)


def _peer(what: str, start: float, rows: int, path: Path, wire: int) -> Read:
    seconds = time.monotonic() - start
    raw, needed = _needed(path)
    return Read(
        what=what, seconds=seconds, rows=rows, raw=raw, wire=wire, needed=needed, peak=_peak()
    )


def _peak() -> int:
    """Bytes; what `getrusage` says is that of the parent until the child has more."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def show_speeds(reads: Sequence[Read], console: Console) -> None:
    """Table 1."""
    table = _titled("speed of one worker", "reader", "seconds", "rows", "MB/s", "rows/s", "peak MB")
    for read in reads:
        table.add_row(
            read.what, f"{read.seconds:.2f}", f"{read.rows:,}",
            f"{read.raw / read.seconds / 1e6:.1f}", f"{read.rows / read.seconds:,.0f}",
            f"{read.peak / 1e6:.0f}",
        )  # fmt: skip
    console.print(table)


def show_costs(reads: Sequence[Read], console: Console) -> None:
    """Table 2."""
    title = f"bytes transferred over bytes needed (goal under {GOAL})"
    table = _titled(title, "what", "needed", "transferred", "ratio")
    for read in reads:
        ratio = read.wire / read.needed
        table.add_row(read.what, f"{read.needed:,}", f"{read.wire:,}", f"{ratio:.3f}")
    console.print(table)


def show_memory(read: Read, times: int, console: Console) -> None:
    """Table 3."""
    title = f"peak memory of a worker, an input of {times} slices of {SLICE_BYTES / 1e6:.0f} MB"
    tenths = [f"{number * 10}%" for number in range(len(read.peaks))]
    table = _titled(title, "read", *tenths)
    table.add_row("peak MB", *(f"{peak / 1e6:.0f}" for peak in read.peaks))
    console.print(table)


def _titled(title: str, *headings: str) -> Table:
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


if __name__ == "__main__":
    sys.exit(main())
