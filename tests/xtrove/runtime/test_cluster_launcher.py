"""`ray up` and `ray submit` with the cluster file of the checkout, over a real sshd.

The sshd is started by the client itself for each connection (inetd mode, through ProxyCommand):
no port, no daemon, and a home folder of the test's own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.xtrove import support
from tests.xtrove.cluster_support import OBJECT_STORE_BYTES, RAY, environment, free_port

pytestmark = pytest.mark.slow
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SUBMIT = support.ROOT / "cluster" / "submit.py"
CLUSTER = support.ROOT / "cluster" / "cluster.yaml"


@pytest.fixture(scope="module")
def launched() -> Iterator[tuple[Path, dict[str, str]]]:
    """A cluster of one head, started by `ray up`: its file, and the environment it needs."""
    missing = [tool for tool in ("ssh", "ssh-keygen", "rsync") if shutil.which(tool) is None]
    if SSHD is None or missing:
        pytest.skip(f"{', '.join(['sshd'] * (SSHD is None) + missing)} is not installed")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it; Debian makes it at boot
    folder = Path(tempfile.mkdtemp(prefix="xs", dir="/tmp"))
    file = _cluster_file(folder, _ssh(folder))
    child = environment(HOME=str(folder / "home"), TMPDIR=str(folder))
    child["RAY_UP_enable_autoscaler_v2"] = "0"
    try:
        done = subprocess.run(
            [str(RAY), "up", "--yes", "--no-config-cache", str(file)],
            cwd=support.ROOT, env=child, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        yield file, child
    finally:
        _end(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _ssh(folder: Path) -> str:
    """Keys and a configuration; returns the command that serves one connection."""
    home = folder / "home"
    home.mkdir()
    for name in ("host", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    enter = folder / "enter"
    # sshd takes HOME from the password file; the test must not write into that one.
    enter.write_text(
        f'#!/bin/bash\nexport HOME="{home}" TMPDIR="{folder}" PYTHONPATH="{support.ROOT}"\n'
        'cd "$HOME" && exec bash -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    enter.chmod(0o755)
    (folder / "sshd_config").write_text(
        f"HostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'key.pub'}\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nForceCommand {enter}\n"
    )
    return f"{SSHD} -i -f {folder / 'sshd_config'} -E {folder / 'sshd.log'}"


def _cluster_file(folder: Path, proxy: str) -> Path:
    """The file of the checkout, with what differs on this machine: addresses, keys, the
    environment that exists already, ports, and no `ray stop`, which is for the whole machine."""
    config = yaml.safe_load(CLUSTER.read_text(encoding="utf-8"))
    port = free_port()
    user = psutil.Process().username()
    key = str(folder / "key")
    config["cluster_name"] = folder.name
    config["provider"].update(head_ip="127.0.0.1", worker_ips=[])
    config["auth"] = {"ssh_user": user, "ssh_private_key": key, "ssh_proxy_command": proxy}
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4)
    config["file_mounts"]["~/.ray/auth_token"] = str(token)
    start = [words for words in config["head_start_ray_commands"] if words != "ray stop"]
    assert len(start) == 1 and "--port=6379" in start[0] and "200000000" in start[0]
    config["head_start_ray_commands"] = [
        start[0].replace("6379", str(port)).replace("200000000", str(OBJECT_STORE_BYTES))
        + f" --num-cpus=2 --temp-dir={folder / 'r'} --ray-client-server-port={free_port()}"
        " --include-dashboard=false --dashboard-agent-listen-port=0"
    ]
    kept = [words for words in config["setup_commands"] if "xtrove-env" in words]
    assert len(kept) == 2
    path = Path(sys.executable).parent
    config["setup_commands"] = [w.replace("$HOME/xtrove-venv/bin", str(path)) for w in kept]
    config["head_setup_commands"] = [
        words.replace("6379", str(port)) for words in config["head_setup_commands"]
    ]
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def _end(folder: Path) -> None:
    """Kills what was started below this folder, and nothing else."""
    for process in psutil.process_iter():
        try:
            if any(str(folder) in word for word in process.cmdline()):
                process.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue


def _submit(file: Path, child: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(RAY), "submit", "--no-config-cache", str(file), str(SUBMIT), "--", *map(str, words)],
        cwd=support.ROOT, env=child, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=support.TIMEOUT, check=False,
    )  # fmt: skip


def test_a_build_is_submitted_and_resumed(
    launched: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    config = support.write_config(
        tmp_path / "config.yaml",
        support.library_config(
            support.library(tmp_path / "source", limit=2_000_000),
            shards={"splits": {"validation": 0, "test": 0}},
        ),
    )
    output = tmp_path / "dataset"
    done = _submit(*launched, "build", config, "--output", output)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "on a cluster of 1 node and 2 CPUs" in done.stdout
    again = _submit(*launched, "build", config, "--output", output)
    assert "finished before" in again.stdout, again.stdout[-3000:]
    support.build(config, "--output", tmp_path / "local")
    assert support.sums(output) == support.sums(tmp_path / "local")


def test_a_refusal_comes_back_with_its_words(launched: tuple[Path, dict[str, str]]) -> None:
    done = _submit(*launched, "build", "/nowhere/config.yaml")
    assert done.returncode != 0
    assert "cannot read the config" in done.stdout + done.stderr


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    bare = [sys.executable, "-I", "-S", str(SUBMIT)]
    done = subprocess.run([*bare, "build"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "xtrove is not installed for" in done.stderr
    assert "pip install -e" in done.stderr
    empty = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert empty.returncode == 2
    assert "ray submit" in empty.stderr
