"""What the licence files and manifests of a repository say.

Method: a file is under the licence files of the nearest folder above it that has any (so a
vendored library keeps its own), else under what the nearest manifest states
(`ingest.licenses.manifests`). A manifest beside or nearer than the licence files adds what is not
permissive: both must be. All licence files of a folder count together; if the main one (`LICENSE`,
`COPYING`) is not recognised, or any of them restricts what it grants, nothing is known, whatever
the others say; one that cannot be read refuses nothing beside a main one that is recognised. A
licence file that is a link, or the text of one (a line with a relative path, as git writes it
without symbolic links), is the file it points at, where that lies in the repository.
A repository by the REUSE specification says it file by file: see `ingest.licenses.reuse`.
Cost: each file is read once. Limits: `MAX_NOTICE_BYTES` a file, `MAX_LINKS` links in a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath

from ingest.languages import EXTENSIONS
from ingest.licenses.manifests import (
    CARGO,
    Statement,
    is_manifest,
    manifest_statement,
    workspace_statement,
)
from ingest.licenses.policy import RESTRICTED, is_known, is_permissive
from ingest.licenses.reuse import (
    CLOSEST,
    DEP5_FOLDER,
    DEP5_NAME,
    REUSE_TOML,
    SIDECAR,
    TEXTS,
    Annotation,
    annotated,
    dep5_annotations,
    is_reuse,
    tagged,
    toml_annotations,
)
from ingest.licenses.text_match import match_license_text

MAX_NOTICE_BYTES = 512 * 1024
MAX_LINKS = 4
_DEP5 = f"{DEP5_FOLDER}/{DEP5_NAME}"
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
    return is_manifest(name) or is_licence_file(name) or is_reuse(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The licences of one file."""

    ids: tuple[str, ...]
    """All of these hold; () for unknown, or none where there is a default."""
    evidence: str
    default: Licences | None = None
    """Holds too, unless a tag in the file itself takes its place (`ingest.licenses.reuse`)."""


class LicenseFiles:
    """The licences of the folders of one repository, read when asked for."""

    def __init__(self, folders: Mapping[str, tuple[str, ...]], read: Reader) -> None:
        self._folders = folders
        self._read = read
        self._known: dict[str, Licences | None] = {}
        self._annotations: dict[str, tuple[Annotation, ...] | None] = {}

    def of(self, path: str) -> Licences:
        """The licences of the file at `path`, of which no more is known than its path."""
        licences = self.found(path)
        if licences.default is None:
            return licences.ids, licences.evidence
        return _both((licences.ids, licences.evidence) if licences.ids else None, licences.default)

    def found(self, path: str) -> Found:
        """The licences of the file at `path` (relative to the repository)."""
        folders = _chain(path)
        whole = self._of_folders(folders)
        stated, precedence = self._by_reuse(path, folders)
        if stated is None and whole is None:
            stated, precedence = self._all_texts(folders), CLOSEST
        if stated is None:
            ids, evidence = whole or ((), "no licence file or manifest")
            return Found(ids=ids, evidence=evidence)
        if precedence == CLOSEST and (whole is None or whole[0]):
            ids, evidence = whole or ((), "")
            return Found(ids=ids, evidence=evidence, default=stated)
        ids, evidence = _both(whole, stated)
        return Found(ids=ids, evidence=evidence)

    def _of_folders(self, folders: Sequence[str]) -> Licences | None:
        """What the licence files and manifests above a file say together."""
        text_at, text = self._nearest(self._by_text, folders)
        stated_at, stated = self._nearest(self._by_manifest, folders)
        if text is None:
            return stated
        if stated is None or stated_at > text_at or is_permissive(stated[0]):
            return text
        if not stated[0] or not text[0]:
            return stated if not stated[0] else text
        return tuple(sorted({*text[0], *stated[0]})), f"{stated[1]}; {text[1]}"[:200]

    def _by_reuse(self, path: str, folders: Sequence[str]) -> tuple[Licences | None, str]:
        """What is said about this one file, and by which precedence."""
        folder, _, name = path.rpartition("/")
        if f"{name}{SIDECAR}" in self._folders.get(folder, ()):
            data = self._content(f"{path}{SIDECAR}")
            ids = tagged(data.decode("utf-8", "replace")) if data is not None else ()
            return (ids, f"{SIDECAR[1:]} file beside it"), ""
        for above in folders:
            names = [REUSE_TOML] if REUSE_TOML in self._folders.get(above, ()) else []
            names += (
                [_DEP5] if DEP5_NAME in self._folders.get(_join(above, DEP5_FOLDER), ()) else []
            )
            for source in (_join(above, name) for name in names):
                annotations = self._annotations_in(source)
                if annotations is None:
                    return ((), f"{source} cannot be read"[:200]), ""
                hit = annotated(annotations, path.removeprefix(f"{above}/" if above else ""))
                if hit is not None:
                    evidence = f"{source}: {', '.join(hit.ids)}"[:200]
                    return (hit.ids, evidence), hit.precedence
        return None, ""

    def _annotations_in(self, path: str) -> tuple[Annotation, ...] | None:
        if path not in self._annotations:
            data = self._content(path)
            parse = toml_annotations if path.endswith(REUSE_TOML) else dep5_annotations
            try:
                text = data.decode("utf-8") if data is not None else None
                self._annotations[path] = parse(text) if text is not None else None
            except (ValueError, RecursionError):
                self._annotations[path] = None
        return self._annotations[path]

    def _all_texts(self, folders: Sequence[str]) -> Licences | None:
        """All licences whose texts lie in the nearest `LICENSES/`."""
        return self._nearest(self._by_texts_folder, folders)[1]

    def _by_texts_folder(self, folder: str) -> Licences | None:
        texts_folder = _join(folder, TEXTS)
        return self._remember(f"texts:{folder}", lambda: self._licences_of_texts(texts_folder))

    def _licences_of_texts(self, texts_folder: str) -> Licences | None:
        ids: set[str] = set()
        for name in self._folders.get(texts_folder, ()):
            spdx = PurePosixPath(name).stem if "." in name else name
            data = self._content(_join(texts_folder, name))
            # A text says more than its name: it may have been added to.
            text = match_license_text(data.decode("utf-8", "replace")) if data is not None else None
            ids.update(text[0] if text is not None else [spdx])
        if not ids:
            return None
        known = all(is_known(spdx) or spdx == RESTRICTED for spdx in ids)
        return (tuple(sorted(ids)) if known else ()), f"all texts in {texts_folder}/"[:200]

    def _nearest(
        self, lookup: Callable[[str], Licences | None], folders: Sequence[str]
    ) -> tuple[int, Licences | None]:
        """The first folder, by its place in `folders`, that says anything, and what."""
        for level, folder in enumerate(folders):
            licences = lookup(folder)
            if licences is not None:
                return level, licences
        return len(folders), None

    def _by_text(self, folder: str) -> Licences | None:
        listed = self._folders.get(folder, ())
        names = [name for name in listed if is_licence_file(name) and not _is_sidecar(name)]
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
            licences = self._stated(path, folder, statement)
            if licences is not None:
                return licences
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
        licences = match_license_text(data.decode("utf-8", "replace"))
        if licences is None:
            return (), f"licence not recognised: the file that {path} names"[:200]
        return licences[0], f"{path}: license file: {licences[1]}"[:200]

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
    recognised: dict[str, Licences] = {}
    strange: list[str] = []
    unread: list[str] = []
    for path, data in files:
        match = match_license_text(data.decode("utf-8", "replace")) if data is not None else None
        if match is not None:
            recognised[path] = match
        else:
            (unread if data is None else strange).append(path)
    if not any(_OWN_NAME.fullmatch(PurePosixPath(path).name) for path in recognised):
        strange, unread = [*strange, *unread], []
    if not recognised and not strange:
        return None
    main = [path for path in strange if _MAIN_NAME.fullmatch(PurePosixPath(path).name)]
    if main or not recognised:
        return (), f"licence not recognised: {', '.join(main or strange)}"[:200]
    ids = tuple(sorted({item for each, _ in recognised.values() for item in each}))
    # What refuses the folder is said first: the rest may be cut.
    ordered = sorted(recognised.items(), key=lambda pair: (RESTRICTED not in pair[1][0], pair[0]))
    return ids, "; ".join(f"{path}: {evidence}" for path, (_, evidence) in ordered)[:200]


def _both(first: Licences | None, second: Licences) -> Licences:
    """Both hold; unknown where one of them is."""
    if first is None:
        return second
    evidence = f"{second[1]}; {first[1]}"[:200]
    return (tuple(sorted({*first[0], *second[0]})) if first[0] and second[0] else ()), evidence


def _is_sidecar(name: str) -> bool:
    """Whether a file speaks of another, `a.py.license`, and not of its folder."""
    return name.endswith(SIDECAR) and "." in name.removesuffix(SIDECAR)


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
