"""Runs tasks on Ray: the only file that imports it.

Ray carries task descriptions and answers of some kilobytes; data goes through files. A worker
that dies is replaced by Ray, and its task tried again. Without a cluster (no RAY_ADDRESS) a
private one is started on this machine (`private_head`); its idle processes cost about 0.4 GB.
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
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from xtrove.core import Misuse, XtroveError
from xtrove.runtime.engine import POLL_SECONDS, Engine
from xtrove.runtime.node_contract import (
    SAME_CODE,
    SHARED,
    NodeContract,
    contract_files,
    perform,
    probe,
)
from xtrove.runtime.private_head import private_head, starting
from xtrove.runtime.task import Outcome, Task
from xtrove.runtime.workspace import Workspace
from xtrove.terminal import Log

OBJECT_STORE_BYTES = 100 * 1024 * 1024
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


class RayEngine(Engine):
    """A connection to Ray; use `started`. A handle is the reference of a task's answer."""

    def __init__(
        self,
        workspace: Workspace,
        workers: int | None,
        contract: NodeContract,
        report: Callable[[str], None],
    ) -> None:
        import ray

        super().__init__(workspace, window=2)
        self._remote: Any = ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)(perform)
        self._workers = workers
        self._contract = contract
        self._report = report
        self._cluster: tuple[int, int] = (0, 0)
        self._look_at = 0.0
        self._silent_since = 0.0

    def look(self, now: float) -> None:
        """Every few seconds: let the window follow the nodes that came and went."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if not self._head_answers(now):
            return
        cluster = _cluster()
        if cluster == self._cluster:
            return
        if self._cluster != (0, 0):
            self._report(f"the cluster has {_describe(*cluster)} now")
        self._cluster = cluster
        cpus = max(1, cluster[1])
        # Twice the CPUs, so that none waits for the driver; a smaller wish is kept exactly.
        is_limited = self._workers is not None and self._workers < cpus
        self.window = self._workers if self._workers and is_limited else 2 * cpus

    def _head_answers(self, now: float) -> bool:
        """Whether the head can be reached; Ray itself would end this process after 60 s of not
        reaching it, without a word of ours. Raises `XtroveError` before that."""
        host, _, port = _head().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
        except OSError:
            self._silent_since = self._silent_since or now
            if now - self._silent_since > HEAD_SECONDS:
                raise XtroveError(
                    f"the head of the cluster ({host}) has not answered for {HEAD_SECONDS} s",
                    remedy=RESTART,
                ) from None
            return False
        self._silent_since = 0.0
        return True

    def submit(self, task: Task) -> Any:
        """Send a task to a worker."""
        work, output = str(self.workspace.work), str(self.workspace.output)
        slots = max(1, min(self.window, self._cluster[1]))
        return self._remote.options(name=task.stage).remote(
            self._contract, work, output, task.stage, task.key, {**task.spec, "slots": slots}
        )

    def wait(self, handles: list[Any]) -> list[Any]:
        """References that have an answer."""
        import ray

        ended, _ = ray.wait(handles, timeout=POLL_SECONDS)
        return list(ended)

    def outcome(self, handle: Any) -> Outcome:
        """The answer of a worker; that it died is a transient fault."""
        import ray

        try:
            return Outcome(**ray.get(handle))
        except ray.exceptions.RayError as error:
            kind = type(error).__name__
            # Tried again from here too: each round of Ray's retries can set one more row aside.
            message = f"its worker died ({kind}): {str(error)[:500]}"
            return Outcome(fault="transient", message=message)


@contextmanager
def started(
    workspace: Workspace,
    workers: int | None,
    report: Callable[[str], None],
    log: Log,
    schemes: Collection[str] = (),
) -> Iterator[RayEngine]:
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
        contract = stack.enter_context(contract_files(workspace))
        if address:
            _look_at_cluster(workspace, contract, report)
        yield RayEngine(workspace, workers, contract, report)


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
    host = _head().rpartition(":")[0].strip("[]")
    if not ipaddress.ip_address(host).is_loopback:
        raise XtroveError(
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


def _describe(nodes: int, cpus: int) -> str:
    return f"{nodes} node{'s' * (nodes != 1)} and {cpus} CPU{'s' * (cpus != 1)}"


def _look_at_cluster(
    workspace: Workspace, contract: NodeContract, report: Callable[[str], None]
) -> None:
    """Probe all nodes at once; `XtroveError` for the first that does not keep the contract."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = _nodes()
    cpus = _cluster()[1]
    report(f"on a cluster of {_describe(len(nodes), cpus)}")
    if not cpus:
        report("no node offers a CPU yet: the tasks wait until one joins (`ray status` shows them)")
    remote = ray.remote(num_cpus=0, max_retries=0)(probe)
    answers = []
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        answers.append((node, remote.options(scheduling_strategy=strategy).remote(contract)))
    for node, reference in answers:
        name = f"node {node['NodeID'][:8]} ({node['NodeManagerAddress']})"
        try:
            answer = ray.get(reference, timeout=PROBE_SECONDS)
        except ray.exceptions.RayError as error:
            if node["NodeID"] not in {other["NodeID"] for other in _nodes()}:
                report(f"{name} left the cluster")
                continue
            raise XtroveError(
                f"{name} cannot run our code: {_essence(error)}", remedy=SAME_CODE
            ) from None
        if answer["reason"]:
            raise XtroveError(f"{name} {answer['reason']}", remedy=answer["remedy"])
        for marker in answer["marks"]:
            if not Path(marker).exists():
                raise XtroveError(
                    f"{name} writes {marker}, which does not arrive here", remedy=SHARED
                )


def _essence(error: BaseException) -> str:
    """The last line of Ray's report that names an error; else its beginning."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line]
    return (named[-1] if named else " ".join(lines))[:500] or type(error).__name__
