"""Run git on an untrusted repository: nothing of the repository runs, and nothing is fetched.

Method: the environment is made from scratch (no `GIT_*` of the caller, no system or user config),
the repository is named by `GIT_DIR` (so that git searches no folder and asks for no owner), and
hooks, file-system monitors, attributes of the machine, replaced objects, prompts and every
transport are off. Only commands that read objects, the index and the config are used: no filter,
text conversion, diff driver or pager takes part in them.
Cost: 3 ms a process. Limits: `TIMEOUT_S` a command, a cap on what it may write.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading

from ingest.errors import SourceError
from xtrove.core import XtroveError

TIMEOUT_S = 120
SAFE = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.quotePath=false"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "credential.helper="),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "submodule.recurse=false"),
)
_MAX_ERROR_BYTES = 4_000


class GitFault(XtroveError):
    """git failed; the message is what it said, one printable line."""


def git_program(needed_for: str) -> str:
    """The path of git. Raises `SourceError` that names what it is needed for."""
    program = shutil.which("git")
    if program is None:
        raise SourceError(
            "git is not installed",
            value=needed_for,
            remedy="Install git (2.31 or later) on every machine that reads this source: "
            "only git can say what a repository holds.",
        )
    return program


def environment(git_dir: str) -> dict[str, str]:
    """All variables of a git process."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        # No protocol is called "none", so that versions without GIT_NO_LAZY_FETCH cannot fetch.
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_DIR": git_dir,
        # A work tree of our own naming: git goes into the one that a config names, wherever it is.
        "GIT_WORK_TREE": "/",
    }


def output(git_dir: str, arguments: list[str], *, cap: int, given: bytes = b"") -> bytes:
    """What a command on a repository writes; `given` is its input.

    Raises `GitFault` when it fails, writes more than `cap` bytes or takes too long,
    `SourceError` when git is not installed.
    """
    program = git_program(git_dir)
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as errors:
        source.write(given)
        source.seek(0)
        with subprocess.Popen(
            [program, *SAFE, *arguments],
            # A relative entry of PATH must not lead into the repository.
            cwd="/",
            env=environment(git_dir),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process:
            written, late = _limited(process, cap)
        if late:
            raise GitFault(f"git {arguments[0]} took over {TIMEOUT_S} s")
        if len(written) > cap:
            raise GitFault(f"git {arguments[0]} wrote more than {cap} bytes")
        if process.returncode != 0:
            errors.seek(0)
            raise GitFault(_first_line(errors.read(_MAX_ERROR_BYTES)))
    return written


def _first_line(output: bytes) -> str:
    """The first line of an error that is not empty, without control characters."""
    lines = (line.strip() for line in output.decode("utf-8", "replace").splitlines())
    line = next((line for line in lines if line and not line.startswith("warning:")), "")
    return "".join(c if c.isprintable() else "?" for c in line)[:300] or "no word of why"


def _limited(process: subprocess.Popen[bytes], cap: int) -> tuple[bytes, bool]:
    """What it writes, up to one byte over the cap, and whether the time was up."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(TIMEOUT_S, stop)
    timer.start()
    try:
        written = process.stdout.read(cap + 1) if process.stdout is not None else b""
        if len(written) > cap:
            process.kill()
        process.wait()
    finally:
        timer.cancel()
    return written, late.is_set()
