"""A build without workers: nothing of Ray, faults, Ctrl-C, breakpoints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.xtrove import support
from xtrove.runtime.engine import Done, Engine
from xtrove.runtime.local_engine import LocalEngine
from xtrove.runtime.task import Outcome, Task
from xtrove.runtime.workspace import Workspace

CODE = '''def number_{0}_of(value):
    """Return the number {0} that belongs to a value, or the value itself."""
    table = {{{0}: value, {0} + 1: [value, {0}]}}
    return table.get(value, value + {0})
'''


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config over a folder of three small files."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(3):
        (source / f"module_{number}.py").write_text(CODE.format(number), encoding="utf-8")
    splits = {"splits": {"validation": 0, "test": 0}}
    return support.write_config(
        tmp_path / "config.yaml",
        support.library_config(source, output=str(tmp_path / "out"), workers=0, shards=splits),
    )


def _python(script: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], cwd=support.ROOT, env=support.environment(), input=text,
        capture_output=True, text=True, timeout=support.TIMEOUT, check=False,
    )  # fmt: skip


BUILD = """
import sys
from pathlib import Path
from xtrove.build.run import build
from xtrove.config.build import load
built = build(load(Path({config!r}), []), Path.cwd())
"""


@pytest.mark.slow
def test_ray_is_not_imported(config: Path) -> None:
    script = (
        BUILD.format(config=str(config)) + "print(built.manifest.samples, 'ray' in sys.modules)"
    )
    done = _python(script)
    assert done.stdout.split() == ["3", "False"], done.stderr


@pytest.mark.slow
def test_a_breakpoint_in_a_stage_stops_there(config: Path) -> None:
    script = """
from xtrove.stages import select
original = select.run
def run(workspace, key, spec):
    breakpoint()
    return original(workspace, key, spec)
select.run = run
""" + BUILD.format(config=str(config))
    done = _python(script, "p sorted(spec)\nc\n")
    assert done.returncode == 0, done.stderr
    assert "(Pdb) ['dedupe', 'query_cap', 'quotas', 'runs', 'slots', 'verify']" in done.stdout


@pytest.mark.slow
def test_an_end_in_the_middle_of_a_task(config: Path, tmp_path: Path) -> None:
    script = """
import os, signal
from xtrove.stages import select
from xtrove.core.errors import Interrupted
original = select.run
def run(workspace, key, spec):
    with workspace.task_folder("select", key) as folder:
        (folder / "half").touch()
        os.kill(os.getpid(), signal.SIGTERM)
select.run = run
try:
""" + "".join(f"    {line}\n" for line in BUILD.format(config=str(config)).splitlines())
    script += "except Interrupted as error:\n    print(error.message)\n"
    done = _python(script)
    assert "in stage select, 0 of 1 done" in done.stdout, done.stderr
    output = tmp_path / "out"
    assert not list((output / ".xtrove" / "tmp").iterdir())
    before = support.receipts(output, "extract")
    support.build(config)
    assert support.worked(output, "extract") == set()
    assert support.receipts(output, "extract") == before


def _run(tmp_path: Path, *tasks: Task) -> list[Done]:
    output = tmp_path / "out"
    output.mkdir()
    return list(
        LocalEngine(Workspace(work=tmp_path / "work", output=output)).run(tasks, lambda: None)
    )


def test_a_fault_of_one_task_leaves_the_others(tmp_path: Path) -> None:
    bad = Task(stage="bands", key="bad", label="bad", spec={"runs": "nowhere"})
    worse = Task(stage="verify", key="worse", label="worse", spec={})
    ended = _run(tmp_path, bad, worse)
    assert [(done.position, done.task.key, done.outcome.fault) for done in ended] == [
        (0, "bad", "failed"), (1, "worse", "failed"),
    ]  # fmt: skip


class _Away(Engine):
    """Ends every task at once: those called "away" with a transient fault."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, window=1)
        self.tries: list[str] = []

    def submit(self, task: Task) -> str:
        self.tries.append(task.key)
        return task.key

    def wait(self, handles: list[str]) -> list[str]:
        return handles

    def outcome(self, handle: str) -> Outcome:
        return Outcome(fault="transient" if handle == "away" else "")


def test_a_transient_fault_is_tried_four_times_while_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XTROVE_RETRY_PAUSE", "0.01")
    engine = _Away(Workspace(work=tmp_path / "work", output=tmp_path))
    tasks = [Task(stage="none", key=key, label=key, spec={}) for key in ("away", "here")]
    ended = list(engine.run(tasks, lambda: None))
    assert engine.tries == ["away", "here", "away", "away", "away"]
    assert [(done.position, done.outcome.fault) for done in ended] == [(1, ""), (0, "transient")]
