"""Files that their grammar does not accept: repaired where that is sound, else no function whose
bounds are in doubt."""

from __future__ import annotations

import time

import pytest

from extract.parsing.function_finder import FileFunctions, functions
from extract.parsing.repair import repaired

SUFFIX = {
    "python": "py", "java": "java", "go": "go", "php": "php", "javascript": "js", "ruby": "rb",
    "rust": "rs", "typescript": "ts",
}  # fmt: skip


def read(language: str, text: str) -> FileFunctions:
    return functions(language, f"a.{SUFFIX[language]}", text.encode(), want_undocumented=True)


def bounds(result: FileFunctions) -> dict[str, tuple[int, int]]:
    return {
        function.name: (function.start_line, function.end_line) for function in result.functions
    }


RUBY = "class A\n{first}\n\n  # Adds one.\n  def second(a)\n    b = a\n    b + 1\n  end\nend\n"


@pytest.mark.parametrize(
    "first",
    [
        "  def first(a, &)\n    log a\n    each_of a, &\n  end",
        "  def first(a, &)\n    each_of a, & # the block\n  end",
        "  def first(a, &)\n    each_of(a, &)\n    x = 1\n  end",
        "  def first\n    t = <<~OUT\n      a\n      #{\n        <<~IN\n          b\n        IN\n"
        "      }\n    OUT\n    t\n  end",
        "  def first(a) = puts a\n",
        "  def first = raise ArgumentError, 'no'\n",
        "  def first(a) = render json: a\n",
    ],
)
def test_ruby_that_the_grammar_does_not_read(first: str) -> None:
    text = RUBY.format(first=first)
    result = read("ruby", text)
    assert not result.has_error
    assert result.untrusted == 0
    actual = bounds(result)
    last = first.rstrip("\n").count("\n")
    assert actual["first"] == (2, 2 + last)
    start = text[: text.index("  def second")].count("\n") + 1
    assert actual["second"] == (start, start + 3)
    codes = {function.name: function.code for function in result.functions}
    assert codes["first"] == first.strip(), "the code is that of the file, not of the repair"


@pytest.mark.parametrize(
    ("language", "text", "name", "lines"),
    [
        (
            "java",
            "class A {\n  int f(String @Nullable [] a) {\n    int b = 1;\n    return b;\n  }\n}\n",
            "f",
            (2, 5),
        ),
        (
            "java",
            "class A {\n  void f(Object @Size(max = 3) ... a) {\n    go(a);\n  }\n}\n",
            "f",
            (2, 4),
        ),
        (
            "typescript",
            "function f(xs: X[]) {\n  for (using x of xs) {\n    go(x);\n  }\n}\n",
            "f",
            (1, 5),
        ),
        (
            "typescript",
            "async function f() {\n  await using x = open();\n  go(x);\n}\n",
            "f",
            (1, 4),
        ),
        (
            "javascript",
            "function f() {\n  using x = open();\n  go(x);\n}\n",
            "f",
            (1, 4),
        ),
        (
            "typescript",
            "interface A<in T, out U> {}\nfunction f(): number {\n  go();\n  return 1;\n}\n",
            "f",
            (2, 5),
        ),
        (
            "typescript",
            'export type * from "./a";\nfunction f(): number {\n  go();\n  return 1;\n}\n',
            "f",
            (2, 5),
        ),
        (
            "php",
            "<?php\nclass A {\n  public private(set) int $x = 1;\n"
            "  function f() {\n    go();\n  }\n}\n",
            "f",
            (4, 6),
        ),
    ],
)
def test_other_languages(language: str, text: str, name: str, lines: tuple[int, int]) -> None:
    result = read(language, text)
    assert not result.has_error
    assert bounds(result)[name] == lines


@pytest.mark.parametrize("language", sorted(SUFFIX))
def test_a_repair_keeps_every_offset(language: str) -> None:
    text = (
        b"a << <<~X, <<-Y\n one\nX\n two\nY\nf a, &\n@A(1) [] using x of <in T, out U> "
        b"export type * private(set)\r\n"
    )
    masked = repaired(language, text)
    assert len(masked) == len(text)
    newlines = [at for at, byte in enumerate(text) if byte in b"\r\n"]
    assert [at for at, byte in enumerate(masked) if byte in b"\r\n"] == newlines


RUST = """cfg_net! {
    /// Binds.
    pub fn bind() -> u32 {
        1
    }

    cfg_inner! {
        fn inner() -> u32 {
            2
        }
    }
}
impl A {
    cfg_io! {
        fn read_all(&mut self) {
            go();
        }
    }
}
vec_of! { fn a | b }
fn outside() {
    assert!(x);
}
"""


def test_functions_inside_item_macros() -> None:
    actual = bounds(read("rust", RUST))
    assert actual == {"bind": (3, 5), "inner": (8, 10), "read_all": (15, 17), "outside": (21, 23)}
    documented = {
        function.name: function.documentation for function in read("rust", RUST).functions
    }
    assert documented["bind"] == "Binds."


BROKEN = {
    "python": "def first(a):\n    b = (a\n    return b\n\n\n"
    "def second(a):\n    c = a\n    return c\n",
    "java": "class A {\n  int first(int a) {\n    int b = = a;\n    return b;\n  }\n\n"
    "  int second(int a) {\n    int c = a;\n    return c;\n  }\n}\n",
    "go": "package a\n\nfunc first(a int) int {\n\tb := := a\n\treturn b\n}\n\n"
    "func second(a int) int {\n\tc := a\n\treturn c\n}\n",
    "php": "<?php\nfunction first($a) {\n  $b = = $a;\n  return $b;\n}\n\n"
    "function second($a) {\n  $c = $a;\n  return $c;\n}\n",
    "javascript": "function first(a) {\n  let b = = a;\n  return b;\n}\n\n"
    "function second(a) {\n  let c = a;\n  return c;\n}\n",
    "ruby": "def first(a)\n  b = = a\n  b\nend\n\ndef second(a)\n  c = a\n  c\nend\n",
    "rust": "fn first(a: u32) -> u32 {\n    let b = = a;\n    b\n}\n\n"
    "fn second(a: u32) -> u32 {\n    let c = a;\n    c\n}\n",
    "typescript": "function first(a: X) {\n  let b = = a;\n  return b;\n}\n\n"
    "function second(a: X) {\n  let c = a;\n  return c;\n}\n",
}


@pytest.mark.parametrize("language", sorted(BROKEN))
def test_a_broken_function_goes_and_its_neighbour_stays_whole(language: str) -> None:
    text = BROKEN[language]
    result = read(language, text)
    assert result.has_error
    assert "first" not in bounds(result)
    for function in result.functions:
        assert function.name == "second"
        assert "first" not in function.code
        assert function.code.count("c") >= 2
        assert text.rstrip("}\n").endswith(function.code.rstrip("}\n"))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        # The end of `first` is eaten by what stands open in it: it swallows `second`.
        ("ruby", "def first(a)\n  if a\n  b\nend\n\ndef second(a)\n  c = a\n  c\nend\n"),
        (
            "javascript",
            "function first(a) {\n  if (a) {\n  b();\n}\n\nfunction second(a) {\n  c();\n}\n",
        ),
        (
            "java",
            "class A {\n  void first() {\n    if (a) {\n    b();\n  }\n\n"
            "  void second() {\n    c();\n  }\n}\n",
        ),
        ("go", "package a\n\nfunc first() {\n\tif a {\n\tb()\n}\n\nfunc second() {\n\tc()\n}\n"),
        ("rust", "fn first() {\n    if a {\n    b();\n}\n\nfn second() {\n    c();\n}\n"),
        (
            "php",
            "<?php\nfunction first() {\n  if ($a) {\n  b();\n}\n\nfunction second() {\n  c();\n}\n",
        ),
    ],
)
def test_no_function_swallows_its_neighbour(language: str, text: str) -> None:
    for function in read(language, text).functions:
        other = "second" if function.name == "first" else "first"
        assert other not in function.code


def test_what_is_left_out_is_counted() -> None:
    text = BROKEN["javascript"]
    result = read("javascript", text)
    assert result.untrusted + len(result.functions) == 2


CONDITIONS = """#ifdef __cplusplus
extern "C" {
#endif
/** Opens it. */
MY_API int first(int a)
{
#if A
    if (a) {
#elif B
    if (b) {
#else
    if (c) {
#endif
        return 1;
    }
    return 2;
}
#if 0
/** Never seen. */
int never(void) { return 3; }
# else /* c */
/** Taken where the first is not. */
int second(void) { return 4; }
#endif
#ifdef __cplusplus
}
#endif
"""


def test_one_branch_of_each_condition_is_read() -> None:
    found = functions("c", "a.c", CONDITIONS.encode())
    assert not found.has_error
    assert [
        (one.name, one.documentation, one.start_line, one.end_line) for one in found.functions
    ] == [
        ("first", "Opens it.", 5, 17),
        ("second", "Taken where the first is not.", 23, 23),
    ]
    # What stands between is cut out of the file as it was.
    first = found.functions[0].code
    assert first.startswith("MY_API int first") and "#elif B\n    if (b) {" in first


@pytest.mark.parametrize("unit", [b"#if A\n", b"#endif\n", b"#else\n", b"#if A\\\n", b"A_B ", b"#"])
def test_conditions_take_linear_time(unit: bytes) -> None:
    content = unit * (200_000 // len(unit))
    begin = time.process_time()
    assert len(repaired("cpp", content)) == len(content)
    assert time.process_time() - begin < 1
