"""What a repository by the REUSE specification says about single files.

Method: a sidecar `NAME.license`, then the nearest `REUSE.toml` with a pattern for the file (the
last that matches), then `.reuse/dep5`. `LICENSES/` holds the texts, each called by its
identifier: all of them hold for a file about which nothing else is said. In a `REUSE.toml` of
precedence `closest` (the default) a tag in the file itself takes the place of what it says.
Cost: a few look-ups a file; a pattern is matched in steps of pattern times path.
Limits: `MAX_ANNOTATIONS` patterns a repository, the rest makes it unknown; `toml` as in
`ingest.licenses.manifests`. Source: https://reuse.software/spec-3.3/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.licenses.manifests import read_toml
from ingest.licenses.policy import NO_ASSERTION, is_known

REUSE_TOML = "REUSE.toml"
DEP5_FOLDER, DEP5_NAME = ".reuse", "dep5"
TEXTS = "LICENSES"
SIDECAR = ".license"
CLOSEST = "closest"
MAX_ANNOTATIONS = 500
_MAX_PATTERN = 300

_ANY, _ANY_IN_FOLDER, _ONE = -1, -2, -3
_TAG = re.compile(r"SPDX-License-Identifier:([^\n]{1,1000})", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """Licences of the files that match a pattern, relative to the folder of the file it is in."""

    pattern: tuple[int, ...]
    """Code points, or one of the wildcards."""
    ids: tuple[str, ...]
    precedence: str


def is_dep5(path: str) -> bool:
    """Whether this is the path of a `dep5`, which lies in a hidden folder."""
    return path == f"{DEP5_FOLDER}/{DEP5_NAME}" or path.endswith(f"/{DEP5_FOLDER}/{DEP5_NAME}")


def is_reuse(path: str) -> bool:
    """Whether a file at this path says something about others by the REUSE specification."""
    folder, _, name = path.rpartition("/")
    parent = folder.rpartition("/")[2]
    return name == REUSE_TOML or name.endswith(SIDECAR) or parent == TEXTS or is_dep5(path)


def tagged(text: str) -> tuple[str, ...]:
    """The identifiers of all tags in a text; `NOASSERTION` for one that is not valid."""
    return _identifiers(value.strip().removesuffix("*/").strip() for value in _TAG.findall(text))


def toml_annotations(text: str) -> tuple[Annotation, ...]:
    """Of a `REUSE.toml`, the first in it first. Raises `ValueError` for one that is not valid."""
    table = read_toml(text)
    listed = table.get("annotations", []) if isinstance(table, dict) else []
    if not isinstance(listed, list):
        raise ValueError("annotations is no list")
    annotations = []
    for each in listed:
        if not isinstance(each, dict):
            raise ValueError("an annotation is no table")
        ids = _identifiers(_texts(each.get("SPDX-License-Identifier")))
        precedence = each.get("precedence", CLOSEST)
        annotations += [
            Annotation(pattern=_pattern(path, folders=True), ids=ids, precedence=str(precedence))
            for path in _texts(each.get("path"))
            if ids
        ]
    return _limited(annotations)


def dep5_annotations(text: str) -> tuple[Annotation, ...]:
    """Of a `.reuse/dep5`. Raises `ValueError` for one that is not valid."""
    annotations = []
    for paragraph in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields = dict(_fields(paragraph))
        ids = _identifiers([fields["license"].split("\n")[0]]) if "license" in fields else ()
        annotations += [
            Annotation(pattern=_pattern(path, folders=False), ids=ids, precedence="aggregate")
            for path in fields.get("files", "").split()
            if ids
        ]
    return _limited(annotations)


def annotated(annotations: tuple[Annotation, ...], path: str) -> Annotation | None:
    """The last annotation that matches a path."""
    return next(
        (annotation for annotation in reversed(annotations) if _matches(annotation.pattern, path)),
        None,
    )


def _limited(annotations: list[Annotation]) -> tuple[Annotation, ...]:
    if len(annotations) > MAX_ANNOTATIONS:
        raise ValueError(f"more than {MAX_ANNOTATIONS} patterns")
    return tuple(annotations)


def _fields(paragraph: str) -> Iterator[tuple[str, str]]:
    name, lines = "", list[str]()
    for line in [*paragraph.split("\n"), "end:"]:
        if line[:1] in (" ", "\t"):
            lines.append(line.strip())
        elif ":" in line:
            if name:
                yield name, "\n".join(lines).strip()
            name, _, rest = line.partition(":")
            name, lines = name.strip().casefold(), [rest.strip()]


def _pattern(path: str, *, folders: bool) -> tuple[int, ...]:
    """`*` stays in a folder and `**` does not, where there are `folders`; else `*` crosses them."""
    if len(path) > _MAX_PATTERN:
        raise ValueError("a pattern is too long")
    tokens: list[int] = []
    offset = 0
    while offset < len(path):
        sign = path[offset]
        if sign == "\\" and offset + 1 < len(path):
            offset += 1
            tokens.append(ord(path[offset]))
        elif sign == "*":
            wide = not folders or path[offset : offset + 2] == "**"
            offset += path[offset : offset + 2] == "**"
            tokens.append(_ANY if wide else _ANY_IN_FOLDER)
        else:
            tokens.append(_ONE if sign == "?" and not folders else ord(sign))
        offset += 1
    return tuple(tokens)


def _matches(pattern: tuple[int, ...], path: str) -> bool:
    places = {0}
    for token in pattern:
        if token == _ANY:
            places = set(range(min(places), len(path) + 1))
        elif token == _ANY_IN_FOLDER:
            places = {end for start in places for end in _in_folder(path, start)}
        else:
            places = {
                offset + 1
                for offset in places
                if offset < len(path) and (token == _ONE or ord(path[offset]) == token)
            }
        if not places:
            return False
    return len(path) in places


def _in_folder(path: str, start: int) -> range:
    stop = path.find("/", start)
    return range(start, (len(path) if stop < 0 else stop) + 1)


def _identifiers(values: Iterator[str] | list[str]) -> tuple[str, ...]:
    known = {value if is_known(value) else NO_ASSERTION for value in values}
    return tuple(sorted(known))


def _texts(value: object) -> list[str]:
    """A text or a list of texts. Raises `ValueError` for anything else."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(each, str) for each in listed):
        raise ValueError("neither a text nor a list of texts")
    return [str(each) for each in listed]
