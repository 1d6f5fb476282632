"""Untrusted rows in a child process that the kernel stops at a limit of time or memory.

Method: one child, started at first use and kept. Rows go over in chunks, answers come back one by
one and in order, so that the child works on while the caller uses what is there. Before every row
the child arms `ITIMER_PROF` with its default action: after so many seconds of processor time the
kernel ends the process, also inside a C loop that never looks at signals or the interpreter lock.
Memory is bounded by `RLIMIT_DATA`, from what the child holds at the start of a chunk; where the
kernel does not enforce that (macOS), the parent does, which looks at the resident size 50 times a
second; that also tells a crash for want of memory from any other. A
child that dies costs the row it was at: the parent names it and goes on with the next row in a
new child. A row that died for any other reason than its time is tried once more, alone in a new
child, so that what other rows left behind is not held against it.
Cost: 0.25 s to start a child, 40 MB; 0.1 ms a chunk and about 10 us a function.
Limits: one caller at a time per watchdog (`shared` gives each thread its own); functions that a
module defines at its top, rows and answers that can be pickled between processes of one version.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil

from extract.options import RowLimits
from ingest import code_place

Row = TypeVar("Row")
Answer = TypeVar("Answer")
_Call = tuple[Callable[..., Any], tuple[object, ...], RowLimits]

CHUNK_ROWS = 64
CHUNK_BYTES = 1 << 20
LOOK_MILLISECONDS = 20
KERNEL_BOUNDS_MEMORY = sys.platform == "linux"
COLLECT_EVERY = (20_000, 20, 20)
"""Cycles are looked for less often: a twentieth of the time went there, and none is made."""
_PASSED = ("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "PATH", "TMP", "TEMP", "VIRTUAL_ENV")
_CHILD = "import sys, json; sys.path[:] = json.loads(sys.argv[2]); "
_CHILD += "from extract.pipeline import watchdog; watchdog.serve(int(sys.argv[1]))"
_OUT_OF_MEMORY = 87

REASONS = {
    "row_timeout": "extraction ran over limits.row_seconds of processor time",
    "row_memory": "extraction ran over limits.row_memory",
    "row_crashed": "the process that extracted the row died",
    "extractor_failed": "our code raised an error",
}
"""Why a row has no answer, with one line of meaning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """A row without an answer; `detail` never quotes the row."""

    reason: str
    """A key of `REASONS`."""
    detail: str


class Watchdog:
    """A child that applies functions to rows; `shared` keeps one a thread, or use as a context."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the child now, so that it is ready when the first row is."""
        self._started()

    def close(self) -> None:
        """End the child; the next row starts a new one."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def map(
        self,
        function: Callable[..., Answer],
        rows: Iterable[Row],
        limits: RowLimits,
        *arguments: object,
        size: Callable[[Row], int],
    ) -> Iterator[tuple[Row, Answer | Stopped]]:
        """Each row with `function(row, *arguments)`, in order. `size`: bytes of a row.

        Raises RuntimeError where a child cannot be started at all.
        """
        is_whole = False
        try:
            for chunk in _chunks(rows, size):
                yield from self._chunk((function, arguments, limits), chunk)
            is_whole = True
        finally:
            if not is_whole:
                self.close()  # answers that nobody will take are on their way

    def call(
        self, function: Callable[..., Answer], row: Row, limits: RowLimits, *arguments: object
    ) -> Answer | Stopped:
        """`function(row, *arguments)` for one row; see `map`."""
        [(_, answer)] = self.map(function, [row], limits, *arguments, size=lambda _: 0)
        return answer

    def _chunk(self, call: _Call, rows: list[Row]) -> Iterator[tuple[Row, Any]]:
        while rows:
            child = self._started()
            child.send(call, rows)
            for number, row in enumerate(rows):
                answer = child.answer(call[2])
                if not isinstance(answer, _Death):
                    yield row, answer
                    continue
                self.close()
                # Alone in a fresh child, a row answers for itself only.
                is_its_own = child.answers == 0 or answer.stopped.reason == "row_timeout"
                if is_its_own:
                    yield row, answer.stopped
                else:
                    yield from self._chunk(call, [row])
                rows = rows[number + 1 :]
                break
            else:
                return

    def _started(self) -> _Child:
        if self._child is None:
            self._child = _Child()
        return self._child


def _chunks(rows: Iterable[Row], size: Callable[[Row], int]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    room = CHUNK_BYTES
    for row in rows:
        chunk.append(row)
        room -= size(row)
        if room <= 0 or len(chunk) >= CHUNK_ROWS:
            yield chunk
            chunk, room = [], CHUNK_BYTES
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True)
class _Death:
    """The child is gone, at the row it was to answer."""

    stopped: Stopped


class _Child:
    """A running child and the way to it."""

    def __init__(self) -> None:
        self.answers = 0
        """How many rows it has answered."""
        ours, theirs = Pipe()
        self._pipe: Connection = ours
        # The child gets no secrets: it needs none, and it is what reads strangers' files.
        kept = {key: value for key, value in os.environ.items() if key.startswith(_PASSED)}
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *(path for path in sys.path if path and path != root)]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(theirs.fileno()), json.dumps(paths)],
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
            )
        self._poll = select.poll()
        self._poll.register(ours.fileno(), select.POLLIN)
        self._base_bytes = self._peak_bytes = 0
        self._is_ready = False

    def send(self, call: _Call, rows: Sequence[object]) -> None:
        """Hand over a chunk. The child reads all of it before it answers: neither waits for the
        other. Raises RuntimeError where the child did not even start."""
        if not self._is_ready:
            try:
                self._pipe.recv()
            except (EOFError, OSError):
                assert self._process.stderr is not None
                errors = self._process.stderr.read()
                self.end()
                message = errors.decode("utf-8", "replace").strip()[-500:] or "it says nothing"
                raise RuntimeError(f"the extraction process does not start: {message}") from None
            self._is_ready = True
            self._base_bytes = self._size()
        # A child that died in between is found when its answer is awaited.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._pipe.send((*call, rows))

    def answer(self, limits: RowLimits) -> Any:
        """The next answer, or the `_Death` that came instead."""
        try:
            self._peak_bytes = 0
            while not self._poll.poll(LOOK_MILLISECONDS):
                self._peak_bytes = max(self._peak_bytes, self._size())
                grown = self._peak_bytes - self._base_bytes
                if not KERNEL_BOUNDS_MEMORY and grown > limits.row_memory:
                    self._process.kill()
                    return _Death(_over_memory(limits))
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            return _Death(self._cause(limits))
        self.answers += 1
        return answer

    def _size(self) -> int:
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _cause(self, limits: RowLimits) -> Stopped:
        code = self._process.wait()
        if code == -signal.SIGPROF:
            detail = f"over {limits.row_seconds:g} s of processor time (limits.row_seconds)"
            return Stopped(reason="row_timeout", detail=detail)
        # What native code does without memory differs: it aborts, or follows the null pointer.
        # Its `ru_maxrss` would be this process's own size at least: exec hands that on.
        grown = self._peak_bytes - self._base_bytes
        if code == _OUT_OF_MEMORY or grown > limits.row_memory // 3:
            return _over_memory(limits)
        if code < 0:
            return Stopped(reason="row_crashed", detail=f"died of {signal.Signals(-code).name}")
        return Stopped(reason="row_crashed", detail=f"ended with code {code}")

    def end(self) -> None:
        """Kill the process; nothing of it stays."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()


def _over_memory(limits: RowLimits) -> Stopped:
    detail = f"over {limits.row_memory // 1_000_000} MB of memory (limits.row_memory)"
    return Stopped(reason="row_memory", detail=detail)


def serve(descriptor: int) -> None:
    """The child: answer chunks until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    gc.freeze()
    gc.set_threshold(*COLLECT_EVERY)
    with Connection(descriptor) as pipe, contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send(None)
        while True:
            function, arguments, limits, rows = pipe.recv()
            _bound_memory(limits.row_memory)
            for row in rows:
                # The timer runs until the answer is packed: its default action ends the process.
                signal.setitimer(signal.ITIMER_PROF, limits.row_seconds)
                _answer(pipe, function, row, arguments)
                signal.setitimer(signal.ITIMER_PROF, 0)


def _answer(
    pipe: Connection, function: Callable[..., Any], row: object, arguments: tuple[object, ...]
) -> None:
    try:
        pipe.send(function(row, *arguments))
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    except OSError:
        raise
    except Exception as error:
        pipe.send(Stopped(reason="extractor_failed", detail=code_place(error)))


def _bound_memory(allowed: int) -> None:
    """Let private memory, as `RLIMIT_DATA` counts it, grow by `allowed` bytes from here."""
    if not KERNEL_BOUNDS_MEMORY:
        return
    pages = int(Path("/proc/self/statm").read_bytes().split()[5])
    soft = pages * resource.getpagesize() + allowed
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


_LOCAL = threading.local()


def shared() -> Watchdog:
    """This thread's watchdog, kept from call to call; its child ends with this process."""
    watchdog: Watchdog | None = getattr(_LOCAL, "watchdog", None)
    if watchdog is None:
        watchdog = _LOCAL.watchdog = Watchdog()
        atexit.register(watchdog.close)
    return watchdog
