"""Stage bands: one range of the key space over all runs -> candidate pairs.

Band keys are uniform 64-bit hashes, so equal ranges hold equal shares; every run is sorted by
key, so that a range of it is one contiguous read. Memory: about four times 24 bytes a row of
the range; the number of ranges follows the data, 500,000 rows each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dedupe.bands import BAND_ROW, candidates_with_stats
from xtrove.stages.run_files import hash_bounds, load, read_runs, rows_between, save
from xtrove.workspace import Workspace

ROOMS = ("dedupe",)
ROWS_PER_RANGE = 500_000


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Pair up the items that share a band key in this range."""
    runs = read_runs(workspace, spec["runs"])
    low, high = hash_bounds(spec["part"], spec["parts"])
    chunks = [np.empty(0, dtype=BAND_ROW)]
    for ordinal, item in enumerate(runs):
        rows = load(workspace.folder("extract", item.key) / "bands.npy")
        keys = rows["key"]  # type: ignore[call-overload]
        chunk = np.array(rows[rows_between(keys, low, high)])
        chunk["item"] |= np.uint64(ordinal << 32)
        chunks.append(chunk)
    pairs, stats = candidates_with_stats(np.concatenate(chunks))
    with workspace.task_folder("bands", key) as folder:
        save(folder / "pairs.npy", pairs)
    return {
        "pairs": len(pairs),
        "rows": stats.rows,
        "largest_bucket": stats.largest,
        "capped_pairs": stats.capped,
    }
