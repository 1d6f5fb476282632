"""Forgets a repository in a child and kills it at its n-th change of a file; a program of its own.

    python forget_child.py DATASET SCRATCH REPOSITORY

For n = 0, 4, 8, ... until something changes, then for a third of all n (each n where
XTROVE_EXHAUSTIVE is set), a copy of DATASET is made, a forked child forgets REPOSITORY in it and
sends itself SIGKILL before its n-th rename, removal or creation of a file or folder, until a
child ends by itself. After each kill the folder must be the old dataset, or have no manifest;
then forgetting again must give the bytes of the undisturbed run. Prints one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from shards.forget.inventory import survey
from shards.forget.rewrite import finish, prepare
from shards.format import layout
from shards.read.dataset import Dataset
from shards.write.plots import Panel, draw
from tests.shards.builder import license_class

STRIDE = 4
"""Before the journal is written nothing that is published changes: every fourth event is tried."""
CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir"})


def forget(base: Path, repo: str) -> None:
    """What the command does: finish an earlier run, then forget what is still there."""
    finish(base)
    dataset = Dataset.open(base)
    result = survey(dataset, [repo], lambda *step: None)
    if not result.found[repo.casefold()].is_empty:
        prepare(dataset, result, license_class, lambda *step: None).commit()


def published(base: Path) -> dict[str, str]:
    """Digest by path of every published file."""
    return {
        name: hashlib.sha256((base / name).read_bytes()).hexdigest() for name in layout.walk(base)
    }


def killer(last: int) -> Callable[[str, tuple[object, ...]], None]:
    """An audit hook that ends the process at the event with this number."""
    seen = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT
        if event in CHANGES or writes:
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    return hook


def in_child(base: Path, repo: str, last: int | None) -> bool:
    """Forgets in a forked process; returns whether it was killed."""
    child = os.fork()
    if child == 0:
        if last is not None:
            sys.addaudithook(killer(last))
        try:
            forget(base, repo)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status) == signal.SIGKILL
    if os.WEXITSTATUS(status):
        raise RuntimeError(f"the child failed at event {last}")
    return False


def _state(last: int, now: dict[str, str], old: dict[str, str], new: dict[str, str]) -> str:
    for name, digest in now.items():
        if digest not in {old.get(name), new.get(name)}:
            raise RuntimeError(f"event {last}: a half-written {name} has its final name")
    if layout.MANIFEST not in now:
        return "unsealed"
    if now not in (old, new):
        raise RuntimeError(f"event {last}: a manifest over a mixture")
    return "old" if now == old else "new"


def main(dataset: Path, scratch: Path, repo: str) -> dict[str, int]:
    """Kills at the events that are tried; counts the states that were found."""
    # Each fork would import what draws the plots anew.
    draw([Panel(title="", bars=())])
    old = published(dataset)
    whole = scratch / "whole"
    shutil.copytree(dataset, whole)
    in_child(whole, repo, None)
    new = published(whole)
    if new == old or (whole / ".xtrove/forget").exists():
        raise RuntimeError("the undisturbed run changed nothing, or left its staging area")
    counts = {"old": 0, "unsealed": 0, "new": 0}
    last, stride = 0, STRIDE
    draw_step = random.Random(5)
    while last < 10_000:
        copy = scratch / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(dataset, copy)
        if not in_child(copy, repo, last):
            return counts
        now = published(copy)
        if stride > 1 and now != old:
            last, stride = last - stride + 1, 1
            continue
        counts[_state(last, now, old, new)] += 1
        in_child(copy, repo, None)
        if published(copy) != new:
            raise RuntimeError(f"event {last}: the second run ends in other bytes")
        is_sample = stride == 1 and not os.environ.get("XTROVE_EXHAUSTIVE")
        last += draw_step.randint(1, 5) if is_sample else stride
    raise RuntimeError("no end")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
