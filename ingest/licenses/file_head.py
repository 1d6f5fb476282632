"""The head of a source file: what is written before its first code.

Method: from the first byte on, one token after the other by the syntax of the language: white
space, comments of every kind, Python's docstring, PHP's opening tag and what stands before it in
comments of HTML are read; lines that only set the scene (shebang, `package`, `namespace`,
`import`, `use`, `require`, `"use strict"`, `declare(...)`, attributes of a whole Rust crate) are
passed over. The first other word ends the head, and so does `HEAD_BYTES`.
Cost: a few microseconds a file. Limits: a comment in a comment (Rust) ends at its first `*/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

HEAD_BYTES = 8 * 1024

_BOM = b"\xef\xbb\xbf"
_LINES = rb"//[^\n]*(?:\n[ \t]*//[^\n]*)*"
_BLOCK = rb"/\*[^*]*+(?:\*(?!/)[^*]*+)*(?:\*/|\Z)"
_SLASHES = _LINES + b"|" + _BLOCK
_HASH = rb"#[^\n]*(?:\n[ \t]*#[^\n]*)*"
_STRING = (
    rb"[rRuU]?(?:\"\"\"[^\"]*+(?:\"(?!\"\")[^\"]*+)*(?:\"\"\"|\Z)|'''[^']*+(?:'(?!'')[^']*+)*(?:'''|\Z)"
    rb"|\"(?>(?:[^\"\\\n]|\\.)*)\"|'(?>(?:[^'\\\n]|\\.)*)')"
)
_USE_STRICT = rb"\"use strict\";?|'use strict';?"
_DIRECTIVE = rb"#[ \t]*[a-z]+(?:[^\n\\]|\\\r?\n|\\)*"
_SCRIPT = (
    _SLASHES + rb"|<!--[^\n]*(?:\n[ \t]*<!--[^\n]*)*",
    rb"\A#![^\n]*|" + _USE_STRICT + rb"|import\b[^\n({;]*(?:\{[^}]*\})?[^\n(;]*;?",
)
_SYNTAX: Mapping[str, tuple[bytes, bytes]] = MappingProxyType(
    {
        "python": (
            _HASH + b"|" + _STRING,
            rb"(?:import|from)\b(?:[^\n(]*\([^)]*\))?[^\n]*",
        ),
        "ruby": (
            _HASH + rb"|=begin\b.*?(?:\n=end\b[^\n]*|\Z)",
            rb"(?:require|require_relative)\b[^\n]*",
        ),
        "c": (_SLASHES, _DIRECTIVE),
        "cpp": (_SLASHES, _DIRECTIVE),
        "csharp": (_SLASHES, _DIRECTIVE + rb"|(?:global\s+)?using\b[^\n;(]*;|namespace\b[^\n;{]*;"),
        "kotlin": (_SLASHES, rb"\A#![^\n]*|@file:[^\n]*|(?:package|import)\b[^\n]*"),
        "scala": (_SLASHES, rb"\A#![^\n]*|(?:package|import)\b[^\n{]*(?:\{[^}]*\})?"),
        "swift": (_SLASHES, rb"\A#![^\n]*|(?:@\w+\s+)*import\b[^\n]*"),
        "javascript": _SCRIPT,
        "typescript": _SCRIPT,
        "java": (_SLASHES, rb"(?:package|import)\b[^\n;]*;"),
        "go": (_SLASHES, rb"package\b[^\n/]*|import\b(?:\s*\([^)]*\)|[^\n/]*)"),
        "rust": (
            _SLASHES,
            rb"\A#!/[^\n]*|#!\[[^\]]*\]|(?:pub\s+)?(?:use|extern\s+crate|mod)\b[^\n;{]*"
            rb"(?:\{[^;]*\})?;",
        ),
        "php": (
            _SLASHES + rb"|#(?!\[)[^\n]*(?:\n[ \t]*#(?!\[)[^\n]*)*|<!--.*?(?:-->|\Z)",
            rb"\A#![^\n]*|<\?(?:php\b|=)?|(?:namespace|use|require|include|require_once"
            rb"|include_once)\b[^\n;{]*;|declare\s*\([^)]*\)\s*;",
        ),
    }
)
"""Language -> what is read and what is passed over."""
_TOKENS: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        # Lines to pass over come in runs: a run is one token.
        language: re.compile(
            rb"\s*(?:(?P<skip>(?:"
            + skip
            + rb")(?:\s*(?:"
            + skip
            + rb"))*)|(?P<text>"
            + text
            + rb"))",
            re.DOTALL,
        )
        for language, (text, skip) in _SYNTAX.items()
    }
)
_MARKS = re.compile(r"^[\s*#/;!|=~<>\"'-]+|[\s*#/|=~>\"'-]+$")
_BLOCK_WORDS = re.compile(r"^(?:=(?:begin|end)\b|[rRuU](?=\"\"\"|\'\'\'))", re.MULTILINE)


def head_of(content: bytes, language: str) -> list[bytes]:
    """The comments and docstrings before the first code, as they are written.

    Comments that end with their line are one text as long as the next line is one too.
    """
    data = content[:HEAD_BYTES].removeprefix(_BOM)
    token = _TOKENS[language]
    texts: list[bytes] = []
    match = token.match(data)
    while match is not None:
        if match["text"] is not None:
            texts.append(match["text"])
        match = token.match(data, match.end())
    return texts


def comment_lines(comment: bytes) -> str:
    """The words of a comment, line by line, without the marks of comments and strings."""
    text = _BLOCK_WORDS.sub("", comment.decode("utf-8", "replace").replace("\r", "\n"))
    return "\n".join(_MARKS.sub("", line) for line in text.split("\n"))
