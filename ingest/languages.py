"""The eight languages and the names they go by.

Method: two frozen tables, one from file extensions, one from the spellings that data sets use
(folder names of The Stack, Linguist names, short names). Cost: one dict look-up.
Limits: no look at the content; `.pyi` stubs and `.d.ts` declarations hold no bodies: the
first are left out here, the second are files like others and left to the extractor.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import unquote

LANGUAGES: tuple[str, ...] = (
    "go",
    "java",
    "javascript",
    "php",
    "python",
    "ruby",
    "rust",
    "typescript",
)

EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        ".py": "python",
        ".java": "java",
        ".go": "go",
        ".php": "php",
        ".js": "javascript",
        ".mjs": "javascript",
        ".cjs": "javascript",
        ".jsx": "javascript",
        ".rb": "ruby",
        ".rs": "rust",
        ".ts": "typescript",
        ".tsx": "typescript",
        ".mts": "typescript",
        ".cts": "typescript",
    }
)

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{language: language for language in LANGUAGES},
        "golang": "go",
        "js": "javascript",
        "jsx": "javascript",
        "node": "javascript",
        "nodejs": "javascript",
        "ecmascript": "javascript",
        "php5": "php",
        "php7": "php",
        "php8": "php",
        "py": "python",
        "python2": "python",
        "python3": "python",
        "cpython": "python",
        "rb": "ruby",
        "rs": "rust",
        "ts": "typescript",
        "tsx": "typescript",
    }
)

_KEYS = frozenset({"lang", "language"})
"""What a folder of a language is called in front of an `=` (Hive)."""


def language_of(path: str) -> str:
    """The language of a path by its extension (any case); "" if it is none of the eight."""
    # `PurePosixPath(path).suffix` costs as much as the rest of a walk.
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")
    return EXTENSIONS.get(f".{suffix.lower()}", "") if stem else ""


def normalise_language(name: str) -> str:
    """The language that a data set calls `name` ("TSX", "golang", "JavaScript"); "" if none."""
    return _NAMES.get(name.strip().casefold(), "")


def folder_language(folder: str) -> str:
    """The language that a folder is called after ("TSX", `lang=Python`); "" if none."""
    key, equals, value = folder.rpartition("=")
    if equals and key.casefold() not in _KEYS:
        return ""
    return normalise_language(unquote(value) if equals else folder)


def suggestion(name: str) -> str:
    """The supported language that `name` was likely meant to be; "" if nothing is near."""
    known = normalise_language(name)
    if known:
        return known
    near = difflib.get_close_matches(name.strip().casefold(), sorted(_NAMES), n=1, cutoff=0.6)
    return _NAMES[near[0]] if near else ""
