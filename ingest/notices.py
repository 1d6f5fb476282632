"""What the licence files and manifests of a repository say.

Method: a file is under the licence files of the nearest folder above it that has any (so a
vendored library keeps its own), else under what the nearest manifest states (`ingest.manifests`).
A manifest beside or nearer than the licence files adds what is not permissive: both must be. All
licence files of a folder count together; if the main one (`LICENSE`, `COPYING`) is not
recognised, or any of them restricts what it grants, nothing is known, whatever the others say; one
that cannot be read refuses nothing beside a main one that is recognised. A licence file that is a
link, or the text of one (a line with a relative path, as git writes it without symbolic links), is
the file it points at, where that lies in the repository.
A repository by the REUSE specification says it file by file: see `ingest.reuse`.
Cost: each file is read once. Limits: `MAX_NOTICE_BYTES` a file, `MAX_LINKS` links in a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from posixpath import normpath

from ingest.languages import EXTENSIONS
from ingest.license_text import match_license_text
from ingest.licenses import RESTRICTED, is_permissive
from ingest.manifests import CARGO, Statement, is_manifest, manifest_statement, workspace_statement

MAX_NOTICE_BYTES = 512 * 1024
MAX_LINKS = 4
_MAX_LINK_CHARS = 300

_LICENCE_NAME = re.compile(
    r"(?:(?:un)?licen[sc]es?|copying|mit[-_]licen[sc]e)(?:[-_.][\w.+-]*)?"
    r"|[\w.+-]+[-_.]licen[sc]e(?:\.(?:txt|md|rst))?",
    re.IGNORECASE,
)
_MAIN_NAME = re.compile(r"(?:licen[sc]e|copying)(?:\.(?:txt|md|rst))?", re.IGNORECASE)
_OWN_NAME = re.compile(
    # What stands for the repository itself, and not for something that it bundles.
    r"(?:licen[sc]e|copying)(?:[-_.](?:mit|apache|bsd|isc|zlib|unlicense|boost)[-.\d]{0,8})?"
    r"(?:\.(?:txt|md|rst))?|mit[-_]licen[sc]e(?:\.(?:txt|md|rst))?|unlicen[sc]e",
    re.IGNORECASE,
)
_LINK_TEXT = re.compile(r"[\w.@+/-][\w.@+/ -]*\n?")
_CODE_SUFFIXES = frozenset(EXTENSIONS) | {
    *(".pyi", ".c", ".h", ".cc", ".cpp", ".html", ".css", ".svg", ".png", ".class", ".pyc"),
    *(".json", ".xml", ".yml", ".yaml", ".toml", ".spec", ".sh", ".gz", ".zip"),
}

Licences = tuple[tuple[str, ...], str]
"""SPDX identifiers ("()" for unknown) and the evidence."""
Reader = Callable[[str], bytes | None]
"""Bytes of a file by its path relative to the repository (of a link, where it points); None if
it cannot be had."""


def is_licence_file(name: str) -> bool:
    """Whether a file of this name is a licence text."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix not in _CODE_SUFFIXES and _LICENCE_NAME.fullmatch(name) is not None


def is_notice(path: str) -> bool:
    """Whether a file at this path may say under which licence its folder is."""
    name = path.rpartition("/")[2]
    return is_manifest(name) or is_licence_file(name)


class Notices:
    """The licences of the folders of one repository, read when asked for."""

    def __init__(self, folders: Mapping[str, tuple[str, ...]], read: Reader) -> None:
        self._folders = folders
        self._read = read
        self._known: dict[str, Licences | None] = {}

    def of(self, path: str) -> Licences:
        """The licences of the file at `path` (relative to the repository)."""
        folders = _chain(path)
        text_at, text = self._nearest(self._by_text, folders)
        stated_at, stated = self._nearest(self._by_manifest, folders)
        if text is None:
            return stated or ((), "no licence file or manifest")
        if stated is None or stated_at > text_at or is_permissive(stated[0]):
            return text
        if not stated[0] or not text[0]:
            return stated if not stated[0] else text
        return tuple(sorted({*text[0], *stated[0]})), f"{stated[1]}; {text[1]}"[:200]

    def _nearest(
        self, lookup: Callable[[str], Licences | None], folders: Sequence[str]
    ) -> tuple[int, Licences | None]:
        """The first folder, by its place in `folders`, that says anything, and what."""
        for place, folder in enumerate(folders):
            found = lookup(folder)
            if found is not None:
                return place, found
        return len(folders), None

    def _by_text(self, folder: str) -> Licences | None:
        names = [name for name in self._folders.get(folder, ()) if is_licence_file(name)]
        return self._remember(f"text:{folder}", lambda: self._texts(folder, names))

    def _by_manifest(self, folder: str) -> Licences | None:
        names = [name for name in self._folders.get(folder, ()) if is_manifest(name)]
        return self._remember(f"manifest:{folder}", lambda: self._manifests(folder, names))

    def _remember(self, key: str, work: Callable[[], Licences | None]) -> Licences | None:
        if key not in self._known:
            self._known[key] = work()
        return self._known[key]

    def _texts(self, folder: str, names: list[str]) -> Licences | None:
        paths = [_join(folder, name) for name in names]
        return licences_of_texts((path, self._content(path)) for path in paths)

    def _manifests(self, folder: str, names: list[str]) -> Licences | None:
        for name in names:
            path = _join(folder, name)
            data = self._content(path)
            statement = manifest_statement(name, data) if data is not None else Statement()
            if statement.inherited:
                folder, statement = self._workspace(folder)
                path = _join(folder, name)
            found = self._stated(path, folder, statement)
            if found is not None:
                return found
        return None

    def _workspace(self, folder: str) -> tuple[str, Statement]:
        """What the nearest `Cargo.toml` from `folder` on states for its workspace, and where."""
        for above in [folder, *_chain(folder)] if folder else [folder]:
            data = self._content(_join(above, CARGO))
            statement = workspace_statement(data) if data is not None else Statement()
            if statement != Statement():
                return above, statement
        return folder, Statement()

    def _stated(self, path: str, folder: str, statement: Statement) -> Licences | None:
        if statement.ids:
            return statement.ids, f"{path}: license {statement.said}"[:200]
        named = _inside(folder, statement.file) if statement.file else None
        data = self._content(named) if named else None
        if named is None or data is None:
            return None
        # A file that the manifest names is the main one, whatever it is called.
        found = match_license_text(data.decode("utf-8", "replace"))
        if found is None:
            return (), f"licence not recognised: the file that {path} names"[:200]
        return found[0], f"{path}: license file: {found[1]}"[:200]

    def _content(self, path: str) -> bytes | None:
        """The bytes at a path, links followed inside the repository; None if there are none."""
        for _ in range(MAX_LINKS):
            data = self._read(path)
            link = _link_text(data) if data is not None else ""
            if not link:
                return data
            target = _inside(path.rpartition("/")[0], link)
            if target is None or self._read(target) is None:
                # One word may be all that the file says; a path that leads nowhere says nothing.
                return None if "/" in link else data
            path = target
        return None


def licences_of_texts(files: Iterable[tuple[str, bytes | None]]) -> Licences | None:
    """What the licence files of one folder say together; None when there are none.

    A file that cannot be read (None) counts as not recognised, unless one that stands for the
    whole repository is.
    """
    found: dict[str, Licences] = {}
    strange: list[str] = []
    unread: list[str] = []
    for path, data in files:
        match = match_license_text(data.decode("utf-8", "replace")) if data is not None else None
        if match is not None:
            found[path] = match
        else:
            (unread if data is None else strange).append(path)
    if not any(_OWN_NAME.fullmatch(PurePosixPath(path).name) for path in found):
        strange, unread = [*strange, *unread], []
    if not found and not strange:
        return None
    main = [path for path in strange if _MAIN_NAME.fullmatch(PurePosixPath(path).name)]
    if main or not found:
        return (), f"licence not recognised: {', '.join(main or strange)}"[:200]
    ids = tuple(sorted({item for each, _ in found.values() for item in each}))
    # What refuses the folder is said first: the rest may be cut.
    ordered = sorted(found.items(), key=lambda one: (RESTRICTED not in one[1][0], one[0]))
    return ids, "; ".join(f"{path}: {said}" for path, (_, said) in ordered)[:200]


def _chain(path: str) -> list[str]:
    """The folders of a path, the nearest first; the repository itself is ""."""
    folders = (str(folder) for folder in PurePosixPath(path).parents)
    return ["" if folder == "." else folder for folder in folders]


def _link_text(data: bytes) -> str:
    """Where a link would point that has this text; "" for what is no path."""
    text = data[: _MAX_LINK_CHARS + 1].decode("utf-8", "replace")
    is_path = len(text) <= _MAX_LINK_CHARS and _LINK_TEXT.fullmatch(text)
    return text.strip("\n") if is_path else ""


def _inside(folder: str, relative: str) -> str | None:
    """A path relative to a folder as one relative to the repository; None if it leads out."""
    if not relative or relative.startswith("/") or "\0" in relative:
        return None
    path = normpath(_join(folder, relative))
    return None if path == "." or path == ".." or path.startswith("../") else path


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
