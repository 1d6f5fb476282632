"""Names with their owners, in every language we cut."""

from __future__ import annotations

import pytest

from evaluate.spec.owners import qualified_names
from extract.parsing.function_finder import functions

CASES = {
    "python": (
        "class A:\n    class B:\n        def f(self):\n            def g(): return 1\n"
        "            return g\n",
        ["A.B.f", "A.B.f.g"],
    ),
    "java": (
        "class A { int f() { return 1; } interface I { default int g() { return 2; } } "
        "enum E { X; int h() { return 3; } } record R(int a) { int k() { return a; } } }",
        ["A.f", "A.I.g", "A.E.h", "A.R.k"],
    ),
    "go": (
        "package p\nfunc f() int { return 1 }\nfunc (t *Tree[K]) Find(k K) int { return 1 }\n"
        "func (c Cup) Fill() {}\n",
        ["f", "Tree.Find", "Cup.Fill"],
    ),
    "php": (
        "<?php class A { function f() { return 1; } } trait T { function g() { return 2; } } "
        "interface I {} function h() { return 3; }",
        ["A.f", "T.g", "h"],
    ),
    "javascript": (
        "class A { f() { return 1; } }\nfunction g() { function h() { return 1; } return h; }\n",
        ["A.f", "g", "g.h"],
    ),
    "typescript": (
        "abstract class A<T> { f(): number { return 1; } }\nnamespace N { function g() {} }\n",
        ["A.f", "N.g"],
    ),
    "ruby": (
        "module M\n  class A\n    def f\n      1\n    end\n  end\nend\n"
        "class N::B\n  def g; 2; end\nend\n",
        ["M.A.f", "B.g"],
    ),
    "cpp": (
        "namespace n { class A { int f() { return 1; } }; struct B { void g() { f(); } }; }\n"
        "int A::h() { return 1; }\n",
        ["n.A.f", "n.B.g", "h"],
    ),
    "csharp": (
        "namespace N { record R { int F() => 1; } interface I { int G() => 2; } }",
        ["R.F", "I.G"],
    ),
    "kotlin": ("class A {\n  object B {\n    fun f() = 1\n  }\n}\nfun g() = 2\n", ["A.B.f", "g"]),
    "scala": ("object O {\n  trait T {\n    def f = 1\n  }\n}\n", ["O.T.f"]),
    "swift": (
        "struct S {\n  func f() { g() }\n}\nextension S {\n  func h() { g() }\n}\n",
        ["S.f", "S.h"],
    ),
    "rust": (
        "mod m { impl<T> Tree<T> { fn find(&self) -> i32 { 1 } } }\n"
        "trait Pour { fn pour(&self) { } }\nimpl fmt::Display for Cup { fn fmt(&self) { } }\n",
        ["m.Tree.find", "Pour.pour", "Cup.fmt"],
    ),
}


@pytest.mark.parametrize("language", sorted(CASES))
def test_owners(language: str) -> None:
    text, expected = CASES[language]
    content = text.encode()
    result = functions(language, "x", content, want_undocumented=True).functions
    names = qualified_names(language, "x", content, result)
    assert [".".join(name) for name in names] == expected


def test_a_file_that_is_not_parsed_has_no_owners() -> None:
    content = b"(" * 5000
    assert qualified_names("python", "x.py", content, ()) == []
