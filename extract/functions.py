"""The functions of a file, each with its documentation and its code without it.

Method: marker test -> parse and match (`parse`) -> merge comments to functions (`attach`) ->
documentation text (`docstrings`) -> code (`body`). Only documented functions are worked out in
full, unless `want_undocumented` is set.
A Python file that the grammar does not accept and Python does is read by `ast` (`rescue`).
Cost: 9 to 12 MB/s a core on files that pass the marker test, 55 to 78% of bare parsing (the walk
of the query alone takes 20 to 30%); 10 to 24 MB/s over all files with the marker test before.
Limits: strict UTF-8, a byte order mark is allowed; offsets are in the file as given; files that
would make tree-sitter crash or hang are refused (`parse`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from extract.attach import Found, found_functions
from extract.body import code_without_comments, code_without_docstring, is_trivial
from extract.docstrings import comment_text, python_docstring
from extract.languages import Language, language_row
from extract.parse import (
    BUDGET_SECONDS,
    MAX_BYTES,
    FunctionsError,
    extractor_id,
    grammar_versions,
    parse,
)
from extract.rescue import rescued_functions
from extract.syntax import SYNTAX

__all__ = [
    "FileFunctions",
    "Function",
    "FunctionsError",
    "extractor_id",
    "functions",
    "grammar_versions",
    "may_hold_documentation",
    "strip_code_documentation",
]

_QUOTED = re.compile(r"(?:\A|\[)(['\"])([^'\"\n]+)\1\]?\Z")
_WORD = re.compile(r"[\w$#]+[?!=]?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """One function with a body. Lines count from 1, inclusive; bytes are half-open."""

    name: str
    """As written; the last part of `a.b = function`, the key of a property, "" if anonymous."""
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    documentation: str
    doc_kind: str
    """docstring, doc_comment, line_comment (Go and Ruby), or "" without documentation."""
    code: str
    """The span minus its documentation; "" for an undocumented function unless asked for."""
    body_lines: int
    """Lines of `code` that are not blank."""
    trivial: bool
    nested: bool
    """Defined inside another function of the file."""
    in_tests: bool = False
    """Inside a Rust module that is compiled for tests only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFunctions:
    """Every function with a body, by start."""

    functions: tuple[Function, ...]
    has_error: bool
    """The file does not fully follow the grammar: functions are those that recovery left.
    False for a file that was read by `ast` instead."""
    reader: str = ""
    """What read the file where the grammar could not: "ast 3.11"; part of its extractor."""


def may_hold_documentation(language: str, content: bytes) -> bool:
    """False only when no function of the file can be documented; no parsing."""
    return language_row(language).marker.search(content) is not None


def functions(
    language: str,
    path: str,
    content: bytes,
    *,
    want_undocumented: bool = False,
    max_bytes: int = MAX_BYTES,
    budget: float = BUDGET_SECONDS,
) -> FileFunctions:
    """All functions of a file.

    Without `want_undocumented`, functions without documentation carry no code, no `body_lines`
    and no `trivial`. Raises FunctionsError (not_utf8, parse_timeout, parse_failed).
    """
    row = language_row(language)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FunctionsError("not_utf8", f"byte {error.start}") from error
    parsed = parse(language, path, content, max_bytes=max_bytes, budget=budget)
    broken = parsed.root.has_error
    rescued = rescued_functions(content) if broken and row.placement == "body" else None
    found = found_functions(row, content, parsed.matches) if rescued is None else rescued
    made: list[Function] = []
    at, line = 0, 1
    reach = -1
    for one in found:
        line += content.count(b"\n", at, one.start)
        at = one.start
        made.append(_function(row, content, one, line, one.start < reach, want_undocumented))
        reach = max(reach, one.end)
    return FileFunctions(
        functions=tuple(made),
        has_error=broken and rescued is None,
        reader="" if rescued is None else SYNTAX,
    )


def _function(
    row: Language, content: bytes, found: Found, line: int, nested: bool, whole: bool
) -> Function:
    documentation = _documentation(row, content, found) if found.documentation else ""
    code, lines, trivial = "", 0, False
    if documentation or whole:
        code = _code(row, content, found, bool(documentation))
        lines = sum(map(bool, map(str.strip, code.split("\n"))))
        trivial = is_trivial(content, found)
    return Function(
        name=_name(content, found),
        start_byte=found.start,
        end_byte=found.end,
        start_line=line,
        end_line=line + content.count(b"\n", found.start, found.end),
        documentation=documentation,
        doc_kind=_kind(row, content, found) if documentation else "",
        code=code,
        body_lines=lines,
        trivial=trivial,
        nested=nested,
        in_tests=found.in_tests,
    )


def _documentation(row: Language, content: bytes, found: Found) -> str:
    raws = [content[start:end] for start, end in found.documentation]
    if row.placement == "body":
        return python_docstring(raws[0].decode("utf-8")) or ""
    return comment_text(raws)


def _kind(row: Language, content: bytes, found: Found) -> str:
    if row.placement == "body":
        return "docstring"
    start = found.documentation[0][0]
    if row.name in ("go", "ruby") and not content.startswith((b"/*", b"=begin"), start):
        return "line_comment"
    return "doc_comment"


def _code(row: Language, content: bytes, found: Found, documented: bool) -> str:
    start, end = found.start, found.end
    if not documented:
        code = content[start:end]
    elif row.placement == "body":
        code = code_without_docstring(content, start, end, found.documentation[0])
    else:
        code = code_without_comments(content, start, end, found.documentation)
    return code.decode("utf-8")


def _name(content: bytes, found: Found) -> str:
    text = content[found.name[0] : found.name[1]].decode("utf-8")
    if text.isidentifier():
        return text
    quoted = _QUOTED.search(text)
    if quoted is not None:
        return quoted[2]
    words = _WORD.findall(text)
    return words[-1] if words and "." in text else text


def strip_code_documentation(language: str, code: str) -> tuple[str, str]:
    """A ready pair's code without the documentation of its first function, and that documentation.

    The code is parsed as it stands, then inside a class, and taken where functions are found
    without a syntax error, or found at all. Unchanged, with "", when nothing is found.
    """
    row = language_row(language)
    fallback: tuple[str, str] | None = None
    for before, after in row.wrappers:
        content = f"{before}{code}{after}".encode("utf-8", "replace")
        try:
            parsed = parse(language, "", content)
        except FunctionsError:
            continue
        found = found_functions(row, content, parsed.matches)
        if not found:
            continue
        stripped = _stripped(row, content, found[0], len(before.encode()), len(after.encode()))
        if not parsed.root.has_error:
            return stripped or (code, "")
        fallback = fallback or stripped
    return fallback or (code, "")


def _stripped(
    row: Language, content: bytes, first: Found, before: int, after: int
) -> tuple[str, str] | None:
    documentation = _documentation(row, content, first) if first.documentation else ""
    if not documentation:
        return None
    end = len(content) - after
    if row.placement == "body":
        kept = code_without_docstring(content, first.start, first.end, first.documentation[0])
        code = content[before : first.start] + kept + content[first.end : end]
    else:
        code = code_without_comments(content, before, end, first.documentation)
    return code.decode("utf-8"), documentation
