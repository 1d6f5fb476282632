"""The lexer: hand-worked tokens of every language, and its limits under hostile input."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupe.lexer import LANGUAGES, UnknownLanguageError, tokens
from ingest.languages import LANGUAGES as NAMES


def words(text: str) -> list[str]:
    return text.split()


WORKED: list[tuple[str, str, list[str]]] = [
    ("c", "a->b /* c */ <<= L'\\'' // d", ["a", "->", "b", "<<=", "L'\\''"]),
    ("c", '#define F(x) x##1 \\\n u8"s" "t"', [*words("# define F ( x ) x ## 1"), 'u8"s"', '"t"']),
    ("cpp", "x = 1'000'000ull + A::b;", ["x", "=", "1'000'000ull", *words("+ A :: b ;")]),
    ("cpp", 'R"x(a " ) } //)x" + u8R"(b)"', ['R"x(a " ) } //)x"', "+", 'u8R"(b)"']),
    ("csharp", '@"a ""b"" \\" + $"{x}" ?? @int', ['@"a ""b"" \\"', "+", '$"{x}"', "??", "@int"]),
    ("csharp", "/// <a>\nint? F() => '\\'';", words("int ? F ( ) => '\\'' ;")),
    ("kotlin", 'a?.b ?: """c "d" e""" // f', ["a", "?.", "b", "?:", '"""c "d" e"""']),
    ("kotlin", "fun `to it`() = x!! in 0..<9", ["fun", "`to it`", *words("( ) = x !! in 0 ..< 9")]),
    ("scala", "s\"a $b\" +: 'c' :: 'd", ['s"a $b"', "+", ":", "'c'", "::", "'d"]),
    ("scala", 'for (a <- b) yield """x"y"""', [*words("for ( a <- b ) yield"), '"""x"y"""']),
    ("swift", '#"a "b" \\(c)"# + "\\(d)"', ['#"a "b" \\(c)"#', "+", '"\\(d)"']),
    ("swift", "0..<9 &+ `in` /* x */ ?? $0", [*words("0 ..< 9 &+ `in` ?? $ 0")]),
    ("python", "def f(a, *b):  # c\n\treturn a//b\n", words("def f ( a , * b ) : return a // b")),
    ("python", "x = rb'a\\'b' + f\"{y}\"", ["x", "=", "rb'a\\'b'", "+", 'f"{y}"']),
    ("python", "'''a\n'b' # no\n'''+\"\"", ["'''a\n'b' # no\n'''", "+", '""']),
    ("python", 'a if b in"abc" else \'x', ["a", "if", "b", "in", '"abc"', "else", "'", "x"]),
    ("python", "x = 1.5e-3 + 0xFF_FF \\\n  if é", ["x", "=", "1.5e-3", "+", "0xFF_FF", "if", "é"]),
    ("python", "@d\ndef f()->int:...", ["@", "d", "def", "f", "(", ")", "->", "int", ":", "..."]),
    ("java", "int a = b >>> 2; // c\n", ["int", "a", "=", "b", ">>>", "2", ";"]),
    ("java", "/** doc */ char $c = '\\'';", ["char", "$c", "=", "'\\''", ";"]),
    ("java", 's = """\n a "b"\n""";', ["s", "=", '"""\n a "b"\n"""', ";"]),
    ("java", "@Override a::b /* x * / */ c", ["@", "Override", "a", "::", "b", "c"]),
    ("go", 'x := `a\\` + "b" // c', ["x", ":=", "`a\\`", "+", '"b"']),
    ("go", "ch <- 'x'; m &^= 1", ["ch", "<-", "'x'", ";", "m", "&^=", "1"]),
    ("php", "$a->b .= 'it\\'s' # c ?> d", ["$a", "->", "b", ".=", "'it\\'s'", "?", ">", "d"]),
    ("php", '#[A]\nf(\\B\\C::d, "x\ny")', [*words("# [ A ] f ( \\ B \\ C :: d ,"), '"x\ny"', ")"]),
    ("php", "return $x?->y ?? null; // z", ["return", "$x", "?->", "y", "??", "null", ";"]),
    (
        "javascript",
        "a = /[\"'`]\\/x/gi.test(b) / c",
        ["a", "=", "/[\"'`]\\/x/gi", *words(". test ( b ) / c")],
    ),
    ("javascript", "`a ${b + `c`}`; // d", ["`a ${b + `", "c", "`}`", ";"]),
    ("javascript", "this.#p?.q !== $r /* s */", ["this", ".", "#p", "?.", "q", "!==", "$r"]),
    ("ruby", "def ok?(x) = @y ||= x.z! # c", words("def ok? ( x ) = @y ||= x . z!")),
    ("ruby", "a != b if c =~ /it's #{d}/i", ["a", "!=", "b", "if", "c", "=~", "/it's #{d}/i"]),
    ("ruby", "=begin\nno 'x\n=end\n1..3 and $v", ["1", "..", "3", "and", "$v"]),
    ("rust", "fn f<'a>(x: &'a u8) {'b'}", [*words("fn f < 'a > ( x : & 'a u8 ) {"), "'b'", "}"]),
    ("rust", 'r#"a "q" "# + b"\\"" + r#fn', ['r#"a "q" "#', "+", 'b"\\""', "+", "r#fn"]),
    ("rust", "0..=9 => '\\u{1F600}', // x", ["0", "..=", "9", "=>", "'\\u{1F600}'", ","]),
    ("typescript", "let x: A<B> = y as any; // c", words("let x : A < B > = y as any ;")),
    (
        "typescript",
        "return /a+/.test(s) ? 1 : 2",
        ["return", "/a+/", *words(". test ( s ) ? 1 : 2")],
    ),
]


@pytest.mark.parametrize(("language", "code", "expected"), WORKED)
def test_worked_by_hand(language: str, code: str, expected: list[str]) -> None:
    assert tokens(language, code) == expected


def test_every_language_has_worked_cases() -> None:
    assert sorted({language for language, _, _ in WORKED}) == list(LANGUAGES)
    assert LANGUAGES == NAMES


@pytest.mark.parametrize(
    ("language", "code", "expected"),
    [
        ("go", "a /* b\n c", ["a", "/* b\n c"]),
        ("rust", 'a r#"b c', ["a", 'r#"b c']),
        ("ruby", "a\n=begin\nb c", ["a", "=begin\nb c"]),
        ("javascript", "a `b c", ["a", "`", "b", "c"]),
    ],
)
def test_what_is_never_closed_is_never_lost(language: str, code: str, expected: list[str]) -> None:
    assert tokens(language, code) == expected


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(UnknownLanguageError, match="cobol") as caught:
        tokens("cobol", "x")
    assert caught.value.language == "cobol"


@given(
    language=st.sampled_from(LANGUAGES), code=st.text(alphabet="ab1'\"`\\/*#=\n r(é.-", max_size=60)
)
def test_tokens_stand_in_the_text_in_order(language: str, code: str) -> None:
    at = 0
    for token in tokens(language, code):
        assert token and not token.isspace()
        at = code.index(token, at) + len(token)


@given(
    code=st.text(alphabet="ab1'\"\\+= (.", max_size=40), language=st.sampled_from(("python", "go"))
)
def test_space_around_tokens_does_not_matter(code: str, language: str) -> None:
    result = tokens(language, code)
    # A lone backslash, quote or sign may join its neighbour, so only plain words are respaced.
    if all(re.fullmatch(r"[a-z]\w*|\d\w*|[=+(]", token) for token in result):
        assert tokens(language, "  \n\t".join(result)) == result


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "unit",
    [
        '"\\"',
        "`\\`",
        "'\\'",
        "/*",
        'r#"',
        "=begin\n",
        "(/[",
        '"""\\',
        "=/\\/",
        "/*\n`'\\\"",
        "0.",
        'R"(',
    ],
)
def test_hostile_input_is_linear(language: str, unit: str) -> None:
    text = unit * (200_000 // len(unit))
    start = time.process_time()
    tokens(language, text)
    # Linear lexing of 200 kB takes 0.06 s here; quadratic would take minutes.
    assert time.process_time() - start < 3
