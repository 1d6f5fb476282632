r"""What a function is for: is it a test, or a method that its language calls by itself?

A name alone decides neither. `is_test`:

- Go: a function `Test…`, `Benchmark…`, `Fuzz…` whose only parameter is a `*testing.T`, `B`, `F` or
  `M`;
- Rust: its attributes (`#[test]`, `#[tokio::test]`, `#[bench]`, `#[cfg(test)]`), the module (see
  `attach`), or a name that starts with `test_` over a body with `assert!`;
- Java: an annotation (`@Test`, `@ParameterizedTest`, ...), PHP: `#[Test]` or `@test` in its
  documentation; both, Python and Ruby: a test's name (`test_sum`, `testSum`) in a class whose bases
  are a test case, with a decorator of a test framework (Python), or with an assertion in the body;
- C#, Kotlin, Scala, Swift: an attribute or annotation (`[Fact]`, `@Test`); these, C and C++: a
  test's name with an assertion in the body (`XCTAssert`), or GoogleTest's macro `TEST_F`;
- JavaScript, TypeScript: never (their tests are callbacks, which are not cut out, in files that
  are refused by their path).

`is_special`: a name the language calls, as a member of an instance, with as many parameters as
the language passes: a static `toString(Object, Style)`, `equals(A, B)`, Ruby's `def self.hash` and
Go's `func String(s *string)` are functions like any other.

Method: regular expressions, on functions with such a name only; parameters are counted in the text
between brackets, so that ready pairs and functions without a tree are judged alike. Cost: 1 us a
function, 20 us one with such a name. Limits: a bracket in a default value that is a string counts;
whether the type of a parameter is the language's own is not looked at, except for Java's `equals`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from extract.text import last_component, word_set

_TEST_NAMES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "python": re.compile(r"test_|test[A-Z]"),
        "java": re.compile(r"test[A-Z_0-9]"),
        "php": re.compile(r"test[A-Z_0-9]"),
        "go": re.compile(r"(?:Test|Benchmark|Fuzz)(?:[A-Z_]|$)"),
        "ruby": re.compile(r"test_"),
        "rust": re.compile(r"test_"),
        "c": re.compile(r"test_|TEST(?:_[A-Z]+)?$"),
        "cpp": re.compile(r"test_|Test[A-Z]|TEST(?:_[A-Z]+)?$"),
        "csharp": re.compile(r"Test[A-Z_0-9]"),
        "kotlin": re.compile(r"test[A-Z_0-9]"),
        "scala": re.compile(r"test[A-Z_0-9]"),
        "swift": re.compile(r"test[A-Z_0-9]"),
    }
)
_C_ASSERTION = re.compile(r"\b(?:ASSERT|EXPECT|CHECK|REQUIRE)\w*\s*\(|\b(?:assert|TEST)\w*\s*\(")
_ASSERTIONS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "python": re.compile(
            r"^[ \t]*+assert\b|\bself\.(?:assert\w+|fail\w*|subTest|skipTest)\(|\bpytest\.\w+\("
            r"|\b(?:assert_\w+|assert_that|expect)\(",
            re.M,
        ),
        "java": re.compile(
            r"\b(?:assert\w+|assumeThat|fail|verify|expect)\s*\(|^[ \t]*+assert\s", re.M
        ),
        "php": re.compile(
            r"(?:\$this->|self::|static::|\bAssert::)(?:assert\w+|expect\w+|fail|markTest\w+)\("
        ),
        "ruby": re.compile(
            r"\b(?:assert(?:_\w+)?|refute(?:_\w+)?|expect|flunk)\b[ (]"
            r"|\.(?:must|wont)_\w+|\.should\b"
        ),
        "rust": re.compile(r"\b(?:debug_)?assert(?:_eq|_ne|_matches)?!"),
        "c": _C_ASSERTION,
        "cpp": _C_ASSERTION,
        "csharp": re.compile(r"\bAssert\.|\.Should\w*\("),
        "kotlin": re.compile(r"\b(?:assert\w*|fail|verify|expect)\s*\("),
        "scala": re.compile(r"\b(?:assert\w*|fail|verify|expect)\s*\(|\bshould\b"),
        "swift": re.compile(r"\bXCT\w+\(|#expect\b"),
    }
)
_ANNOTATIONS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "java": re.compile(r"@(?:\w+\.)*(?:Test|ParameterizedTest|RepeatedTest|TestFactory)\b"),
        "php": re.compile(r"#\[\s*\\?(?:\w+\\)*Test\b"),
        "csharp": re.compile(
            r"\[\s*(?:\w+\.)*(?:Test|TestCase|TestMethod|DataTestMethod|Fact|Theory|Benchmark"
            r"|SetUp|TearDown)(?:Attribute)?\s*[\](,]"
        ),
        "kotlin": re.compile(r"@(?:\w+\.)*(?:Test|ParameterizedTest|RepeatedTest|TestFactory)\b"),
        "scala": re.compile(r"@(?:\w+\.)*Test\b"),
        "swift": re.compile(r"@Test\b"),
    }
)
_PYTHON_DECORATOR = re.compile(
    r"^[ \t]*+@(?:pytest\.mark\b|(?:unittest\.|mock\.)?(?:skip(?:If|Unless)?|patch)\b|given\()",
    re.M,
)
_GO_TEST = re.compile(r"func \w+\(\s*\w+\s+\*testing\.[TBFM]\s*\)")
_DOCUMENTED_TEST = re.compile(r"^[ \t]*+@test\b", re.M)
_RUST_TEST = re.compile(
    r"(?:\s|//[^\n]*\n|#\[(?!\s*cfg\s*\(\s*test\b)(?!\s*(?:\w+\s*::\s*)*(?:test|bench)\b)"
    r"[^\[\]]*+(?:\[[^\[\]]*+\][^\[\]]*+)*\])*"
    r"#\[\s*(?:cfg\s*\(\s*test\b|(?:\w+\s*::\s*)*(?:test|bench)\b)"
)
_HERITAGE = re.compile(r"(?:TestCase|Tests?)\b")

_ANY = (0, 99)
_PYTHON_SPECIAL = word_set(
    "new init del repr str bytes format lt le eq ne gt ge hash bool nonzero getattr getattribute"
    " setattr delattr dir get set delete set_name init_subclass prepare mro_entries instancecheck"
    " subclasscheck subclasshook class_getitem call len length_hint getitem setitem delitem missing"
    " iter next reversed contains add sub mul matmul truediv floordiv mod divmod pow lshift rshift"
    " and xor or radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand"
    " rxor ror iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior"
    " neg pos abs invert complex int float index round trunc floor ceil enter exit await aiter"
    " anext aenter aexit buffer release_buffer reduce reduce_ex getstate setstate getnewargs"
    " getnewargs_ex copy deepcopy replace sizeof fspath unicode long cmp coerce div rdiv idiv"
    " getslice setslice delslice oct hex post_init"
)
_ECMASCRIPT = {
    "constructor": _ANY,
    "toString": (0, 0),
    "toLocaleString": (0, 2),
    "valueOf": (0, 0),
    "toJSON": (0, 1),
}
_JVM_OBJECT = {"toString": (0, 0), "hashCode": (0, 0), "equals": (1, 1), "compareTo": (1, 1)}
_SPECIAL: Mapping[str, Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "python": {f"__{name}__": _ANY for name in _PYTHON_SPECIAL},
        "java": {
            "toString": (0, 0),
            "hashCode": (0, 0),
            "equals": (1, 1),
            "finalize": (0, 0),
            "clone": (0, 0),
            "compareTo": (1, 1),
        },
        "javascript": _ECMASCRIPT,
        "typescript": _ECMASCRIPT,
        "tsx": _ECMASCRIPT,
        "php": {
            "__construct": _ANY,
            "__destruct": (0, 0),
            "__call": (2, 2),
            "__callStatic": (2, 2),
            "__get": (1, 1),
            "__set": (2, 2),
            "__isset": (1, 1),
            "__unset": (1, 1),
            "__sleep": (0, 0),
            "__wakeup": (0, 0),
            "__serialize": (0, 0),
            "__unserialize": (1, 1),
            "__toString": (0, 0),
            "__invoke": _ANY,
            "__set_state": (1, 1),
            "__clone": (0, 0),
            "__debugInfo": (0, 0),
        },
        "ruby": {
            "initialize": _ANY,
            "initialize_copy": (1, 1),
            "to_s": (0, 0),
            "to_str": (0, 0),
            "inspect": (0, 0),
            "hash": (0, 0),
            "eql?": (1, 1),
            "==": (1, 1),
            "===": (1, 1),
            "<=>": (1, 1),
            "!=": (1, 1),
            "clone": (0, 1),
            "dup": (0, 0),
            "method_missing": (1, 99),
            "respond_to_missing?": (1, 2),
        },
        "go": {"String": (0, 0), "Error": (0, 0), "GoString": (0, 0), "init": (0, 0)},
        "csharp": {
            "ToString": (0, 0),
            "GetHashCode": (0, 0),
            "Equals": (1, 1),
            "CompareTo": (1, 1),
        },
        "kotlin": _JVM_OBJECT,
        "scala": _JVM_OBJECT,
        "swift": {"hash": (1, 1), "encode": (1, 1), "==": (2, 2)},
    }
)
"""Names a language calls, with the least and the most parameters it calls them with."""
_STATIC = MappingProxyType({"php": frozenset(("__callStatic", "__set_state"))})
_BARE = ("function", "const", "let", "var")
"""What stands in front of the name of a function that is no member."""
_JAVA_OBJECT = re.compile(r"\bObject\s+\w+$")
_SWIFT_LABELS = {"hash": "into ", "encode": "to "}
"""The label of the parameter with which Swift calls a method of this name."""
_GO_STRING = re.compile(r"\(\s*\)\s*string\b")
_OPENING, _CLOSING = "([{<", ")]}>"
_HEADER = 4000
_NEAR = 80


def is_test(name: str, language: str, code: str, *, documentation: str = "", known: bool) -> bool:
    """Whether a function is a test; `known`: the tree said so already (module or base class)."""
    if known:
        return True
    if language == "rust" and _RUST_TEST.match(code) is not None:
        return True
    header = code[:_HEADER]
    annotation = _ANNOTATIONS[language].search(header) if language in _ANNOTATIONS else None
    if annotation is not None and annotation.start() < len(_before_body(header)):
        return True
    if language == "php" and _DOCUMENTED_TEST.search(documentation) is not None:
        return True
    if not has_test_name(name, language):
        return False
    if language == "go":
        return _GO_TEST.match(code) is not None
    if language == "python" and _PYTHON_DECORATOR.search(header) is not None:
        return True
    return _ASSERTIONS[language].search(code) is not None


def has_test_name(name: str, language: str) -> bool:
    """Whether `name` is a test's by the convention of `language`; JavaScript has none, and a
    method called `test` is a predicate."""
    pattern = _TEST_NAMES.get(language)
    return pattern is not None and pattern.match(last_component(name)) is not None


def is_test_heritage(heritage: str) -> bool:
    """Whether a class with these bases (`class A(unittest.TestCase)`) is a test case."""
    return _HERITAGE.search(heritage) is not None


def is_special(name: str, language: str, code: str) -> bool:
    """Whether `language` calls this function by itself."""
    name = last_component(name)
    bounds = _SPECIAL.get(language, {}).get(name)
    if bounds is None:
        return False
    if language == "python":
        return True
    code = code[:_HEADER]
    at = _name_place(name, language, code)
    if at < 0:
        return True
    before, after = code[:at], code[at + len(name) :]
    if not _is_member(name, language, before):
        return False
    if language == "go" and name != "init":
        return _GO_STRING.match(after) is not None
    parameters = _parameters(after, language)
    if not bounds[0] <= len(parameters) <= bounds[1]:
        return False
    if language == "swift" and name in _SWIFT_LABELS:
        return parameters[0].startswith(_SWIFT_LABELS[name])
    is_java_equals = language == "java" and name == "equals"
    return not is_java_equals or _JAVA_OBJECT.search(parameters[0]) is not None


def _name_place(name: str, language: str, code: str) -> int:
    """Where the function is named: the first word that is its name; -1 where there is none."""
    at = -1
    while (at := code.find(name, at + 1)) >= 0:
        end = at + len(name)
        # A receiver of Go may have the type `Error`: what is named is called with brackets.
        if language in ("go", "java", "php"):
            whole = code[end : end + _NEAR].lstrip()[:1] == "("
        else:
            whole = not _goes_on(code[end : end + 1], "$?!")
        if whole and not _goes_on(code[at - 1 : at] if at else "", "$"):
            return at
    return -1


def _goes_on(character: str, more: str) -> bool:
    """Whether a character may stand in a name; `more` are those that are no letters."""
    return character.isalnum() or character == "_" or (bool(character) and character in more)


def _is_member(name: str, language: str, before: str) -> bool:
    """Whether what stands in front of the name makes it a member of an instance."""
    if language == "ruby":
        return before.rstrip().endswith("def")
    if language == "go":
        method = re.match(r"func\s*\(", before) is not None
        return method != (name == "init")
    static = re.search(r"\bstatic\b", before) is not None
    if language == "swift" and name == "==":
        return True
    if language == "php":
        return static == (name in _STATIC["php"])
    if language in ("javascript", "typescript", "tsx"):
        return not static and before.rstrip(" \t\n*").split()[-1:] not in ([word] for word in _BARE)
    return not static


def _parameters(after: str, language: str) -> list[str]:
    """The parameters in the text behind a function's name, as they are written."""
    if language == "ruby" and not after.lstrip(" ").startswith("("):
        line = after.partition("\n")[0].partition(";")[0].partition("#")[0].strip()
        return [part for part in line.split(",") if part.strip()] if line[:1] != "=" else []
    if language == "scala" and not after.lstrip().startswith(("(", "[")):
        return []
    start = after.find("(")
    if start < 0 or "=>" in after[:start]:
        return ["x"]
    parameters, depth, last = [], 0, start + 1
    for at in range(start, len(after)):
        character = after[at]
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING and after[at - 1 : at + 1] not in ("=>", "->"):
            depth -= 1
            if depth == 0:
                parameters.append(after[last:at])
                break
        elif character == "," and depth == 1:
            parameters.append(after[last:at])
            last = at + 1
    return [part.strip() for part in parameters if part.strip()]


def _before_body(header: str) -> str:
    """The text up to the first brace that no bracket surrounds: modifiers, annotations, name."""
    depth = 0
    for at, character in enumerate(header):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "{" and depth == 0:
            return header[:at]
    return header
