"""Changing a sealed dataset as one step: stage everything, then a journal, then renames.

    .xtrove/forget/files/...      the new files, complete, under the paths they will have
    .xtrove/forget/journal.json   written (fsync, rename) when all of them are there
    .xtrove/forget/work, tmp      scratch

A kill before the journal leaves the old dataset, sealed and untouched; what was staged is
thrown away by the next `recover`. A kill after it leaves a dataset that `recover` finishes: the
manifest is taken away first and put in place last, so that in between the folder is an
unfinished build to every reader, and a folder with a manifest is always the whole old or the
whole new dataset. Each step can be repeated: a staged file that is gone was moved. A journal
whose old manifest is no longer the one in place belongs to a dataset that was built anew since,
and is dropped. Cost: the disk space of the new files, and an fsync for each folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shards import layout
from shards.atomic import write_bytes

_FOLDER: Final = ".xtrove/forget"
_JOURNAL: Final = "journal.json"
_SEAL: Final = (layout.CHECKSUMS, layout.MANIFEST)
"""Put in place last, in this order."""


class DamagedJournal(ValueError):
    """A change that cannot be finished because its staged files are gone."""


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
        """Makes an empty staging area."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.files, self.tmp, self.work):
            folder.mkdir(parents=True)

    def is_committed(self) -> bool:
        """Whether a change waits to be finished."""
        return (self.folder / _JOURNAL).is_file()

    def commit(self, removes: Sequence[str], repos: Sequence[str]) -> None:
        """Writes the journal: from here on the change happens.

        `removes`: published paths that the new dataset does not have; `repos`: digests of the
        repositories that are forgotten by it. Folders are synced before the journal counts.
        """
        moves = [path for path in layout.walk(self.files) if path not in _SEAL]
        for folder in sorted({(self.files / path).parent for path in [*moves, *_SEAL]}):
            _sync(folder)
        was = hashlib.sha256(layout.read_text_file(self.base, layout.MANIFEST)).hexdigest()
        document = {
            "was": was,
            "moves": moves,
            "removes": sorted(removes),
            "repos": sorted(repos),
        }
        data = json.dumps(document, sort_keys=True, indent=1).encode("utf-8") + b"\n"
        write_bytes(self.folder, _JOURNAL, data, self.tmp)

    def recover(self) -> bool:
        """Finishes a committed change, or throws an uncommitted one away.

        Returns whether there was one to finish. `DamagedJournal` where staged files are gone.
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
        return tuple(self._journal()["repos"]) if self.is_committed() else ()

    def _journal(self) -> dict[str, list[str]]:
        try:
            document = json.loads(layout.read_text_file(self.folder, _JOURNAL))
            journal = {name: [str(p) for p in document[name]] for name in ("moves", "removes")}
            journal["repos"] = [str(digest) for digest in document["repos"]]
            journal["was"] = [str(document["was"])]
        except (layout.UnsafePath, ValueError, KeyError, TypeError) as error:
            raise DamagedJournal(
                f"{self.folder / _JOURNAL} cannot be read ({error}): build the dataset again"
            ) from error
        for path in (*journal["moves"], *journal["removes"]):
            if not layout.is_published_name(path):
                raise DamagedJournal(f"{self.folder / _JOURNAL} names {path!r}, no file of ours")
        return journal

    def _is_current(self, journal: dict[str, list[str]]) -> bool:
        if not (self.files / layout.MANIFEST).is_file():
            return False  # moved as the last step of all: the change is done
        place = self.base / layout.MANIFEST
        if not place.exists():
            return True
        return hashlib.sha256(place.read_bytes()).hexdigest() == journal["was"][0]

    def _apply(self, journal: dict[str, list[str]]) -> None:
        for name in (layout.MANIFEST, layout.CHECKSUMS):
            if (self.files / name).is_file():
                (self.base / name).unlink(missing_ok=True)
                _sync(self.base)
        folders: set[Path] = {self.base}
        for path in journal["moves"]:
            folders.add(self._move(path).parent)
        for path in journal["removes"]:
            (self.base / path).unlink(missing_ok=True)
            folders.add((self.base / path).parent)
        for folder in sorted(folders):
            if folder.is_dir():
                _sync(folder)
                _remove_if_empty(folder)
        for name in _SEAL:
            self._move(name)
            _sync(self.base)

    def _move(self, path: str) -> Path:
        staged, final = self.files / path, self.base / path
        if staged.is_file():
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final)
        elif not final.is_file():
            raise DamagedJournal(f"{staged} is gone: build the dataset again")
        return final


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
