"""Hard texts for a regular expression, made from its own parts.

Method: the parsed pattern is walked; for each repeat that may be long, what stands before it is
written once or again and again, and members of its body fill the rest: single characters of its
classes, and words of its branches. Each text also ends in characters that make a match fail late.
Limits: repeats in look-arounds count as others do; a text fulfils no condition on purpose.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_SRE: Any = importlib.import_module("re._parser")
_LONG = 16
"""Repeats of at most so many are no danger by themselves."""
_MEMBERS = 6
_USUAL = "a0_ -.\n/\"'<()[]{}:;,#*@=\\"
_CATEGORIES = {
    "CATEGORY_DIGIT": "0",
    "CATEGORY_NOT_DIGIT": "a -",
    "CATEGORY_SPACE": " \n\t",
    "CATEGORY_NOT_SPACE": "a-",
    "CATEGORY_WORD": "a0_",
    "CATEGORY_NOT_WORD": " -\n",
}
_ENDINGS = ("", "\x00", "\n")


@dataclass(frozen=True, slots=True)
class Attack:
    """`head`, then `unit` as often as fits, then `tail`."""

    head: str
    unit: str
    tail: str

    def text(self, size: int) -> str:
        """At most `size` characters, and at least one unit."""
        return self.head + self.unit * max(1, size // len(self.unit)) + self.tail


def attacks(pattern: re.Pattern[Any]) -> list[Attack]:
    """Texts on which `pattern` may be slow, the same on every call."""
    source = pattern.pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    parsed = _SRE.parse(
        text, pattern.flags & ~re.UNICODE if isinstance(source, bytes) else pattern.flags
    )
    literals = "".join(dict.fromkeys(_literals(parsed)))
    whole = _sample(parsed, 0, literals)
    units: dict[tuple[str, str], None] = {}
    for before, body in _repeats(parsed, "", literals):
        members = list(dict.fromkeys(_members(body, literals)))[:_MEMBERS]
        for member in members:
            units[before, member] = None
            units["", before + member] = None
        for first, second in zip(members, members[1:], strict=False):
            units[before, first + second] = None
        units["", before] = None
    units["", whole] = None
    units["", whole[:-1]] = None
    for literal in literals[:_MEMBERS]:
        units["", literal] = None
    return [
        Attack(head, unit, tail)
        for head, unit in units
        if unit
        for tail in (*_ENDINGS, *literals[-1:])
    ]


def _children(node: Any) -> Iterator[Any]:
    """The sequences inside the arguments of an operation."""
    if isinstance(node, _SRE.SubPattern):
        yield node
    elif isinstance(node, tuple | list):
        for part in node:
            yield from _children(part)


def _literals(sequence: Any) -> Iterator[str]:
    for operation, argument in sequence:
        if str(operation) in ("LITERAL", "NOT_LITERAL"):
            yield chr(argument)
        elif str(operation) == "IN":
            yield from (chr(a) for o, a in argument if str(o) == "LITERAL")
        for inner in _children(argument):
            yield from _literals(inner)


def _is_repeat(operation: Any) -> bool:
    return str(operation).endswith("_REPEAT")


def _repeats(sequence: Any, before: str, literals: str) -> Iterator[tuple[str, Any]]:
    """Every long repeat, with a text that leads to it; inner ones too."""
    optional = before
    for operation, argument in sequence:
        name = str(operation)
        leads = dict.fromkeys((before, optional))
        if _is_repeat(operation):
            _, most, body = argument
            if int(most) > _LONG:
                yield from ((lead, body) for lead in leads)
        for inner in _children(argument):
            for lead in leads:
                yield from _repeats(inner, lead, literals)
        if not name.startswith("ASSERT"):
            before += _sample([(operation, argument)], 0, literals)
            optional += _sample([(operation, argument)], 1, literals)


def _sample(sequence: Any, variant: int, literals: str) -> str:
    """A short text that the sequence matches, look-arounds aside; `variant` takes options."""
    text = ""
    for operation, argument in sequence:
        name = str(operation)
        if name.startswith("ASSERT"):
            continue
        if _is_repeat(operation):
            least, most, body = argument
            text += _sample(body, variant, literals) * max(int(least), min(variant, int(most)))
        elif name == "BRANCH":
            branches = argument[1]
            text += _sample(branches[variant % len(branches)], variant, literals)
        elif name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            text += next(iter(_members([(operation, argument)], literals)), "a")
        else:
            for inner in _children(argument):
                text += _sample(inner, variant, literals)
    return text


def _members(body: Any, literals: str) -> Iterator[str]:
    """Texts that the body of a repeat matches once: of each class and branch its own."""
    if len(body) != 1:
        yield from dict.fromkeys(_sample(body, variant, literals) for variant in range(3))
        return
    ((operation, argument),) = body
    name = str(operation)
    if name == "LITERAL":
        yield chr(argument)
    elif name == "NOT_LITERAL":
        yield from (c for c in (*literals, *_USUAL) if c != chr(argument))
    elif name == "ANY":
        yield from dict.fromkeys((*literals, *"a \x00"))
    elif name == "IN":
        yield from _of_class(argument, literals)
    elif name == "BRANCH":
        for branch in argument[1]:
            yield from list(_members(branch, literals))[:2]
    else:
        for inner in _children(argument):
            yield from _members(inner, literals)


def _of_class(items: Any, literals: str) -> Iterable[str]:
    if str(items[0][0]) == "NEGATE":
        excluded = set().union(*map(set, map(_of_item, items[1:])))
        return [c for c in dict.fromkeys((*literals, *_USUAL)) if c not in excluded]
    # The last items are often the odd ones (`[\w.-]`).
    parts = ["".join(_of_item(item)) for item in items]
    return dict.fromkeys(
        (*(part[0] for part in parts[:2]), *(part[0] for part in parts[:1:-1]), *"".join(parts))
    )


def _of_item(item: Any) -> str:
    name, argument = str(item[0]), item[1]
    if name == "LITERAL":
        return chr(argument)
    if name == "RANGE":
        return chr(argument[0]) + chr(argument[1])
    return _CATEGORIES[str(argument)]
