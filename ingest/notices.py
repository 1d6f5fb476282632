"""What the licence files and manifests of a repository say.

Method: a file is under the licence files of the nearest folder above it that has any (so a
vendored library keeps its own), else under the `license` field of the nearest manifest
(`pyproject.toml`, `package.json`, `Cargo.toml`). All licence files of a folder count together;
if the main one (`LICENSE`, `COPYING`) is not recognised, or any of them restricts what it grants,
nothing is known, whatever the others say. Cost: each file is read once. Limits:
`MAX_NOTICE_BYTES` a file; links are not followed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from ingest.languages import EXTENSIONS
from ingest.license_text import match_license_text
from ingest.licenses import RESTRICTED, is_known

MAX_NOTICE_BYTES = 512 * 1024
MAX_TOML = 64 * 1024
"""Characters of a TOML manifest."""
_MAX_DOTS = 512
"""On a line of TOML: a key of 8,000 parts, which is 16 kB, takes `tomllib` 0.6 s."""
MANIFESTS = ("pyproject.toml", "package.json", "Cargo.toml")

_LICENCE_NAME = re.compile(
    r"(?:(?:un)?licen[sc]es?|copying|mit[-_]licen[sc]e)(?:[-_.][\w.+-]*)?"
    r"|[\w.+-]+[-_.]licen[sc]e(?:\.(?:txt|md|rst))?",
    re.IGNORECASE,
)
_MAIN_NAME = re.compile(r"(?:licen[sc]e|copying)(?:\.(?:txt|md|rst))?", re.IGNORECASE)
_CODE_SUFFIXES = frozenset(EXTENSIONS) | {
    *(".pyi", ".c", ".h", ".cc", ".cpp", ".html", ".css", ".svg", ".png", ".class", ".pyc"),
    *(".json", ".xml", ".yml", ".yaml", ".toml", ".spec", ".sh", ".gz", ".zip"),
}

Licences = tuple[tuple[str, ...], str]
"""SPDX identifiers ("()" for unknown) and the evidence."""
Reader = Callable[[str], bytes | None]
"""Bytes of a file by its path relative to the repository; None if it cannot be had."""


def is_licence_file(name: str) -> bool:
    """Whether a file of this name is a licence text."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix not in _CODE_SUFFIXES and _LICENCE_NAME.fullmatch(name) is not None


def is_notice(name: str) -> bool:
    """Whether a file of this name may say under which licence its folder is."""
    return name in MANIFESTS or is_licence_file(name)


class Notices:
    """The licences of the folders of one repository, read when asked for."""

    def __init__(self, folders: Mapping[str, tuple[str, ...]], read: Reader) -> None:
        self._folders = folders
        self._read = read
        self._known: dict[str, Licences | None] = {}

    def of(self, path: str) -> Licences:
        """The licences of the file at `path` (relative to the repository)."""
        chain = [str(folder) for folder in PurePosixPath(path).parents]
        folders = ["" if folder == "." else folder for folder in chain]
        for lookup in (self._by_text, self._by_manifest):
            for folder in folders:
                found = lookup(folder)
                if found is not None:
                    return found
        return (), "no licence file or manifest"

    def _by_text(self, folder: str) -> Licences | None:
        names = [name for name in self._folders.get(folder, ()) if is_licence_file(name)]
        return self._remember(f"text:{folder}", lambda: self._texts(folder, names))

    def _by_manifest(self, folder: str) -> Licences | None:
        names = [name for name in self._folders.get(folder, ()) if name in MANIFESTS]
        return self._remember(f"manifest:{folder}", lambda: self._manifests(folder, names))

    def _remember(self, key: str, work: Callable[[], Licences | None]) -> Licences | None:
        if key not in self._known:
            self._known[key] = work()
        return self._known[key]

    def _texts(self, folder: str, names: list[str]) -> Licences | None:
        paths = [_join(folder, name) for name in names]
        return licences_of_texts((path, self._read(path)) for path in paths)

    def _manifests(self, folder: str, names: list[str]) -> Licences | None:
        for name in names:
            data = self._read(_join(folder, name))
            licence = manifest_licence(name, data) if data is not None else ""
            if licence:
                return (licence,), f"{_join(folder, name)}: license {licence}"
        return None


def licences_of_texts(files: Iterable[tuple[str, bytes | None]]) -> Licences | None:
    """What the licence files of one folder say together; None when there are none.

    A file that cannot be read (None) counts as not recognised.
    """
    found: dict[str, Licences] = {}
    strange: list[str] = []
    for path, data in files:
        match = match_license_text(data.decode("utf-8", "replace")) if data is not None else None
        if match is not None:
            found[path] = match
        else:
            strange.append(path)
    if not found and not strange:
        return None
    main = [path for path in strange if _MAIN_NAME.fullmatch(PurePosixPath(path).name)]
    if main or not found:
        return (), f"licence not recognised: {', '.join(main or strange)}"[:200]
    ids = tuple(sorted({item for each, _ in found.values() for item in each}))
    # What refuses the folder is said first: the rest may be cut.
    ordered = sorted(found.items(), key=lambda one: (RESTRICTED not in one[1][0], one[0]))
    return ids, "; ".join(f"{path}: {said}" for path, (_, said) in ordered)[:200]


def manifest_licence(name: str, data: bytes) -> str:
    """The SPDX expression in a package manifest; "" where there is none that is valid."""
    try:
        text = data.decode("utf-8")
        table = json.loads(text) if name == "package.json" else _toml(text)
    except (ValueError, RecursionError):
        return ""
    # Cargo's older form of "or" is a slash.
    licence = _stated(name, table).replace("/", " OR ").strip()
    return licence if is_known(licence) else ""


def _toml(text: str) -> object:
    """The table in `text`; raises ValueError where reading it could take long."""
    if len(text) > MAX_TOML or any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        raise ValueError("too large, or a key of too many parts")
    return tomllib.loads(text)


def _stated(name: str, table: object) -> str:
    if name == "package.json":
        return _text(_get(table, "license")) or _text(_get(table, "license", "type"))
    if name == "Cargo.toml":
        return _text(_get(table, "package", "license"))
    return (
        _text(_get(table, "project", "license"))
        or _text(_get(table, "project", "license", "text"))
        or _text(_get(table, "tool", "poetry", "license"))
    )


def _get(table: object, *keys: str) -> object:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
