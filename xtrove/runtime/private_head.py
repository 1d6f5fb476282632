"""What closes the private Ray head of a build: its environment, its folder, what does not start.

Method: Ray reads its settings from the environment, and all its processes are children of this
one. While the head lives, `RAY_AUTH_*` holds a token of this process (whatever the shell says),
so that every request without it is refused, and every address is 127.0.0.1. While it starts,
the environment is without secrets, but for those that a source of the config needs: workers have
the environment of the start. The session (sockets, logs) lies in a 0700 folder of ours that an
advisory lock marks as in use; it goes at the end, and those of killed builds at the next start.
Cost: a look into the folder for temporary files. Limits: processes of the same user can read the
token and the environment of this process from /proc; no file-system lock, no removal of what a
killed build left. No Ray in here: `engine` starts it.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import cast

import psutil

from xtrove.core import take_lock

PREFIX = "xtrove-ray-"
SESSION = "r"
SOCKET_PATH_BYTES = 107
SESSION_BYTES = len("/r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
REMOVAL_SECONDS = 2.0
HELPER_SECONDS = 0.02
_NEVER = (
    "RAY_AUTH_TOKEN_PATH",
    "RAY_ENABLE_K8S_TOKEN_AUTH",
    "RAY_REDIS_ADDRESS",
)
"""What would put another token or another store in place of ours."""
_HELPERS = ("monitor.py", "log_monitor.py")
_MINIMAL = "aiohttp"
"""Without this package Ray takes itself for installed without `[default]`: the agent of the
dashboard then listens to nobody. There is no setting for it (Ray 2.60). Of all that Ray looks for
it comes first, and takes 0.1 s to import."""
_SECRET = re.compile(
    r"TOKEN(?!IZ)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|APIKEY"
    r"|(?:^|_)(?:PASS|PAT|KEYS?|AUTH|COOKIES?|DSN|JWT|SAS)(?:_|$)|_PWD(?:_|$)"
)
"""Names in capitals of variables that hold secrets, or say where they lie."""
_USER_INFO = re.compile(r"\s*+[a-z][a-z0-9+.-]*+://[^/\s@:]*+:[^/\s@]++@", re.IGNORECASE)
_SCHEME = re.compile(r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]*+)://")
_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "HF_": ("hf",),
    "HUGGING": ("hf",),
    "AWS_": ("s3",),
    "GOOGLE_": ("gs", "gcs"),
    "AZURE_": ("az", "abfs", "abfss", "adl"),
}
"""Beginning of a name -> the schemes of places that need it."""
_KNOWN = frozenset({"http", "https", "file"}).union(*_FAMILIES.values())


def schemes_of(options: object) -> frozenset[str]:
    """The schemes of all addresses (`hf://`, `s3://`) in a part of a config, as JSON types.

    A section that says `anonymous: true` needs no keys: its addresses are asked over https.
    """
    if isinstance(options, str):
        return frozenset(_SCHEME.findall(options))
    if isinstance(options, Mapping):
        if options.get("anonymous") is True:
            return frozenset({"https"})
        return schemes_of(list(options.values()))
    if isinstance(options, list | tuple):
        return frozenset().union(*map(schemes_of, options))
    return frozenset()


def needs(variable: str, value: str, schemes: Collection[str]) -> bool:
    """Whether workers get a variable: it is no secret, or a source at such a scheme needs it.

    For a scheme that is not known here, the secrets of no known family stay.
    """
    name = variable.upper()
    if name.startswith("RAY_") or not (_SECRET.search(name) or _USER_INFO.match(value)):
        return True
    for beginning, users in _FAMILIES.items():
        if name.startswith(beginning):
            return any(scheme in schemes for scheme in users)
    if name.endswith("_PROXY"):
        return bool(schemes)
    return any(scheme not in _KNOWN for scheme in schemes)


@contextmanager
def private_head(settings: Mapping[str, str]) -> Iterator[Path]:
    """All that has to hold while a head lives; yields the folder for its session.

    Enter it before Ray is imported, and start Ray in `starting`.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(session_folder())
        ours = {
            # Ray's name for "this machine only": every process then binds 127.0.0.1.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": _token(),
        }
        stack.enter_context(_environment({**settings, **ours, **dict.fromkeys(_NEVER)}))
        yield folder


@contextmanager
def starting(schemes: Collection[str]) -> Iterator[int]:
    """What holds only while Ray starts; yields a port at which no dashboard can start.

    The port is bound and does not listen: whoever is told to serve there gives up, and Ray goes
    on without the server of the dashboard and without the metrics of the autoscaler.
    """
    hidden = {name: None for name, value in os.environ.items() if not needs(name, value, schemes)}
    with ExitStack() as stack:
        taken = stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        stack.enter_context(_environment({**hidden, "AUTOSCALER_METRIC_PORT": str(port)}))
        stack.enter_context(_without(_MINIMAL))
        stack.enter_context(_without_helpers())
        yield port


@contextmanager
def _without(package: str) -> Iterator[None]:
    """A package that cannot be imported meanwhile."""
    modules = cast("dict[str, object]", sys.modules)
    before = {package: modules[package]} if package in modules else {}
    modules[package] = None
    try:
        yield
    finally:
        del modules[package]
        modules.update(before)


@contextmanager
def _without_helpers() -> Iterator[None]:
    """End, as soon as they start, what nobody asks: the autoscaler, which would hold up the end by
    a second, and the forwarding of logs. No setting leaves them out (Ray 2.60), and each imports
    for 0.4 s of processor time."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(HELPER_SECONDS):
            _end_helpers()

    watcher = threading.Thread(target=watch, name="helpers", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
        _end_helpers()


def _end_helpers() -> None:
    for pid in _children():
        with suppress(psutil.Error):
            child = psutil.Process(pid)
            if any(Path(word).name in _HELPERS for word in child.cmdline()):
                child.kill()


def _children() -> list[int]:
    """The processes that this one started. Where Linux lists them that takes 0.1 ms; psutil reads
    about every process there is."""
    lists = list(Path("/proc/self/task").glob("*/children"))
    if not lists:
        return [child.pid for child in psutil.Process().children()]
    pids: list[int] = []
    for path in lists:
        with suppress(OSError):  # a thread that ended
            pids += map(int, path.read_text("ascii").split())
    return pids


@functools.cache
def _token() -> str:
    """One for this process: Ray keeps the first one it reads."""
    return secrets.token_hex(32)


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Variables that are set, or unset (None), and put back afterwards."""
    before = {name: os.environ.get(name) for name in changes}
    try:
        _set(changes)
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def session_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for Ray's session in a 0700 folder of ours; removed at the end.

    Those whose owner has ended are removed first. The lock on the folder itself says whether it
    is in use: it ends with the process that took it, however that ends.
    """
    parent = parent or _parent()
    _sweep(parent)
    folder, lock = _locked(parent)
    try:
        session = folder / SESSION
        session.mkdir(0o700)
        yield session
    finally:
        _remove(folder)
        os.close(lock)


def _parent() -> Path:
    """The folder for temporary files, unless a socket's path in it would be too long."""
    usual = tempfile.gettempdir()
    length = len(os.fsencode(usual)) + len(f"/{PREFIX}12345678") + SESSION_BYTES
    return Path(usual if length <= SOCKET_PATH_BYTES else "/tmp")


def _locked(parent: Path) -> tuple[Path, int]:
    """A new folder that is locked; another one where a sweep took it in between."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            # A file system without locks has no others: nothing is swept there.
            if take_lock(lock) and folder.exists():
                return folder, lock
            os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove the folders of this user whose owner has ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            _sweep_one(folder)


def _sweep_one(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        facts = os.fstat(lock)
        ours = facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) == 0o700
        if ours and take_lock(lock, unsupported=False):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder into which processes that end may still write for a moment."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.05)
