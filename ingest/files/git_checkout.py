"""Facts about an untrusted git checkout: repository, commit and what the commit holds.

Method: git itself reads the repository (`ingest.files.git_process`: nothing of it runs), whatever
its format: worktrees, submodules, bare, shallow, sparse and partial clones, SHA-256, reftables, any
branch name. What git cannot read is an error, never a plain folder. Before that, everything that
git will take objects from (`.git`, a `gitdir:` file, `commondir`, links, alternates) must lie in
`inside`: a folder of a stranger could name a private repository of this machine.
Cost: three processes a checkout, 10 ms. Limits: `TIMEOUT_S` a process, `MAX_FILES` and
`MAX_TREE_BYTES` of listing; of the remotes, `origin` names the repository, else the
first one in the config.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ingest.errors import SourceError
from ingest.files.git_process import GitFault, git_program, output

MAX_TREE_BYTES = 256 * 1024 * 1024
MAX_FILES = 1_000_000
_MAX_FACTS_BYTES = 8 * 1024 * 1024
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LINK_MODE = "120000"
_OWNER_NAME = r"(?P<owner>~?[A-Za-z0-9_][\w.-]*)/(?P<name>[\w.-]+?)(?:\.git)?"
_REMOTE = re.compile(
    rf"(?:(?:git\+)?(?:https?|ssh|git)(?:\+(?:ssh|git))?://(?:[^/\s]*@)?|(?:[^/:\s]+@)?(?=[\w.-]+:[^/]))"
    rf"(?P<host>[\w.-]+)(?::\d+(?=/))?[:/]+(?:[\w.~-]+/)*?{_OWNER_NAME}/*"
)
_GITHUB_PAGE = re.compile(
    rf"(?:git\+)?(?:https?|git|ssh)://(?:[^/@\s]+@)?(?:www\.)?github\.com/{_OWNER_NAME}(?:[/#?].*)?"
)
_NOT_OWNERS = frozenset({"sponsors", "orgs", "apps", "features", "marketplace", "users", "topics"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """A repository at the commit of its HEAD."""

    repo: str
    """`owner/name` of the remote, or the name of the folder."""
    commit: str
    github: bool
    """Whether the remote is on GitHub."""
    git_dir: str
    """Absolute path of the folder that git reads."""
    blobs: Mapping[str, str]
    """Path -> object id of the commit's regular files, in the bytes' file-system decoding."""
    links: Mapping[str, str]
    """Path -> object id of its symbolic links: the blob is where they point."""
    missing: frozenset[str] = frozenset()
    """Object ids that a partial clone was cloned without."""


def read_checkout(top: Path, *, inside: Path, tree_cap: int = MAX_TREE_BYTES) -> Checkout:
    """The facts of the checkout whose `.git` lies in `top`, or of the bare repository `top`.

    Raises `SourceError`, with the remedy, for everything that git cannot read as a repository
    with a commit, and for a repository that does not lie in `inside`.
    """
    git_program(str(top))
    entry = top / ".git" if os.path.lexists(top / ".git") else top
    try:
        git_dir, commit = _located(entry, inside)
        facts = _config(git_dir)
        missing = _missing(git_dir, commit) if facts.partial else frozenset()
        blobs, links = tree_of(git_dir, commit, tree_cap)
    except GitFault as fault:
        raise _unreadable(top, str(fault)) from fault
    host, repo = parse_remote(facts.remote)
    return Checkout(
        repo=repo or top.resolve().name.removesuffix(".git" if entry == top else ""),
        commit=commit,
        github=host == "github.com",
        git_dir=git_dir,
        blobs=blobs,
        links=links,
        missing=missing,
    )


def tree_of(
    git_dir: str, commit: str, cap: int = MAX_TREE_BYTES
) -> tuple[dict[str, str], dict[str, str]]:
    """Paths to object ids of the regular files and of the links of a commit. Raises `GitFault`."""
    listing = output(git_dir, ["ls-tree", "-r", "-z", "--full-tree", commit], cap=cap)
    if listing.count(b"\0") > MAX_FILES:
        raise GitFault(f"more than {MAX_FILES} files")
    return _parse_tree(listing)


def tracked_files(checkout: Checkout) -> frozenset[str]:
    """The paths in the index of a checkout. Raises `SourceError`."""
    try:
        listing = output(checkout.git_dir, ["ls-files", "-z"], cap=MAX_TREE_BYTES)
    except GitFault as fault:
        raise _unreadable(Path(checkout.git_dir), str(fault)) from fault
    return frozenset(os.fsdecode(path) for path in listing.split(b"\0") if path)


def checkout_above(folder: Path) -> Path | None:
    """The nearest folder above that has a `.git`; as for git, an empty one counts for nothing."""
    for parent in folder.resolve().parents:
        entry = parent / ".git"
        if os.path.lexists(entry) and not (entry.is_dir() and not (entry / "HEAD").exists()):
            return parent
    return None


def parse_remote(url: str) -> tuple[str, str]:
    """Host and `owner/name` of a remote ("", "" if it has none): never its user or password."""
    match = _REMOTE.fullmatch(unquote(url.strip()))
    if match is None:
        return "", ""
    return match["host"].lower().removeprefix("www."), f"{match['owner']}/{match['name']}"


def github_repo(url: str) -> str:
    """The `owner/name` of a GitHub page of a repository; "" for any other address."""
    match = _GITHUB_PAGE.fullmatch(url.strip())
    if match is None or match["owner"].lower() in _NOT_OWNERS:
        return ""
    return f"{match['owner']}/{match['name']}"


def _located(entry: Path, inside: Path) -> tuple[str, str]:
    """The folder that git reads, and the commit. Raises `GitFault`, `SourceError`."""
    arguments = ["rev-parse", "--absolute-git-dir", "--git-common-dir", "--git-path", "objects"]
    answer = output(str(entry.absolute()), arguments, cap=_MAX_FACTS_BYTES)
    lines = os.fsdecode(answer).splitlines()
    if len(lines) != 3:
        raise GitFault("the path of the repository holds a line break")
    git_dir, common, objects = (Path("/", line) for line in lines)
    _check_inside(entry, inside, (git_dir, common, objects))
    try:
        head = ["rev-parse", "--verify", "HEAD^{commit}"]
        commit = output(str(git_dir), head, cap=_MAX_FACTS_BYTES).decode("ascii", "replace").strip()
    except GitFault as fault:
        raise GitFault(f"HEAD names no commit ({fault})") from fault
    if not COMMIT.fullmatch(commit):
        raise GitFault("HEAD names no commit")
    return str(git_dir), commit


def _check_inside(entry: Path, inside: Path, folders: tuple[Path, Path, Path]) -> None:
    """All that objects are taken from must lie in a folder. Raises `GitFault`, `SourceError`."""
    git_dir, _, objects = folders
    places: list[str | Path] = [*folders]
    try:
        for folder in (objects, objects / "pack"):
            with os.scandir(folder) as entries:
                places += [linked.path for linked in entries if linked.is_symlink()]
    except OSError:
        # git says itself what it misses.
        pass
    if os.path.lexists(objects / "info" / "alternates"):
        counts = output(str(git_dir), ["count-objects", "-v"], cap=_MAX_FACTS_BYTES)
        lines = os.fsdecode(counts).splitlines()
        places += [
            line.removeprefix("alternate: ").strip('"')
            for line in lines
            if line.startswith("alternate: ")
        ]
    home = os.path.realpath(inside)
    for path in places:
        if os.path.commonpath((home, os.path.realpath(path))) != home:
            raise SourceError(
                "this git checkout takes its commits from outside of the source",
                value=entry,
                remedy="A stranger's folder could name a private repository so. Name a folder "
                "that holds both, or `git+file:///FOLDER@BRANCH`, or clone it whole "
                "(`git clone --no-local`, without --reference); `exclude` leaves it out.",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Config:
    remote: str
    partial: bool


def _config(git_dir: str) -> _Config:
    keys = r"^(remote\..*\.(url|promisor|partialclonefilter)|extensions\.partialclone)$"
    arguments = ["config", "--local", "--no-includes", "-z", "--get-regexp", keys]
    try:
        listing = output(git_dir, arguments, cap=_MAX_FACTS_BYTES)
    except GitFault as fault:
        if str(fault) != "no word of why":
            raise
        # No such key is an exit status without a word.
        listing = b""
    pairs = [line.partition("\n")[::2] for line in os.fsdecode(listing).split("\0") if line]
    urls = [(key, value) for key, value in pairs if key.endswith(".url")]
    origins = [value for key, value in urls if key == "remote.origin.url"]
    return _Config(
        remote=(origins[-1:] or [value for _, value in urls[:1]] or [""])[0],
        partial=len(urls) < len(pairs),
    )


def _missing(git_dir: str, commit: str) -> frozenset[str]:
    """Objects of the commit that are not here. Unlike others, this command never fetches them."""
    arguments = [
        "rev-list",
        "--objects",
        "--no-object-names",
        "--missing=print",
        "--no-walk",
        commit,
    ]
    listing = output(git_dir, arguments, cap=MAX_TREE_BYTES)
    lines = listing.decode("ascii", "replace").splitlines()
    return frozenset(line[1:] for line in lines if line.startswith("?"))


def _parse_tree(listing: bytes) -> tuple[dict[str, str], dict[str, str]]:
    blobs: dict[str, str] = {}
    links: dict[str, str] = {}
    for record in os.fsdecode(listing).split("\0"):
        facts, _, path = record.partition("\t")
        fields = facts.split(" ")
        if len(fields) == 3 and fields[1] == "blob":
            (links if fields[0] == _LINK_MODE else blobs)[path] = fields[2]
    return blobs, links


def _unreadable(top: Path, reason: str) -> SourceError:
    if "HEAD names no commit" in reason:
        remedy = "Commit its files, or check a branch out that has a commit"
    elif "extension" in reason or "repo version" in reason:
        remedy = "Install a newer git"
    else:
        remedy = "Clone it again, or remove its `.git` if it is no checkout"
    return SourceError(
        "git cannot read this checkout",
        value=top,
        remedy=f"{remedy}; or leave the folder out under `exclude`. Git said: {reason}",
    )
