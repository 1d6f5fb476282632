"""Stage verify: candidate pairs of a range of slices -> edges with their true Jaccard.

A task takes the pairs whose later item stands in its slices, from every bands file (each sorted
by the later item). Memory: 16 bytes a pair, and the pages of the shingle files it touches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dedupe import PAIR, edges
from xtrove.runtime import Workspace
from xtrove.stages.run_files import U64, OpenRuns, load, read_runs, save, split_number

PAIRS_PER_TASK = 200_000


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Keep the pairs whose shingle sets are as similar as the threshold asks."""
    runs = OpenRuns(workspace, read_runs(workspace, spec["runs"]))
    chunks = [np.empty(0, dtype=PAIR)]
    for bands_key in spec["bands"]:
        pairs = load(workspace.folder("bands", bands_key) / "pairs.npy")
        later = pairs["later"]  # type: ignore[call-overload]
        start = int(np.searchsorted(later, np.uint64(spec["first"] << 32)))
        stop = int(np.searchsorted(later, np.uint64(spec["last"] << 32)))
        chunks.append(np.array(pairs[start:stop]))
    candidates = np.unique(np.concatenate(chunks))

    def shingles_of(item: int) -> U64:
        ordinal, index = split_number(item)
        return runs[ordinal].shingles_of(index)

    kept_edges = edges(candidates, shingles_of, spec["threshold"])
    with workspace.task_folder("verify", key) as folder:
        save(folder / "edges.npy", kept_edges)
    return {"pairs": len(candidates), "edges": len(kept_edges)}
