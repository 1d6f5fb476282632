"""The marker rule and the parser: what the rule denies, the parser may never find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.parsing.doc_comments import found_functions
from extract.parsing.function_finder import FunctionsError, functions, may_hold_documentation
from extract.parsing.languages import LANGUAGES, language_row
from extract.parsing.tree_sitter_matches import matches
from extract.parsing.tree_sitter_parse import parse

_COMMON = (
    *('"""d"""', "'d'", '"d"', "# c\n", "// c\n", "/// c\n", "/** d */", "/* c */", "/**", "*/"),
    *("=begin\n", "=end\n", "\n", "\r", "\r\n", " ", "\t", "\f", "\v", "\x00", "\u00a0", "\u2028"),
    *(
        "\ufeff",
        "é",
        "0",
        "r",
        "u",
        "b",
        ";",
        ",",
        ":",
        "\\",
        "\\\n",
        "!",
        "@",
        "#",
        "/",
        "*",
        "//",
    ),
    *(
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "def f",
        "func",
        "fn",
        "function",
        "class A",
        "end\n",
        "async ",
    ),
)
_OWN = {
    "python": (
        *("def f():\n    ", "def f():", "def f(a):", "async def f():", "class A:\n  ", "\n    "),
        *("lambda:", "if a:", "R'''d'''", "U'd'", '"""', "'''", "pass", "return 1", "def g(a:0"),
    ),
    "java": ("class A {", "void f() {", "public int f() {", "@A\n", "A() {", "record A() { A {"),
    "go": (
        *("package a\n", "func F() {", "func (a A) F() {", "func F[T any]() {", "// c\r", "//\n"),
        *("/*\n*/", "//go:x\n", "var a = 1"),
    ),
    "php": (
        "<?php ",
        "<?php\n",
        "?>",
        "function f() {",
        "class A { ",
        "public ",
        "#[A]\n",
        "fn() => 1",
    ),
    "javascript": (
        *("function f() {", "const f = () => 1", "a.b = function() {", "export ", "default "),
        *("class A {", "f() {", "a: () => 1", "get ", "static ", "x = {"),
    ),
    "typescript": (
        *("function f() {", "const f = () => 1", "a.b = function() {", "export ", "class A {"),
        *("f() {", "f(): void;", "a: () => 1", "@d\n", "function f(): void;\n"),
    ),
    "ruby": (
        *("def f\n", "def f; end", "def self.f\n", "class A\n", "private def f\n", "# c\n#", "#c"),
        *(
            "=begin\nd\n=end\n",
            "sig { void }\n",
            "sig do\nend\n",
            "sig :a do\nend\n",
            "sig{",
            "private(",
        ),
        *("private\\\n", "private(\n", "x = def f", "def f = 1", "# c\r\n", "__END__\n", "<<A\n"),
    ),
    "c": ("int f(void) {", "int *f() {", "/*! d */", "//! d\n", "///< d\n", "#if A\n", "#endif\n"),
    "cpp": (
        *(
            "int A::f() {",
            "class A {",
            "};",
            "template <class T> ",
            "/*! d */",
            "//! d\n",
            "#if A\n",
        ),
        *('extern "C" ', "namespace a {", "try {", "friend int f() {", "#endif\n"),
    ),
    "csharp": ("class A {", "int f() {", "int f() => 1;", "[A]\n", "A() {", "#if A\n", "#endif\n"),
    "kotlin": ("class A {", "fun f() {", "fun f() = 1\n", "constructor() {", "@A\n", "object O {"),
    "scala": (
        "class A {",
        "def f = 1\n",
        "def f() {",
        "@a\n",
        "object O:\n  ",
        "extension (a: A) ",
    ),
    "swift": ("class A {", "func f() {", "init() {", "@a\n", "extension A {", "func == () {"),
    "rust": (
        *("fn f() {", "pub fn f() {", "/// d\n", '#[doc = "x"]\n', '#[doc="x"]', '#[ doc = "x"]'),
        *('# [doc = "x"]', '#[doc\n="x"]', '#\n[doc="x"]', '#![doc="a"]', "impl A {", "mod a {"),
        *('#/* */[doc="x"]', '#[/* c */doc = "x"]', '#[cfg_attr(a, doc="x")]'),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@given(data=st.data())
def test_what_the_marker_denies_is_not_there(language: str, data: st.DataObject) -> None:
    pieces = st.one_of(st.sampled_from(_COMMON), st.sampled_from(_OWN[language]))
    content = data.draw(st.lists(pieces, max_size=14).map("".join)).encode()
    try:
        result = functions(language, "a", content).functions
    except FunctionsError:
        return
    if any(one.documentation for one in result):
        assert may_hold_documentation(language, content)


@pytest.mark.parametrize(
    "content",
    [
        'def!A(:0"""0"""',
        "def f():\n    passU'd'",
        "def f():}R'''d'''",
        'def f(a):private "d"',
        "def f():\n    \v'd'\n    return 1\n",
        "def f():\n    (\ufeff'd')\n    return 1\n",
    ],
)
def test_a_string_behind_what_the_parser_skipped_is_no_docstring(content: str) -> None:
    # The functions of such files are left out for their uncertain bounds: this is what is below.
    data = content.encode()
    parsed = parse("python", "a.py", data)
    (result,) = found_functions(language_row("python"), data, matches(parsed))
    assert data[slice(*result.name)] == (b"A" if "A" in content else b"f")
    assert result.documentation == ()
    assert not any(
        function.documentation for function in functions("python", "a.py", data).functions
    )


@pytest.mark.parametrize(
    ("language", "content", "documentation"),
    [
        ("python", "def f(): 'Say it.'", "Say it."),
        ("python", "def f():\\\n  'Say it.'\n", "Say it."),
        ("python", "def f():\n  # a\n  U'Say it.'\n", "Say it."),
        ("python", "def f():\r  'Say it.'\r", "Say it."),
        ("python", "def f():\n\f  'Say it.'\n", "Say it."),
        ("python", "def f():\n  (('Say it.'))\n  go()\n", "Say it."),
        ("python", "def f():\n  (  # it's\n    'Say '\n   'it.')\n", "Say it."),
        ("go", "package a\n/* Say it. *///Twice.\nfunc F() {}\n", "Say it.\nTwice."),
        (
            "go",
            "package a\n/* Say it. */ // Twice, as */ ends.\nfunc F() {}\n",
            "Say it.\nTwice, as */ ends.",
        ),
        ("go", "package a\n\v// Say it.\nfunc F() {}\n", "Say it."),
        ("ruby", "\r# Say it.\r\ndef f; end\n", "Say it."),
        ("ruby", "\v# Say it.\nprivate def f; end\n", "Say it."),
        ("ruby", "# Say it.\nsig :final do\nend\ndef f; end\n", "Say it."),
        ("ruby", "# Say it.\nsig\\\n { void }\ndef f; end\n", "Say it."),
    ],
)
def test_documentation_in_odd_places_is_marked_and_found(
    language: str, content: str, documentation: str
) -> None:
    assert may_hold_documentation(language, content.encode())
    (result,) = functions(language, "a", content.encode()).functions
    assert result.documentation == documentation
