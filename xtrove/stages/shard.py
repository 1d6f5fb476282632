"""Stage shard: the id list of one output shard -> tar, index and Parquet twin.

Samples were encoded by the extract stage; they are copied in id order from the memory-mapped
runs. Memory: what `shards.write.shard` holds, and 24 bytes a sample of the list.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.licenses import is_permissive
from shards.write import write_shard
from xtrove.runtime import Workspace
from xtrove.stages.run_files import OpenRuns, Records, load, read_runs, split_number

BATCH = 4096


def license_class(licenses: list[str]) -> str:
    """The class that readers filter by."""
    if licenses == ["NOASSERTION"]:
        return "unknown"
    return "permissive" if is_permissive(licenses) else "other"


def output_tmp(workspace: Workspace) -> Path:
    """Temporary names on the file system of the output."""
    return workspace.output / ".xtrove" / "tmp"


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Write one shard under its final name."""
    runs = OpenRuns(workspace, read_runs(workspace, spec["runs"]))
    language, split, number, start, stop = spec["shard"]
    kept = workspace.folder("layout", spec["layout"]) / f"kept-{language}-{split}.npy"
    rows: Records = load(kept)[start:stop]  # type: ignore[assignment]

    def samples() -> Iterator[tuple[str, bytes]]:
        for first in range(0, len(rows), BATCH):
            for (high, low), item in rows[first : first + BATCH].tolist():
                ordinal, index = split_number(item)
                yield f"{high:016x}{low:016x}", runs[ordinal].sample(index)

    with workspace.task_folder("shard", key) as folder:
        files = write_shard(
            workspace.output,
            language,
            split,
            number,
            samples(),
            license_class,
            tmp=output_tmp(workspace),
            work=folder,
        )
        shutil.rmtree(folder / "tmp", ignore_errors=True)
    published = {file.path: file.bytes for file in files.published()}
    return {"files": files.as_dict(), "published": published}
