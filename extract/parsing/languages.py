"""The languages that functions are cut from: one declarative row each.

Adding a language is one row here, one query in `queries`, one fixture under
`tests/extract/golden/` and its non-zero yield test: node names drift between grammar versions,
and a query that finds nothing raises nothing.
Method: a row says which wheel holds the grammar, which comments are documentation, which of them
are directives to a tool, and which bytes a file must hold before parsing it can pay.
Cost: none until a grammar is loaded (`parse.tools`). Limits: the languages below; in C and C++ a
comment counts as documentation where Doxygen would read it, a plain `/* */` does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from extract.parsing import tree_sitter_queries as queries

RULES_VERSION = 5
"""Raised with every change of `doc_comments`, `docstrings`, `function_finder`, `python_ast` or
`scopes` that changes their output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """How one language writes functions and their documentation."""

    name: str
    module: str
    """Import name of the grammar's wheel; the distribution is the same with dashes."""
    capsule: str = "language"
    """Function of `module` that returns the grammar."""
    variants: tuple[tuple[str, str], ...] = ()
    """(path suffix, capsule) where a dialect has a grammar of its own."""
    query: str
    max_depth: int = 0
    """Depth below which the grammar allows no function: the query stops there; 0 for none."""
    max_indents: int = 0
    """Indentation levels the grammar's scanner holds safely; 0 where indentation means nothing."""
    placement: Literal["body", "above"]
    """Where documentation stands: first in the body, or in comments above."""
    documentation: re.Pattern[bytes] | None = None
    """Matches the start of a comment that is documentation."""
    directive: re.Pattern[bytes] | None = None
    """Matches a comment line that speaks to a tool; dropped from the documentation."""
    documented_attribute: re.Pattern[bytes] | None = None
    """Matches a decorator that is documentation itself."""
    bridges_blank_line: bool = False
    """One blank line between documentation and function parts nothing: the language's own tools
    attach over it."""
    line_runs_apart: bool = False
    """Documentation in line comments is no continuation of a block above it (JEP 467)."""
    accumulates: bool = False
    """All documentation above counts, whatever stands between; else the nearest block or run."""
    header_comments: bool = False
    """Documentation may stand between the first modifier and the name."""
    anchor_on_line: bool = False
    """A wrapper counts only if it starts on the line of its function."""
    marker: re.Pattern[bytes]
    """Bytes without which no function of a file can be documented."""
    wrappers: tuple[tuple[str, str], ...] = (("", ""),)
    """(before, after) to try in turn, to parse a function that was cut out of its class."""


_BLOCK = re.compile(rb"/\*\*(?![*/])")
_SLASH_STARS = re.compile(rb"/\*\*")
_SLASHES_OR_STARS = re.compile(rb"/\*\*|///")
_BLOCK_OR_SLASHES = re.compile(rb"///(?!/)|/\*\*(?![*/])")
# `/**<` and `///<` tell of what stands before them.
_DOXYGEN = re.compile(rb"/\*[*!](?![*/<])|//[/!](?![/<])")
_DOXYGEN_MARKER = re.compile(rb"/\*[*!]|//[/!]")
_CLASS = ("class X {\n", "\n}")

_ROWS = (
    Language(
        name="python",
        module="tree_sitter_python",
        query=queries.PYTHON,
        placement="body",
        max_indents=300,
        marker=re.compile(rb"""(?:\A(?:\xef\xbb\xbf)?|[\n\r:\\])[ \t\f(]*[rRuU]{0,2}["']"""),
        wrappers=(("", ""), ("class X:\n", "\n")),
    ),
    Language(
        name="java",
        module="tree_sitter_java",
        query=queries.JAVA,
        placement="above",
        documentation=re.compile(rb"/\*\*(?!/)|///(?!/)"),
        bridges_blank_line=True,
        line_runs_apart=True,
        header_comments=True,
        marker=re.compile(rb"/\*\*|///"),
        wrappers=(_CLASS, ("", "")),
    ),
    Language(
        name="go",
        module="tree_sitter_go",
        query=queries.GO,
        max_depth=1,
        placement="above",
        documentation=re.compile(rb"/[/*]"),
        directive=re.compile(
            rb"//(?:[a-z0-9]+:[a-z0-9]|export |extern |line |nolint\b)|//\s*(?:\+build\b|#nosec\b)"
        ),
        # The line is looked over once: a rest of it behind every `*/` would be quadratic.
        marker=re.compile(
            rb"^(?=(?:\xef\xbb\xbf)?[ \t\r\f\v]*+//|[^\n]*\*/[ \t\r\f\v]*+//)[^\n]*+\n\s*func\b"
            rb"|\*/\s*func\b",
            re.M,
        ),
    ),
    Language(
        name="php",
        module="tree_sitter_php",
        capsule="language_php",
        query=queries.PHP,
        placement="above",
        documentation=re.compile(rb"/\*\*\s"),
        bridges_blank_line=True,
        header_comments=True,
        marker=_SLASH_STARS,
        wrappers=(("", ""), ("<?php\nclass X {\n", "\n}"), ("<?php\n", "")),
    ),
    Language(
        name="javascript",
        module="tree_sitter_javascript",
        query=queries.JAVASCRIPT,
        placement="above",
        documentation=_BLOCK,
        bridges_blank_line=True,
        header_comments=True,
        marker=_SLASH_STARS,
        wrappers=(("", ""), _CLASS, ("x = {\n", "\n}")),
    ),
    Language(
        name="ruby",
        module="tree_sitter_ruby",
        query=queries.RUBY,
        placement="above",
        documentation=re.compile(rb"#|=begin\b"),
        directive=re.compile(
            rb"#!|#\s*(?:-\*-|(?:frozen_string_literal|encoding|coding|warn_indent|typed|rubocop"
            rb"|steep|sord|shareable_constant_value|standard)\s*:|:nodoc:|:nocov:|:startdoc:|:stopdoc:"
            rb"|:(?:singleton-)?method:|:attr(?:_reader|_writer|_accessor)?:|:(?:section|category):"
            rb"|@!\w)"
        ),
        anchor_on_line=True,
        marker=re.compile(
            rb"^(?:\xef\xbb\xbf)?(?:[ \t\r\f\v]*+#|=end\b)[^\n]*\n[^\n]*\b(?:def|sig)\b", re.M
        ),
    ),
    Language(
        name="rust",
        module="tree_sitter_rust",
        query=queries.RUST,
        placement="above",
        documentation=re.compile(rb"///(?!/)|/\*\*(?![*/])"),
        documented_attribute=re.compile(rb"#\[\s*doc\s*=\s*(?=r?#*\")"),
        bridges_blank_line=True,
        accumulates=True,
        marker=re.compile(rb"///|/\*\*|#\[\s*doc\b"),
    ),
    Language(
        name="typescript",
        module="tree_sitter_typescript",
        capsule="language_typescript",
        variants=((".tsx", "language_tsx"),),
        query=queries.TYPESCRIPT,
        placement="above",
        documentation=_BLOCK,
        bridges_blank_line=True,
        header_comments=True,
        marker=_SLASH_STARS,
        wrappers=(("", ""), _CLASS, ("x = {\n", "\n}")),
    ),
    Language(
        name="c",
        module="tree_sitter_c",
        query=queries.C,
        placement="above",
        documentation=_DOXYGEN,
        bridges_blank_line=True,
        marker=_DOXYGEN_MARKER,
    ),
    Language(
        name="cpp",
        module="tree_sitter_cpp",
        query=queries.CPP,
        placement="above",
        documentation=_DOXYGEN,
        bridges_blank_line=True,
        marker=_DOXYGEN_MARKER,
        wrappers=(("", ""), ("class X {\n", "\n};")),
    ),
    Language(
        name="csharp",
        module="tree_sitter_c_sharp",
        query=queries.CSHARP,
        placement="above",
        documentation=_BLOCK_OR_SLASHES,
        bridges_blank_line=True,
        marker=_SLASHES_OR_STARS,
        wrappers=(_CLASS, ("", "")),
    ),
    Language(
        name="kotlin",
        module="tree_sitter_kotlin",
        query=queries.KOTLIN,
        placement="above",
        documentation=_BLOCK,
        bridges_blank_line=True,
        marker=_SLASH_STARS,
        wrappers=(("", ""), _CLASS),
    ),
    Language(
        name="scala",
        module="tree_sitter_scala",
        query=queries.SCALA,
        placement="above",
        documentation=_BLOCK,
        bridges_blank_line=True,
        marker=_SLASH_STARS,
        wrappers=(("", ""), _CLASS),
    ),
    Language(
        name="swift",
        module="tree_sitter_swift",
        query=queries.SWIFT,
        placement="above",
        documentation=_BLOCK_OR_SLASHES,
        bridges_blank_line=True,
        marker=_SLASHES_OR_STARS,
        wrappers=(("", ""), _CLASS),
    ),
)

LANGUAGES: Mapping[str, Language] = MappingProxyType({row.name: row for row in _ROWS})


def language_row(name: str) -> Language:
    """The row of a language; ValueError with the known names if there is none."""
    row = LANGUAGES.get(name)
    if row is None:
        raise ValueError(f"no grammar for language {name!r}; use one of {', '.join(LANGUAGES)}")
    return row


def capsule_of(row: Language, path: str) -> str:
    """Which grammar of the wheel reads `path`."""
    lowered = path.lower()
    for suffix, capsule in row.variants:
        if lowered.endswith(suffix):
            return capsule
    return row.capsule
