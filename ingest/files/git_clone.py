"""Remote git repositories at one commit, in a cache.

Method: the branch or tag is resolved once (`ls-remote`); then exactly that commit is fetched, with
no history, into a repository of the cache that is named after address and commit and appears
whole or not at all. No file of it is written out: `ingest.files.repository_tree` reads the commit
itself. Whoever needs it on another machine fetches the same commit.
Nothing of the repository runs (`ingest.files.git_process`); templates, credential helpers,
submodules and every transport but the one of the address are off.
Cost: one fetch per repository and machine. Limits: public repositories over `https`, local ones
over `file`; `MAX_BYTES` fetched, `TIMEOUT_S` a command; the cache is never emptied.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import SourceError, TransientFault
from ingest.files.git_checkout import COMMIT
from ingest.files.git_process import SAFE, environment, git_program, one_line
from ingest.transport import without_user

MAX_BYTES = 4_000_000_000
TIMEOUT_S = 900
MAX_ANSWER_BYTES = 1_000_000
_URL = re.compile(
    r"git\+(?P<url>(?P<scheme>https|file)://(?P<rest>[^\s@?#\\]+?))/?"
    # What git allows in the name of a branch, but for a leading `-`.
    r"(?:@(?P<ref>[^\s~^:?*\[\\\x00-\x1f\x7f-][^\s~^:?*\[\\\x00-\x1f\x7f]*))?"
)
_PASSED_ON = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE")
_PASSING = re.compile(
    r"could not resolve host|timed out|connection (?:reset|refused|was)|early eof|hung up"
    r"|error: (?:429|5\d\d)|failed to connect|rpc failed",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GitAddress:
    """A repository and what to take of it."""

    url: str
    scheme: str
    ref: str
    """Branch, tag or commit; "" for the default branch."""
    repo: str
    """`owner/name`, or the last folder of a local one."""


def is_git_url(path: str) -> bool:
    """Whether a path of the config names a remote repository."""
    return path.startswith("git+")


def parse(path: str) -> GitAddress:
    """The repository in `git+https://...[@REF]` or `git+file:///...[@REF]`; else `ValueError`."""
    match = _URL.fullmatch(path)
    if match is None or ".." in (match["ref"] or ""):
        raise ValueError(
            f"{without_user(path)!r} is no git address: write git+https://HOST/OWNER/NAME[@REF] or "
            "git+file:///FOLDER[@REF], without user or password"
        )
    steps = [step for step in match["rest"].removesuffix(".git").split("/") if step]
    if ".." in steps or len(steps) < (2 if match["scheme"] == "https" else 1):
        raise ValueError(
            f"{without_user(path)!r} names no repository: write git+https://HOST/OWNER/NAME"
        )
    kept = steps[1:][-2:] if match["scheme"] == "https" else steps[-1:]
    return GitAddress(
        url=match["url"], scheme=match["scheme"], ref=match["ref"] or "", repo="/".join(kept)
    )


def resolve(address: GitAddress) -> str:
    """The commit that the address names now. Raises `SourceError`, `TransientFault`."""
    if COMMIT.fullmatch(address.ref):
        return address.ref
    wanted = (
        [f"refs/tags/{address.ref}^{{}}", f"refs/heads/{address.ref}", f"refs/tags/{address.ref}"]
        if address.ref
        else ["HEAD"]
    )
    said = _git(address, ["ls-remote", "-q", "--", address.url, *wanted])
    found = {name: commit for commit, _, name in (line.partition("\t") for line in _lines(said))}
    for name in wanted:
        if COMMIT.fullmatch(found.get(name, "")):
            return found[name]
    raise SourceError(
        "the repository has no such branch or tag",
        value=f"{address.url}@{address.ref or 'HEAD'}",
        remedy="Name an existing branch, tag or full commit after `@`.",
    )


def checkout(address: GitAddress, commit: str, cache: Path) -> Path:
    """The folder with the files of a commit; fetched unless it is there.

    Raises `SourceError`, `TransientFault`.
    """
    name = hashlib.sha256(address.url.encode()).hexdigest()[:16]
    final = cache / f"{name}-{commit}"
    if _holds(final, commit):
        return final
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
    try:
        _fetch(address, commit, work)
        try:
            work.rename(final)
        except OSError:
            # Another process was faster.
            if not _holds(final, commit):
                raise
        return final
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _holds(folder: Path, commit: str) -> bool:
    try:
        return (folder / ".git" / "HEAD").read_text("ascii").strip() == commit
    except (OSError, ValueError):
        return False


def _fetch(address: GitAddress, commit: str, work: Path) -> None:
    kind = "sha1" if len(commit) == 40 else "sha256"
    _git(address, ["init", "-q", "--template=", f"--object-format={kind}", str(work)])
    inside = ["-C", str(work)]
    fetch = [*inside, "fetch", "-q", "--depth=1", "--no-tags", "--no-recurse-submodules", "--"]
    _git(address, [*fetch, address.url, commit], watched=work)
    _git(address, [*inside, "update-ref", "--no-deref", "HEAD", commit])
    _git(address, [*inside, "config", "remote.origin.url", address.url])


def _too_large(address: GitAddress) -> SourceError:
    return SourceError(
        f"the repository is larger than {MAX_BYTES} bytes",
        value=address.url,
        remedy="Clone it yourself and name the folder under `path`.",
    )


def _git(address: GitAddress, words: list[str], *, watched: Path | None = None) -> bytes:
    """What a git command writes. Raises `SourceError`, `TransientFault`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(
            [git_program(address.url), *SAFE, *words],
            env=_environment(address),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        ) as process:
            _wait(address, process, watched, out.fileno())
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            _raise(address, err.read(4_000))
        return out.read(MAX_ANSWER_BYTES)


def _wait(
    address: GitAddress,
    process: subprocess.Popen[bytes],
    watched: Path | None,
    out: int,
) -> None:
    """Until the command ends; it is killed when it takes too long or writes too much."""
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while True:
            try:
                process.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                pass
            if watched is not None and _written(watched) > 2 * MAX_BYTES:
                raise _too_large(address)
            if os.fstat(out).st_size > MAX_ANSWER_BYTES:
                break
            if time.monotonic() > deadline:
                raise TransientFault(address.url, f"git took over {TIMEOUT_S} s")
    finally:
        process.kill()
    if os.fstat(out).st_size > MAX_ANSWER_BYTES:
        raise _too_large(address)


def _written(folder: Path) -> int:
    packs = folder / ".git" / "objects" / "pack"
    try:
        return sum(entry.stat().st_size for entry in os.scandir(packs))
    except OSError:
        # A file that git has renamed meanwhile is counted the next time.
        return 0


def _raise(address: GitAddress, said: bytes) -> None:
    line = one_line(said)
    if _PASSING.search(said.decode("utf-8", "replace")):
        raise TransientFault(address.url, line)
    raise SourceError(
        "git cannot read this repository",
        value=address.url,
        remedy=f"Check the address; it must be public. Git said: {line}",
    )


def _lines(output: bytes) -> list[str]:
    return output.decode("utf-8", "replace").splitlines()


def _environment(address: GitAddress) -> dict[str, str]:
    kept = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    return environment(address.scheme) | kept
