"""Readers as processes: killed in the middle of an epoch, and opened over a thousand shards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shards.loader.reader import PlanOptions, Reader, State
from tests.shards.builder import build
from tests.shards.simulated import simulate

ROOT = Path(__file__).parents[3]
OPTIONS = PlanOptions(seed=9, batch_size=4, window=24, run=4, pool=16)
READING = """
import json, sys, time
from shards.loader.reader import PlanOptions, Reader
options = PlanOptions(seed=9, batch_size=4, window=24, run=4, pool=16)
with Reader.open(sys.argv[1]) as reader:
    for batch in reader.batches(options):
        state = reader.state(options, batch.epoch, batch.number + 1).as_dict()
        sys.stdout.write(json.dumps([[s["id"] for s in batch.samples], state]) + "\\n")
        sys.stdout.flush()
        time.sleep(0.02)
"""
OPENING = """
import json, resource, sys, time
from pathlib import Path
from shards.loader.reader import PlanOptions, Reader
began = time.process_time()
reader = Reader.open(sys.argv[1])
opened = time.process_time() - began
options = PlanOptions(seed=0, batch_size=64)
state = reader.state(options, 0, int(reader.batch_count(options, 0) * 0.9))
began = time.process_time()
again = Reader.open(sys.argv[1])
again._planner.plan(options, 0, state.window)
resumed = time.process_time() - began
status = Path("/proc/self/status")
if status.exists():
    # What `getrusage` says begins with the memory of the process that started this one.
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
    peak = int(line.split()[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stdout.write(json.dumps([len(reader), opened, resumed, peak]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4])
def test_killed_in_the_middle_of_an_epoch(tmp_path: Path, after: int) -> None:
    place = build(tmp_path).path
    with Reader.open(place) as reader:
        whole = [str(sample["id"]) for batch in reader.batches(OPTIONS) for sample in batch.samples]
    with subprocess.Popen(
        [sys.executable, "-c", READING, str(place)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(after)]
        child.kill()
    seen = [key for line in lines for key in json.loads(line)[0]]
    state = State.from_dict(json.loads(lines[-1])[1])
    shares = []
    for rank in range(2):
        with Reader.open(place) as reader:
            shares.append(list(reader.batches(OPTIONS, start=state, rank=rank, world=2)))
    for first, second in zip(*shares, strict=True):
        assert first.number == second.number
        together = [*first.samples, *second.samples]
        together[0::2], together[1::2] = first.samples, second.samples
        seen.extend(str(one["id"]) for one in together)
    assert seen == whole


@pytest.mark.slow
def test_a_thousand_shards_open_at_once(tmp_path: Path) -> None:
    simulate(tmp_path, languages=4, shards=250, rows=60)
    done = subprocess.run(
        [sys.executable, "-c", OPENING, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    count, opened, resumed, peak = json.loads(done.stdout)
    assert count == 60_000
    assert opened < 2
    assert resumed < 2
    assert peak < 300 << 20
