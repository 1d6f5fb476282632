"""Commits of an untrusted repository: their messages, and which lines of which files they changed.

Method: `rev-list` and `diff-tree` of git, whose plumbing takes no diff driver, text conversion or
colour from the repository's config; all that shapes the output is said on the command line. A
diff has no context, so that each hunk names the lines of the old file it took away, or between
which it put new ones. Lines are counted while a hunk is read: what a file holds is never taken
for a header.
Cost: two processes for a run of commits, some 2,000 commits a second. Limits: first changes of a
root commit, merges, renames and modes are no changes here; `MAX_DIFF_BYTES` a run of commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.files.git_checkout import COMMIT, Checkout, tree_of
from ingest.files.git_process import GitFault, output

MAX_COMMITS = 1_000_000
MAX_LIST_BYTES = 64 * 1024 * 1024
MAX_MESSAGES_BYTES = 64 * 1024 * 1024
MAX_DIFF_BYTES = 256 * 1024 * 1024
DIFF = (
    *(
        "diff-tree",
        "--stdin",
        "-r",
        "-p",
        "--text",
        "--unified=0",
        "--inter-hunk-context=0",
    ),
    *("--full-index", "--diff-filter=M", "--diff-algorithm=myers", "--no-indent-heuristic"),
    *("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--no-relative", "--format=%x01%H"),
)
_INDEX = re.compile(rb"index ([0-9a-f]{40,64})\.\.[0-9a-f]{40,64}(?: \d+)?")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit that is no merge."""

    id: str
    parent: str
    author: str
    """Name and e-mail address, to tell bots from people; never stored."""
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """A file that a commit changed."""

    path: str
    """In the bytes' file-system decoding, as in `Checkout.blobs`."""
    blob: str
    """Object id of the file before the commit."""
    changed: tuple[tuple[int, int], ...]
    """Half-open ranges of its lines, from 1; an empty range (n, n) is new text before line n."""


def commit_ids(checkout: Checkout, since: str = "") -> list[str]:
    """The ids of all commits that are no merges, newest first, as git orders them.

    With `since`, those that descend from that commit only. Raises `GitFault`.
    """
    arguments = ["rev-list", "--no-merges", f"--max-count={MAX_COMMITS}"]
    if since:
        arguments += ["--ancestry-path", f"{since}..{checkout.commit}"]
    else:
        arguments.append(checkout.commit)
    return output(checkout.git_dir, arguments, cap=MAX_LIST_BYTES).decode("ascii").split()


def commits_touching(checkout: Checkout, paths: Sequence[str]) -> list[str]:
    """The ids of commits, newest first, in which files at the paths (git's globs) change."""
    arguments = ["rev-list", "--full-history", f"--max-count={MAX_COMMITS}", checkout.commit, "--"]
    listing = output(checkout.git_dir, [*arguments, *paths], cap=MAX_LIST_BYTES)
    return listing.decode("ascii").split()


def checkout_at(checkout: Checkout, commit: str) -> Checkout:
    """The same repository at another of its commits. Raises `GitFault`."""
    blobs, links = tree_of(checkout.git_dir, commit)
    return replace(checkout, commit=commit, blobs=blobs, links=links)


def read_commits(git_dir: str, ids: Sequence[str]) -> list[Commit]:
    """The commits of these ids, in their order; root commits are left out. Raises `GitFault`."""
    answer = output(
        git_dir,
        ["log", "--no-walk=unsorted", "--stdin", "--encoding=UTF-8", "--no-decorate", "--no-notes",
         "--no-show-signature", "--no-patch", "--no-mailmap",
         "--format=format:%x01%H%x00%P%x00%an <%ae>%x00%B%x00"],
        cap=MAX_MESSAGES_BYTES,
        given="".join(f"{commit}\n" for commit in ids).encode("ascii"),
    )  # fmt: skip
    text = answer.decode("utf-8", "replace")
    commits = []
    for record in text.split("\0\n\x01"):
        fields = record.removeprefix("\x01").rstrip("\0").split("\0")
        if len(fields) == 4 and COMMIT.fullmatch(fields[0]) and COMMIT.fullmatch(fields[1]):
            commits.append(
                Commit(id=fields[0], parent=fields[1], author=fields[2], message=fields[3])
            )
    return commits


def read_changes(
    git_dir: str, ids: Sequence[str], endings: Sequence[str]
) -> dict[str, tuple[FileChange, ...]]:
    """Commit id -> its changes of files whose names end so, by path. Raises `GitFault`."""
    globs = [f":(glob,icase)**/*{ending}" for ending in endings]
    listing = output(
        git_dir,
        [*DIFF, "--", *globs],
        cap=MAX_DIFF_BYTES,
        given="".join(f"{commit}\n" for commit in ids).encode("ascii"),
    )
    changes: dict[str, list[FileChange]] = {commit: [] for commit in ids}
    for commit, change in _parse(iter(listing.split(b"\n"))):
        changes[commit].append(change)
    return {commit: tuple(changed) for commit, changed in changes.items()}


def _parse(lines: Iterator[bytes]) -> Iterator[tuple[str, FileChange]]:
    """The changes in the output of `DIFF`. Raises `GitFault` where it is not of that form."""
    commit = path = blob = ""
    ranges: list[tuple[int, int]] = []

    def change() -> FileChange:
        return FileChange(path=path, blob=blob, changed=tuple(ranges))

    for line in lines:
        if line.startswith((b"\x01", b"diff --git ")):
            if path and ranges:
                yield commit, change()
            path, blob, ranges = "", "", []
            if line.startswith(b"\x01"):
                commit = line[1:].strip().decode("ascii", "replace")
        elif match := _INDEX.fullmatch(line):
            blob = match[1].decode("ascii")
        elif line.startswith(b"--- a/"):
            # A name that git has to quote is none that is published.
            path = line[6:].rstrip(b"\t").decode("utf-8", "surrogateescape")
        elif match := _HUNK.match(line):
            start, removed, added = (int(text or b"1") for text in match.groups())
            ranges.append((start, start + removed) if removed else (start + 1, start + 1))
            _skip_hunk(lines, removed + added)
    if path and ranges:
        yield commit, change()


def _skip_hunk(lines: Iterator[bytes], count: int) -> None:
    while count:
        line = next(lines, b"")
        if line.startswith((b"-", b"+")):
            count -= 1
        elif not line.startswith(b"\\"):
            raise GitFault("a hunk of git diff-tree is shorter than it says")
