"""What git would ignore in a folder: `.gitignore` at every level, `.git/info/exclude` at the top.

Method: the patterns of each folder through the package `pathspec`; the deepest folder whose
patterns say anything about a path decides, as in git. A checkout inside begins anew, and of a
folder inside a checkout the files above it count too. What git tracks although it is ignored is
ignored here: no index is read.
Cost: some microseconds a path and folder with patterns. Limits: files up to `MAX_BYTES`; a
pattern with more than `MAX_STARS` stars between two `/` is left out, since matching it may take
time that grows with a power of the name; the excludes of the user's own git config are not read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from pathspec import GitIgnoreSpec

from ingest.files.tree_walk import read_capped

GITIGNORE = ".gitignore"
MAX_BYTES = 256 * 1024
MAX_LINES = 5_000
MAX_STARS = 3
_INFO = ".git/info/exclude"
_STARS = re.compile(r"\*+")


class IgnoreRules:
    """The rules that hold in a folder and beneath it; folders are entered from the top down."""

    def __init__(self, root: Path) -> None:
        self._specs: dict[str, GitIgnoreSpec] = {}
        self._tops: set[str] = set()
        self._above: list[tuple[str, GitIgnoreSpec]] = []
        """Path of the root in a folder above, and its patterns; the nearest folder first."""
        if os.path.lexists(root / ".git"):
            return
        resolved = root.resolve()
        above: list[tuple[str, GitIgnoreSpec]] = []
        for parent in resolved.parents:
            spec = _spec(parent, is_top=(parent / ".git").exists())
            if spec is not None:
                above.append((resolved.relative_to(parent).as_posix(), spec))
            if (parent / ".git").exists():
                self._above = above
                return

    def enter(self, relative: str, path: str, names: set[str]) -> None:
        """Read the patterns of a folder. `names`: of its entries."""
        is_top = ".git" in names
        if is_top:
            self._tops.add(relative)
        if is_top or GITIGNORE in names:
            spec = _spec(Path(path), is_top=is_top)
            if spec is not None:
                self._specs[relative] = spec

    def ignores(self, name: str, *, is_folder: bool) -> bool:
        """Whether a path relative to the root is ignored; folders above it are not."""
        ending = "/" if is_folder else ""
        folder = name
        while folder:
            folder = folder.rpartition("/")[0]
            spec = self._specs.get(folder)
            if spec is not None:
                inner = name[len(folder) + 1 :] if folder else name
                answer = spec.check_file(inner + ending).include
                if answer is not None:
                    return answer
            if folder in self._tops:
                return False
        for prefix, spec in self._above:
            answer = spec.check_file(f"{prefix}/{name}{ending}").include
            if answer is not None:
                return answer
        return False


def _spec(folder: Path, *, is_top: bool) -> GitIgnoreSpec | None:
    """The patterns of a folder; those of `.git/info/exclude` come first, so that they yield."""
    lines: list[str] = []
    for name in (_INFO, GITIGNORE) if is_top else (GITIGNORE,):
        content = read_capped(str(folder / name), MAX_BYTES) or b""
        lines += content.decode("utf-8", "replace").splitlines()[:MAX_LINES]
    lines = [line for line in lines if line.strip() and _is_quick(line)]
    return GitIgnoreSpec.from_lines(lines) if lines else None


def _is_quick(line: str) -> bool:
    parts = line.split("/")
    deep = sum(part == "**" for part in parts)
    return deep <= MAX_STARS and all(len(_STARS.findall(part)) <= MAX_STARS for part in parts)
