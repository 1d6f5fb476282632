"""The private Ray of a build, looked at from outside while it runs: sockets, folder, secrets."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil
import pytest

from tests.hub.running import running_hub
from tests.ingest.stack_tables import row, write
from tests.xtrove import support
from xtrove.runtime.private_head import needs, schemes_of, session_folder

SECRETS = {
    "HF_TOKEN": "hf_secretoftheshell",
    "AWS_SECRET_ACCESS_KEY": "awssecretoftheshell",
    "GITHUB_TOKEN": "ghp_secretoftheshell",
    "INDEX_URL": "https://user:passwordoftheshell@index.example/simple",
}
THEIRS = "f" * 64
CALLS = (
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.InternalKVGcsService/InternalKVKeys",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary files: paths of sockets are short."""
    with tempfile.TemporaryDirectory(prefix="xh-", dir="/tmp") as name:
        yield Path(name)


@dataclass(kw_only=True)
class Look:
    """What could be seen of a build while it ran."""

    listeners: list[tuple[str, str, int]] = field(default_factory=list)
    """Name of the process, address, port."""
    environments: list[dict[str, str]] = field(default_factory=list)
    """Of the processes that Ray started, this build's own left out."""

    @property
    def token(self) -> str:
        return next(e["RAY_AUTH_TOKEN"] for e in self.environments if "RAY_AUTH_TOKEN" in e)


def _look(process: subprocess.Popen[str]) -> Look:
    look = Look()
    for member in support.family(process):
        with suppress(psutil.Error):
            name = member.name()
            for connection in member.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    look.listeners.append((name, connection.laddr.ip, connection.laddr.port))
            if member.pid != process.pid:
                look.environments.append(member.environ())
    return look


def _answer(host: str, port: int, method: str, path: str, body: str) -> int | None:
    """The status of an HTTP request without a token; None where it gets no HTTP answer."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _called(host: str, port: int, call: str, token: str = "") -> str:
    """How a gRPC call ends."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            channel.unary_unary(call)(b"", timeout=2, metadata=metadata)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


@pytest.mark.slow
def test_nothing_listens_to_others_and_nothing_secret_is_handed_on(
    short: Path, tmp_path: Path
) -> None:
    home, output, mark = short / "home", tmp_path / "dataset", tmp_path / "mark"
    token_file = home / ".ray" / "auth_token"
    token_file.parent.mkdir(parents=True)
    token_file.write_text(THEIRS, encoding="utf-8")
    config = support.write_config(
        tmp_path / "config.yaml", support.library_config(support.library(tmp_path / "source"))
    )
    shell = {"HOME": str(home), "TMPDIR": str(short), "RAY_AUTH_MODE": "disabled", **SECRETS}
    with _started(config, output, shell) as process:
        try:
            support.wait_for_receipts(process, output, "extract", 1)
            look = _look(process)
            helpers = [line for line in support.command_lines(process) if "monitor.py" in line]
            (folder,) = short.glob("xtrove-ray-*")
            mode = folder.stat().st_mode & 0o777
            _check_listeners(look, mark)
            written = {
                path: path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file() and not path.is_symlink()
            }
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=support.TIMEOUT)
    assert process.returncode == 130, err
    assert not helpers, "what nobody asks goes on"
    assert mode == 0o700
    assert not list(short.glob("xtrove-ray-*")), "the session stays"
    assert re.fullmatch(r"[0-9a-f]{64}", look.token)
    assert look.token != THEIRS
    assert token_file.read_text(encoding="utf-8") == THEIRS
    assert not mark.exists(), "code ran without a token"
    assert len(look.environments) >= 5
    for environment in look.environments:
        assert not set(SECRETS) & set(environment)
    assert any(path.name.startswith("raylet") for path in written)
    for path, data in written.items():
        for secret in (look.token, *SECRETS.values()):
            assert secret.encode() not in data, path


def _started(config: Path, output: Path, shell: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "xtrove", "build", str(config), "--output", str(output)],
        cwd=support.ROOT, env={**support.environment(), **shell},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _check_listeners(look: Look, mark: Path) -> None:
    addresses = {host.removeprefix("::ffff:") for _, host, _ in look.listeners}
    assert addresses == {"127.0.0.1"}, look.listeners
    names = {name for name, _, _ in look.listeners}
    assert "gcs_server" in names and "raylet" in names
    assert not [name for name in names if "Dashboard" in name], look.listeners
    job = json.dumps({"entrypoint": f"touch {mark}"})
    for name, _, port in look.listeners:
        for method, path in (("GET", "/"), ("POST", "/api/job_agent/jobs/")):
            status = _answer("127.0.0.1", port, method, path, job)
            assert status in (None, 401, 403), (name, port, path, status)
        ends = {_called("127.0.0.1", port, call) for call in CALLS}
        assert "OK" not in ends, (name, port, ends)
        if "Agent" not in name:
            assert "UNAUTHENTICATED" in ends, (name, port, ends)
    port = next(port for name, _, port in look.listeners if name == "gcs_server")
    assert _called("127.0.0.1", port, CALLS[0], look.token) == "OK"


@pytest.mark.slow
def test_workers_of_a_hub_source_get_its_token_alone(short: Path, tmp_path: Path) -> None:
    write(tmp_path / "data" / "python" / "data-0.parquet", [row(n) for n in range(4)])
    data = (tmp_path / "data" / "python" / "data-0.parquet").read_bytes()
    source = {"kind": "the-stack", "path": "hf://datasets/owner/stack", "languages": ["python"]}
    config = support.write_config(tmp_path / "c.yaml", {"name": "hub", "sources": [source]})
    with running_hub(tmp_path / "hub") as hub:
        hub.store.commit("owner/stack", {"data/python/data-0.parquet": data})
        shell = hub.environment() | {"TMPDIR": str(short), "RAY_ADDRESS": "", **SECRETS}
        with _started(config, tmp_path / "dataset", shell) as process:
            try:
                environment = _of_raylet(process)
            finally:
                process.terminate()
                process.communicate(timeout=support.TIMEOUT)
    assert set(SECRETS) & set(environment) == {"HF_TOKEN"}
    assert environment["HF_TOKEN"] == SECRETS["HF_TOKEN"]


def _of_raylet(process: subprocess.Popen[str]) -> dict[str, str]:
    """The environment that workers inherit."""
    deadline = time.monotonic() + support.TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        for member in support.family(process):
            with suppress(psutil.Error):
                # The kernel names a process a moment before it lays out its environment.
                if member.name() == "raylet" and (environment := member.environ()):
                    return dict(environment)
        time.sleep(0.02)
    raise AssertionError("no raylet")


@pytest.mark.parametrize(
    ("name", "value", "schemes", "kept"),
    [
        ("PATH", "/usr/bin", (), True),
        ("PWD", "/home/me", (), True),
        ("TOKENIZERS_PARALLELISM", "false", (), True),
        ("HF_HOME", "/cache", (), True),
        ("RAY_AUTH_TOKEN", "x", (), True),
        ("HF_TOKEN", "x", (), False),
        ("HF_TOKEN", "x", ("s3",), False),
        ("HF_TOKEN", "x", ("hf",), True),
        ("HUGGING_FACE_HUB_TOKEN", "x", ("hf", "s3"), True),
        ("HUGGING_FACE_HUB_TOKEN", "x", ("https",), False),
        ("AWS_ACCESS_KEY_ID", "x", ("hf",), False),
        ("AWS_SESSION_TOKEN", "x", ("s3",), True),
        ("AWS_DEFAULT_REGION", "eu-west-1", (), True),
        ("GITHUB_TOKEN", "x", ("hf", "s3", "https"), False),
        ("OPENAI_API_KEY", "x", ("hf",), False),
        ("mysql_pwd", "x", (), False),
        ("SSH_AUTH_SOCK", "/tmp/agent", ("hf",), False),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/key.json", ("gs",), True),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/key.json", ("s3",), False),
        ("DATABASE", "postgres://me:word@host/db", ("hf",), False),
        ("HTTPS_PROXY", "http://me:word@proxy:3128", (), False),
        ("HTTPS_PROXY", "http://me:word@proxy:3128", ("hf",), True),
        ("HTTPS_PROXY", "http://proxy:3128", (), True),
        ("OCI_PRIVATE_KEY", "x", ("oci",), True),
        ("HF_TOKEN", "x", ("oci",), False),
    ],
)
def test_which_variables_workers_get(
    name: str, value: str, schemes: tuple[str, ...], kept: bool
) -> None:
    assert needs(name, value, schemes) is kept


def test_the_schemes_of_a_config() -> None:
    sources = [
        {"kind": "directory", "path": "/data/a"},
        {"path": "hf://datasets/a/b", "limits": 3, "opt_out": None},
        {"path": "https://host/a/b", "blobs": {"url": "s3://bucket/content"}},
    ]
    assert schemes_of(sources) == {"hf", "https", "s3"}
    assert schemes_of(sources[:1]) == frozenset()
    # A bucket that is open to all needs no keys, so that workers get none.
    open_blobs = {"path": "/data", "blobs": {"url": "s3://bucket/content", "anonymous": True}}
    assert schemes_of([open_blobs]) == {"https"}
    assert not needs("AWS_SECRET_ACCESS_KEY", "x", schemes_of([open_blobs]))


HOLD = """
import sys, time
from pathlib import Path
from xtrove.runtime.private_head import session_folder
with session_folder(Path(sys.argv[1])) as folder:
    (folder / "log").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_build_left_goes_at_the_next_start(tmp_path: Path) -> None:
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            cwd=support.ROOT, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(support.ROOT)},
        )
        for _ in range(2)
    ]  # fmt: skip
    foreign = tmp_path / "xtrove-ray-elsewhere"
    kept = tmp_path / "other"
    kept.mkdir()
    foreign.symlink_to(kept)
    try:
        folders = [Path(h.stdout.readline().strip()) for h in holders if h.stdout is not None]
        assert [f.parent.stat().st_mode & 0o777 for f in folders] == [0o700, 0o700]
        holders[0].kill()
        holders[0].wait()
        assert folders[0].is_dir()
        with session_folder(tmp_path) as folder:
            assert not folders[0].parent.exists(), "its owner has ended"
            assert (folders[1] / "log").exists(), "its owner lives"
            assert folder.is_dir()
        assert not folder.parent.exists()
        assert foreign.is_symlink() and kept.is_dir()
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


def test_sockets_fit_whatever_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with session_folder() as folder:
        socket_path = folder / "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
        assert len(os.fsencode(socket_path)) <= 107
