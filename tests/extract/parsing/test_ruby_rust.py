"""What stands between documentation and code in Ruby, and what makes a Rust function a test."""

from __future__ import annotations

import pytest

from extract.options import ExtractOptions, FilterOptions
from extract.parsing.function_finder import functions, may_hold_documentation
from extract.pipeline.extraction import extract_file
from ingest.records import SourceFile

DEF = "def add(first, second)\n  carry = first & second\n  (first ^ second) + (carry << 1)\nend\n"


def documented(language: str, text: str) -> dict[str, str]:
    result = functions(language, "", text.encode()).functions
    return {one.name: one.documentation for one in result}


def source_file(language: str, path: str, text: str) -> SourceFile:
    return SourceFile(
        source="here",
        row=0,
        repo="o/r",
        path=path,
        revision="",
        language=language,
        content=text.encode(),
        licenses=("MIT",),
        license_evidence="told",
        url="",
        stars=-1,
        source_revision="",
    )


@pytest.mark.parametrize(
    "between",
    [
        "sig { params(first: Integer, second: Integer).returns(Integer) }\n",
        "sig do\n  params(first: Integer)\n    # a comment of the signature\n    .void\nend\n",
        "sig(:final) { void }\n",
        "T::Sig::WithoutRuntime.sig { void }\n",
        "# @!visibility private\n",
        "# :method: add\n",
        "# :singleton-method:\n# :category: Sums\nsig { void }\n",
    ],
)
def test_signatures_and_directives_leave_the_documentation_whole(between: str) -> None:
    text = f"# Adds two numbers bit by bit.\n{between}{DEF}"
    assert may_hold_documentation("ruby", text.encode())
    (one,) = functions("ruby", "", text.encode()).functions
    assert one.documentation == "Adds two numbers bit by bit."
    assert one.code == DEF.rstrip()


def test_what_is_no_signature_keeps_its_comment() -> None:
    for between in ("register { sum }\n", "sig = 1\n", "sig { void }\n\nattr_reader :x\n"):
        assert documented("ruby", f"# Not of it.\n{between}{DEF}") == {"add": ""}
    assert documented("ruby", f"# @!visibility private\n{DEF}") == {"add": ""}
    assert documented("ruby", f"# call-seq: see :method: below\n{DEF}")["add"] != ""


def test_yard_tags_alone_give_what_they_say_of_the_result() -> None:
    text = f"# @param first [Integer] a number\n# @return [Integer, nil] the sum of both\n{DEF}"
    (pair,) = extract_file(source_file("ruby", "a.rb", text), ExtractOptions()).pairs
    assert (pair.query, pair.query_source) == ("the sum of both", "returns")


RUST = """
/// Adds two numbers bit by bit.
pub fn real(first: u32, second: u32) -> u32 { let carry = first & second; (first ^ second) + carry }

/// Checks that the sum of two numbers is right.
#[test]
fn it_adds() { let found = real(1, 2); assert_eq!(found, 3); assert_ne!(found, 4); }

#[cfg(test)]
#[allow(unused)]
mod tests {
    mod deeper {
        /// Makes the numbers that the others compare.
        fn helper() -> Vec<u32> { let mut made = Vec::new(); made.push(1); made.push(2); made }
    }
}

#[cfg(not(test))]
mod shipped {
    /// Subtracts one number from the other one.
    fn also_real(first: u32, second: u32) -> u32 { let kept = first; kept - second - 0 + 0 }
}
"""


def test_rust_tests_are_known_by_attribute_and_module() -> None:
    result = extract_file(source_file("rust", "src/a.rs", RUST), ExtractOptions())
    assert [pair.name for pair in result.pairs] == ["real", "also_real"]
    refused = [(drop.name, drop.reason) for drop in result.dropped]
    assert refused == [("it_adds", "test_code"), ("helper", "test_code")]
    kept = ExtractOptions(filters=FilterOptions(tests="keep"))
    names = [pair.name for pair in extract_file(source_file("rust", "src/a.rs", RUST), kept).pairs]
    assert names == ["real", "it_adds", "helper", "also_real"]
    whole = "#![cfg(test)]\n" + RUST
    assert extract_file(source_file("rust", "src/a.rs", whole), ExtractOptions()).pairs == ()
