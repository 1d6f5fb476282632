"""What functions stand in, in every language we cut."""

from __future__ import annotations

import pytest

from extract.parsing.function_finder import functions

CASES = {
    "python": (
        "class A:\n    class B(C):\n        @one\n        def f(self):\n"
        "            def g(): return 1\n"
        "            return g\n    def h(self): pass\ndef k():\n    class L:\n"
        "        async def m(self): pass\n",
        ["A.B.f", "A.B.f.g", "A.h", "k", "k.L.m"],
    ),
    "java": (
        "class A<T> { A() {} int f() { return 1; } interface I { default int g() { return 2; } } "
        "enum E { X; int h() { return 3; } } record R(int a) { R {} int k() { return a; } }\n"
        "void l() { new Runnable() { public void run() {} }; } }",
        ["A.A", "A.f", "A.I.g", "A.E.h", "A.R.R", "A.R.k", "A.l", "A.l.run"],
    ),
    "go": (
        "package p\nfunc f() int { return 1 }\nfunc (t *Tree[K]) Find(k K) int { return 1 }\n"
        "func (c Cup) Fill() {}\nfunc (Cup) Find() {}\n",
        ["f", "Tree.Find", "Cup.Fill", "Cup.Find"],
    ),
    "php": (
        "<?php class A { function f() { return 1; } } trait T { function g() { return 2; } } "
        "interface I {} enum E { case X; function k() {} } function h() { return 3; }",
        ["A.f", "T.g", "E.k", "h"],
    ),
    "javascript": (
        "class A { f() { return 1; } }\nfunction g() { function h() { return 1; } return h; }\n"
        "const store = { get() { return 1; }, put: function () {} };\nconst B = class { k() {} };\n"
        "Tree.prototype.walk = function () { function step() {} };\nexports.l = function () {};\n"
        "app.router.m = () => 1;\nList.prototype = { n() {} };\nexport default { o() {} };\n",
        ["A.f", "g", "g.h", "store.get", "store.put", "B.k", "Tree.walk", "Tree.walk.step", "l",
         "app.router.m", "List.n", "o"],
    ),
    "typescript": (
        "abstract class A<T> { f(): number { return 1; } g = () => 2; }\n"
        "export namespace N.M { export function h() {} class B { k() {} } }\n",
        ["A.f", "A.g", "N.M.h", "N.M.B.k"],
    ),
    "ruby": (
        "module M\n  class A < B\n    def f\n      1\n    end\n    class << self\n"
        "      def k; end\n    end\n    private def l; end\n  end\nend\n"
        "class N::B\n  def self.g; 2; end\nend\nPoint = Struct.new(:x) do\n  def h; end\nend\n",
        ["M.A.f", "M.A.k", "M.A.l", "N.B.g", "Point.h"],
    ),
    "cpp": (
        "namespace n { class A { int f() { return 1; } }; struct B { void g() { f(); } }; }\n"
        "int A::h() { return 1; }\ntemplate <> struct C<int> { int k() { return 1; } };\n",
        ["n.A.f", "n.B.g", "h", "C.k"],
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
        "trait Pour { fn pour(&self) { } }\nimpl fmt::Display for a::Cup { fn fmt(&self) { } }\n"
        "fn f() { fn g() {} }\n",
        ["m.Tree.find", "Pour.pour", "Cup.fmt", "f", "f.g"],
    ),
}  # fmt: skip


def _qualified(language: str, content: bytes) -> list[str]:
    result = functions(language, "x", content, want_undocumented=True)
    return [".".join((*function.scope, function.name)) for function in result.functions]


@pytest.mark.parametrize("language", sorted(CASES))
def test_scopes(language: str) -> None:
    text, expected = CASES[language]
    assert _qualified(language, text.encode()) == expected


def test_the_innermost_names_are_kept_and_no_long_ones() -> None:
    nested = (
        "".join(f"{' ' * level}class C{level}:\n" for level in range(12)) + " " * 12 + "def f()"
    )
    assert _qualified("python", f"{nested}: 1\n".encode()) == ["C4.C5.C6.C7.C8.C9.C10.C11.f"]
    long = f"class A:\n class {'B' * 201}:\n  def f(): 1\n"
    assert _qualified("python", long.encode()) == ["A.f"]
