"""What a function stands in: the classes, modules and functions around it, by name.

Method: one tree-sitter query a language for what holds methods, and the spans that the extractor
found for functions; a function's owners are the spans around it, outermost first. A Go method
is owned by the type of its receiver.
Cost: one parse of a file, and only of files that a question names. Limits: a C++ method that
stands outside its class has no owner; in a file that its grammar does not accept, owners are
those that recovery left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tree_sitter import Query, QueryCursor

from extract.parsing import Function, FunctionsError, capsule_of, language_row, parse, tools

_NAMED = "({kind} name: (_) @name) @owner"
_KINDS = {
    "python": ("class_definition",),
    "java": (
        "class_declaration",
        "interface_declaration",
        "enum_declaration",
        "record_declaration",
    ),
    "javascript": ("class_declaration",),
    "php": ("class_declaration", "interface_declaration", "trait_declaration", "enum_declaration"),
    "ruby": ("class", "module"),
    "rust": ("trait_item", "mod_item"),
    "typescript": ("class_declaration", "abstract_class_declaration", "internal_module"),
    "c": (),
    "cpp": ("class_specifier", "struct_specifier", "namespace_definition"),
    "csharp": (
        "class_declaration",
        "interface_declaration",
        "struct_declaration",
        "record_declaration",
        "enum_declaration",
    ),
    "kotlin": ("class_declaration", "object_declaration"),
    "scala": ("class_definition", "object_definition", "trait_definition", "enum_definition"),
    "swift": ("class_declaration", "protocol_declaration"),
}
_EXTRA = {
    "go": "(method_declaration receiver: (parameter_list) @name) @owner",
    "rust": "(impl_item type: (_) @name) @owner",
}
_WORDS = re.compile(r"[\w$]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A class, or what is like one; bytes are half-open."""

    name: str
    start_byte: int
    end_byte: int


def owners(language: str, path: str, content: bytes) -> list[Owner]:
    """What can own functions in a file, outermost first; [] where the file cannot be parsed."""
    row = language_row(language)
    try:
        root = parse(language, path, content).root
    except FunctionsError:
        return []
    grammar = tools(language, capsule_of(row, path)).parser.language
    if grammar is None:
        return []
    parts = [_NAMED.format(kind=kind) for kind in _KINDS.get(language, ())]
    query = Query(grammar, "\n".join([*parts, _EXTRA.get(language, "")]))
    spans: list[Owner] = []
    for _, captured in QueryCursor(query).matches(root):
        owner, name = captured["owner"][0], captured["name"][0]
        text = content[name.start_byte : name.end_byte].decode("utf-8", "replace")
        spans.append(
            Owner(name=_bare(language, text), start_byte=owner.start_byte, end_byte=owner.end_byte)
        )
    return sorted(spans, key=lambda owner: (owner.start_byte, -owner.end_byte))


def qualified_names(
    language: str, path: str, content: bytes, functions: Sequence[Function]
) -> list[tuple[str, ...]]:
    """For each function the names of its owners, outermost first, and its own at the end."""
    spans = [
        *(
            (owner.start_byte, owner.end_byte, owner.name)
            for owner in owners(language, path, content)
        ),
        *((function.start_byte, function.end_byte, function.name) for function in functions),
    ]
    spans.sort(key=lambda span: (span[0], -span[1]))
    made: list[tuple[str, ...]] = []
    for function in functions:
        around = [
            name
            for start, end, name in spans
            if start <= function.start_byte
            and function.end_byte <= end
            and (start, end) != (function.start_byte, function.end_byte)
        ]
        if language == "go":
            # The owner of a method is its receiver: it has the method's own span.
            around = [
                name
                for start, end, name in spans
                if (start, end) == (function.start_byte, function.end_byte)
                and name != function.name
            ]
        made.append((*around, function.name))
    return made


def _bare(language: str, text: str) -> str:
    """The type's name alone: without package, parameters and the receiver's variable."""
    words: list[str] = _WORDS.findall(text.partition("<")[0].partition("[")[0])
    if not words:
        return text
    return words[-1] if language in ("go", "rust", "ruby") else words[0]
