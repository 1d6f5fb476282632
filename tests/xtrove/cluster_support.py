"""A real Ray cluster on this machine: nodes in process groups of their own, always cleaned up.

Ports are chosen by the kernel, sessions live in a short folder of their own (a socket path ends
at 107 characters), and a node is stopped by killing its process group: `ray stop` would take
every Ray on the machine with it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.xtrove import support

RAY = Path(sys.executable).with_name("ray")
XTROVE = Path(sys.executable).with_name("xtrove")
START_SECONDS = 60
OBJECT_STORE_BYTES = 80_000_000
QUIET = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "NO_COLOR": "1"}


def free_port() -> int:
    """A port nobody listens on; Ray takes no 0 for its client server."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**changes: str) -> dict[str, str]:
    """The environment of a child of a cluster: this checkout, authentication off, no other Ray."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    return {**kept, **QUIET, "PYTHONPATH": str(support.ROOT), **changes}


@dataclass(kw_only=True)
class Node:
    """One `ray start --block` and everything it started."""

    process: subprocess.Popen[bytes]
    log: Path
    address: str = ""
    dashboard: str = ""

    def kill(self) -> None:
        """SIGKILL to all of it at once, as when a machine goes down."""
        family = _family(self.process.pid)
        for member in family:
            _signal(member, signal.SIGSTOP)
        for member in {*family, *_family(self.process.pid)}:
            _signal(member, signal.SIGKILL)
        self.process.wait(timeout=20)
        deadline = time.monotonic() + 20
        while any(map(_lives, family)) and time.monotonic() < deadline:
            time.sleep(0.02)


def _family(pid: int) -> list[psutil.Process]:
    """The members of a session: the node's parts, and its workers, which change their group."""
    result = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid:
                result.append(process)
        except OSError:
            continue
    return result


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; an orphan may stay a zombie until PID 1 looks at it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


@dataclass(kw_only=True)
class Cluster:
    """A head and the nodes that joined it."""

    folder: Path
    head: Node
    nodes: list[Node] = field(default_factory=list)

    def join(
        self,
        *,
        cpus: int = 1,
        before: Sequence[str] = (),
        changes: Mapping[str, str] | None = None,
    ) -> Node:
        """Starts a further node, in another environment or through another command if wanted."""
        arguments = [f"--address={self.head.address}", f"--num-cpus={cpus}"]
        node = _start(self.folder, len(self.nodes) + 1, arguments, before, changes or {})
        self.nodes.append(node)
        return node

    def environment(self) -> dict[str, str]:
        """What a driver on this cluster needs."""
        return environment(RAY_ADDRESS=self.head.address)

    def start_build(self, *words: object) -> subprocess.Popen[str]:
        """Starts a build on the cluster, from a folder that is no checkout."""
        return subprocess.Popen(
            [str(XTROVE), "build", *map(str, words)],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def build(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Runs a build on the cluster to its end."""
        with self.start_build(*words) as process:
            try:
                out, err = process.communicate(timeout=support.TIMEOUT)
            finally:
                kill_group(process)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kill_group(process: subprocess.Popen[str]) -> None:
    """Ends a driver and whatever it started, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def cluster(*, dashboard: bool = False) -> Iterator[Cluster]:
    """A head without CPUs, so that every task runs on the nodes that join."""
    folder = Path(tempfile.mkdtemp(prefix="xt", dir="/tmp"))
    arguments = ["--head", "--port=0", "--num-cpus=0", f"--ray-client-server-port={free_port()}"]
    arguments += [f"--include-dashboard={str(dashboard).lower()}", "--dashboard-port=0"]
    held: Cluster | None = None
    try:
        held = Cluster(folder=folder, head=_start(folder, 0, arguments, (), {}))
        yield held
    finally:
        for node in [*held.nodes, held.head] if held else []:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _start(
    folder: Path,
    number: int,
    words: Sequence[str],
    before: Sequence[str],
    changes: Mapping[str, str],
) -> Node:
    log = folder / f"{number}.log"
    command = [
        *before, str(RAY), "start", "--block", *words, "--disable-usage-stats",
        "--dashboard-agent-listen-port=0", f"--object-store-memory={OBJECT_STORE_BYTES}",
    ]  # fmt: skip
    if number == 0:
        command.append(f"--temp-dir={folder / 'r'}")
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(**changes), stdout=file, stderr=file,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    node = Node(process=process, log=log)
    deadline = time.monotonic() + START_SECONDS
    try:
        while "Ray runtime started" not in (text := log.read_text(errors="replace")):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
    except BaseException:
        node.kill()
        raise
    node.address = next(iter(re.findall(r"--address='([^']+)'", text)), "")
    node.dashboard = next(iter(re.findall(r"RAY_API_SERVER_ADDRESS='([^']+)'", text)), "")
    return node
