"""The faults of a config in words: its place, what is wrong, what was probably meant.

Method: pydantic says where and why; the models say what is known there. Keys, kinds and words of
a fixed set are compared with what was written (`difflib`), and the nearest is named.
Cost: some comparisons a fault. Limits: a value is shown only as far as it may be published.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from extract.redaction import published_name

_QUOTED = re.compile(r"'([^']*)'")
_BRANCH = re.compile(r"(?:literal|tuple|list|constrained-\w+)\[.*\]")
"""How pydantic names the branches of a union in a place."""


def faults_of(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """Every fault of a config, one a line."""
    entries = error.errors(include_url=False)
    kinds = _kinds(root)
    places = [_place(entry["loc"], kinds) for entry in entries]
    words, lists = (
        {
            position
            for entry, position in zip(entries, places, strict=True)
            if entry["type"] in types_
        }
        for types_ in (_NO_WORD, _NO_LIST)
    )
    return [
        _fault(entry, root, position, kinds, listed=position in lists)
        for entry, position in zip(entries, places, strict=True)
        # A word of a set, or a list: one fault, not one for each.
        if not (entry["type"] in _NO_LIST and position in words)
    ]


_NO_WORD = frozenset({"literal_error"})
_NO_LIST = frozenset({"tuple_type", "list_type"})


def _fault(
    entry: Any, root: type[BaseModel], position: str, kinds: Sequence[str], *, listed: bool
) -> str:
    loc: tuple[str | int, ...] = entry["loc"]
    match entry["type"]:
        case "extra_forbidden":
            known = _known_keys(loc[:-1], root)
            return f"{position}: unknown key; {_hint(str(loc[-1]), known, 'known keys')}"
        case "missing":
            return f"{position}: is missing"
        case "union_tag_invalid":
            kind = str(entry["ctx"]["tag"])
            hint = _hint(kind, _QUOTED.findall(entry["ctx"]["expected_tags"]), "known kinds")
            return f"{position}.kind: unknown kind {published_name(repr(kind))}; {hint}"
        case "union_tag_not_found":
            return f"{position}.kind: is missing; known kinds: {', '.join(kinds)}"
        case "literal_error" if isinstance(entry.get("input"), str):
            known = _QUOTED.findall(entry["ctx"]["expected"])
            hint = _hint(entry["input"], known, "known words")
            hint += " (a list is written [a, b])" if listed else ""
            return f"{position}: unknown word {published_name(repr(entry['input']))}; {hint}"
    message = entry["msg"].removeprefix("Value error, ")
    value = entry.get("input")
    shown = "" if isinstance(value, dict | list) else f" (found {published_name(repr(value))})"
    return f"{position}: {published_name(message)}{shown}"


def _hint(word: str, known: Iterable[str], what: str) -> str:
    """The nearest of what is known, or all of it."""
    folded = {name.casefold().replace("_", "-"): name for name in known}
    normalised = word[:100].casefold().replace("_", "-")
    near = difflib.get_close_matches(normalised, folded, n=1, cutoff=0.5)
    return f"did you mean {folded[near[0]]!r}?" if near else f"{what}: {', '.join(folded.values())}"


def _place(loc: Sequence[str | int], kinds: Sequence[str]) -> str:
    """A place as it is written in the config: without the tags and branches of unions."""
    steps: list[str] = []
    tagged = False
    for part in loc:
        # Behind a tag comes a key, which may have the name of a kind (`mix`).
        tagged = part in kinds and not tagged
        if not tagged and not _BRANCH.fullmatch(str(part)):
            steps.append(str(part))
    return ".".join(steps)


def _kinds(root: type[BaseModel]) -> list[str]:
    """The values of `kind` that tell the unions of a config apart."""
    kinds: list[str] = []
    for field in root.model_fields.values():
        for model in _models(field.annotation):
            if "kind" in model.model_fields:
                kinds.append(str(model.model_fields["kind"].default))
            kinds += _kinds(model)
    return kinds


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Every pydantic model that stands in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return [model for part in typing.get_args(annotation) for model in _models(part)]
    return []


def _known_keys(loc: tuple[str | int, ...], root: type[BaseModel]) -> list[str]:
    """The keys allowed at a place of the config."""
    models = [root]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [
            m for m in models if "kind" in m.model_fields and m.model_fields["kind"].default == part
        ]
        if tagged:
            models = tagged
            continue
        fields = [m.model_fields[part] for m in models if part in m.model_fields]
        models = [model for field in fields for model in _models(field.annotation)]
    return sorted({key for model in models for key in model.model_fields})
