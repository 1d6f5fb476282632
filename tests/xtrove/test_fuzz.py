"""A short fuzz run over every target of `benchmarks/fuzz.py`: no row is a finding."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.xtrove import support


@pytest.mark.slow
def test_no_row_of_a_short_run_is_a_finding(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/fuzz.py", "--data", "", "--seed", "4"]
    done = subprocess.run(
        [*command, "--minutes", "60", "--rows", "20", "--findings", str(tmp_path / "findings")],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
        timeout=support.TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    assert len(lines) == 12
    assert {line[2].strip() for line in lines} == {"20"}
