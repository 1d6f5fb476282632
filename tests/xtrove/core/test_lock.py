"""Locks between processes: who has one, who gets it when, and what is never opened as one."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xtrove.core import LockHeld, UnsafeLock, hold_lock, open_lock, take_lock

CHILD = """
import os, sys, time
from pathlib import Path
from xtrove.core import hold_lock
kind = sys.argv[2]
with hold_lock(Path(sys.argv[1]), shared=kind == 'shared', of_process=kind == 'of_process'):
    forked = os.fork() if 'fork' in sys.argv else 0
    if 'fork' in sys.argv and not forked:
        time.sleep(600)
    print(forked, flush=True)
    sys.stdin.read()
"""


@contextmanager
def owner(path: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the lock, and its forked child."""
    command = [sys.executable, "-c", CHILD, str(path), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        forked = int(child.stdout.readline())
        try:
            yield child, forked
        finally:
            child.kill()
            if forked:
                os.kill(forked, signal.SIGKILL)


def _free(path: Path, *, shared: bool = False, of_process: bool = False) -> bool:
    try:
        with hold_lock(path, shared=shared, of_process=of_process):
            return True
    except LockHeld:
        return False


def test_the_second_process_is_told_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with owner(path, "alone") as (child, _):
        with pytest.raises(LockHeld, match=f"held by process {child.pid} on '"), hold_lock(path):
            raise AssertionError("the lock was given twice")
        child.kill()
        child.wait()
        # The kernel frees it with its owner.
        assert _free(path)


def test_a_waiter_is_told_once_and_gets_the_lock(tmp_path: Path) -> None:
    path, reported = tmp_path / "lock", []
    with owner(path, "alone") as (child, _):

        def waiting() -> None:
            reported.append(1)
            assert child.stdin is not None
            child.stdin.close()

        with hold_lock(path, wait_s=60, waiting=waiting):
            assert reported == [1]


def test_shared_locks_go_together_and_not_with_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with owner(path, "shared"):
        assert _free(path, shared=True)
        assert not _free(path)
        with pytest.raises(LockHeld), hold_lock(path, wait_s=0.2):
            raise AssertionError("a shared lock was taken over")
    with owner(path, "alone"):
        assert not _free(path, shared=True)


@pytest.mark.parametrize(("kind", "freed"), [("alone", False), ("of_process", True)])
def test_a_forked_child_keeps_the_lock_of_its_killed_parent_or_not(
    tmp_path: Path, kind: str, freed: bool
) -> None:
    path = tmp_path / "lock"
    with owner(path, kind, "fork") as (child, _):
        assert not _free(path, of_process=kind == "of_process")
        child.kill()
        child.wait()
        assert _free(path, of_process=kind == "of_process") == freed


def test_a_lock_file_that_its_owner_removed_is_no_lock(tmp_path: Path) -> None:
    """The waiter has the old file open: it must not hold that while others lock a new one."""
    path = tmp_path / "lock"
    with owner(path, "alone") as (child, _):

        def waiting() -> None:
            path.unlink()
            child.kill()

        with hold_lock(path, wait_s=60, waiting=waiting):
            assert path.exists()
            with pytest.raises(LockHeld), hold_lock(path):
                raise AssertionError("the lock was given twice")


def test_a_lock_is_a_file_of_one_name(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"secret")
    (tmp_path / "link").symlink_to(key)
    with pytest.raises(UnsafeLock) as caught:
        open_lock(tmp_path / "link")
    assert caught.value.errno == errno.ELOOP
    os.link(key, tmp_path / "second")
    os.mkfifo(tmp_path / "pipe")
    for name in ("second", "pipe"):
        with pytest.raises(UnsafeLock, match="no file, or a file that has another name"):
            open_lock(tmp_path / name)
    assert key.read_bytes() == b"secret"


def test_a_file_system_without_locks_stops_nobody_and_frees_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with hold_lock(tmp_path / "lock"):
        descriptor = os.open(tmp_path, os.O_RDONLY)
        assert take_lock(descriptor)
        assert not take_lock(descriptor, unsupported=False)
        os.close(descriptor)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'{"pid": "x", "host": 1}', b"\xff" * 2000])
def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "lock"
    with hold_lock(path):
        path.write_bytes(data)
        with pytest.raises(LockHeld, match="held by another process"), hold_lock(path):
            raise AssertionError("the lock was given twice")
