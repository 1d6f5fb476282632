"""The languages and the names they go by.

Method: two frozen tables, one from file extensions, one from the spellings that data sets use
(folder names of The Stack, Linguist names, short names). Cost: one dict look-up.
A header `.h` may be C or C++: it is listed as the one that is wanted, C where both are, and
`settled_language` decides by its content once it is read.
Limits: no look at the content but for that; `.pyi` stubs and `.d.ts` declarations hold no bodies:
the first are left out here, the second are files like others and left to the extractor.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from urllib.parse import unquote

LANGUAGES: tuple[str, ...] = (
    "c",
    "cpp",
    "csharp",
    "go",
    "java",
    "javascript",
    "kotlin",
    "php",
    "python",
    "ruby",
    "rust",
    "scala",
    "swift",
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
        ".c": "c",
        ".h": "c",
        ".cc": "cpp",
        ".cpp": "cpp",
        ".cxx": "cpp",
        ".c++": "cpp",
        ".hh": "cpp",
        ".hpp": "cpp",
        ".hxx": "cpp",
        ".ipp": "cpp",
        ".cs": "csharp",
        ".kt": "kotlin",
        ".kts": "kotlin",
        ".scala": "scala",
        ".sc": "scala",
        ".swift": "swift",
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
        "c++": "cpp",
        "cc": "cpp",
        "cxx": "cpp",
        "c#": "csharp",
        "cs": "csharp",
        "c-sharp": "csharp",
        "c_sharp": "csharp",
        "kt": "kotlin",
    }
)
_HEADER = ".h"
_CPP_LINE = re.compile(
    rb"^[ \t]*(?:class[ \t]+\w[\w:]*+(?:[ \t]+final)?[ \t]*[:{;]|(?:inline[ \t]+)?namespace\b"
    rb"[^;\n]*\{|template[ \t]*<|using[ \t]+\w[^\n;]{0,300};|(?:public|private|protected)[ \t]*:"
    rb"|#[ \t]*include[ \t]*<[a-z_]+>)|\bstd::\w",
    re.M,
)
"""What a header of C++ holds and one of C does not; C's own headers end in `.h`."""

_KEYS = frozenset({"lang", "language"})
"""What a folder of a language is called in front of an `=` (Hive)."""


def language_of(path: str) -> str:
    """The language of a path by its extension (any case); "" if it is none."""
    # `PurePosixPath(path).suffix` costs as much as the rest of a walk.
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")
    return EXTENSIONS.get(f".{suffix.lower()}", "") if stem else ""


def wanted_language(path: str, languages: Collection[str]) -> str:
    """The language by which a file of `path` is listed when `languages` are read; "" for none."""
    language = language_of(path)
    if language in languages:
        return language
    return (
        "cpp" if language == "c" and "cpp" in languages and path.lower().endswith(_HEADER) else ""
    )


def settled_language(language: str, path: str, content: bytes) -> str:
    """The language of a file that was read: `language`, but for headers `.h` of C and C++."""
    if language not in ("c", "cpp") or not path.lower().endswith(_HEADER):
        return language
    return "cpp" if _CPP_LINE.search(content) is not None else "c"


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
