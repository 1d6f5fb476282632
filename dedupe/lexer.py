r"""The lexer: source code to lexical tokens, without comments and white space.

What: `tokens(language, code)` is the one definition of a token in the data set. The exact key,
the shingles and the published `tokens` count rest on it, so a change of it is a change of
`LEXER_VERSION` and of every key.

Method: one compiled regular expression per language, applied with `findall`; comments match
outside its only group and fall out, and each match takes the white space behind it along, which
saves a search through all rules at every space. The rules, tried in this order at each place:

1. Comment, dropped: `#...` (Python, Ruby, PHP but not `#[`), `//...` and `/*...*/` (all others
   and PHP, where `?>` ends a line comment), `=begin`...`=end` (Ruby). So is a backslash before
   a line end.
2. String, one token with its quotes and prefix; a backslash takes the next character with it:
   - Python: '...', "..." on one line, '''...''' and `\"\"\"`, with prefixes such as r, b, f, rb;
   - Java: "...", '.', text blocks; Go: "...", '.', `raw`; Rust: "..." over lines, '.', r"...",
     r#"..."# and r##"..."##, with b and c prefixes; a lifetime 'a is one token;
   - C, C++: "...", '.' with prefixes such as L and u8, C++ R"x(...)x" up to the first
     bracket with a quote behind its word; C#: "...", $"...", '.',
     @"..." with doubled quotes, triple quotes; Kotlin, Scala, Swift: "...", triple quotes, with a
     prefix in Scala, #"..."# in Swift, '.' in the first two, names in backticks are one token;
   - JavaScript and TypeScript: '...', "...", `template` with what it holds; PHP and Ruby:
     '...', "..." and `...` over lines.
   - JavaScript, TypeScript, Ruby: a regular expression /.../flags, where an operator, an opening
     bracket, a comma or `return` (Ruby: if, unless, when, and, or, not) stands before it with at
     most one space between; it does not begin with a space or `=`.
3. Name: a letter or underscore (any script), then letters, digits, underscores; `$` belongs to
   names in Java, JavaScript, TypeScript and PHP, `#` before a private one in JavaScript and
   TypeScript, `@`, `@@`, `$` before and `?`, `!` after in Ruby, `r#` before in Rust.
4. Number: digits, letters, underscores, points before a digit, a signed exponent.
5. Operator: the longest of a list (`OPERATORS`), else one character.

A quote that is never closed is a token of its own, and lexing goes on behind it. A `/*`, `r#"`,
C++'s `R"(`, Swift's `#"` (to its line end) or `=begin` that is never closed makes one token of the
rest of the text: nothing that is not surely a comment is lost. A backslash before a quote, a slash
or a backslash is one token with it, which keeps hostile input linear: an escaped quote is never
tried as an opening one.

Cost: linear in the text; 13 (Ruby) to 25 MB/s (Go) measured on one core over real files.
Limits: indentation is white space, so Python functions that differ in it alone are equal. What is
interpolated belongs to its string. Heredocs, Ruby's %-literals, PHP's inline HTML and JSX text are
lexed as code; comments in Rust, Kotlin, Scala and Swift do not nest; a class with a slash in it
ends a regular expression early. All of it is the same for equal text, so it can only lower a
score.
"""

from __future__ import annotations

import re

from xtrove.core import XtroveError

LEXER_VERSION = 1
"""Moves with every change of the rules."""

OPERATORS = (
    ">>>= <<= >>= >>> === !== **= //= &&= ||= ??= ... ..= <=> ?-> "
    "<< >> == != <= >= && || ?? ?. -> => :: := ++ -- += -= *= /= %= &= |= ^= ** .. =~ !~"
)
"""Operators of more than one character, in all languages alike."""
_EXTRA_OPERATORS = {
    "go": "<- &^= &^",
    "python": "// @=",
    "ruby": "&.",
    "php": ".= <>",
    "c": "##",
    "cpp": "## ->* .*",
    "kotlin": "?: !! ..<",
    "scala": "<- <: >: <%",
    "swift": "..< &+ &- &* &<< &>>",
}

_HASH_COMMENT = r"\#[^\n]*"
_SLASH_COMMENT = r"//[^\n]*"
_BLOCK_COMMENT = r"/\*[^*]*+(?>(?:\*(?!/)[^*]*+)*)\*/"
_OPEN_BLOCK = r"/\*[\s\S]*"
_C_COMMENTS = (_SLASH_COMMENT, _BLOCK_COMMENT)
_PHP_COMMENTS = (r"(?://|\#(?!\[))(?>(?:[^\n?]|\?(?!>))*)", _BLOCK_COMMENT)
_RUBY_BLOCK = r"(?<![^\n])=begin\b[^\n]*+(?>(?:\n(?!=end\b)[^\n]*+)*)"

_DOUBLE = r'"(?>(?:[^"\\\n]|\\[\s\S])*)"'
_SINGLE = r"'(?>(?:[^'\\\n]|\\[\s\S])*)'"
_DOUBLE_LINES = r'"(?>(?:[^"\\]|\\[\s\S])*)"'
_SINGLE_LINES = r"'(?>(?:[^'\\]|\\[\s\S])*)'"
_TRIPLE_DOUBLE = r'"""(?>(?:[^"\\]|\\[\s\S]|"(?!""))*)"""'
_TRIPLE_SINGLE = r"'''(?>(?:[^'\\]|\\[\s\S]|'(?!''))*)'''"
_BACKTICK = r"`(?>(?:[^`\\]|\\[\s\S])*)`"
_RAW_BACKTICK = r"`[^`]*+`"
_RUST_RAW = (
    r'[bc]?r(?:"[^"]*+"|\#"(?>(?:[^"]|"(?!\#))*)"\#|\#\#"(?>(?:[^"]|"(?!\#\#))*)"\#\#)'
    r'|[bc]?r\#{1,2}"[\s\S]*'
)
_RUST_CHAR = r"b?'(?:[^'\\\n]|\\[^\n][^'\n]{0,10}+)'|'[^\W\d]\w*+"
_REGEX_BODY = r"/(?![*/ =])(?>(?:[^/\\\n]|\\[^\n])+)/[a-z]*+"
_AFTER = r"[(,=:\[!&|?{};~]"
_JS_REGEX = rf"(?:(?<={_AFTER})|(?<={_AFTER}\ )|(?<=\breturn\ )){_REGEX_BODY}"
_RUBY_REGEX = (
    rf"(?:(?<={_AFTER})|(?<={_AFTER}\ )|(?<=\b(?:if|or)\ )|(?<=\b(?:and|not)\ )|(?<=\bwhen\ )"
    rf"|(?<=\b(?:return|unless)\ )){_REGEX_BODY}"
)
_NUMBER = r"\.?\d(?>(?:[eE][+-]\d|\w|\.(?=\d))*)"
_NAME = r"[^\W\d]\w*+"
_DOLLAR_NAME = r"(?:[^\W\d]|\$)[\w$]*+"
_QUOTED_NAME = r"`[^`\n]++`"
_CPP_RAW = (
    r'(?:u8|[uUL])?R"[^()\\\s"]{0,16}\((?>(?:[^)]|\)(?![^()\\\s"]{0,16}"))*)\)[^()\\\s"]{0,16}"'
    r'|(?:u8|[uUL])?R"[^()\\\s"]{0,16}\([\s\S]*'
)
_CPP_NUMBER = r"\d\w*+(?:'\w++)++"
_CSHARP_VERBATIM = r'(?:@\$?|\$@)"(?>(?:[^"]|"")*)"'
_SWIFT_RAW = r'\#"(?>(?:[^"\n]|"(?!\#))*)"\#|\#"[^\n]*+'
_ESCAPE = r"""\\["'`/\\]"""

_Rules = tuple[tuple[str, ...], tuple[str, ...]]
_JS: _Rules = (
    _C_COMMENTS,
    (rf"\#?{_DOLLAR_NAME}", _DOUBLE, _SINGLE, _BACKTICK, _JS_REGEX, _OPEN_BLOCK),
)
_RULES: dict[str, _Rules] = {
    "python": (
        (_HASH_COMMENT,),
        (
            rf"{_NAME}(?![\"'])",
            rf"[bfrtuBFRTU]{{0,2}}(?:{_TRIPLE_DOUBLE}|{_TRIPLE_SINGLE}|{_DOUBLE}|{_SINGLE})",
            _NAME,
        ),
    ),
    "java": (_C_COMMENTS, (_DOLLAR_NAME, _TRIPLE_DOUBLE, _DOUBLE, _SINGLE, _OPEN_BLOCK)),
    "go": (_C_COMMENTS, (_NAME, _DOUBLE, _SINGLE, _RAW_BACKTICK, _OPEN_BLOCK)),
    "php": (
        _PHP_COMMENTS,
        (_DOLLAR_NAME, _DOUBLE_LINES, _SINGLE_LINES, _BACKTICK, _OPEN_BLOCK),
    ),
    "javascript": _JS,
    "typescript": _JS,
    "ruby": (
        (_HASH_COMMENT, rf"{_RUBY_BLOCK}\n=end[^\n]*"),
        (
            rf"(?:@@?|\$)?{_NAME}(?:[?!](?!=))?",
            _DOUBLE_LINES,
            _SINGLE_LINES,
            _BACKTICK,
            _RUBY_REGEX,
            _RUBY_BLOCK,
        ),
    ),
    "rust": (
        _C_COMMENTS,
        (
            rf"{_NAME}(?![\"'\#])",
            _RUST_RAW,
            rf"r\#{_NAME}",
            rf"[bc]?{_DOUBLE_LINES}",
            _RUST_CHAR,
            _NAME,
            _OPEN_BLOCK,
        ),
    ),
    "c": (
        _C_COMMENTS,
        (rf"{_NAME}(?![\"'])", rf"(?:u8|[uUL])?(?:{_DOUBLE}|{_SINGLE})", _NAME, _OPEN_BLOCK),
    ),
    "cpp": (
        _C_COMMENTS,
        (
            rf"{_NAME}(?![\"'])",
            _CPP_RAW,
            rf"(?:u8|[uUL])?(?:{_DOUBLE}|{_SINGLE})",
            _CPP_NUMBER,
            _NAME,
            _OPEN_BLOCK,
        ),
    ),
    "csharp": (
        _C_COMMENTS,
        (
            rf"@?{_NAME}",
            rf"[$@]{{0,3}}(?:{_TRIPLE_DOUBLE})",
            _CSHARP_VERBATIM,
            rf"\$?{_DOUBLE}",
            _SINGLE,
            _OPEN_BLOCK,
        ),
    ),
    "kotlin": (_C_COMMENTS, (_NAME, _TRIPLE_DOUBLE, _DOUBLE, _SINGLE, _QUOTED_NAME, _OPEN_BLOCK)),
    "scala": (
        _C_COMMENTS,
        (
            rf"{_DOLLAR_NAME}(?!\")",
            rf"(?:{_NAME})?(?:{_TRIPLE_DOUBLE}|{_DOUBLE})",
            _DOLLAR_NAME,
            _RUST_CHAR,
            _QUOTED_NAME,
            _OPEN_BLOCK,
        ),
    ),
    "swift": (_C_COMMENTS, (_NAME, _SWIFT_RAW, _TRIPLE_DOUBLE, _DOUBLE, _QUOTED_NAME, _OPEN_BLOCK)),
}

LANGUAGES = tuple(sorted(_RULES))
"""Languages that have a lexer."""

_compiled: dict[str, re.Pattern[str]] = {}


class UnknownLanguageError(XtroveError, ValueError):
    """No lexer for this language; `language` holds it."""

    def __init__(self, language: str) -> None:
        super().__init__(f"no lexer for language {language!r}; there are {', '.join(LANGUAGES)}")
        self.language = language


def tokens(language: str, code: str) -> list[str]:
    """The lexical tokens of `code`, in order, without comments and white space.

    Raises `UnknownLanguageError`. Source: the rules in the docstring of this module.
    """
    pattern = _compiled.get(language)
    if pattern is None:
        pattern = _compiled[language] = _pattern(language)
    return [token for token in pattern.findall(code) if token]


def _pattern(language: str) -> re.Pattern[str]:
    if language not in _RULES:
        raise UnknownLanguageError(language)
    comments, words = _RULES[language]
    operators = f"{OPERATORS} {_EXTRA_OPERATORS.get(language, '')}".split()
    longest_first = sorted(operators, key=lambda operator: (-len(operator), operator))
    munch = "|".join(re.escape(operator) for operator in longest_first)
    kept = "|".join((*words, _NUMBER, munch, _ESCAPE, r"\S"))
    dropped = "|".join((*comments, r"\\\r?\n"))
    return re.compile(rf"(?:(?:{dropped})|({kept}))\s*+")
