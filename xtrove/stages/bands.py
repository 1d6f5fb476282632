"""Stage bands: one range of the key space over all runs -> candidate pairs.

Band keys are uniform 64-bit hashes, so equal ranges hold equal shares; every run is sorted by
key, so that a range of it is one contiguous read. Where earlier slices are settled, only pairs
whose later item is new are wanted: of the settled rows those count that share a key with a new
one. Memory: about four times 32 bytes a row of the range; the number of ranges follows the data,
500,000 rows each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dedupe import BAND_ROW, Rows, candidates_with_stats
from xtrove.runtime import Workspace
from xtrove.stages.run_files import U64, hash_bounds, load, read_runs, rows_between, save

ROWS_PER_RANGE = 500_000


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Pair up the items that share a band key in this range; later items from `first` on only."""
    runs = read_runs(workspace, spec["runs"])
    low, high = hash_bounds(spec["part"], spec["parts"])
    first = int(spec["first"])

    def rows_of(ordinal: int, fresh: U64 | None = None) -> tuple[Rows, U64]:
        """The rows of a slice in this range, or those that share a key with `fresh` (sorted), and
        the names of their items."""
        folder = workspace.folder("extract", runs[ordinal].key)
        rows: Rows = load(folder / "bands.npy")  # type: ignore[assignment]
        chunk = np.array(rows[rows_between(rows["key"], low, high)])
        if fresh is not None:
            chunk = _sharing(chunk, fresh)
        names = load(folder / "items.npy")["name"][chunk["item"].astype(np.int64)]  # type: ignore[call-overload]
        chunk["item"] |= np.uint64(ordinal << 32)
        return chunk, names

    chunks = [(np.empty(0, dtype=BAND_ROW), np.empty(0, dtype=np.uint64))]
    chunks += [rows_of(ordinal) for ordinal in range(first, len(runs))]
    if first:
        fresh = np.unique(np.concatenate([chunk["key"] for chunk, _ in chunks]))
        chunks += [rows_of(ordinal, fresh) for ordinal in range(first)]
    rows, names = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    pairs, stats = candidates_with_stats(rows, names)
    pairs = pairs[np.searchsorted(pairs["later"], np.uint64(first << 32)) :]
    with workspace.task_folder("bands", key) as folder:
        save(folder / "pairs.npy", pairs)
    return {
        "pairs": len(pairs),
        "rows": stats.rows,
        "largest_bucket": stats.largest,
        "capped_pairs": stats.capped,
    }


def _sharing(rows: Rows, fresh: U64) -> Rows:
    """The rows whose key stands among `fresh` (sorted)."""
    if not len(fresh):
        return rows[:0]
    positions = np.minimum(np.searchsorted(fresh, rows["key"]), len(fresh) - 1)
    shared: Rows = rows[fresh[positions] == rows["key"]]
    return shared
