"""Memory does not follow the input: one row group far larger than what a reader may hold."""

from __future__ import annotations

import base64
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 20_000
ROW_BYTES = 9_000

CHILD = """
import re, sys
from pathlib import Path
from ingest.licenses.policy import LicensePolicy
from ingest.sources.the_stack.source import TheStackOptions, plan, read
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
options, policy = TheStackOptions(path=sys.argv[1]), LicensePolicy()
listing = plan(options, "s", policy)
before = peak()
rows = sum(1 for s in listing.slices for _ in read(options, "s", policy, s, listing.revision))
sys.stdout.write(f"{rows} {peak() - before}")
"""


def write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    noise = random.Random(7)
    texts = (base64.b64encode(noise.randbytes(ROW_BYTES * 3 // 4)).decode() for _ in range(ROWS))
    same: dict[str, Any] = {
        "max_stars_repo_name": "o/n",
        "max_stars_repo_path": "a.py",
        "max_stars_repo_head_hexsha": "0" * 40,
    }
    columns: dict[str, Any] = {
        "content": list(texts),
        **{name: [value] * ROWS for name, value in same.items()},
        "max_stars_repo_licenses": [["MIT"]] * ROWS,
    }
    pq.write_table(pa.table(columns), path, row_group_size=ROWS, use_dictionary=False)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="VmHWM is a fact of Linux")
def test_a_row_group_of_180_mb_is_not_held(tmp_path: Path) -> None:
    """VmHWM, because ru_maxrss of a child starts at the peak of its parent."""
    write(tmp_path / "data/python/a.parquet")
    project = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        cwd=project,
        env={"PYTHONPATH": project},
        capture_output=True,
        text=True,
        check=True,
    )
    rows, grown = (int(word) for word in done.stdout.split())
    assert rows == ROWS
    assert grown < 140_000, "kilobytes"
