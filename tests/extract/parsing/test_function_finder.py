"""One named test a trap: adjacency, wrappers, spans, names, cuts, ready pairs."""

from __future__ import annotations

import pytest

from extract.parsing.function_finder import (
    Function,
    extractor_id,
    functions,
    grammar_versions,
    may_hold_documentation,
    strip_code_documentation,
)


def _all(language: str, text: str, path: str = "a") -> tuple[Function, ...]:
    return functions(language, path, text.encode(), want_undocumented=True).functions


def _one(language: str, text: str, path: str = "a") -> Function:
    (result,) = _all(language, text, path)
    return result


@pytest.mark.parametrize(
    ("language", "documented"),
    [
        ("java", "class A {{\n  /** Doc. */{gap}int f() {{ return 1; }}\n}}"),
        ("go", "package a\n// Doc.{gap}func F() {{}}\n"),
        ("php", "<?php\n/** Doc. */{gap}function f() {{}}\n"),
        ("javascript", "/** Doc. */{gap}function f() {{}}\n"),
        ("typescript", "/** Doc. */{gap}function f(): void {{}}\n"),
        ("ruby", "# Doc.{gap}def f; end\n"),
        ("rust", "/// Doc.{gap}fn f() {{}}\n"),
    ],
)
def test_blank_lines_detach(language: str, documented: str) -> None:
    # Go's and Ruby's own tools attach what is adjacent; the others bridge a blank line.
    bridged = "" if language in ("go", "ruby") else "Doc."
    assert _one(language, documented.format(gap="\n")).documentation == "Doc."
    assert _one(language, documented.format(gap="\r\n")).documentation == "Doc."
    assert _one(language, documented.format(gap="\n\n")).documentation == bridged
    assert _one(language, documented.format(gap="\r\n  \r\n")).documentation == bridged
    assert _one(language, documented.format(gap="\n\n\n")).documentation == ""
    if bridged:
        assert _one(language, documented.format(gap="\n\n// Old code.\n")).documentation == ""


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("javascript", "", "\n\nfunction f() {}\n"),
        ("javascript", "#!/usr/bin/env node\n", "\n\nfunction f() {}\n"),
        ("typescript", "\n", "\n\nexport function f(): void {}\n"),
        ("php", "<?php\n", "\n\nfunction f() {}\n"),
        ("rust", "", "\n\nfn f() {}\n"),
    ],
)
@pytest.mark.parametrize(
    "words", ["@file Tools for lists.", "@license MIT", "Copyright 2020 A. Writer"]
)
def test_what_the_head_of_a_file_says_of_it_is_no_functions(
    language: str, before: str, after: str, words: str
) -> None:
    assert _one(language, f"{before}/** {words} */{after}").documentation == ""
    reported = "Counts the users of the page."
    assert _one(language, f"{before}/** {reported} */{after}").documentation == reported


def test_both_paragraphs_of_rust_belong_to_the_function() -> None:
    text = "/// First.\n\n/// Second.\nfn f() {}\n"
    assert _one("rust", text).documentation == "First.\nSecond."


@pytest.mark.parametrize(
    ("comments", "documentation", "kind"),
    [
        ("/// Counts *all* words.\n///\n/// @return x\n", "Counts *all* words.\n\n@return x", "m"),
        ("/// Over a blank line.\n\n", "Over a blank line.", "m"),
        ("/** Block. */\n/// Line.\n", "Line.", "m"),
        ("/// Line.\n/** Block. */\n", "Block.", "d"),
        ("/// First run.\n\n/// Second run.\n", "Second run.", "m"),
        ("///////////////\n", "", ""),
        ("// Plain.\n", "", ""),
        ("/// Before an annotation.\n@Deprecated\n", "Before an annotation.", "m"),
    ],
)
def test_java_markdown_comments(comments: str, documentation: str, kind: str) -> None:
    function = _one("java", f"class A {{\n{comments}int f() {{ return 1; }}\n}}\n")
    assert function.documentation == documentation
    assert function.doc_kind == {"m": "markdown_comment", "d": "doc_comment", "": ""}[kind]


def test_documentation_of_a_signature_goes_to_its_own_name_only() -> None:
    text = (
        "class A {\n  /** Shown. */\n  onShown?(): void;\n  hide(): void { go(); }\n"
        "  /** Adds. */\n  add(a: number): void;\n  add(a: string): void { go(a); }\n}\n"
    )
    documented = {
        function.name: function.documentation
        for function in functions("typescript", "a.ts", text.encode()).functions
    }
    assert documented == {"hide": "", "add": "Adds."}


@pytest.mark.parametrize("language", ["javascript", "typescript"])
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/** Doc. */\nlet a = function () {}, b = 0;\n", "a"),
        ("/** Doc. */\nexport const a = () => { go(); }, b = 1;\n", "a"),
        ("/** Doc. */\nwindow.off ||= function () { go(); };\n", "off"),
        ("/** Doc. */\nwindow.off ??= () => { go(); };\n", "off"),
    ],
)
def test_first_of_several_and_logical_assignments(language: str, text: str, name: str) -> None:
    function = _one(language, text)
    assert (function.name, function.documentation) == (name, "Doc.")


@pytest.mark.parametrize(
    "statement", ['"Doc.",', '"Doc.", go()', '("Doc.", 1)', '"Doc." % go()', '"Doc.".upper()']
)
def test_an_expression_with_a_string_is_no_docstring(statement: str) -> None:
    function = _one("python", f"def f():\n    {statement}\n    return 1\n")
    assert function.documentation == ""


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\r\r\n"])
def test_a_statement_behind_any_line_end_stays(end: str) -> None:
    text = f'def f(a):\n    """Doc."""{end}    b = a\n    return b\n'
    code = _one("python", text).code
    assert "b = a" in code
    assert "Doc." not in code


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("java", "class A {\n int x; /** Trailing. */\n int f() { return 1; }\n}"),
        ("go", "package a\nvar x = 1 // Trailing.\nfunc F() {}\n"),
        ("php", "<?php\n$x = 1; /** Trailing. */\nfunction f() {}\n"),
        ("javascript", "go(); /** Trailing. */\nfunction f() {}\n"),
        ("typescript", "let x: A; /** Trailing. */\nfunction f() {}\n"),
        ("ruby", "x = 1 # Trailing.\ndef f; end\n"),
        ("rust", "use a::b; /// Trailing.\nfn f() {}\n"),
    ],
)
def test_trailing_comment_never_counts(language: str, text: str) -> None:
    assert _one(language, text).documentation == ""


def test_documentation_on_the_line_of_the_function_counts() -> None:
    assert _one("java", "class A { /** Doc. */ int f() { return 1; } }").documentation == "Doc."
    text = "class A { int x; /** Doc. */ int f() { return 1; } }"
    assert _one("java", text).documentation == "Doc."


def test_overload_signatures_are_transparent() -> None:
    text = "/** Doc. */\nexport function f(a: string): void;\n\nexport function f(a: any) {}\n"
    assert _one("typescript", text).documentation == "Doc."
    text = (
        "class A {\n  /** Doc. */\n  f(): void;\n  f(x: number): void;\n  f(x?: any) { go(x) }\n}"
    )
    result = _one("typescript", text)
    assert (result.documentation, result.start_line, result.code) == (
        "Doc.",
        5,
        "f(x?: any) { go(x) }",
    )


def test_private_def_is_its_own_wrapper() -> None:
    result = _one("ruby", "class A\n  # Doc.\n  private def f(x)\n    x + 1\n  end\nend\n")
    assert (result.name, result.documentation) == ("f", "Doc.")
    assert result.code.startswith("private def f(x)")


def test_decorators_belong_to_the_span_and_the_documentation_between_them_is_cut() -> None:
    text = "class A {\n  @X()\n  /** Doc. */\n  @Y()\n  f() { go() }\n}\n"
    result = _one("typescript", text)
    assert result.code == "@X()\n  @Y()\n  f() { go() }"
    assert (result.start_line, result.end_line, result.documentation) == (2, 5, "Doc.")
    result = _one("rust", "#[a]\n/// Doc.\n#[b]\nfn f() { go() }\n")
    assert (result.code, result.documentation) == ("#[a]\n#[b]\nfn f() { go() }", "Doc.")
    result = _one("php", "<?php class A {\n  #[X]\n  /** Doc. */\n  public function f() {}\n}\n")
    assert (result.code, result.documentation) == ("#[X]\n  public function f() {}", "Doc.")


def test_rust_doc_attribute_and_its_newlines() -> None:
    result = _one("rust", '#[doc = " A \\"b\\"\\u{e9}\\n c"]\n/// D.\npub fn f() {}\n')
    assert result.documentation == 'A "b"\u00e9\nc\nD.'
    assert result.code == "pub fn f() {}"
    assert _one("rust", "#[doc(hidden)]\nfn f() {}\n").documentation == ""
    assert _one("rust", '#[doc = include_str!("a.md")]\nfn f() {}\n').documentation == ""


def test_go_directives_are_dropped() -> None:
    text = "package a\n// Doc.\n//\n//go:noinline\n//nolint:all\n// +build x\nfunc F() { run() }\n"
    result = _one("go", text)
    assert (result.documentation, result.doc_kind) == ("Doc.", "line_comment")
    assert result.code == "func F() { run() }"


def test_ruby_magic_comments_are_dropped() -> None:
    text = "# frozen_string_literal: true\n# typed: strict\ndef f; 1; end\n"
    assert _one("ruby", text).documentation == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("const f = () => 1;", "f"),
        ("export const f = function () {};", "f"),
        ("a.b.c = function inner() {};", "c"),
        ("a['b-c'] = () => 1;", "b-c"),
        ("exports = module.exports = function () {};", "exports"),
        ("x = { 'k-1': function () {} };", "k-1"),
        ("x = { k: async () => 1 };", "k"),
        ("class A { f = () => 1; }", "f"),
        ("class A { static #p() {} }", "#p"),
        ("export default function named() {}", "named"),
        ("export default () => 1;", ""),
        ("export function* g() {}", "g"),
    ],
)
@pytest.mark.parametrize("language", ["javascript", "typescript"])
def test_names_by_declarator(language: str, text: str, name: str) -> None:
    # `{` opens a block at the start of a statement: every wrapper must reach the comment.
    assert _one(language, text).name == name
    if not text.startswith(("x =", "class")):
        assert _one(language, f"/** Doc. */\n{text}").documentation == "Doc."
    else:
        assert _one(language, text.replace("{ ", "{ /** Doc. */ ", 1)).documentation == "Doc."


def test_callbacks_are_not_functions() -> None:
    assert _all("javascript", "/** Doc. */\nconst f = debounce(() => { go(); });\n") == ()


def test_tsx_and_ts_have_different_grammars() -> None:
    text = "/** Doc. */\nconst F = () => <b>x</b>;\n"
    assert not functions("typescript", "a.tsx", text.encode()).has_error
    cast = b"/** Doc. */\nfunction f() { return <string>x; }\n"
    assert not functions("typescript", "a.ts", cast).has_error
    assert functions("typescript", "a.tsx", cast).has_error


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('\n    """D."""\n    return x + 1', "def f(x):\n    return x + 1"),
        ('\n    """D."""  # noqa\n\n    return x', "def f(x):\n\n    return x"),
        ('\n    """D."""', "def f(x):\n    pass"),
        ('\n    """D."""\n    # later', "def f(x):\n    pass"),
        ('\n    # first\n    "D."\n    y = x', "def f(x):\n    # first\n    y = x"),
        (' "D."', "def f(x): pass"),
        (' "D."; return x', "def f(x): return x"),
        ('\n    "D."; return x', "def f(x):\n    return x"),
        ('\n    "D.";\n    return x', "def f(x):\n    return x"),
        ('\n    ("D"\n     ".")\n    return x', "def f(x):\n    return x"),
        ('\r\n    """D."""\r\n    return x', "def f(x):\r\n    return x"),
    ],
)
def test_python_docstring_is_cut_precisely(body: str, code: str) -> None:
    result = _one("python", f"def f(x):{body}\n")
    assert (result.documentation, result.doc_kind, result.code) == ("D.", "docstring", code)


def test_python_end_leaves_out_comments_after_the_last_statement() -> None:
    result = _one(
        "python", 'def f():\n    "D."\n    return """\n# x"""\n    # comment\n# comment\n'
    )
    assert result.end_line == 4


def test_offsets_count_the_byte_order_mark() -> None:
    content = b'\xef\xbb\xbfdef f():\n    "D."\n    return 1\n'
    (result,) = functions("python", "a.py", content).functions
    assert (result.start_byte, result.start_line, result.documentation) == (3, 1, "D.")
    assert result.code == "def f():\n    return 1"
    text = "\ufeff# Doc.\ndef f\n  go(1)\nend\n"
    assert _one("ruby", text).documentation == "Doc."
    assert may_hold_documentation("ruby", text.encode())


def test_nested_means_inside_another_function() -> None:
    text = "def a():\n    class B:\n        def c(self): go()\n    return B\ndef d(): go()\n"
    assert [(one.name, one.nested) for one in _all("python", text)] == [
        ("a", False),
        ("c", True),
        ("d", False),
    ]


@pytest.mark.parametrize(
    ("language", "documented", "bare"),
    [
        (
            "python",
            'def f(s):\n        """Doc."""\n        return 1',
            "def f(s):\n        return 1",
        ),
        ("python", '    def f(s):\n        "Doc."\n        go()', "    def f(s):\n        go()"),
        ("java", "/** Doc. */\npublic int f() { return 1; }", "public int f() { return 1; }"),
        ("go", "// Doc.\nfunc F() {}", "func F() {}"),
        ("php", "/** Doc. */\npublic function f() { g(); }", "public function f() { g(); }"),
        ("php", "<?php\n/** Doc. */\nfunction f() { g(); }", "<?php\nfunction f() { g(); }"),
        ("javascript", "/** Doc. */\nfunction f() {}", "function f() {}"),
        ("javascript", "/** Doc. */\nf() { go(); }", "f() { go(); }"),
        ("typescript", "/** Doc. */\nprivate f(a: string) {}", "private f(a: string) {}"),
        ("ruby", "# Doc.\ndef f; end", "def f; end"),
        ("rust", "/// Doc.\nfn f(&self) {}", "fn f(&self) {}"),
    ],
)
def test_ready_pair_loses_the_documentation_of_its_first_function(
    language: str, documented: str, bare: str
) -> None:
    assert strip_code_documentation(language, documented) == (bare, "Doc.")
    assert strip_code_documentation(language, bare) == (bare, "")


def test_ready_pair_without_a_function_is_unchanged() -> None:
    for code in ("", "x = 1", "\x00\udc80", "SELECT 1"):
        assert strip_code_documentation("python", code) == (code, "")


def test_extractor_names_grammar_and_rules() -> None:
    name, version, digest = extractor_id("python", "a.py").split()
    assert (name, version) == ("tree-sitter-python", grammar_versions()["tree-sitter-python"])
    assert digest.startswith("q:")
    assert len(digest) == 14
    assert extractor_id("typescript", "a.ts") != extractor_id("typescript", "a.tsx")


def test_unknown_language_is_named() -> None:
    with pytest.raises(ValueError, match="'cobol'; use one of python"):
        functions("cobol", "a.cob", b"")
