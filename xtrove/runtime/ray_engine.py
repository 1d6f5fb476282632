"""Runs tasks on Ray: the only file that imports it.

Ray carries task descriptions and answers of some kilobytes; data goes through files. A bounded
window of tasks is in flight. A worker that dies is retried by Ray, a transient fault by us with
a growing pause; 20 failures in a row in plan order stop the run, for then the source is broken
and not a record of it. Without a cluster (no RAY_ADDRESS) a private one is started on this
machine (`private_head`); its idle processes cost about 0.4 GB.
"""

from __future__ import annotations

import io
import ipaddress
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtrove.core import Misuse, Stop
from xtrove.runtime.node_contract import SAME_CODE, SHARED, Pact, agreed, perform, probe
from xtrove.runtime.private_head import end_helpers, private_head, starting
from xtrove.runtime.task import Outcome, Task
from xtrove.runtime.workspace import Workspace
from xtrove.terminal import Log

TRIES = 4
FIRST_PAUSE_SECONDS = 1.0
FAILURES_IN_A_ROW = 20
OBJECT_STORE_BYTES = 100 * 1024 * 1024
POLL_SECONDS = 0.25
LOOK_SECONDS = 2.0
HEAD_SECONDS = 10
PROBE_SECONDS = 120
RESTART = "start Ray again, then run the same command again: what is finished is kept"
ENVIRONMENT = {
    # `uv run` would zip the working folder, output included, and ship it to local workers.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # The metrics agent is not started without a dashboard; without this, workers say so for ever.
    "RAY_enable_metrics_collection": "0",
    # A task that runs out of memory would otherwise be retried without end.
    "RAY_task_oom_retries": "2",
    # What Ray says about dying workers goes to the log at once, all of it.
    "RAY_DEDUP_LOGS": "0",
}
QUIET: dict[str, Any] = {"log_to_driver": False, "configure_logging": True}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A task that ended, and its place in the plan."""

    position: int
    task: Task
    outcome: Outcome


class Engine:
    """A connection to Ray; use `started`."""

    def __init__(
        self, *, workspace: Workspace, workers: int | None, pact: Pact, say: Callable[[str], None]
    ) -> None:
        self.workspace = workspace
        self._workers = workers
        self._pact = pact
        self._say = say
        self._cluster: tuple[int, int] = (0, 0)
        self._window = 2
        self._look_at = 0.0
        self._silent_since = 0.0

    def run(self, tasks: Sequence[Task], tick: Callable[[], None]) -> Iterator[Done]:
        """Run the tasks, in plan order as slots get free; yields them as they end.

        Receipts that are there already are answered without a worker. `tick` is called several
        times a second.
        """
        open_positions: list[int] = []
        for position, task in enumerate(tasks):
            receipt = self.workspace.receipt(task.stage, task.key)
            if receipt is None:
                open_positions.append(position)
                continue
            yield Done(
                position=position, task=task, outcome=Outcome(facts=receipt.facts, reused=True)
            )
        if open_positions:
            yield from self._run_open(tasks, open_positions, tick)

    def _run_open(
        self, tasks: Sequence[Task], open_positions: list[int], tick: Callable[[], None]
    ) -> Iterator[Done]:
        import ray

        remote = ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)(perform)
        waiting = list(reversed(open_positions))
        later: list[tuple[float, int]] = []
        tries: dict[int, int] = {}
        flying: dict[Any, int] = {}
        while waiting or later or flying:
            now = time.monotonic()
            waiting += [position for due, position in later if due <= now]
            later = [entry for entry in later if entry[0] > now]
            self._look(now)
            while waiting and len(flying) < self._window:
                position = waiting.pop()
                flying[self._submit(remote, tasks[position])] = position
            if flying:
                ready, _ = ray.wait(list(flying), timeout=POLL_SECONDS)
            else:
                ready = []
                time.sleep(POLL_SECONDS)
            tick()
            for reference in ready:
                position = flying.pop(reference)
                outcome = _answer(reference)
                tries[position] = tries.get(position, 0) + 1
                if outcome.fault == "transient" and tries[position] < TRIES:
                    pause = FIRST_PAUSE_SECONDS * 4 ** (tries[position] - 1)
                    later.append((time.monotonic() + pause, position))
                else:
                    yield Done(position=position, task=tasks[position], outcome=outcome)

    def _look(self, now: float) -> None:
        """Every few seconds: let the window follow the nodes that came and went."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if not self._head_answers(now):
            return
        found = _cluster()
        if found == self._cluster:
            return
        if self._cluster != (0, 0):
            self._say(f"the cluster has {_words(*found)} now")
        self._cluster = found
        cpus = max(1, found[1])
        # Twice the CPUs, so that none waits for the driver; a smaller wish is kept exactly.
        is_limited = self._workers is not None and self._workers < cpus
        self._window = self._workers if self._workers and is_limited else 2 * cpus

    def _head_answers(self, now: float) -> bool:
        """Whether the head can be reached; Ray itself would end this process after 60 s of not
        reaching it, without a word of ours. Raises `Stop` before that."""
        host, _, port = _head().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
        except OSError:
            self._silent_since = self._silent_since or now
            if now - self._silent_since > HEAD_SECONDS:
                raise Stop(
                    f"the head of the cluster ({host}) has not answered for {HEAD_SECONDS} s",
                    remedy=RESTART,
                ) from None
            return False
        self._silent_since = 0.0
        return True

    def _submit(self, remote: Any, task: Task) -> Any:
        work, output = str(self.workspace.work), str(self.workspace.output)
        slots = max(1, min(self._window, self._cluster[1]))
        return remote.options(name=task.stage).remote(
            self._pact, work, output, task.stage, task.key, {**task.spec, "slots": slots}
        )


def _answer(reference: Any) -> Outcome:
    import ray

    try:
        return Outcome(**ray.get(reference))
    except ray.exceptions.RayError as error:
        kind = type(error).__name__
        # Tried again from here too: each round of Ray's retries can set one more row aside.
        return Outcome(fault="transient", message=f"its worker died ({kind}): {str(error)[:500]}")


@contextmanager
def started(
    workspace: Workspace,
    workers: int | None,
    say: Callable[[str], None],
    log: Log,
    schemes: Collection[str] = (),
) -> Iterator[Engine]:
    """Connect to the cluster of RAY_ADDRESS, or start a private one; check every node first.

    `schemes` are those of the places of the sources (`hf`, `s3`): workers of a private one see
    the secrets of the environment that such places need, and no others.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(_ToLog(log)))
        with _own_sigterm():
            if address:
                _join(address, stack)
            else:
                _start(workers or os.cpu_count() or 1, schemes, stack)
        pact = stack.enter_context(agreed(workspace))
        if address:
            _look_at_cluster(workspace, pact, say)
        yield Engine(workspace=workspace, workers=workers, pact=pact, say=say)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep what SIGTERM does here: `ray.init` puts its own end of the process in its place."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _join(address: str, stack: ExitStack) -> None:
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import ray

    _knock(address)
    stack.callback(ray.shutdown)
    ray.init(address=address, **QUIET, logging_level=logging.ERROR)


def _start(workers: int, schemes: Collection[str], stack: ExitStack) -> None:
    """A head of our own that only this process and its children can use."""
    settings = {key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()}
    session = stack.enter_context(private_head(settings))
    import ray

    stack.callback(ray.shutdown)
    with starting(schemes) as taken_port:
        ray.init(
            address="local",
            num_cpus=workers,
            num_gpus=0,
            include_dashboard=False,
            dashboard_host="127.0.0.1",
            dashboard_port=taken_port,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(session),
            # As an error Ray reports what `starting` keeps from starting.
            logging_level=logging.CRITICAL,
            **QUIET,
        )
    end_helpers()
    host = _head().rpartition(":")[0].strip("[]")
    if not ipaddress.ip_address(host).is_loopback:
        raise Stop(
            f"the private Ray of this build can be reached at {host}",
            remedy="start xtrove in a process of its own that has not imported ray before",
        )


class _ToLog(io.TextIOBase):
    """Takes what Ray prints about dying workers: it goes to stdout whatever `log_to_driver`
    says."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def write(self, text: str) -> int:
        if lines := [line for line in COLOURS.sub("", text).splitlines() if line.strip()]:
            self._log.event("ray", lines=lines)
        return len(text)


def _knock(address: str) -> None:
    """Refuse an address where nothing answers; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in host or not port.isdigit():  # `auto`, a client address
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
    except OSError as error:
        raise Misuse(
            f"RAY_ADDRESS: nothing answers at {address!r}: {error}",
            remedy="start Ray there, or unset RAY_ADDRESS to build on this machine alone",
        ) from None


def _head() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _nodes() -> list[Any]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _cluster() -> tuple[int, int]:
    """Living nodes, and the CPUs they offer."""
    nodes = _nodes()
    return len(nodes), int(sum(node["Resources"].get("CPU", 0) for node in nodes))


def _words(nodes: int, cpus: int) -> str:
    return f"{nodes} node{'s' * (nodes != 1)} and {cpus} CPU{'s' * (cpus != 1)}"


def _look_at_cluster(workspace: Workspace, pact: Pact, say: Callable[[str], None]) -> None:
    """Probe all nodes at once; raises `Stop` for the first one that breaks the pact."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = _nodes()
    cpus = _cluster()[1]
    say(f"on a cluster of {_words(len(nodes), cpus)}")
    if not cpus:
        say("no node offers a CPU yet: the tasks wait until one joins (`ray status` shows them)")
    remote = ray.remote(num_cpus=0, max_retries=0)(probe)
    asked = []
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        asked.append((node, remote.options(scheduling_strategy=strategy).remote(pact)))
    for node, reference in asked:
        name = f"node {node['NodeID'][:8]} ({node['NodeManagerAddress']})"
        try:
            answer = ray.get(reference, timeout=PROBE_SECONDS)
        except ray.exceptions.RayError as error:
            if node["NodeID"] not in {other["NodeID"] for other in _nodes()}:
                say(f"{name} left the cluster")
                continue
            raise Stop(f"{name} cannot run our code: {_essence(error)}", remedy=SAME_CODE) from None
        if answer["reason"]:
            raise Stop(f"{name} {answer['reason']}", remedy=answer["remedy"])
        for mark in answer["marks"]:
            if not Path(mark).exists():
                raise Stop(f"{name} writes {mark}, which does not arrive here", remedy=SHARED)


def _essence(error: BaseException) -> str:
    """The last line of Ray's report that names an error; else its beginning."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line]
    return (named[-1] if named else " ".join(lines))[:500] or type(error).__name__


def failures_in_a_row(failed: set[int], position: int) -> int:
    """How many failed positions stand next to each other around this one."""
    first = last = position
    while first - 1 in failed:
        first -= 1
    while last + 1 in failed:
        last += 1
    return last - first + 1
