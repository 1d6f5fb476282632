"""The functions of a file, each with its documentation and its code without it.

Method: marker test -> tree (`tree_sitter_parse`) -> matches of the query (`tree_sitter_matches`) ->
comments merged to functions (`doc_comments`) -> documentation text (`docstrings`) -> code (`body`).
Only documented functions are worked out in full, unless `want_undocumented` is set.
What is around each function is named (`scopes`). A Python file that the grammar does not accept
and Python does is read by `python_ast`; of any other file with syntax errors only functions with
certain bounds are taken (`repair`).
Cost: 9 to 12 MB/s a core on files that pass the marker test, 55 to 78% of bare parsing (the walk
of the query alone takes 20 to 30%); 10 to 24 MB/s over all files with the marker test before.
Limits: functions nested so deep that their code is `CODE_FACTOR` times the file lose the
longest; strict UTF-8, a byte order mark is allowed; offsets are in the file as given; files that
would make tree-sitter crash or hang are refused (`parse`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from extract.parsing.body import code_without_comments, code_without_docstring, is_trivial
from extract.parsing.doc_comments import Found, found_functions
from extract.parsing.docstrings import comment_text, python_docstring
from extract.parsing.languages import Language, language_row
from extract.parsing.python_ast import SYNTAX, rescued_functions
from extract.parsing.repair import (
    MACRO_ROUNDS,
    PREPROCESSED,
    is_trusted,
    may_open_macros,
    opened_macros,
    repaired,
)
from extract.parsing.roles import has_test_name, is_test_heritage
from extract.parsing.scopes import Names, Scope, enclosing_names, scopes_of
from extract.parsing.tree_sitter_matches import matches
from extract.parsing.tree_sitter_parse import (
    BUDGET_SECONDS,
    MAX_BYTES,
    FunctionsError,
    Parsed,
    extractor_id,
    grammar_versions,
    parse,
)

__all__ = [
    "CODE_BYTES",
    "CODE_FACTOR",
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
_CLASSES = frozenset({"class_definition", "class_declaration", "class", "class_specifier"})
_LEVELS = 6
"""From a method to its class at most: body, decorators, a visibility call and its arguments."""
_BASES = frozenset(
    {
        "argument_list",
        "superclass",
        "base_clause",
        "base_class_clause",
        "base_list",
        "delegation_specifiers",
        "extends_clause",
        "inheritance_specifier",
    }
)
_SWIFT_OPERATOR = re.compile(rb"\bfunc\s+([-+*/%=<>!&|^~?.]{1,20})")
"""An operator, which the grammar of Swift gives no node."""
_WORD = re.compile(r"[\w$#]+[?!=]?")


CODE_FACTOR = 16
CODE_BYTES = 1_000_000
"""A file gives at most so many times its size in code, or so many bytes where that is more.
Functions inside functions hold the same code again; of real files none gives 8 times its size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """One function with a body. Lines count from 1, inclusive; bytes are half-open."""

    name: str
    """As written; the last part of `a.b = function`, the key of a property, "" if anonymous."""
    scope: Names
    """Classes, modules, receiver and functions around it, outermost first; see `scopes`."""
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    documentation: str
    doc_kind: str
    """docstring, doc_comment, markdown_comment (Java's `///`), line_comment (Go and Ruby), or ""
    without documentation."""
    code: str
    """The span minus its documentation; "" for an undocumented function unless asked for."""
    body_lines: int
    """Lines of `code` that are not blank."""
    trivial: bool
    nested: bool
    """Defined inside another function of the file."""
    in_tests: bool = False
    """Inside a Rust module that is compiled for tests only, or a test's name in a test case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFunctions:
    """Every function with a body, by start."""

    functions: tuple[Function, ...]
    has_error: bool
    """The file does not fully follow the grammar, and could not be repaired: functions are those
    with certain bounds. False for a file that was read by `ast` instead."""
    untrusted: int = 0
    """Functions that were left out because syntax errors make their bounds uncertain."""
    reader: str = ""
    """What read the file where the grammar could not: "ast 3.11"; part of its extractor."""
    left_out: int = 0
    """Functions that are not there because those of the file would hold too much code."""


class _Where(NamedTuple):
    """A function's name and what is around it."""

    name: str
    scope: Names
    nested: bool


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
    if rescued is None:
        marker = re.compile(b"") if want_undocumented else row.marker
        parsed = _readable(language, path, content, parsed, budget, marker)
        broken = parsed.root.has_error
    seen = parsed.content if row.name in PREPROCESSED else content
    candidates, scopes = _candidates(row, seen, parsed) if rescued is None else rescued
    count = len(candidates)
    if broken and rescued is None:
        candidates = [function for function in candidates if is_trusted(row, content, function)]
    left_out = _beyond_budget(candidates, len(content), want_undocumented)
    lines = _lines(content, candidates)
    names = [_name(content, candidate) for candidate in candidates]
    around = enclosing_names(row, content, candidates, names, scopes)
    functions_made: list[Function] = []
    reach = -1
    for at, span in enumerate(candidates):
        if at not in left_out:
            where = _Where(names[at], around[at], span.start < reach)
            functions_made.append(_function(row, content, span, lines, where, want_undocumented))
        reach = max(reach, span.end)
    return FileFunctions(
        functions=tuple(functions_made),
        has_error=broken and rescued is None,
        reader="" if rescued is None else SYNTAX,
        left_out=len(left_out),
        untrusted=count - len(candidates),
    )


def _candidates(row: Language, seen: bytes, parsed: Parsed) -> tuple[list[Found], list[Scope]]:
    """The functions of a tree by start, and what may hold them."""
    matched = matches(parsed)
    return found_functions(row, seen, matched), scopes_of(matched)


def _beyond_budget(candidates: list[Found], size: int, whole: bool) -> frozenset[int]:
    """Positions of the functions, longest first, whose code would exceed what a file may give."""
    budget = max(CODE_BYTES, CODE_FACTOR * size)
    spans = [
        (function.end - function.start, at)
        for at, function in enumerate(candidates)
        if whole or function.documentation
    ]
    total = sum(length for length, _ in spans)
    left_out: set[int] = set()
    if total > budget:
        for length, at in sorted(spans, reverse=True):
            left_out.add(at)
            total -= length
            if total <= budget:
                break
    return frozenset(left_out)


def _lines(content: bytes, candidates: list[Found]) -> dict[int, int]:
    """The line of each start and end, over one pass of the content however they are nested."""
    lines: dict[int, int] = {}
    at, line = 0, 1
    for offset in sorted(
        {offset for function in candidates for offset in (function.start, function.end)}
    ):
        line += content.count(b"\n", at, offset)
        at = offset
        lines[offset] = line
    return lines


def _readable(
    language: str,
    path: str,
    content: bytes,
    parsed: Parsed,
    budget: float,
    marker: re.Pattern[bytes],
) -> Parsed:
    """The parse of a file as far as it can be repaired; offsets stay those of `content`.

    Macros are opened where `marker` is found in them.
    """
    masked = content
    if parsed.root.has_error:
        masked = repaired(language, content)
        if masked != content:
            parsed = parse(language, path, masked, budget=budget)
    if language != "rust":
        return parsed

    def may_pay(body: bytes) -> bool:
        return marker.search(body) is not None

    def is_sound(body: bytes) -> bool:
        return may_pay(body) and not parse(language, path, body, budget=budget).root.has_error

    # Macros in macros: each round opens the next, all at once where that brings no error.
    for _ in range(MACRO_ROUNDS if may_open_macros(masked) else 0):
        for accepts in (may_pay, is_sound):
            opened = opened_macros(masked, parsed.root, accepts)
            if opened == masked:
                return parsed
            trial = parse(language, path, opened, budget=budget)
            if not trial.root.has_error or parsed.root.has_error:
                break
        masked, parsed = opened, trial
    return parsed


def _function(
    row: Language,
    content: bytes,
    candidate: Found,
    lines: Mapping[int, int],
    where: _Where,
    whole: bool,
) -> Function:
    documentation = _documentation(row, content, candidate) if candidate.documentation else ""
    code, body_lines, trivial = "", 0, False
    if documentation or whole:
        code = _code(row, content, candidate, bool(documentation))
        body_lines = sum(map(bool, map(str.strip, code.split("\n"))))
        trivial = is_trivial(row.name, content, candidate)
    return Function(
        name=where.name,
        scope=where.scope,
        start_byte=candidate.start,
        end_byte=candidate.end,
        start_line=lines[candidate.start],
        end_line=lines[candidate.end],
        documentation=documentation,
        doc_kind=_kind(row, content, candidate) if documentation else "",
        code=code,
        body_lines=body_lines,
        trivial=trivial,
        nested=where.nested,
        in_tests=candidate.in_tests
        or (bool(documentation) and _in_test_case(row, content, candidate)),
    )


def _in_test_case(row: Language, content: bytes, candidate: Found) -> bool:
    """Whether a function with a test's name stands in a class whose bases are a test case."""
    node = candidate.node
    if node is None or not has_test_name(_name(content, candidate), row.name):
        return False
    for _ in range(_LEVELS):
        # Bounded: the tree is walked down from its root for every parent.
        if node is None or node.type in _CLASSES:
            break
        node = node.parent
    else:
        return False
    bases = [] if node is None else [child for child in node.children if child.type in _BASES]
    return any(
        is_test_heritage(content[child.start_byte : child.end_byte].decode("utf-8"))
        for child in bases
    )


def _documentation(row: Language, content: bytes, candidate: Found) -> str:
    raws = [content[start:end] for start, end in candidate.documentation]
    if row.placement == "body":
        return python_docstring(raws[0].decode("utf-8")) or ""
    return comment_text(raws)


def _kind(row: Language, content: bytes, candidate: Found) -> str:
    if row.placement == "body":
        return "docstring"
    start = candidate.documentation[0][0]
    if row.line_runs_apart and content.startswith(b"//", start):
        return "markdown_comment"
    if row.name in ("go", "ruby") and not content.startswith((b"/*", b"=begin"), start):
        return "line_comment"
    return "doc_comment"


def _code(row: Language, content: bytes, candidate: Found, documented: bool) -> str:
    start, end = candidate.start, candidate.end
    if not documented:
        code = content[start:end]
    elif row.placement == "body":
        code = code_without_docstring(content, start, end, candidate.documentation[0])
    else:
        code = code_without_comments(content, start, end, candidate.documentation)
    return code.decode("utf-8")


def _name(content: bytes, candidate: Found) -> str:
    text = content[candidate.name[0] : candidate.name[1]].decode("utf-8").strip("`")
    if not text and (operator := _SWIFT_OPERATOR.search(content, candidate.own, candidate.end)):
        return operator[1].decode("utf-8")
    if text.isidentifier():
        return text
    quoted = _QUOTED.search(text)
    if quoted is not None:
        return quoted[2]
    if "::" in text:
        return text.rpartition("::")[2]
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
        except FunctionsError as error:
            if error.reason == "parse_timeout":
                break  # A wrapper changes nothing of that, and each would take as long.
            continue
        candidates = found_functions(row, content, matches(parsed))
        if not candidates:
            continue
        stripped = _stripped(row, content, candidates[0], len(before.encode()), len(after.encode()))
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
