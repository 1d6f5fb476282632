"""Walk a folder of untrusted files.

Method: an iterative scan that never follows a symbolic link (so there are no loops and no way
out), leaves out by name what is never source (hidden folders, `node_modules`, caches, virtual
environments), and names what it cannot take. Files are opened only when they are regular, with
`O_NOFOLLOW` and `O_NONBLOCK`: a FIFO, socket or device is never read.
Cost: one `scandir` per folder and one `lstat` per candidate. Limits: `MAX_FILE_BYTES` a file;
paths that are not UTF-8 or hold control characters are refused, for they cannot be published.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Protocol

from ingest.file_sizes import MAX_FILE_BYTES
from ingest.languages import LANGUAGES, wanted_language
from ingest.licenses import DEP5_FOLDER, DEP5_NAME, is_notice

SYMLINK = "symlink"
UNREADABLE = "unreadable"
NOT_A_FILE = "not_a_file"
TOO_LARGE = "too_large"
INVALID_PATH = "invalid_path"

MISSING = "missing_blob"

VIRTUAL_ENVIRONMENT = "pyvenv.cfg"
BARE_REPOSITORY = frozenset({"HEAD", "objects", "refs"})
"""What a folder holds that git takes for a repository."""
SKIPPED_FOLDERS = frozenset(
    {"node_modules", "bower_components", "__pycache__", "site-packages", "dist-packages", "CVS"}
)

_LEGAL = dict.fromkeys(
    [*map(ord, "\u00a0\u1680\u202f\u205f\u3000\u200c\u200d"), *range(0x2000, 0x200B)]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A candidate: a file with a wanted extension, or something that could not be looked at."""

    name: str
    """Path relative to the folder that was walked, with `/`."""
    path: str
    size: int
    language: str
    problem: str = ""
    """A funnel reason, or "" for a regular file of allowed size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """What a folder holds, sorted by name."""

    files: tuple[Found, ...]
    checkouts: tuple[str, ...]
    """Folders with a `.git` entry, relative; "" is the root itself."""
    bare: tuple[str, ...]
    """Bare git repositories, relative: nothing in them is a file of a folder."""
    notices: Mapping[str, tuple[str, ...]]
    """Folder -> names of its licence files and package manifests."""


@dataclass(kw_only=True, slots=True)
class _Scan:
    wanted: frozenset[str]
    exclude: tuple[str, ...]
    rules: Rules | None
    files: list[Found] = field(default_factory=list)
    checkouts: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    notices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pending: list[tuple[str, str]] = field(default_factory=list)


class Rules(Protocol):
    """What is left out of a walk, such as `ingest.files.ignore_rules.IgnoreRules`."""

    def enter(self, relative: str, path: str, names: set[str]) -> None:
        """Hears of each folder before its entries; `names` are theirs."""

    def ignores(self, name: str, *, is_folder: bool) -> bool:
        """Whether a file, or a folder with all in it, is left out."""


def walk(
    root: Path,
    *,
    languages: frozenset[str],
    exclude: Sequence[str] = (),
    rules: Rules | None = None,
) -> Tree:
    """Everything under `root` in the wanted languages; `root` itself may be a link.

    `exclude` holds globs over the relative path, in which `*` crosses `/`; a pattern that
    matches a folder takes out all beneath it; what `rules` ignore is left out too.
    """
    scan = _Scan(wanted=languages, exclude=tuple(exclude), rules=rules)
    scan.pending.append((str(root), ""))
    while scan.pending:
        _scan_folder(scan, *scan.pending.pop())
    return Tree(
        files=tuple(sorted(scan.files, key=lambda file: file.name)),
        checkouts=tuple(sorted(scan.checkouts)),
        bare=tuple(sorted(scan.bare)),
        notices=scan.notices,
    )


def look(path: str, name: str, languages: Collection[str] = LANGUAGES) -> Found | None:
    """One candidate by its path; None when it is not there."""
    language = wanted_language(name, languages)
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return Found(name=escaped(name), path=path, size=0, language=language, problem=UNREADABLE)
    problem = _problem(name, facts)
    return Found(
        name=escaped(name), path=path, size=facts.st_size, language=language, problem=problem
    )


def skipped_folder(name: str) -> bool:
    """Whether a folder of this name is never source."""
    return name.startswith(".") or name in SKIPPED_FOLDERS


def excluded(name: str, patterns: Sequence[str]) -> bool:
    """Whether a glob takes this relative path, or a folder above it, out."""
    for pattern in patterns:
        for glob in {pattern, pattern.removeprefix("**/")}:
            bare = glob.rstrip("/")
            if fnmatchcase(name, bare) or fnmatchcase(name, f"{bare}/*"):
                return True
    return False


def escaped(name: str) -> str:
    """The name as it can be stored; with escapes if it is not UTF-8 or holds control characters."""
    if publishable(name):
        return name
    return name.encode("unicode_escape").decode("ascii")


def open_regular(path: str) -> BinaryIO:
    """Open a regular file, and nothing else, for reading.

    Raises `OSError` (a link is ELOOP), or `ValueError` for anything that is not regular.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError(f"not a regular file: {path}")
        return os.fdopen(handle, "rb", buffering=0)
    except BaseException:
        os.close(handle)
        raise


def read_capped(path: str, cap: int) -> bytes | None:
    """The bytes of a regular file of at most `cap` bytes; None for any other or unreadable."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open_regular(path) as file:
            data = read_up_to(file, cap + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= cap else None


def read_in_folder(root: Path, path: str, cap: int) -> bytes | None:
    """As `read_capped` for a file in a folder; of a link, where it points.

    None where a folder on the way leads out of `root`.
    """
    base = os.path.realpath(root)
    full = Path(base, path)
    try:
        folder = os.path.realpath(full.parent)
        if folder != base and not folder.startswith(f"{base}/"):
            return None
        if stat.S_ISLNK(full.lstat().st_mode):
            return os.fsencode(full.readlink())
    except (OSError, ValueError):
        return None
    return read_capped(str(full), cap)


def read_up_to(file: BinaryIO, count: int) -> bytes:
    """At most `count` bytes: an unbuffered read may return fewer than asked for."""
    pieces: list[bytes] = []
    while count > 0:
        chunk = file.read(min(count, 1 << 20))
        if not chunk:
            break
        pieces.append(chunk)
        count -= len(chunk)
    return b"".join(pieces)


def _scan_folder(scan: _Scan, path: str, relative: str) -> None:
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        name = escaped(relative) or "."
        scan.files.append(Found(name=name, path=path, size=0, language="", problem=UNREADABLE))
        return
    names = {entry.name for entry in listed}
    if relative and VIRTUAL_ENVIRONMENT in names:
        return
    if names >= BARE_REPOSITORY and ".git" not in names:
        scan.bare.append(relative)
        return
    if scan.rules is not None:
        scan.rules.enter(relative, path, names)
    notices: list[str] = []
    for entry in listed:
        name = f"{relative}/{entry.name}" if relative else entry.name
        if entry.name == ".git":
            scan.checkouts.append(relative)
        elif scan.rules is not None and scan.rules.ignores(name, is_folder=_is_folder(entry)):
            continue
        elif entry.name == DEP5_FOLDER:
            if os.path.lexists(f"{entry.path}/{DEP5_NAME}"):
                scan.notices[name] = (DEP5_NAME,)
        elif _is_folder(entry):
            if not skipped_folder(entry.name) and not excluded(name, scan.exclude):
                scan.pending.append((entry.path, name))
        elif is_notice(name):
            notices.append(entry.name)
        elif wanted_language(entry.name, scan.wanted) in scan.wanted and not excluded(
            name, scan.exclude
        ):
            file = look(entry.path, name, scan.wanted)
            if file is not None and not _is_linked_folder(entry):
                scan.files.append(file)
    if notices:
        scan.notices[relative] = tuple(notices)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    """A link to a folder called `x.js` is no file of JavaScript."""
    try:
        return entry.is_symlink() and entry.is_dir(follow_symlinks=True)
    except OSError:
        return False


def _problem(name: str, facts: os.stat_result) -> str:
    if stat.S_ISLNK(facts.st_mode):
        return SYMLINK
    if not stat.S_ISREG(facts.st_mode):
        return NOT_A_FILE
    if not publishable(name):
        return INVALID_PATH
    return TOO_LARGE if facts.st_size > MAX_FILE_BYTES else ""


def publishable(name: str) -> bool:
    """Whether a name can be stored and shown: UTF-8, no control or direction characters.

    Spaces of any width and the joiners of scripts and emoji are legal.
    """
    return name.isprintable() or name.translate(_LEGAL).isprintable()
