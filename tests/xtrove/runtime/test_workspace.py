"""Receipts, locks and the arithmetic of failures."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrove.core.errors import XtroveError
from xtrove.runtime import workspace as workspaces
from xtrove.runtime.scheduler import failures_in_a_row
from xtrove.runtime.task import execute
from xtrove.runtime.workspace import Receipt, Workspace, driver_lock, running_task


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A workspace with nothing in it."""
    output = tmp_path / "output"
    output.mkdir()
    return Workspace(work=tmp_path / "work", output=output)


def _done(place: Workspace) -> Receipt:
    with place.task_folder("stage", "key") as folder:
        (folder / "a.bin").write_bytes(b"12345")
        (folder / "deeper").mkdir()
        (folder / "deeper" / "b.bin").write_bytes(b"1")
    (place.output / "shard.tar").write_bytes(b"123")
    outputs = {**place.outputs("stage", "key"), "output:shard.tar": 3}
    receipt = Receipt(stage="stage", key="key", outputs=outputs, facts={"n": 1}, seconds=0.5)
    place.write_receipt(receipt)
    return receipt


def test_a_receipt_is_read_back(place: Workspace) -> None:
    assert place.receipt("stage", "key") is None
    receipt = _done(place)
    assert place.receipt("stage", "key") == receipt
    assert set(receipt.outputs) == {
        "files/stage/key/a.bin",
        "files/stage/key/deeper/b.bin",
        "output:shard.tar",
    }


@pytest.mark.parametrize("damage", ["missing", "short", "published", "receipt", "other"])
def test_a_receipt_without_its_outputs_is_none(damage: str, place: Workspace) -> None:
    _done(place)
    path = place.receipt_path("stage", "key")
    match damage:
        case "missing":
            (place.folder("stage", "key") / "a.bin").unlink()
        case "short":
            (place.folder("stage", "key") / "deeper" / "b.bin").write_bytes(b"")
        case "published":
            (place.output / "shard.tar").unlink()
        case "receipt":
            path.write_bytes(path.read_bytes()[:-10])
        case _:
            path.write_text(json.dumps({"stage": "stage"}))
    assert place.receipt("stage", "key") is None


def test_what_fails_leaves_no_final_name_and_no_rest(place: Workspace) -> None:
    with pytest.raises(ValueError, match="half"), place.task_folder("stage", "key") as folder:
        (folder / "a.bin").write_bytes(b"1")
        raise ValueError("half")
    assert not place.folder("stage", "key").exists()
    assert not list((place.work / "tmp").iterdir())


def test_a_second_driver_is_refused_by_name(place: Workspace) -> None:
    text: list[str] = []
    with (
        driver_lock(place, text.append),
        pytest.raises(XtroveError, match="another build") as caught,
        driver_lock(place, text.append),
    ):
        raise AssertionError("the lock was given twice")
    assert caught.value.exit_code == 1
    with driver_lock(place, text.append):
        pass


def test_two_work_folders_of_one_output_exclude_each_other(place: Workspace) -> None:
    """Whoever knows the output alone (publish, forget) must not empty what a build writes to."""
    half = place.output / ".xtrove" / "tmp" / "half"
    other = Workspace(work=place.output.parent / "elsewhere", output=place.output)
    own = Workspace(work=place.output / ".xtrove", output=place.output)
    with driver_lock(place, lambda _: None):
        half.mkdir(parents=True)
        for second in (other, own):
            with (
                pytest.raises(XtroveError, match="another build"),
                driver_lock(second, lambda _: None),
            ):
                raise AssertionError("the output was given twice")
        assert half.exists()


def test_a_task_holds_the_output_too(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver was killed, its task still writes a shard to the output."""
    monkeypatch.setattr(workspaces, "LOCK_WAIT_SECONDS", 0.3)
    own = Workspace(work=place.output / ".xtrove", output=place.output)
    with (
        running_task(place),
        pytest.raises(XtroveError, match="still run after"),
        driver_lock(own, lambda _: None),
    ):
        raise AssertionError("the lock was given while a task ran")


def test_a_link_to_the_work_folder_is_the_same_folder(place: Workspace) -> None:
    place.work.mkdir()
    (place.output / ".xtrove").symlink_to(place.work)
    with driver_lock(place, lambda _: None), running_task(place):
        pass


def test_a_driver_waits_for_the_tasks_of_a_dead_one(place: Workspace) -> None:
    place.work.mkdir()
    script = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'a+b'); fcntl.flock(file, fcntl.LOCK_SH)\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, str(place.work / "tasks.lock")]
    text: list[str] = []
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as task:
        assert task.stdin is not None and task.stdout is not None
        assert task.stdout.readline() == "held\n"
        end = task.stdin.close

        def say(words: str) -> None:
            text.append(words)
            end()

        with driver_lock(place, say):
            assert text
    assert text == ["waiting for the workers of an earlier run to end"]


def test_tasks_that_never_end_are_named(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspaces, "LOCK_WAIT_SECONDS", 0.3)
    place.work.mkdir()
    with (
        running_task(place),
        pytest.raises(XtroveError, match="still run after"),
        driver_lock(place, lambda _: None),
    ):
        raise AssertionError("the lock was given while a task ran")


def test_leftovers_of_a_killed_run_are_emptied(place: Workspace) -> None:
    (place.work / "tmp" / "half").mkdir(parents=True)
    with driver_lock(place, lambda _: None):
        assert not (place.work / "tmp" / "half").exists()


def test_running_tasks_share_their_lock(place: Workspace) -> None:
    with (
        running_task(place),
        running_task(place),
        (place.work / "tasks.lock").open("rb") as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_task_that_cannot_be_done_answers_with_its_fault(place: Workspace) -> None:
    answer = execute(str(place.work), str(place.output), "extract", "key", {"settings": "none"})
    assert answer["fault"] == "failed"
    assert "none" in answer["message"]
    assert place.receipt("extract", "key") is None


def test_a_task_that_is_done_is_not_done_again(place: Workspace) -> None:
    _done(place)
    answer = execute(str(place.work), str(place.output), "stage", "key", {})
    assert (answer["facts"], answer["reused"]) == ({"n": 1}, True)


@given(st.sets(st.integers(0, 60)), st.integers(0, 60))
def test_failures_in_a_row_are_those_around(failed: set[int], position: int) -> None:
    failed.add(position)
    row = failures_in_a_row(failed, position)
    runs = [
        set(range(start, end + 1))
        for start in range(61)
        for end in range(start, 61)
        if position in range(start, end + 1) and set(range(start, end + 1)) <= failed
    ]
    assert row == max(map(len, runs))
