"""What a function stands in: the classes, modules and functions around it, by name.

Method: the query of a language captures what holds functions (`@scope` and its name, `@of`). Those
spans and the spans of the functions, sorted by start, are merged over one stack. A Go method
stands in the type of its receiver, which has the method's own span; in JavaScript, what is assigned
to `a.prototype.b` stands in `a`.
Cost: about 1 us a function. Limits: the `DEPTH` innermost names, and none of over `MAX_NAME` bytes,
so that no nesting makes the names of a file larger than the file. What has no name (callbacks,
anonymous classes) gives none, nor does a C++ method outside of its class. Packages and namespaces
over a whole file are its path's to tell; in a file that its grammar does not accept, the names are
those that recovery left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from extract.parsing.doc_comments import Found
from extract.parsing.languages import Language
from extract.parsing.tree_sitter_matches import Matches

DEPTH = 8
MAX_NAME = 200
Names = tuple[str, ...]

_WORD = re.compile(r"[\w$#]+[?!=]?")
_NO_NAMES = frozenset(("prototype", "exports", "module", "this", "self"))
"""What JavaScript assigns functions to that says nothing of them."""


class Scope(NamedTuple):
    """What holds functions, half-open in bytes; `name` is the span of its name or its type."""

    start: int
    end: int
    name: tuple[int, int]


def scopes_of(matches: Matches) -> list[Scope]:
    """What the query found that can hold functions, each once."""
    spans = {
        Scope(*captured["scope"][0].byte_range, captured["of"][0].byte_range)
        for _, captured in matches
        if "scope" in captured
    }
    return list(spans)


def enclosing_names(
    row: Language,
    content: bytes,
    functions: Sequence[Found],
    names: Sequence[str],
    scopes: Sequence[Scope],
) -> list[Names]:
    """For each function the names around it, outermost first; `names` are those of `functions`."""
    # Of equal spans the scope comes first: it is the receiver of the function.
    spans = [(scope.start, -scope.end, at - len(scopes)) for at, scope in enumerate(scopes)]
    spans += [(function.own, -function.end, at) for at, function in enumerate(functions)]
    spans.sort()
    around: list[Names] = [()] * len(functions)
    # Only JavaScript writes the receiver into the name.
    assigns = row.name in ("javascript", "typescript")
    enclosing: list[tuple[int, Names]] = []
    for start, negative_end, at in spans:
        while enclosing and enclosing[-1][0] <= start:
            enclosing.pop()
        outer = enclosing[-1][1] if enclosing else ()
        if at < 0:
            own = _scope_names(row, content[slice(*scopes[at].name)])
        else:
            if assigns:
                outer = (*outer, *_receiver(content, functions[at]))[-DEPTH:]
            around[at] = outer
            own = (names[at],) if 0 < len(names[at]) <= MAX_NAME else ()
        enclosing.append((-negative_end, (*outer, *own)[-DEPTH:]))
    return around


def _scope_names(row: Language, text: bytes) -> Names:
    """The names in the head of a scope; of a type its own, without package and parameters."""
    if len(text) > 4 * MAX_NAME:
        return ()
    words = _WORD.findall(text.decode("utf-8").partition("<")[0].partition("[")[0])
    return _short(words[-1:] if row.name in ("go", "rust") else words)


def _receiver(content: bytes, function: Found) -> Names:
    """What a function of JavaScript is assigned to a property of."""
    start, end = function.name
    if end - start > 4 * MAX_NAME or b"." not in content[start:end] or content[start] in b"'\"[":
        return ()
    return _short(_WORD.findall(content[start:end].decode("utf-8"))[:-1])


def _short(words: list[str]) -> Names:
    return tuple(word for word in words if len(word) <= MAX_NAME and word not in _NO_NAMES)
