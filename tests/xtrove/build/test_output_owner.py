"""Whose output a folder is when `work:` lies elsewhere: records that outlive what they tell of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.xtrove import support
from xtrove.build import ownership as state
from xtrove.build.plan import make_plan, ready, workspace_of
from xtrove.config import build as configs


@pytest.fixture
def config(tmp_path: Path) -> Path:
    support.library(tmp_path / "code", limit=500_000)
    whole = {"splits": {"validation": 0, "test": 0}}
    held = support.library_config(tmp_path / "code", shards=whole)
    return support.write_config(tmp_path / "config.yaml", held)


def words(config: Path, output: Path, work: Path, *more: str) -> tuple[object, ...]:
    return (config, "--output", output, "--set", f"work={work}", *more)


@pytest.mark.slow
def test_a_record_of_a_deleted_output_refuses_nothing(config: Path, tmp_path: Path) -> None:
    output, work = tmp_path / "out", tmp_path / "work"
    support.build(*words(config, output, work))
    held = support.xtrove("build", *words(config, output, work, "--set", "dedupe.threshold=0.9"))
    assert held.returncode == 2
    assert "finished build of other inputs" in " ".join(held.stderr.split())
    shutil.rmtree(output)
    support.build(*words(config, output, work, "--set", "dedupe.threshold=0.9"))
    assert support.manifest(output)["dedupe"]["threshold"] == 0.9
    assert support.xtrove("build", *words(config, output, work)).returncode == 2


@pytest.mark.slow
def test_an_old_record_never_overwrites_the_dataset_of_another_work_folder(
    config: Path, tmp_path: Path
) -> None:
    output, first, second = tmp_path / "out", tmp_path / "first", tmp_path / "second"
    # A build that was stopped before it had written anything at the output.
    settings = [f"output={output}", f"work={first}", "dedupe.threshold=0.9"]
    stopped = ready(configs.load(config, settings), tmp_path)
    output.mkdir()
    state.remember(workspace_of(stopped), make_plan(stopped, lambda _: None), sealed=False)
    support.build(*words(config, output, second))
    sums = support.sums(output)
    for more in ((), ("--set", "dedupe.threshold=0.9")):
        done = support.xtrove("build", *words(config, output, first, *more))
        assert done.returncode == 2
        assert "this work folder knows nothing of" in " ".join(done.stderr.split())
    assert support.sums(output) == sums
    support.build(*words(config, output, second))
    assert support.sums(output) == sums
