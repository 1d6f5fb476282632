"""Facts about an untrusted git checkout: repository, commit and what the commit holds.

Method: commit and remote are read from the files under `.git` (HEAD, refs, packed-refs, config;
worktrees and submodules through `gitdir:` and `commondir`), which runs nothing. The files of
the commit come from `git ls-tree`, the one git command used: it reads objects only, so no hook,
filter, file-system monitor or diff driver of the repository's own config can run; fetching
missing objects is switched off.
Cost: one process per checkout. Limits: 120 s and 256 MB of listing for git; a reftable
repository has no readable refs and counts as a plain folder; without git the commit stands but
nothing proves that the files are the commit's.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.walk import read_capped

GIT_TIMEOUT_S = 120
MAX_TREE_BYTES = 256 * 1024 * 1024
_MAX_REF_BYTES = 32 * 1024 * 1024
_SAFE = (
    *("-c", "safe.directory=*"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"refs/[A-Za-z0-9._/@+#=-]+")
_OWNER_NAME = r"(?P<owner>[A-Za-z0-9][\w.-]*)/(?P<name>[\w.-]+?)(?:\.git)?"
_REMOTE = re.compile(
    rf"(?:(?:git\+)?(?:https?|ssh|git)://(?:[^/@\s]+@)?|[\w.-]+@)(?P<host>[\w.-]+)(?::\d+)?[:/]+"
    rf"(?:[\w.-]+/)*?{_OWNER_NAME}/?"
)
_GITHUB_PAGE = re.compile(
    rf"(?:git\+)?(?:https?|git|ssh)://(?:[^/@\s]+@)?(?:www\.)?github\.com/{_OWNER_NAME}(?:[/#?].*)?"
)
_NOT_OWNERS = frozenset({"sponsors", "orgs", "apps", "features", "marketplace", "users", "topics"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """A checkout at a commit."""

    repo: str
    """`owner/name` of the origin, or the name of the folder."""
    commit: str
    github: bool
    """Whether the origin is on GitHub."""
    blobs: Mapping[str, str] | None
    """Path -> object id of the commit's files; None when git could not tell."""


def read_checkout(root: Path, *, tree_cap: int = MAX_TREE_BYTES) -> Checkout | None:
    """The facts of the checkout whose work tree is `root`; None if it has no readable commit."""
    folder = _git_folder(root)
    if folder is None:
        return None
    common = _common_folder(folder)
    commit = _head(folder, common)
    if commit is None:
        return None
    host, repo = parse_remote(_origin(common))
    return Checkout(
        repo=repo or root.name,
        commit=commit,
        github=host == "github.com",
        blobs=_blobs(root, commit, tree_cap),
    )


def parse_remote(url: str) -> tuple[str, str]:
    """Host and `owner/name` of a remote ("", "" if it has none): never its user or password."""
    match = _REMOTE.fullmatch(url.strip())
    if match is None:
        return "", ""
    return match["host"].lower().removeprefix("www."), f"{match['owner']}/{match['name']}"


def github_repo(url: str) -> str:
    """The `owner/name` of a GitHub page of a repository; "" for any other address."""
    match = _GITHUB_PAGE.fullmatch(url.strip())
    if match is None or match["owner"].lower() in _NOT_OWNERS:
        return ""
    return f"{match['owner']}/{match['name']}"


def _git_folder(root: Path) -> Path | None:
    entry = root / ".git"
    try:
        mode = entry.lstat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        return entry
    text = _text(entry)
    if not text.startswith("gitdir:"):
        return None
    return root / text.removeprefix("gitdir:").strip()


def _common_folder(folder: Path) -> Path:
    text = _text(folder / "commondir").strip()
    return folder / text if text else folder


def _head(folder: Path, common: Path) -> str | None:
    value = _text(folder / "HEAD").strip()
    for _ in range(5):
        if _COMMIT.fullmatch(value):
            return value
        ref = value.removeprefix("ref:").strip()
        if not value.startswith("ref:") or not _REF.fullmatch(ref) or ".." in ref:
            return None
        value = _text(folder / ref).strip() or _text(common / ref).strip() or _packed(common, ref)
    return None


def _packed(common: Path, ref: str) -> str:
    for line in _text(common / "packed-refs").splitlines():
        commit, _, name = line.partition(" ")
        if name.strip() == ref:
            return commit
    return ""


def _origin(common: Path) -> str:
    """`remote.origin.url` of the config, without includes."""
    inside = False
    for raw in _text(common / "config").splitlines():
        line = raw.strip()
        if line.startswith("["):
            inside = re.fullmatch(r'\[remote\s+"origin"\]', line) is not None
        elif inside and re.match(r"url\s*=", line):
            return line.split("=", 1)[1].strip().strip('"')
    return ""


def _text(path: Path) -> str:
    try:
        data = read_capped(str(path), _MAX_REF_BYTES)
    except ValueError:
        # A null byte in a path that the repository gave us.
        return ""
    return data.decode("utf-8", "replace") if data is not None else ""


def _blobs(root: Path, commit: str, cap: int) -> Mapping[str, str] | None:
    """Path -> object id of the regular files of a commit, in the bytes' file-system decoding."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, *_SAFE, "-C", str(root), "ls-tree", "-r", "-z", "--full-tree", commit]
    try:
        with subprocess.Popen(
            command,
            env=_environment(root),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            output = _limited_output(process, cap)
    except OSError:
        return None
    return _parse_tree(output) if process.returncode == 0 and output is not None else None


def _limited_output(process: subprocess.Popen[bytes], cap: int) -> bytes | None:
    """All it writes; None if that is too much or takes too long (trees can be nested bombs)."""
    timer = threading.Timer(GIT_TIMEOUT_S, process.kill)
    timer.start()
    try:
        output = process.stdout.read(cap + 1) if process.stdout is not None else b""
    finally:
        timer.cancel()
    if len(output) > cap:
        process.kill()
        return None
    return output


def _environment(root: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        # No protocol of this name exists, so that older versions cannot fetch either.
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_CEILING_DIRECTORIES": str(root.parent),
    }


def _parse_tree(output: bytes) -> dict[str, str]:
    blobs: dict[str, str] = {}
    for record in output.split(b"\0"):
        facts, _, path = record.partition(b"\t")
        fields = facts.split(b" ")
        if len(fields) == 3 and fields[1] == b"blob":
            blobs[os.fsdecode(path)] = fields[2].decode("ascii")
    return blobs
