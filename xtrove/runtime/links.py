"""Links in a dataset of others: whatever a command writes or deletes stays inside its folder.

Method: before anything is written, the folder of the dataset and the work folder are walked
without following links, and the first link ends the command by its name. `.xtrove` itself may
be a link where the user named its target as the work folder, or where the target holds the
record of the build that wrote this very output. What is written in place (locks) is opened
without following, and only where it is a file of one name.
Cost: one `scandir` a folder; of receipts and files of tasks only the folders of stages.
Limits: for folders that came from elsewhere and lie still; not for a neighbour who writes there
at the same time.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.format import PRIVATE
from xtrove.core import Misuse, UnsafeLock, digest

OWN = ".xtrove"
OWNER = f"{OWN}/owner.json"
_DEEP = ("files", "receipts")
"""Folders of a work folder with as many entries as there are tasks."""


def record_path(work: Path, output: Path) -> Path:
    """Where a work folder remembers the build that writes an output."""
    return work / "outputs" / f"{digest(str(output))[:32]}.json"


def refuse_links(work: Path, output: Path) -> None:
    """Ends the command where a link lies in what it may write to. `Misuse` names it."""
    own = output / OWN
    if own.is_symlink() and not (_is_named(work, own) or _is_ours(own, output)):
        raise _refused(own, "it is no work folder of a build of this dataset", "")
    for root in dict.fromkeys((output, own.resolve(), work.resolve())):
        for path in _links(root, is_output=root == output):
            if path != own:
                raise _refused(path, "", "")


@contextmanager
def named_locks() -> Iterator[None]:
    """Ends the command where a lock in the block is a link or has a second name. `Misuse`."""
    try:
        yield
    except UnsafeLock as error:
        why = ("", "") if error.errno == errno.ELOOP else (str(error.strerror), "no lock")
        raise _refused(Path(error.filename), *why) from None


def _is_named(work: Path, own: Path) -> bool:
    """Whether the user named the target as the work folder."""
    return work != own and work.resolve() == own.resolve()


def _is_ours(own: Path, output: Path) -> bool:
    """Whether the target has the record of this output, with the nonce beside the output."""
    try:
        target = own.resolve(strict=True)
        record = record_path(target, output)
        ours = all(path.lstat().st_uid == os.getuid() for path in (target, record))
        nonce = json.loads(record.read_bytes())["nonce"]
        return ours and json.loads((target / "owner.json").read_bytes())["nonce"] == nonce
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _links(root: Path, *, is_output: bool) -> Iterator[Path]:
    """The links below a folder, in the order of their names."""
    skipped = PRIVATE - {OWN} if is_output else frozenset[str]()
    for folder, folders, files in os.walk(root):
        current = Path(folder)
        for name in sorted((*folders, *files)):
            if (current != root or name not in skipped) and (current / name).is_symlink():
                yield current / name
        if current == root:
            folders[:] = [name for name in folders if name not in skipped]
        elif current.parent.name in _DEEP and current.parent.parent in (root, root / OWN):
            folders.clear()


def _refused(path: Path, why: str, what: str) -> Misuse:
    try:
        target = f" to {path.readlink()}"
    except OSError:
        target = ""
    message = f"{path} is {what or f'a link{target}'}" + (f", and {why}" if why else "")
    return Misuse(
        f"{message}: nothing was written or deleted",
        remedy="this folder leads outside of itself: remove it there if you made it, "
        "and do not write to a dataset of others before you have looked at it",
    )
