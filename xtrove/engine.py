"""Runs tasks on Ray: the only file that imports it.

Ray carries task descriptions and answers of some kilobytes; data goes through files. A bounded
window of tasks is in flight. A worker that dies is retried by Ray, a transient fault by us with
a growing pause; 20 failures in a row in plan order stop the run, for then the source is broken
and not a record of it. Without a cluster (no RAY_ADDRESS) a private one is started on this
machine; its idle processes cost about 0.8 GB.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtrove.errors import Stop
from xtrove.log import Log
from xtrove.task import Outcome, Task, execute
from xtrove.versions import node_versions
from xtrove.workspace import Workspace

TRIES = 4
FIRST_PAUSE_SECONDS = 1.0
FAILURES_IN_A_ROW = 20
OBJECT_STORE_BYTES = 100 * 1024 * 1024
POLL_SECONDS = 0.25
LOCAL_ENVIRONMENT = {
    # `uv run` would zip the working folder, output included, and ship it to local workers.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # The metrics agent is not started without a dashboard; without this, workers say so for ever.
    "RAY_enable_metrics_collection": "0",
    # A task that runs out of memory would otherwise be retried without end.
    "RAY_task_oom_retries": "2",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A task that ended, and its place in the plan."""

    position: int
    task: Task
    outcome: Outcome


class Engine:
    """A connection to Ray; use `started`."""

    def __init__(self, *, workspace: Workspace, slots: int, nodes: int) -> None:
        self.workspace = workspace
        self.slots = slots
        self.nodes = nodes

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

        remote = ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)(execute)
        waiting = list(reversed(open_positions))
        later: list[tuple[float, int]] = []
        tries: dict[int, int] = {}
        flying: dict[Any, int] = {}
        while waiting or later or flying:
            now = time.monotonic()
            waiting += [position for due, position in later if due <= now]
            later = [entry for entry in later if entry[0] > now]
            while waiting and len(flying) < 2 * self.slots:
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

    def _submit(self, remote: Any, task: Task) -> Any:
        work, output = str(self.workspace.work), str(self.workspace.output)
        return remote.options(name=task.stage).remote(
            work, output, task.stage, task.key, dict(task.spec)
        )


def _answer(reference: Any) -> Outcome:
    import ray

    try:
        return Outcome(**ray.get(reference))
    except ray.exceptions.RayError as error:
        kind = type(error).__name__
        return Outcome(fault="failed", message=f"its worker died ({kind}): {str(error)[:500]}")


@contextmanager
def started(
    workspace: Workspace, workers: int | None, say: Callable[[str], None], log: Log
) -> Iterator[Engine]:
    """Connect to the cluster of RAY_ADDRESS, or start a private one; check every node first."""
    address = os.environ.get("RAY_ADDRESS", "")
    for key, value in LOCAL_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import ray

    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "configure_logging": True,
    }
    if address:
        ray.init(address=address, **quiet)
    else:
        ray.init(
            address="local",
            num_cpus=workers or os.cpu_count() or 1,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **quiet,
        )
    _redirect(log)
    try:
        slots = int(_cluster().get("CPU", 1))
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        if address:
            say(f"cluster at {address}: {len(nodes)} nodes, {slots} CPUs")
            _check_nodes(workspace, nodes)
            slots = min(slots, workers) if workers else slots
        yield Engine(workspace=workspace, slots=max(1, slots), nodes=len(nodes))
    finally:
        ray.shutdown()


def _redirect(log: Log) -> None:
    """Send what Ray prints about dying workers to the log: it goes to stdout whatever
    `log_to_driver` says, and has no public switch (Ray 2.60)."""
    import ray._private.worker as internals

    if hasattr(internals, "print_to_stdstream"):
        internals.print_to_stdstream = lambda data, ignore_prefix: log.event(
            "ray", lines=data.get("lines")
        )


def _cluster() -> dict[str, float]:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


def probe(work: str, output: str, nonce: str) -> dict[str, Any]:
    """Run on every node: what code is here, and can this node read and write both folders?"""
    answer: dict[str, Any] = {"host": socket.gethostname(), "versions": node_versions()}
    for name, folder in (("work", Path(work)), ("output", Path(output))):
        try:
            seen = (folder / f".probe-{nonce}").read_text(encoding="utf-8")
            mark = folder / f".probe-{nonce}-{uuid.uuid4().hex}"
            mark.write_text(nonce, encoding="utf-8")
            answer[name] = {"seen": seen, "mark": mark.name}
        except OSError as error:
            answer[name] = {"error": str(error)}
    return answer


def _check_nodes(workspace: Workspace, nodes: Sequence[Any]) -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nonce = uuid.uuid4().hex
    folders = {"work": workspace.work, "output": workspace.output}
    remote = ray.remote(num_cpus=0, max_retries=0)(probe)
    try:
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f".probe-{nonce}").write_text(nonce, encoding="utf-8")
        for node in nodes:
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            reference = remote.options(scheduling_strategy=strategy).remote(
                str(workspace.work), str(workspace.output), nonce
            )
            name = f"node {node['NodeID'][:8]} ({node['NodeManagerAddress']})"
            try:
                answer = ray.get(reference, timeout=120)
            except ray.exceptions.RayError as error:
                raise Stop(
                    f"{name} cannot run our code: {str(error)[:800]}",
                    remedy="install this checkout on every node: "
                    "pip install -e . -c constraints.txt",
                ) from None
            _check_answer(name, answer, folders, nonce)
    finally:
        for folder in folders.values():
            for mark in folder.glob(f".probe-{nonce}*"):
                mark.unlink(missing_ok=True)


def _check_answer(name: str, answer: Any, folders: dict[str, Path], nonce: str) -> None:
    ours = node_versions()
    different = {
        key: (answer["versions"].get(key), value)
        for key, value in ours.items()
        if answer["versions"].get(key) != value
    }
    if different:
        words = "; ".join(
            f"{key}: {there}, here {here}" for key, (there, here) in different.items()
        )
        raise Stop(
            f"{name} runs other versions: {words}",
            remedy="install the same checkout and constraints.txt on every node",
        )
    for key, folder in folders.items():
        found = answer[key]
        if found.get("seen") != nonce or not (folder / found["mark"]).exists():
            raise Stop(
                f"{name} does not share the {key} folder {folder}: "
                f"{found.get('error', 'what it writes there does not arrive here')}",
                remedy="put `output:` (and `work:`) on a mount that every node can write",
            )


def failures_in_a_row(failed: set[int], position: int) -> int:
    """How many failed positions stand next to each other around this one."""
    first = last = position
    while first - 1 in failed:
        first -= 1
    while last + 1 in failed:
        last += 1
    return last - first + 1
