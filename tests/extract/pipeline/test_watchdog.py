"""A row that takes too much time or memory, or kills its process, costs itself only."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from extract.options import ExtractOptions, RowLimits
from extract.pair import Pair
from extract.pipeline.extraction import Extraction, extract_row
from extract.pipeline.watchdog import Stopped, Watchdog
from ingest.records import SourceFile

LIMITS = RowLimits(row_seconds=0.5, row_memory=300_000_000)
LONG_LIMITS = RowLimits(row_seconds=60, row_memory=LIMITS.row_memory)
"""For rows that end for another reason than their time, however slow the machine is."""
ROOT = Path(__file__).resolve().parents[3]


def act(row: str) -> str:
    """What a row does to the process that works on it."""
    if row == "loop in C":
        # Exponential, and `re` looks at nothing until it is done.
        re.match(r"(a*)*b", "a" * 64)
    elif row == "allocate":
        bytearray(800_000_000)
    elif row == "allocate in C":
        # What a native parser does: no check of the pointer that malloc gave.
        libc = ctypes.CDLL(None)
        libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
        for megabytes in (200, 200, 200, 200):
            ctypes.memset(libc.malloc(megabytes * 1_000_000), 1, megabytes * 1_000_000)
            time.sleep(0.5)  # the parent must see the process large before it dies
    elif row == "allocate without a limit":
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        kept = [b"1" * size for size in (400_000_000, 400_000_001)]
        time.sleep(60)
        return str(len(kept))
    elif row == "segfault":
        ctypes.string_at(0)
    elif row == "exit":
        os._exit(7)
    elif row == "raise":
        raise ValueError("text of the row: hunter2")
    elif row == "sleep":
        time.sleep(2 * LIMITS.row_seconds)
    elif row == "environment":
        return " ".join(sorted(os.environ))
    return row.upper()


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    with Watchdog() as made:
        yield made


def outcomes(watchdog: Watchdog, rows: list[str], limits: RowLimits = LONG_LIMITS) -> list[str]:
    answers = watchdog.map(act, rows, limits, size=len)
    return [a.reason if isinstance(a, Stopped) else a for _, a in answers]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("loop in C", "row_timeout"),
        ("allocate", "row_memory"),
        ("allocate in C", "row_memory"),
        ("segfault", "row_crashed"),
        ("exit", "row_crashed"),
        ("raise", "extractor_failed"),
    ],
)
def test_the_row_alone_is_lost(watchdog: Watchdog, row: str, reason: str) -> None:
    limits = LIMITS if reason == "row_timeout" else LONG_LIMITS
    assert outcomes(watchdog, ["a", row, "b", row, row, "c"], limits) == [
        *("A", reason, "B", reason, reason, "C")
    ]


@pytest.mark.slow
def test_the_parent_looks_where_the_kernel_does_not_bound_memory(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.pipeline.watchdog.KERNEL_BOUNDS_MEMORY", False)
    rows = ["a", "allocate without a limit", "a"]
    assert outcomes(watchdog, rows) == ["A", "row_memory", "A"]


@pytest.mark.slow
def test_a_large_parent_is_not_held_against_a_row(watchdog: Watchdog) -> None:
    large = b"1" * 700_000_000
    assert outcomes(watchdog, ["segfault", "allocate in C"]) == ["row_crashed", "row_memory"]
    assert large


def test_waiting_takes_no_processor_time(watchdog: Watchdog) -> None:
    assert outcomes(watchdog, ["sleep", "a"], LIMITS) == ["SLEEP", "A"]


@pytest.mark.slow
def test_rows_keep_their_order_over_many_chunks(watchdog: Watchdog) -> None:
    rows = [f"row {number}" for number in range(1000)]
    rows[500] = "segfault"
    answers = outcomes(watchdog, rows)
    assert answers[500] == "row_crashed"
    assert answers[:500] + answers[501:] == [f"ROW {n}" for n in range(1000) if n != 500]


def test_an_error_is_named_without_its_text(watchdog: Watchdog) -> None:
    answer = watchdog.call(act, "raise", LONG_LIMITS)
    assert isinstance(answer, Stopped)
    assert "ValueError at pipeline/test_watchdog.py:" in answer.detail
    assert "hunter2" not in answer.detail


def grow(row: int, size: int) -> int:
    """Keep memory from row to row, as a leak does."""
    LEAK.append(bytes(size))
    return row


LEAK: list[bytes] = []


@pytest.mark.slow
def test_what_other_rows_left_behind_is_not_held_against_a_row(watchdog: Watchdog) -> None:
    # Ten rows leak 100 MB each under a limit of 300 MB for a chunk: each is tried again alone.
    answers = watchdog.map(grow, range(10), LONG_LIMITS, 100_000_000, size=lambda _: 1)
    assert [answer for _, answer in answers] == list(range(10))


@pytest.mark.slow
def test_a_caller_that_stops_early_leaves_no_answers_behind(watchdog: Watchdog) -> None:
    for _, answer in watchdog.map(act, ["a", "b", "c"], LONG_LIMITS, size=len):
        assert answer == "A"
        break
    assert outcomes(watchdog, ["d"]) == ["D"]


def test_the_child_is_given_no_secrets(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DATABASE_PASSWORD"):
        monkeypatch.setenv(name, "secret")
    names = str(watchdog.call(act, "environment", LONG_LIMITS)).split()
    assert "PATH" in names
    assert not {"HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DATABASE_PASSWORD"} & {*names}


def test_close_leaves_no_process(watchdog: Watchdog) -> None:
    watchdog.close()
    others = set(psutil.Process().children())  # Of other tests of this process.
    assert outcomes(watchdog, ["a"]) == ["A"]
    children = set(psutil.Process().children()) - others
    watchdog.close()
    assert children
    psutil.wait_procs(children, timeout=10)
    assert not children & set(psutil.Process().children())


def test_the_child_ends_with_its_parent() -> None:
    script = (
        "import os, signal\n"
        "from extract.options import RowLimits\n"
        "from extract.pipeline.watchdog import shared\n"
        "shared().call(abs, 0, RowLimits())\n"
        "print(shared()._child._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().isdecimal(), (done.returncode, done.stderr)
    child = int(done.stdout)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.05)


def test_a_child_that_cannot_start_is_an_error(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('no grammar here')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="the extraction process does not start"):
        watchdog.call(act, "a", LONG_LIMITS)


FUNCTION = b'''def counted(values):
    """Return the number of values that are counted from the left."""
    total = 0
    for value in values:
        total += value
    return total
'''


def source(path: str, content: bytes, row: int = 0) -> SourceFile:
    return SourceFile(
        source="s",
        source_revision="r",
        repo="owner/repo",
        path=path,
        revision="",
        url="",
        language="python",
        content=content,
        licenses=("MIT",),
        license_evidence="LICENSE",
        stars=-1,
        row=row,
    )


def test_extraction_in_the_child_equals_extraction_here(watchdog: Watchdog) -> None:
    options = ExtractOptions()
    rows = [
        source("a.py", FUNCTION),
        source("b.py", b"x = 1\n"),
        source("c.py", b"def f():\n    '''No.'''\n    return 1\n"),
    ]
    answers = list(watchdog.map(extract_row, rows, options.limits, options, size=lambda row: 1))
    assert answers == [(row, extract_row(row, options)) for row in rows]
    first = answers[0][1]
    assert isinstance(first, Extraction)
    assert isinstance(first.pairs[0], Pair)


@pytest.mark.slow
def test_a_comment_scanner_without_bounds_is_stopped_by_memory(watchdog: Watchdog) -> None:
    # tree-sitter-python 0.25.0 keeps a state for each "/*" of an error: 12 kB take over 1 GB.
    bomb = FUNCTION + b"/* abc /* abc /* abc\n" * 600
    options = ExtractOptions()
    rows = [source("a.py", FUNCTION), source("bomb.py", bomb), source("c.py", FUNCTION)]
    answers = watchdog.map(
        extract_row,
        rows,
        RowLimits(row_seconds=60, row_memory=100_000_000),
        options,
        size=lambda row: len(row.content),
    )
    reasons = [answer.reason if isinstance(answer, Stopped) else "" for _, answer in answers]
    assert reasons == ["", "row_memory", ""]
