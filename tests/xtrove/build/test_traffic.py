"""What a build asks of other machines: each task's share, and the count of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.transport.rate_limit import DEFAULT_REQUESTS
from ingest.transport.traffic import Traffic
from tests.hub.running import RunningHub, running_hub
from tests.ingest.stack_tables import row, write
from tests.xtrove import support
from xtrove.stages.task_settings import share
from xtrove.terminal.build_progress import fetched

REPO = "open/stack"
CODE = '''
def scaled_{n}(values, factor):
    """Multiply every value of the list by the factor, number {n} of its kind."""
    result = []
    for value in values:
        result.append(value * factor + {n})
    return result
'''


def test_a_share_is_the_budget_over_the_slots() -> None:
    spec: dict[str, Any] = {"hub": {"requests_per_5min": 600, "timeout_s": 7}, "slots": 4}
    assert share(spec).requests_per_second == pytest.approx(600 / 300 / 4)
    assert share(spec).timeout_s == 7
    assert share({}).requests_per_second == pytest.approx(DEFAULT_REQUESTS / 300)


def test_traffic_in_words() -> None:
    one = {"hub:443": Traffic(requests=3, bytes=2_000)}
    assert fetched(one) == "2.0 kB in 3 requests from 1 host"
    two = one | {"cdn:443": Traffic(requests=1_200, bytes=5_000_000)}
    assert fetched(two) == "5.0 MB in 1,203 requests from 2 hosts"


@pytest.fixture(scope="module", name="hub")
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    root = tmp_path_factory.mktemp("files")
    files = {}
    for number in range(3):
        rows = [
            row(n, content=CODE.format(n=f"{number}{n}"), max_stars_repo_name=f"owner/{n}")
            for n in range(8)
        ]
        path = write(root / f"{number}.parquet", rows)
        files[f"data/python/train-{number:05d}-of-00003.parquet"] = path.read_bytes()
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        running.store.commit(REPO, files)
        yield running


@pytest.mark.slow
def test_requests_are_counted_and_are_no_part_of_what_is_kept(
    hub: RunningHub, tmp_path: Path
) -> None:
    config = {
        "name": "x",
        "output": str(tmp_path / "out"),
        "sources": [{"kind": "the-stack", "path": f"hf://datasets/{REPO}"}],
        "shards": {"splits": {"validation": 0, "test": 0}},
        "hub": {"requests_per_5min": 3_000},
    }
    path = support.write_config(tmp_path / "config.yaml", config)
    arguments = [sys.executable, "-m", "xtrove", "build", str(path), "--workers", "0"]
    done = hub.run(arguments, RAY_ADDRESS="", NO_COLOR="1")
    assert done.returncode == 0, done.stderr + done.stdout
    asked = hub.log()
    counted = re.search(r"fetched +(.*) in ([\d,]+) requests from 2 hosts", done.stdout)
    assert counted is not None, done.stdout
    assert int(counted[2].replace(",", "")) == len(asked)
    tasks = [event for event in support.events(tmp_path / "out") if event.get("traffic")]
    assert {task["stage"] for task in tasks} == {"extract"}
    by_tasks = sum(pair[0] for task in tasks for pair in task["traffic"].values())
    assert 0 < by_tasks < len(asked)
    for receipt in (tmp_path / "out" / ".xtrove" / "receipts").rglob("*.json"):
        facts = json.loads(receipt.read_bytes())["facts"]
        assert not {"traffic", "hub", "slots"} & set(facts)

    # Another speed is the same build, and what it asks is no more than the plan needs.
    hub.forget()
    changed = [*arguments, "--set", "hub.requests_per_5min=2000"]
    again = hub.run(changed, RAY_ADDRESS="", NO_COLOR="1")
    assert again.returncode == 0, again.stderr
    assert "finished before" in again.stdout
    assert 0 < len(hub.log()) < len(asked)
