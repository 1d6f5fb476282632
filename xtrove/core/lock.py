"""Locks between processes, which the kernel frees when their owner ends, however it ends.

Method: `flock` on a file that is never trusted: it is opened without following links, and only
where it is a regular file of one name. A forked child keeps the lock of its parent, which is
what a build wants of its workers; `of_process=True` takes a record lock (`lockf`) instead, which
ends with the process that took it though its forked children live on. Whoever takes a lock file
alone writes its process and machine into it, for the message of whoever comes second.
A file system without locks stops nobody: the lock counts as taken, and callers that would delete
something say `unsupported=False`.

Why not the package `filelock`: it has neither shared locks, nor locks on a folder or on the file
that is protected, nor record locks, and where `flock` is missing it leaves a marker that outlives
a killed owner.
Cost: two system calls. Limits: POSIX; waiting polls every 50 ms; a record lock is lost when any
descriptor of its file is closed in the process.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from xtrove.core.errors import XtroveError

_POLL_S: Final = 0.05
_BUSY: Final = (errno.EAGAIN, errno.EACCES)
_MAX_HOLDER_BYTES: Final = 1000


class LockHeld(XtroveError):
    """Another process has the lock; `holder` says which one, where it is known."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is held by {holder}")
        self.holder = holder


class UnsafeLock(OSError):
    """The lock file is a link, no regular file, or has a second name."""


def open_lock(path: Path) -> int:
    """A descriptor of a lock file, made where it is missing. `UnsafeLock`, `OSError`."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        if path.is_symlink():
            raise UnsafeLock(errno.ELOOP, "a link", str(path)) from None
        raise
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        os.close(descriptor)
        reason = "it is no file, or a file that has another name too"
        raise UnsafeLock(errno.EINVAL, reason, str(path))
    return descriptor


def take_lock(
    descriptor: int,
    *,
    shared: bool = False,
    of_process: bool = False,
    wait: bool = False,
    unsupported: bool = True,
) -> bool:
    """Whether the lock of an open file or folder is ours now, until all its copies are closed.

    A lock that is held already changes its kind. `unsupported` is the answer on a file system
    that has no locks.
    """
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        (fcntl.lockf if of_process else fcntl.flock)(descriptor, kind)
    except OSError as error:
        return False if error.errno in _BUSY else unsupported
    return True


@contextmanager
def hold_lock(
    path: Path,
    *,
    shared: bool = False,
    of_process: bool = False,
    wait_s: float = 0.0,
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Holds a lock file, made where it is missing in a folder that is there.

    `waiting` is called once where another process has it. Raises `LockHeld` after `wait_s`
    seconds, `UnsafeLock`, `OSError`.
    """
    deadline, announced = time.monotonic() + wait_s, False
    descriptor = open_lock(path)
    try:
        while True:
            if take_lock(descriptor, shared=shared, of_process=of_process):
                if os.fstat(descriptor).st_nlink:
                    break
                # Its last owner removed it: others lock the file that has the name now.
                os.close(descriptor)
                descriptor = open_lock(path)
                continue
            if time.monotonic() >= deadline:
                raise LockHeld(path, _holder(descriptor))
            if not announced:
                announced = True
                waiting()
            time.sleep(_POLL_S)
        if not shared:
            _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _sign(descriptor: int) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname()}
    # On a full disk the lock is held without a name: whoever makes room needs it.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, _MAX_HOLDER_BYTES, 0))
        return f"process {int(holder['pid'])} on {str(holder['host'])[:100]!r}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
