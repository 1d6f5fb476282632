"""What reading costs in requests and bytes, and that the budget holds across processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.transport.rate_limit import (
    BURST_SECONDS,
    WINDOW_SECONDS,
    HubOptions,
    ReadLimits,
    TokenBucket,
)
from tests.hub.running import RunningHub, running_hub, running_reader
from tests.ingest.stack_tables import row, write

TABLE = "data/python/train-00000-of-00001.parquet"
URI = "hf://datasets/o/n"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """20 row groups, in which the contents are most of the bytes."""
    random = Random(7)
    rows = [
        row(
            i,
            content=random.randbytes(900).hex(),
            max_stars_repo_name=f"owner{random.randrange(10**9)}/name{i}",
            max_stars_repo_licenses=["GPL-3.0"] if i < 300 else ["MIT"],
        )
        for i in range(2000)
    ]
    return write(tmp_path_factory.mktemp("t") / TABLE, rows, group=100).read_bytes()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, table: bytes) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        running.store.commit("o/n", {TABLE: table, "README.md": b"hello"})
        yield running


def chunk_bytes(table: bytes, tmp_path: Path, group: int, columns: list[str]) -> int:
    path = tmp_path / "t.parquet"
    path.write_bytes(table)
    facts = pq.ParquetFile(path).metadata.row_group(group)
    chunks = [facts.column(i) for i in range(facts.num_columns)]
    return sum(
        chunk.total_compressed_size
        for chunk in chunks
        if chunk.path_in_schema.split(".")[0] in columns
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "columns",
    [
        ["max_stars_repo_name", "max_stars_repo_path"],
        ["lang", "max_stars_count"],
        ["content", "max_issues_repo_name"],
    ],
)
def test_two_columns_of_a_row_group_cost_their_bytes_and_the_footer(
    hub: RunningHub, table: bytes, tmp_path: Path, columns: list[str]
) -> None:
    job: dict[str, object] = {"path": f"{URI}/{TABLE}", "columns": columns, "group": 5}
    with running_reader(hub) as reader:
        first = reader.get("columns", footer=0, **job)
        hub.forget()
        result = reader.get("columns", footer=first["footer"], **job)
    assert result["rows"] == 100
    expected = chunk_bytes(table, tmp_path, 5, columns)
    assert result["footer_cost"] <= result["footer"] + 8 + 40
    assert expected <= result["cost"] - result["footer_cost"] < 1.1 * expected
    assert result["requests"] <= 4
    served = sum(one["bytes"] for one in hub.log() if "/datasets/o/n" in one["path"])
    assert abs(result["cost"] - served) < 500


@pytest.mark.slow
def test_contents_are_fetched_only_where_a_licence_passes(
    hub: RunningHub, table: bytes, tmp_path: Path
) -> None:
    options = {"kind": "the-stack", "path": URI}
    with running_reader(hub) as reader:
        plan = reader.get("plan", options=options)
        hub.forget()
        records = reader.get("read", options=options, plan=plan)
    fetched = sum(one["bytes"] for one in hub.log() if one["port"] == "cdn")
    assert len(records) == 2000
    assert sum(1 for record in records if "content" in record) == 1700
    contents = chunk_bytes(table, tmp_path, 0, ["content"])
    # Of 20 row groups, three hold no row that passes. The footer came with the plan: it is 6% of
    # this file.
    assert 17 * contents < fetched < 17.5 * contents + 0.02 * len(table)
    assert "footer_data" in dict(plan["slices"][0]["parts"][0]["meta"])
    assert len([one for one in hub.log() if one["port"] == "hub"]) == 1


@pytest.mark.slow
def test_processes_with_limits_stay_under_them_together(hub: RunningHub) -> None:
    whole = 12.0
    share = ReadLimits(requests_per_second=whole).shared(3)
    assert share.requests_per_second == pytest.approx(4.0)
    limits = {"requests_per_second": share.requests_per_second}
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        readers = [stack.enter_context(running_reader(hub)) for _ in range(3)]
        for reader in readers:
            reader.get("list", path=URI)
        hub.forget()
        start = time.monotonic()

        def work(index: int) -> None:
            for _ in range(5):
                # Three requests: the commit, all files, the folders.
                readers[index].get("list", path=URI, limits=limits)

        list(pool.map(work, range(3)))
    times = sorted(one["at"] for one in hub.log())
    assert len(times) == 45
    burst = 3 * 4.0 * BURST_SECONDS
    # A busy machine only makes them later; windows of any start are tried on a clock of our own.
    for count, at in enumerate(times, start=1):
        assert count <= burst + whole * (at - start) + 1
    assert times[-1] - start > 0.9 * (45 - burst) / whole


@pytest.mark.slow
def test_the_cdn_is_not_part_of_the_budget(hub: RunningHub) -> None:
    hub.forget()
    with running_reader(hub) as reader:
        answer = reader.ask(
            "ranges", path=f"{URI}/{TABLE}", count=240, limits={"requests_per_second": 2.0}
        )
    assert answer["answer"] == [10] * 240
    log = hub.log()
    assert sum(one["port"] == "cdn" for one in log) == 240
    # One for the commit, one for the path, one for the resolver.
    assert sum(one["port"] == "hub" for one in log) == 3
    assert answer["seconds"] < 60, "240 requests of the budget take two minutes"
    assert {host: one["requests"] for host, one in answer["traffic"].items()} == {
        hub.endpoint.removeprefix("http://"): 3,
        hub.cdn.removeprefix("http://"): 240,
    }


@given(
    rate=st.floats(0.1, 100),
    capacity=st.floats(1, 50),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_the_bucket_allows(
    rate: float, capacity: float, gaps: list[float]
) -> None:
    now = [0.0]
    bucket = TokenBucket(rate, capacity, clock=lambda: now[0], sleep=lambda s: _advance(now, s))
    taken: list[float] = []
    for gap in gaps:
        now[0] += gap
        bucket.take()
        taken.append(now[0])
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            allowed = capacity + rate * (taken[last] - taken[first])
            assert last - first + 1 <= allowed + 1 + 1e-6


def _advance(now: list[float], seconds: float) -> None:
    now[0] += seconds


def test_a_bucket_that_is_full_does_not_wait() -> None:
    waits: list[float] = []
    bucket = TokenBucket(2.0, 3.0, clock=lambda: 0.0, sleep=waits.append)
    assert [bucket.take() for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert waits == [0.5, 1.0]


def test_the_config_becomes_shares() -> None:
    limits = HubOptions().limits(tasks=16)
    assert limits.requests_per_second * WINDOW_SECONDS * 16 == pytest.approx(2_400)
    assert HubOptions(timeout_s=5).limits().timeout_s == 5
    for wrong in ({"requests_per_5min": 9}, {"requests_per_5min": 60_000}, {"rate": 5}):
        with pytest.raises(ValidationError):
            HubOptions.model_validate(wrong)
