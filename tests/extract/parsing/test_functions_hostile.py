"""Hostile input: bounds, cancellation, deep nesting, random text, and the marker on real files."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.parsing.body import code_without_docstring
from extract.parsing.function_finder import FunctionsError, functions, may_hold_documentation
from extract.parsing.languages import LANGUAGES
from extract.parsing.tree_sitter_parse import MAX_BYTES, parse, tools

LANGUAGE_NAMES = sorted(LANGUAGES)
BORDER = 256 * 1024


def test_cancelled_parse_does_not_leak_into_the_next_file() -> None:
    giant = b"x = {a: [" * (BORDER // 8)
    with pytest.raises(FunctionsError) as caught:
        functions("javascript", "a.js", giant, budget=0.0)
    assert caught.value.reason == "parse_timeout"
    result = functions("javascript", "b.js", b"/** Doc. */\nfunction f() { go(); }\n")
    assert [function.name for function in result.functions] == ["f"]
    assert not result.has_error


def test_functions_across_many_chunks_are_read() -> None:
    unit = b"/** Doc. */\nfunction f() { go(); }\n"
    count = BORDER // len(unit) + 10
    result = functions("javascript", "a.js", unit * count)
    assert len(result.functions) == count
    assert {function.documentation for function in result.functions} == {"Doc."}


def test_nothing_of_a_file_stays_behind() -> None:
    """The binding keeps a reference to all that its callable returns: 8 MB of files stayed for
    every 8 MB that were parsed."""
    files = [
        b"/** Doc %d. */\nfunction f() { go(); }\n" % number + b"/* %s */" % (b"x" * 90_000)
        for number in range(40)
    ]
    functions("javascript", "a.js", files[0])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for content in files:
            functions("javascript", "a.js", content)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < sum(map(len, files)) / 40


@pytest.mark.parametrize("name", LANGUAGE_NAMES)
def test_reading_by_windows_is_reading_at_once(name: str) -> None:
    """Characters of two to four bytes at every place of the border between two windows."""
    row = LANGUAGES[name]
    kit = tools(name, row.capsule)
    note = "#" if name in ("python", "ruby") else "//"
    for shift in range(8):
        text = (
            f"{note} {'x' * shift}" + "\u00e9\u20ac\U0001f600 \n" + f"{note} \u00e9\u20ac\n" * 9000
        )
        content = text.encode()
        whole = kit.parser.parse(content).root_node
        assert str(parse(name, "", content).root) == str(whole)


def test_file_above_the_cap_is_refused_unless_it_is_raised() -> None:
    content = b"#a" * (MAX_BYTES // 2 + 1)
    with pytest.raises(FunctionsError, match=str(MAX_BYTES)):
        functions("python", "a.py", content)
    assert functions("python", "a.py", content, max_bytes=MAX_BYTES + 2).functions == ()


@pytest.mark.parametrize("content", [b"caf\xe9", b"\xff\xfea\x00", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_not_utf8_is_named(content: bytes) -> None:
    with pytest.raises(FunctionsError) as caught:
        functions("python", "a.py", content)
    assert caught.value.reason == "not_utf8"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.reason, again.value) == (caught.value.reason, caught.value.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "line", "function"),
    [
        ("javascript", b"// note\n", b"function f() {}\n"),
        ("java", b"// note\n", b"class A { int f() { return 1; } }\n"),
        ("go", b"// note\n", b"func F() {}\n"),
        ("php", b"// note\n", b"function f() {}\n"),
        ("ruby", b"# note\n", b"def f; end\n"),
        ("rust", b"/// note\n", b"fn f() {}\n"),
        ("typescript", b"// note\n", b"function f() {}\n"),
        ("python", b"# note\n", b"def f():\n    'D.'\n"),
    ],
)
def test_twenty_thousand_comment_lines_are_linear(
    language: str, line: bytes, function: bytes
) -> None:
    prefix = {"php": b"<?php\n", "go": b"package a\n"}.get(language, b"")
    functions(language, "a", function)
    seconds = []
    for lines in (5_000, 20_000):
        content = prefix + line * lines + function
        begin = time.process_time()
        assert len(functions(language, "a", content).functions) == 1
        seconds.append(time.process_time() - begin)
    # Four times the lines: a quadratic merge takes 16 times as long (11 s measured for one).
    assert seconds[1] < max(8 * seconds[0], 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGE_NAMES)
def test_comments_between_blank_lines_are_read_or_refused_within_the_budget(language: str) -> None:
    # The scanners of Python and PHP look ahead over all of them, once for each.
    opening, comment = {
        "python": (b"def f():\n  if x:\n    a = 1\n", b"# c\n\n"),
        "ruby": (b"def f\n  if x\n    a = 1\n", b"# c\n\n"),
        "php": (b"<?php\nfunction f() {\n a\n", b"// c\n\n"),
        "go": (b"package a\nfunc f() {\n a\n", b"// c\n\n"),
    }.get(language, (b"function f() {\n a\n", b"// c\n\n"))
    begin = time.process_time()
    try:
        functions(language, "a", opening + comment * 50_000, budget=0.3)
    except FunctionsError as error:
        assert error.reason == "parse_timeout"
    assert time.process_time() - begin < 4


@pytest.mark.slow
def test_many_functions_below_one_comment_are_linear() -> None:
    content = b"/** Doc. */\n" + b"function f() {}\n" * 20_000
    begin = time.process_time()
    result = functions("javascript", "a.js", content)
    assert len(result.functions) == 20_000
    assert time.process_time() - begin < 3


@pytest.mark.parametrize(
    ("language", "content"),
    [
        ("go", b"package a\n" + b"//" * 200_000),
        ("ruby", b"#" * 400_000),
        ("ruby", b"# a\n" + b"def" * 100_000),
        ("rust", b"#" * 400_000),
        ("python", b":" * 400_000),
        ("python", b"(" * 400_000),
        ("go", b"*/" + b" " * 400_000),
    ],
)
def test_marker_is_linear(language: str, content: bytes) -> None:
    begin = time.process_time()
    may_hold_documentation(language, content)
    assert time.process_time() - begin < 1


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGE_NAMES)
@pytest.mark.parametrize("opener", [b"(", b"[", b"{", b"/**", b'"', b"'", b"\x00", b"x={a:["])
def test_unclosed_openers_do_not_crash(language: str, opener: bytes) -> None:
    functions(language, "a", opener * (4_000 // len(opener)))
    try:
        functions(language, "a", opener * (60_000 // len(opener)))
    except FunctionsError as error:
        assert error.reason in ("parse_failed", "parse_timeout")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "unit"),
    [
        ("python", b"("),
        ("javascript", b"[, "),
        ("java", b";\n"),
        ("javascript", b"x=[" + b"," * 6_000 + b"];"),
        ("ruby", b"if "),
        ("rust", b"fn "),
        ("go", b"func "),
        ("java", b"class "),
    ],
)
def test_a_megabyte_of_one_token_is_read_or_refused_in_time(language: str, unit: bytes) -> None:
    # Matching 1 MB of open brackets would take minutes in one call that nothing interrupts.
    begin = time.process_time()
    try:
        functions(language, "a", unit * (MAX_BYTES // len(unit)))
    except FunctionsError as error:
        assert error.reason in ("parse_failed", "parse_timeout")
    assert time.process_time() - begin < 10


def _nested(depth: int) -> bytes:
    lines = (f'{" " * at}def f{at}():\n{" " * at} "D."\n' for at in range(depth))
    return "".join(lines).encode()


def test_deep_indentation_is_read_or_refused_before_it_crashes_the_grammar() -> None:
    result = functions("python", "a.py", _nested(290))
    assert len(result.functions) + result.left_out == 290
    assert result.functions[-1].name == "f289"
    actual = functions("python", "a.py", _nested(60)).functions
    assert [one.nested for one in actual] == [False] + [True] * 59
    with pytest.raises(FunctionsError, match="300 levels") as caught:
        functions("python", "a.py", _nested(700))
    assert caught.value.reason == "parse_failed"
    # Continued lines add up to one indentation.
    lines = ("\n".join([" " * 31 + "\\"] * at) + "\n if x:" for at in range(100))
    with pytest.raises(FunctionsError, match="300 levels"):
        functions("python", "a.py", "\n".join(lines).encode())


@pytest.mark.parametrize("language", [name for name in LANGUAGE_NAMES if name != "python"])
def test_functions_nested_deeper_than_the_grammar_counts(language: str) -> None:
    unit = {
        "java": "class A { void f() { ",
        "go": "func F() { ",
        "ruby": "def f\n <<A\n#{",
        "rust": "fn f() { ",
        "c": "int f() { ",
        "cpp": "struct A { int f() { ",
        "csharp": "class A { void f() { ",
        "kotlin": "fun f() { ",
        "scala": "def f() = { ",
        "swift": "func f() { ",
    }.get(language, "function f() { ")
    functions(language, "a", ("<?php " + unit * 2_000).encode())
    functions(language, "a", (unit * 2_000).encode())


def test_giant_literal_is_not_a_docstring() -> None:
    content = b"def f():\n    (" + b"1, " * 50_000 + b")\n    return 1\n"
    (actual,) = functions("python", "a.py", content).functions
    assert actual.documentation == ""


@pytest.mark.parametrize("unit", [b"#" * 42, b"# # # # #\n    ", b"# a #\n    ", b"; # #\\\n"])
@pytest.mark.parametrize("ending", [b"", b"\n    return 1\n", b"\n    \\", b"\\x\n"])
@pytest.mark.parametrize("size", [42, 252, 100_000])
def test_comments_after_a_docstring_take_linear_time(unit: bytes, ending: bytes, size: int) -> None:
    """A banner of 42 "#" took over a minute, 18 lines of "# #" 51 s, and twice that per mark."""
    before = b"def f():\n    "
    content = before + b"'Say it.'" + b"\n    " + unit * (size // len(unit)) + ending
    begin = time.process_time()
    code = code_without_docstring(content, 0, len(content), (len(before), len(before) + 9))
    assert time.process_time() - begin < 1
    assert code.startswith(b"def f():\n")


def test_a_banner_after_a_docstring_is_read() -> None:
    for banner in ("#" * 42, "\n    ".join(["# # # # #"] * 18)):
        content = f"def f():\n    'Say it.'\n    {banner}\n    return 1\n"
        (actual,) = functions("python", "a.py", content.encode()).functions
        assert actual.code == f"def f():\n    {banner}\n    return 1"


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (b" # note\n", "def f():\n    pass"),
        (b"; # a # b\n    # c\n", "def f():\n    pass"),
        (b"\n    # a\n    return 1\n", "def f():\n    # a\n    return 1"),
        (b"; return 1 # a\n", "def f():\n    return 1 # a"),
    ],
)
def test_what_follows_a_docstring_stays_what_it_was(rest: bytes, code: str) -> None:
    (actual,) = functions("python", "a.py", b"def f():\n    'Say it.'" + rest).functions
    assert actual.code == code


def test_python_bytes_and_formatted_strings_are_no_docstring() -> None:
    for raw in (b"b'x'", b"rb'x'", b"f'{x}'", b"'a' b'b'", b"('a', 'b')"):
        content = b"def f():\n    " + raw + b"\n    return 1\n"
        (actual,) = functions("python", "a.py", content, want_undocumented=True).functions
        assert actual.code == content.decode().rstrip("\n")
        assert actual.documentation == ""


def test_lone_surrogate_in_a_docstring_stays_encodable() -> None:
    (actual,) = functions("python", "a.py", b"def f():\n    'a \\ud800 b'\n").functions
    assert actual.documentation == "a ? b"


_PIECES = st.sampled_from(
    [
        *("def f():\n    ", '"""d"""', "\n", "\r\n", "  ", "\t", "\f", "\x00", "é", "\u2028", ";"),
        *("# c\n", "// c\n", "/// c\n", "/** d */", "/* c */", "/**", "*/", "=begin\n", "=end\n"),
        *("function f() {", "}", "{", "(", ")", "fn f() {", "func F() {", "class A {", "end\n"),
        *("@d\n", "#[a]\n", '#[doc = "x"]\n', "const f = () => 1", "export ", "private ", "def g"),
        *("<?php ", "package a\n", "public int f() {", "a.b = ", "f(): void;", "'", '"', "\\"),
    ]
)
_TEXTS = st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=30).map("".join))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGE_NAMES)
@given(text=_TEXTS)
def test_random_text_gives_valid_spans(language: str, text: str) -> None:
    content = text.encode("utf-8", "replace")
    result = functions(language, "a", content, want_undocumented=True)
    starts = [function.start_byte for function in result.functions]
    assert starts == sorted(starts)
    for one in result.functions:
        assert 0 <= one.start_byte < one.end_byte <= len(content)
        assert 1 <= one.start_line <= one.end_line <= content.count(b"\n") + 1
        span = content[one.start_byte : one.end_byte].decode("utf-8")
        assert bool(one.documentation) is bool(one.doc_kind)
        if one.documentation:
            assert may_hold_documentation(language, content)
            assert len(one.code) <= len(span) + len("pass")
        else:
            assert one.code == span
        one.documentation.encode("utf-8")
    lean = functions(language, "a", content)
    assert [function.documentation for function in lean.functions] == [
        function.documentation for function in result.functions
    ]


@pytest.mark.parametrize("language", LANGUAGE_NAMES)
@given(content=st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(language: str, content: bytes) -> None:
    may_hold_documentation(language, content)
    try:
        functions(language, "a", content)
    except FunctionsError as error:
        assert error.reason == "not_utf8"


@pytest.mark.slow
@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
@pytest.mark.parametrize("language", LANGUAGE_NAMES)
def test_marker_skip_loses_no_pair_of_real_files(language: str) -> None:
    folder = Path(os.environ["XTROVE_DATA"]) / "the-stack" / "data" / language
    if not folder.is_dir():
        pytest.skip(f"XTROVE_DATA holds no files of {language}")
    lost: list[str] = []
    skipped = documented = 0
    for path in sorted(folder.glob("*.parquet")):
        table = pq.ParquetFile(path).read_row_group(0, columns=["content", "max_stars_repo_path"])
        for row in table.slice(0, 300).to_pylist():
            content = row["content"].encode()
            if len(content) > 200_000:
                continue
            result = functions(language, row["max_stars_repo_path"], content)
            some = any(function.documentation for function in result.functions)
            documented += some
            if not may_hold_documentation(language, content):
                skipped += 1
                lost += [row["max_stars_repo_path"]] * some
    assert lost == []
    assert documented > 0
    assert skipped > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("python", b"# a\ndef f\n"),
        ("python", b"f(a.def_, 'def x')\n"),
        ("ruby", b"# a\ndef f\n"),
        ("ruby", b"call(:def)\n"),
        ("rust", b"/// a\nfn f() {\n"),
        ("rust", b"m!(fn);\n"),
        ("php", b"/** a */\nfunction f\n"),
        ("php", b"$a = 'function';\n"),
    ],
)
def test_keywords_that_begin_no_function_are_linear(language: str, line: bytes) -> None:
    head = b"<?php\n" if language == "php" else b""
    content = head + line * 40_000
    begin = time.process_time()
    with contextlib.suppress(FunctionsError):
        functions(language, "a", content, want_undocumented=True)
    assert time.process_time() - begin < 4
