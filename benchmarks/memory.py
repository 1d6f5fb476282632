"""The memory of a build on an input many times larger than what a worker may use.

`python benchmarks/memory.py [--gigabytes 1] [--workers 2] [--data DIR]` writes a folder in the
schema of The Stack v1 of that many decimal GB of source, builds it with every option at its
default, and prints the peak of a worker (RSS) and of all processes together (PSS) by stage.
The input is the rows of DIR (default: $XTROVE_DATA/the-stack; without it, the standard library)
again and again, always the same for the same size: in copy K the compound names (`read_line`,
`readLine`) and the names of functions get a suffix, and so do the repositories, so that no two
files are equal. Functions without such a name are exact duplicates: the dedupe has work too.
Cost for 1 GB on two cores: 90 s to write, 60 s to build. Exit 1: a worker had more than 512 MB
in any stage.
"""

from __future__ import annotations

import argparse
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import rooms_first  # noqa: F401
from build import default_data, make_config
from rich.console import Console
from rich.table import Table
from watched import Watched, watch

from xtrove.build import workspace_of
from xtrove.config import build as configs

LIMIT_BYTES = 512_000_000
ROWS_A_GROUP = 1000
LIBRARY_FILE_BYTES = 900_000
_NAMES = re.compile(
    r"\b[A-Za-z]\w*(?:[a-z0-9]_[a-z]|[a-z][A-Z])\w*\b|(?<=\bdef )[a-z]\w*|(?<=\bfn )[a-z]\w*"
    r"|(?<=\bfunc )[a-z]\w*|(?<=\bfunction )[a-z]\w*"
)

Batches = Iterator[tuple[str, pa.Table]]
"""Language, and a table of rows."""


def stack_batches(data: Path) -> Batches:
    """The rows of a folder of The Stack v1, a row group at a time."""
    base = data / "data" if (data / "data").is_dir() else data
    for path in sorted(base.glob("*/*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield path.parent.name, file.read_row_group(group)


def library_batches() -> Batches:
    """The modules of the standard library as such rows."""
    library = Path(sysconfig.get_paths()["stdlib"])
    rows: list[dict[str, object]] = []
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library).as_posix()
        if "site-packages" in name or path.stat().st_size > LIBRARY_FILE_BYTES:
            continue
        rows.append(
            {
                "content": path.read_text(encoding="utf-8", errors="replace"),
                "lang": "Python",
                "size": path.stat().st_size,
                "max_stars_repo_name": "python/cpython",
                "max_stars_repo_path": f"Lib/{name}",
                "max_stars_repo_head_hexsha": "0" * 40,
                "max_stars_repo_licenses": ["PSF-2.0"],
                "max_stars_count": 0,
            }
        )
    yield "python", pa.Table.from_pylist(rows)


def edited(table: pa.Table, copy: int) -> pa.Table:
    """Copy `copy` of these rows; copy 0 is the rows themselves."""
    if copy == 0:
        return table
    suffix = rf"\g<0>K{copy}"
    texts = [_NAMES.sub(suffix, text or "") for text in table.column("content").to_pylist()]
    repos = [f"{name}-{copy}" for name in table.column("max_stars_repo_name").to_pylist()]
    for name, values in (
        ("content", texts),
        ("max_stars_repo_name", repos),
        ("size", [len(text.encode("utf-8", "replace")) for text in texts]),
    ):
        at = table.schema.get_field_index(name)
        if at >= 0:
            table = table.set_column(at, name, pa.array(values, table.schema.field(at).type))
    return table


def synthesise(data: Path | None, folder: Path, wanted: int) -> tuple[int, int]:
    """Write at least `wanted` bytes of source below `folder`; returns bytes and rows written."""
    size = rows = copy = 0
    while size < wanted:
        before = size
        for number, (language, table) in enumerate(
            stack_batches(data) if data else library_batches()
        ):
            made = edited(table, copy)
            path = folder / "data" / language / f"train-{copy:05}-{number:05}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(made, path, row_group_size=ROWS_A_GROUP, compression="zstd")
            texts = made.column("content").to_pylist()
            size += sum(len((text or "").encode("utf-8", "replace")) for text in texts)
            rows += len(texts)
            if size >= wanted:
                break
        if size == before:
            raise SystemExit(f"no rows to repeat in {data}: give another --data")
        copy += 1
    return size, rows


def show(built: Watched, size: int, rows: int, console: Console) -> None:
    """The table."""
    table = Table(title=f"input {size / 1e6:,.0f} MB of source in {rows:,} files")
    for heading in ("stage", "tasks", "wall s", "worker MB", "all MB", "input / worker"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in built.stages:
        peak, everything = stage.worker_peak / 1e6, built.peaks.get(stage.name, 0) / 1e6
        table.add_row(
            stage.name,
            str(stage.tasks),
            f"{stage.wall:.1f}",
            f"{peak:.0f}" if peak else "",
            f"{everything:.0f}" if everything else "",
            f"{size / stage.worker_peak:.1f}" if stage.worker_peak else "",
        )
    table.add_section()
    table.add_row("most", "", f"{built.wall:.1f}", f"{built.worker_peak / 1e6:.0f}",
                  f"{built.peak / 1e6:.0f}", f"{size / max(1, built.worker_peak):.1f}")  # fmt: skip
    table.caption = "the peak of a worker never falls from stage to stage"
    console.print(table)


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, help="a folder of The Stack v1")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    data = arguments.data or default_data()
    with tempfile.TemporaryDirectory(prefix="xtrove-memory-") as name:
        folder = Path(name)
        size, rows = synthesise(data, folder / "input", int(arguments.gigabytes * 1e9))
        config = make_config(folder / "input", folder, arguments.workers)
        file = folder / "build.yaml"
        file.write_text(configs.as_yaml(config), encoding="utf-8")
        built = watch(file, workspace_of(config).work, folder / "said.txt")
        output = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")
    console.print(output.split("\nThe dataset is in", 1)[0], highlight=False)
    show(built, size, rows, console)
    worker = built.worker_peak
    held = worker <= LIMIT_BYTES
    console.print(
        f"{worker / 1e6:.0f} MB at most in a worker, "
        f"{'under' if held else 'OVER'} the {LIMIT_BYTES / 1e6:.0f} MB it may have"
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
