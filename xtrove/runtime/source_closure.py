"""Which source files decide what a module does: the closure of its imports, found in their text.

Method: the import statements of a module, those inside functions too, are followed to other
modules of ours. `from folder import name` leads through the folder's `__init__.pyi` to the one
module that defines the name; a string that is the dotted name of a module counts as an import of
it. Imports for type checkers (`if TYPE_CHECKING:`) do not count. Data files that lie next to a
module belong to it.
Cost: 10 ms for 150 modules; a syntax tree of all of them would take 300 ms. `ast` reads only the
statements, which are found by a pattern; a test holds that on every module of ours it finds what a
whole syntax tree shows.
Limits: module names that are put together while the program runs are not seen; a folder imported
as a whole stands for all of its modules.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGES = ("ingest", "extract", "dedupe", "shards", "train", "evaluate", "xtrove")
_NAME = rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)*"
_STATEMENT = re.compile(
    rf"^[ \t]*(?:import {_NAME}\b.*|from {_NAME} import (?:\([^)]*\)|[^(\n]+))", re.MULTILINE
)
_STRING = re.compile(rf"""["']({_NAME}\.\w+)["']""")
_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:(?:[ \t].*)?\n)+", re.MULTILINE)
_DOOR = re.compile(r"^from (\.[\w.]*) import (\w+) as (\w+)$", re.MULTILINE)
_DATA = ("json", "yaml", "txt", "csv")


class SourceTree:
    """The modules of our packages below a folder: a checkout, or where a wheel was installed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: dict[str, str] = {}
        """Dotted name -> path from the root; of a folder its `__init__.py`."""
        self._data: dict[str, list[str]] = {}
        """Dotted name of a folder -> paths of the data files in it."""
        for package in PACKAGES:
            for folder, _, names in os.walk(root / package):
                self._enter(Path(folder).relative_to(root).as_posix(), names)
        self._digests: dict[str, bytes] = {}
        self._imports: dict[str, frozenset[str]] = {}
        self._doors: dict[str, dict[str, tuple[str, str]]] = {}

    def _enter(self, folder: str, names: Iterable[str]) -> None:
        package = folder.replace("/", ".")
        for name in names:
            stem, _, ending = name.rpartition(".")
            if ending == "py":
                module = package if stem == "__init__" else f"{package}.{stem}"
                self._paths[module] = f"{folder}/{name}"
            elif ending in _DATA:
                self._data.setdefault(package, []).append(f"{folder}/{name}")

    def digest(self, modules: Iterable[str]) -> str:
        """SHA-256 over the files of the closure of modules (dotted names), with their names."""
        digest = hashlib.sha256()
        for path in sorted(self.files(modules)):
            if path not in self._digests:
                self._digests[path] = hashlib.sha256((self._root / path).read_bytes()).digest()
            digest.update(path.encode() + b"\0" + self._digests[path])
        return digest.hexdigest()

    def files(self, modules: Iterable[str]) -> set[str]:
        """Paths, from the root, of all that decides what these modules do."""
        files = set()
        for module in self.closure(modules):
            files.add(self._paths[module])
            if not self._is_folder(module):
                files.update(self._data.get(module.rpartition(".")[0], ()))
        return files

    def modules_in(self, folder: str) -> list[str]:
        """The modules of a folder, none of those in folders below it."""
        return sorted(name for name in self._paths if name.rpartition(".")[0] == folder)

    def closure(self, modules: Iterable[str]) -> set[str]:
        """The modules, and all modules of ours that they import, directly or not."""
        closure: set[str] = set()
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            if module not in closure:
                closure.add(module)
                waiting += self.imports(module)
        return closure

    def imports(self, module: str) -> frozenset[str]:
        """What a module of ours loads itself: modules, and the folders it lies in."""
        if module not in self._imports:
            text = (self._root / self._paths[module]).read_text(encoding="utf-8")
            text = _FOR_TYPES.sub("", text)
            parts = module.split(".")
            folders = {".".join(parts[:count]) for count in range(1, len(parts))}
            self._imports[module] = frozenset({*folders, *self._imported(text)})
        return self._imports[module]

    def _imported(self, text: str) -> Iterator[str]:
        for match in _STATEMENT.finditer(text):
            try:
                statement = ast.parse(match[0].strip()).body[0]
            except SyntaxError:  # a line of prose
                continue
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    yield from self._whole(alias.name)
            elif isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    yield from self._defined(statement.module or "", alias.name)
        for match in _STRING.finditer(text):
            yield from self._whole(match[1])

    def _defined(self, owner: str, name: str) -> Iterator[str]:
        """The modules that `from owner import name` loads."""
        door = self._door(owner)
        if name in door:
            source, own_name = door[name]
            yield from (
                self._whole(f"{owner}.{own_name}")
                if source == owner
                else self._defined(source, own_name)
            )
        elif f"{owner}.{name}" in self._paths:
            yield from self._whole(f"{owner}.{name}")
        elif owner in self._paths:
            yield owner

    def _whole(self, name: str) -> Iterator[str]:
        """A module; of a folder everything that its front door offers."""
        if name in self._paths:
            yield name
            for offered in self._door(name):
                yield from self._defined(name, offered)

    def _door(self, folder: str) -> dict[str, tuple[str, str]]:
        """Of the names that a folder offers: the module each comes from, and its name there."""
        if folder not in self._doors:
            stub = self._root / folder.replace(".", "/") / "__init__.pyi"
            text = (
                stub.read_text(encoding="utf-8")
                if self._is_folder(folder) and stub.is_file()
                else ""
            )
            self._doors[folder] = {
                name: (f"{folder}{source}".rstrip("."), own_name)
                for source, own_name, name in _DOOR.findall(text)
            }
        return self._doors[folder]

    def _is_folder(self, name: str) -> bool:
        return self._paths.get(name, "").endswith("/__init__.py")
