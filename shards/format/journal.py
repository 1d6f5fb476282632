"""Changing a sealed dataset as one step: stage everything, then a journal, then renames.

    .xtrove/forget/files/...      the new files, complete, under the paths they will have
    .xtrove/forget/journal.json   written (fsync, rename) when all of them are there
    .xtrove/forget/work, tmp      scratch

A kill before the journal leaves the old dataset, sealed and untouched; what was staged is
thrown away by the next `recover`. A kill after it leaves a dataset that `recover` finishes: the
manifest is taken away first and put in place last, so that in between the folder is an
unfinished build to every reader, and a folder with a manifest is always the whole old or the
whole new dataset. Each step can be repeated: a staged file that is gone was moved if the one in
place has the size and SHA-256 of the journal, and is lost otherwise. A journal whose old manifest
is no longer the one in place belongs to a dataset that was built anew since, and is dropped.
Cost: the disk space of the new files, one reading of them, and an fsync for each folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shards.format import layout
from xtrove.core import DamagedData, FileFacts, file_sha256, sync_path, write_file

_FOLDER: Final = ".xtrove/forget"
_JOURNAL: Final = "journal.json"
_SEAL: Final = (layout.CHECKSUMS, layout.MANIFEST)
"""Put in place last, in this order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Journal:
    """What is to be done."""

    was: str
    """SHA-256 of the manifest that is replaced."""
    moves: tuple[FileFacts, ...]
    """All but the seal."""
    seal: tuple[FileFacts, ...]
    removes: tuple[str, ...]
    repos: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Redo:
    """The staging area of one dataset."""

    base: Path

    @property
    def folder(self) -> Path:
        """Everything of this change lies in here."""
        return self.base / _FOLDER

    @property
    def files(self) -> Path:
        """The root of the new files."""
        return self.folder / "files"

    @property
    def tmp(self) -> Path:
        """For unique temporary names, on the file system of the dataset."""
        return self.folder / "tmp"

    @property
    def work(self) -> Path:
        """For files that are never published."""
        return self.folder / "work"

    def begin(self) -> None:
        """Makes an empty staging area. `OSError` where nothing can be moved from it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.files, self.tmp, self.work):
            folder.mkdir(parents=True)
        if self.folder.stat().st_dev != self.base.stat().st_dev:
            # Found out when the old manifest is gone, the dataset would be lost.
            self.drop()
            raise OSError(
                errno.EXDEV,
                f"a link leads to another disk than that of {self.base}: put the folder itself in "
                "its place, or take the link away",
                str(self.base / ".xtrove"),
            )

    def is_committed(self) -> bool:
        """Whether a change waits to be finished."""
        return (self.folder / _JOURNAL).is_file()

    def commit(self, removes: Sequence[str], repos: Sequence[str]) -> None:
        """Writes the journal: from here on the change happens.

        `removes`: published paths that the new dataset does not have; `repos`: digests of the
        repositories that are forgotten by it. Folders are synced before the journal counts.
        """
        moves = [path for path in layout.walk(self.files) if path not in _SEAL]
        for folder in _folders(self.base, (self.files / path for path in [*moves, *_SEAL])):
            sync_path(folder)
        was = hashlib.sha256(layout.read_text_file(self.base, layout.MANIFEST)).hexdigest()
        document = {
            "was": was,
            "moves": [self._facts(path) for path in moves],
            "seal": [self._facts(path) for path in _SEAL],
            "removes": sorted(removes),
            "repos": sorted(repos),
        }
        data = json.dumps(document, sort_keys=True, indent=1).encode("utf-8") + b"\n"
        write_file(self.folder / _JOURNAL, data, tmp=self.tmp)

    def _facts(self, path: str) -> list[str | int]:
        return [path, *file_sha256(self.files / path)]

    def recover(self) -> bool:
        """Finishes a committed change, or throws an uncommitted one away.

        Returns whether there was one to finish. `DamagedData` where staged files are gone.
        """
        journal = self._journal() if self.is_committed() else None
        finishes = journal is not None and self._is_current(journal)
        if journal is not None and finishes:
            self._apply(journal)
        self.drop()
        return finishes

    def drop(self) -> None:
        """Removes the staging area, the journal first: it must not outlive what it names."""
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def repos(self) -> tuple[str, ...]:
        """Digests of the repositories that a committed change forgets."""
        return self._journal().repos if self.is_committed() else ()

    def _journal(self) -> _Journal:
        try:
            document = json.loads(layout.read_text_file(self.folder, _JOURNAL))
            journal = _Journal(
                was=str(document["was"]),
                moves=tuple(map(_parsed, document["moves"])),
                seal=tuple(map(_parsed, document["seal"])),
                removes=tuple(str(path) for path in document["removes"]),
                repos=tuple(str(digest) for digest in document["repos"]),
            )
        except (DamagedData, ValueError, KeyError, TypeError) as error:
            raise DamagedData(
                f"{self.folder / _JOURNAL} cannot be read ({error}): build the dataset again"
            ) from error
        names = [facts.path for facts in (*journal.moves, *journal.seal)]
        for path in (*names, *journal.removes):
            if not layout.is_published_name(path):
                raise DamagedData(f"{self.folder / _JOURNAL} names {path!r}, no file of ours")
        return journal

    def _is_current(self, journal: _Journal) -> bool:
        staged, published = self.files / layout.MANIFEST, self.base / layout.MANIFEST
        published_sha256 = file_sha256(published)[0] if published.exists() else ""
        if staged.is_file():
            return published_sha256 in ("", journal.was)
        if not published_sha256:
            raise DamagedData(f"{staged} is gone: build the dataset again")
        return False  # moved as the last step of all: the change is done

    def _apply(self, journal: _Journal) -> None:
        # What a kill leaves at each moment, and what `recover` does with it:
        #
        #   staging | journal | manifest gone | files moved | manifest moved | journal dropped
        #   --------+---------+---------------+-------------+----------------+----------------
        #   old: thrown away  | unfinished: repeated from the start           | new: staging dropped
        #
        # Every file is checked before the first move: what is half staged must cost nothing.
        self._require(journal)
        for name in (layout.MANIFEST, layout.CHECKSUMS):
            if (self.files / name).is_file():
                (self.base / name).unlink(missing_ok=True)
                sync_path(self.base)
        for facts in journal.moves:
            self._move(facts)
        for path in journal.removes:
            (self.base / path).unlink(missing_ok=True)
        changed = [*(facts.path for facts in journal.moves), *journal.removes]
        for folder in _folders(self.base, (self.base / path for path in changed)):
            if folder.is_dir():
                sync_path(folder)
                _remove_if_empty(folder)
        for facts in journal.seal:
            self._move(facts)
            sync_path(self.base)

    def _require(self, journal: _Journal) -> None:
        """`DamagedData` unless each new file is staged, or in place already."""
        for facts in (*journal.moves, *journal.seal):
            staged, final = self.files / facts.path, self.base / facts.path
            if staged.is_file():
                continue
            if not final.is_file() or file_sha256(final) != (facts.sha256, facts.bytes):
                raise DamagedData(f"{staged} is gone: build the dataset again")

    def _move(self, facts: FileFacts) -> None:
        staged, final = self.files / facts.path, self.base / facts.path
        if staged.is_file():
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final)


def _parsed(item: Sequence[object]) -> FileFacts:
    path, sha256, size = item
    if not isinstance(size, int):
        raise ValueError(f"{path!r} has size {size!r}")
    return FileFacts(path=str(path), sha256=str(sha256), bytes=size)


def _folders(base: Path, files: Iterable[Path]) -> list[Path]:
    """The folders of these files and those above them up to base, the deepest first."""
    folders = {base}
    for file in files:
        folders.update(folder for folder in file.parents if folder.is_relative_to(base))
    return sorted(folders, key=lambda folder: (-len(folder.parts), folder))


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
