"""All that computes, on a device that is not the CPU: nothing is mixed, and the same comes out.

What it cannot show is what only CUDA or MPS do: their kernels, bf16, compiling, NCCL.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.train.runs import ROOT, TIMEOUT

Found = dict[str, dict[str, Any]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What came out of each device."""
    folder = tmp_path_factory.mktemp("second")
    done = subprocess.run(
        [sys.executable, "-m", "tests.train.second_child", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    read: Found = json.loads((folder / "found.json").read_bytes())
    return read


def test_tensors_of_two_devices_are_refused_there(found: Found) -> None:
    assert "tensors of the CPU [(3,)]" in found["second"]["mixed"]


@pytest.mark.parametrize("case", ["xtr", "mix cached"])
def test_training_is_that_of_the_cpu(found: Found, case: str) -> None:
    here, there = found["cpu"][case], found["second"][case]
    assert here["waits"] == 0 < there["waits"]
    assert [float.fromhex(one) for one in there["losses"]] == pytest.approx(
        [float.fromhex(one) for one in here["losses"]], rel=1e-3
    )
    assert there["norms"] == pytest.approx(here["norms"], rel=3e-3)


def test_a_run_goes_on_bit_by_bit(found: Found) -> None:
    for text in ("cpu", "second"):
        assert found[text]["resumed"] == found[text]["mix cached"]["losses"]


def test_encoding_mining_and_search_are_those_of_the_cpu(found: Found) -> None:
    here, there = found["cpu"], found["second"]
    for one, other in zip(here["vectors"], there["vectors"], strict=True):
        assert other == pytest.approx(one, abs=1e-4)
    assert there["mined"] == here["mined"]
    assert there["mined"]
    for mode, (ids, scores) in here["ranked"].items():
        assert there["ranked"][mode][0] == ids, mode
        assert there["ranked"][mode][1] == [pytest.approx(row, abs=3e-4) for row in scores]
