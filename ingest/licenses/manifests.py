"""What a package manifest says about the licence of its folder.

Method: `pyproject.toml`, `package.json`, `Cargo.toml`, `composer.json`, `pom.xml` and `*.gemspec`
state a licence, name a file with its text, or (Cargo) take what the workspace above states. Lists
are a choice where the format says so (composer, gems, npm's old form); of a pom all hold.
`UNLICENSED` of npm and `proprietary` grant nothing.
Cost: one parse. Limits: `MAX_BYTES` a manifest, since dotted TOML keys take more than linear
time; XML and Ruby are searched, not parsed.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass

from ingest.licenses.license_names import stated_licences
from ingest.licenses.policy import RESTRICTED

MAX_BYTES = 64 * 1024
_MAX_DOTS = 512
"""On a line of TOML: a key of 8,000 parts, which is 16 kB, takes `tomllib` 0.6 s."""
MANIFESTS = ("pyproject.toml", "package.json", "Cargo.toml", "composer.json", "pom.xml")
CARGO = "Cargo.toml"

_SEE = re.compile(r"see licen[sc]e in (\S.*)", re.IGNORECASE)
_POM_NAME = re.compile(r"<name>([^<>]{1,200})</name>")
_GEM = re.compile(r"^[ \t]{0,40}\w{1,40}\.licenses?[ \t]*=([^\n]{1,300})$", re.MULTILINE)
_QUOTED = re.compile(r"[\"']([^\"'\n]{1,100})[\"']")
_NOTHING_GRANTED = frozenset({"unlicensed", "proprietary", "none"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What a manifest says; all empty where it says nothing that is known."""

    ids: tuple[str, ...] = ()
    said: str = ""
    """The words that are known, for the evidence."""
    file: str = ""
    """Path of a licence file, relative to the manifest."""
    inherited: bool = False
    """Whether the manifest of the workspace above says it."""


def is_manifest(name: str) -> bool:
    """Whether a file of this name may state a licence."""
    return name in MANIFESTS or name.endswith(".gemspec")


def manifest_statement(name: str, data: bytes) -> Statement:
    """What a manifest states; nothing where it is too long or cannot be parsed."""
    if len(data) > MAX_BYTES:
        return Statement()
    try:
        return _stated(name, data.decode("utf-8"))
    except (ValueError, RecursionError):
        return Statement()


def workspace_statement(data: bytes) -> Statement:
    """What a `Cargo.toml` states for the members of its workspace."""
    try:
        table = read_toml(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return Statement()
    return _cargo(_get(table, "workspace", "package"))


def read_toml(text: str) -> object:
    """The table in `text`; raises ValueError where reading it could take long."""
    if len(text) > MAX_BYTES or any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        raise ValueError("too large, or a key of too many parts")
    return tomllib.loads(text)


def _stated(name: str, text: str) -> Statement:
    if name == "package.json":
        return _npm(json.loads(text))
    if name == "composer.json":
        return _of_choice(_get(json.loads(text), "license"))
    if name == CARGO:
        return _cargo(_get(read_toml(text), "package"))
    if name == "pom.xml":
        return _pom(text)
    if name.endswith(".gemspec"):
        lines = [_QUOTED.findall(line) for line in _GEM.findall(text)]
        return _of_choice([value for line in lines for value in line])
    return _pyproject(read_toml(text))


def _cargo(package: object) -> Statement:
    licence, file = _get(package, "license"), _get(package, "license-file")
    if _get(licence, "workspace") is True or _get(file, "workspace") is True:
        return Statement(inherited=True)
    return _of_text(licence) if _text(licence) else Statement(file=_text(file))


def _npm(table: object) -> Statement:
    licence = _get(table, "license")
    see = _SEE.fullmatch(_text(licence).strip())
    if see is not None:
        return Statement(file=see[1].strip("<>\"' "))
    if isinstance(licence, dict):
        return _of_text(_get(licence, "type"))
    older = _get(table, "licenses")
    if licence is None and isinstance(older, list):
        return _of_choice([_get(each, "type") or each for each in older])
    return _of_text(licence)


def _pyproject(table: object) -> Statement:
    licence = _get(table, "project", "license")
    if isinstance(licence, dict):
        text = _text(_get(licence, "text"))
        return _of_text(text) if text else Statement(file=_text(_get(licence, "file")))
    return _of_text(licence or _get(table, "tool", "poetry", "license"))


def _pom(text: str) -> Statement:
    _, _, rest = text.partition("<licenses>")
    block, closed, _ = rest.partition("</licenses>")
    if not closed:
        return Statement()
    parts = [_of_text(name.strip()) for name in _POM_NAME.findall(block)]
    ids = dict.fromkeys(spdx for part in parts for spdx in part.ids)
    if not all(part.ids for part in parts):
        return Statement()
    return Statement(ids=tuple(ids), said=", ".join(part.said for part in parts))


def _of_choice(value: object) -> Statement:
    """A text, or a list of which each may be chosen."""
    if not isinstance(value, list):
        return _of_text(value)
    words = [_text(each).strip() for each in value]
    known = [word for word in words if word and word.casefold() not in _NOTHING_GRANTED]
    if len(known) < len(words) and not known:
        return _of_text(words[0]) if words else Statement()
    return _of_text(" OR ".join(known)) if len(known) > 1 else _of_text("".join(known))


def _of_text(value: object) -> Statement:
    text = _text(value).strip()[:300]
    if text.casefold() in _NOTHING_GRANTED:
        return Statement(ids=(RESTRICTED,), said=text.casefold())
    ids, evidence = stated_licences(text)
    return Statement(ids=ids, said=evidence)


def _get(table: object, *keys: str) -> object:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
