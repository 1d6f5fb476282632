"""Files on this machine, or on a mount that every worker has under the same path.

Method: `os.scandir`, never through a symbolic link; a link, FIFO or unreadable entry is listed
with the reason why it is not opened. Hidden folders are left out. Cost: one `lstat` an entry.
Limits: digests are not computed here (`ingest.storage.locate.digested` does, for those that are
read).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import SourceError
from ingest.files import TOO_LARGE, look
from ingest.storage.entry import Entry


def is_local(path: str) -> bool:
    """Whether a path is one of this machine, not a URI."""
    return "://" not in path


def absolute(path: str, base: Path) -> str:
    """The same path; a local one absolute: `~` is home, others are relative to `base`."""
    if not is_local(path):
        return path
    return str((base.absolute() / Path(path).expanduser()).resolve())


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalPlace:
    """A folder or a file; see `ingest.storage.locate.Place`."""

    uri: str
    revision: str = ""

    @classmethod
    def at(cls, path: str) -> LocalPlace:
        """A place at an absolute path. Raises `SourceError` when nothing is there."""
        root = Path(path)
        if not (root.is_dir() or root.is_file()):
            raise SourceError(
                "the path of this source is neither a file nor a folder",
                value=path,
                remedy="Name what is there under `path`.",
            )
        return cls(uri=path)

    def files(self, folder: str = "", *, recursive: bool = True) -> tuple[Entry, ...]:
        """The files in a folder, sorted by name."""
        root = Path(self.uri)
        if root.is_file():
            entry = _entry(root.resolve(), root.name)
            return (entry,) if entry is not None and not folder else ()
        start = root / folder
        if not _inside(root, folder) or not start.is_dir():
            return ()
        paths = _walk(start, recursive)
        entries = [_entry(path, path.relative_to(root).as_posix()) for path in paths]
        return tuple(sorted((entry for entry in entries if entry), key=lambda entry: entry.name))

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """The folders in a folder, sorted by name."""
        start = Path(self.uri) / folder
        if not _inside(Path(self.uri), folder) or not start.is_dir():
            return ()
        return tuple(sorted(path.name for path in start.iterdir() if _is_folder(path)))


def _inside(root: Path, folder: str) -> bool:
    """No step of the way may be a link or lead out."""
    steps = [step for step in folder.split("/") if step]
    if any(step in (".", "..") for step in steps) or folder.startswith("/"):
        return False
    return not any(root.joinpath(*steps[: i + 1]).is_symlink() for i in range(len(steps)))


def _walk(start: Path, recursive: bool) -> Iterator[Path]:
    pending = [start]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            if not _is_folder(path):
                if not path.is_dir():
                    yield path
            elif recursive and not path.name.startswith("."):
                pending.append(path)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _entry(path: Path, name: str) -> Entry | None:
    file = look(str(path), name)
    if file is None:
        return None
    problem = "" if file.problem == TOO_LARGE else file.problem
    return Entry(name=file.name, size=file.size, digest="", uri=str(path), problem=problem)
