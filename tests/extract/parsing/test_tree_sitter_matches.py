"""What is found without a walk through the bodies is what a walk through all of the tree finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.parsing.doc_comments import Found, found_functions
from extract.parsing.languages import LANGUAGES
from extract.parsing.tree_sitter_matches import matches
from extract.parsing.tree_sitter_parse import Parsed, parse

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = {
    "php": """<?php
/** Outer. */
function outer() {
    return array_map(function ($x) {
        if (!function_exists('inner')) {
            /** Inner, in a closure. */
            function inner($y) { return $y + 1; }
        }
        return new class {
            /** Of a class without a name. */
            public /* b */ static FUNCTION method() { return 1; }
            public /** In the head. */ function other() { return 2; }
        };
    }, [1]);
}
namespace A { namespace B; class C { class_exists('function'); public /** Head. */ #[A(/* x */)]
    function deep() { return 3; } } }
""",
    "python": '''
def outer():
    """Outer; the word def stands here."""
    if x:
        for y in z:
            with a:
                @decorated
                def inner(default=1):
                    """Inner."""
                    return [def_ for def_ in ()]
                class C:
                    async def method(self):
                        """Method."""
                        text = "def f(): pass"
''',
    "ruby": """
module A
  module B
    class C
      describe "def x" do
        # Deep.
        private memoize def deep(default: 1)
          undefined = :def
        end
        sig { void }
        # Below a signature.
        def self.default; 1; end
      end
    end
  end
end
def x # def y
  define_method(:a) { # Inner.
    def z; end }
end
""",
    "rust": r"""
/// Outer fn.
fn outer() {
    let f = |x| {
        #[cfg(test)]
        mod tests {
            mod deep {
                impl A {
                    /// Inner.
                    #[inline]
                    fn inner(&self) { let s = "fn f() {}"; /* fn g */ }
                }
            }
        }
    };
}
struct S { f: fn(u8) -> u8 }
trait T { /// Only signed.
    fn signed(); /// With a body.
    fn given() -> fn() { panic!("fn") } }
macro_rules! m { () => { fn made() {} } }
""",
}


def whole(parsed: Parsed) -> list[Found]:
    return found_functions(
        parsed.language, parsed.content, parsed.tools.cursor.matches(parsed.root)
    )


def facts(found: list[Found]) -> list[object]:
    return [(f.own, f.start, f.end, f.name, f.documentation, f.in_tests) for f in found]


SOURCES = [
    *((name, text.encode()) for name, text in SAMPLES.items()),
    *(
        (path.parent.name, path.read_bytes())
        for path in sorted(GOLDEN.glob("*/*"))
        if path.suffix != ".json"
    ),
]


@pytest.mark.parametrize(("language", "content"), SOURCES)
def test_every_function_is_found_with_what_stands_around_it(language: str, content: bytes) -> None:
    assert language in LANGUAGES
    parsed = parse(language, "", content)
    result = found_functions(parsed.language, content, matches(parsed))
    assert facts(result) == facts(whole(parsed))
    assert result
