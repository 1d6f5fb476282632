"""Queries from documentation: hand-worked cases, hostile sizes, idempotence."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.text.query import cut_query, fold, normalise_query
from extract.text.sentences import without_addresses


@pytest.mark.parametrize(
    ("documentation", "language", "query"),
    [
        ("Return the user.\n\n:param x: y", "python", "Return the user."),
        ("Sum the two numbers.\n:param a: one\n:return: c", "python", "Sum the two numbers."),
        ("Fetch one page.\n\nArgs:\n    url: where", "python", "Fetch one page."),
        ("Fetch one page of it.\nRaises: IOError", "python", "Fetch one page of it."),
        ("Solve it now, please\n\nParameters\n---------\nx : y", "python", "Solve it now, please"),
        ("Sort.\n\nStable for equal keys.\n\nMore.", "python", "Sort. Stable for equal keys."),
        ("Convert it to text::\n\n    f(x)", "python", "Convert it to text"),
        ("Add two numbers here.\n>>> add(1, 2)\n3", "python", "Add two numbers here."),
        ("A longer title\n==============\n\nThe text.", "python", "A longer title The text."),
        ("See :class:`~a.b.Client` and :func:`run`.", "python", "See Client and run."),
        ("Use ``x`` or `name <target>` for it.", "python", "Use x or name for it."),
        ("Joins {@link Foo#bar(int, int) the bar} to {@code List<String>}.", "java",
         "Joins the bar to List<String>."),
        ("Returns {@link Foo#bar}.\n<p>Second paragraph.", "java", "Returns Foo.bar."),
        ("<b>Note</b> that a &lt; b<br/>holds &amp; stays.", "java",
         "Note that a < b holds & stays."),
        ("{@inheritDoc} Adds a cache to it.", "java", "Adds a cache to it."),
        ("Parses [`Vec<u8>`] into [Token](crate::Token).\n\n# Examples\n\nx", "rust",
         "Parses Vec<u8> into Token."),
        ("<summary>Opens a file by name.</summary>\n<param name=\"a\">b</param>", "csharp",
         "Opens a file by name."),
        ("call-seq:\n  foo(a) -> b\n\nReturns the +name+ of it.", "ruby",
         "Returns the name of it."),
        ("Parse a date. See https://example.org/x for more.", "go", "Parse a date."),
        ("Implements the scheme of https://example.org/x in full.", "go",
         "Implements the scheme in full."),
        ("-----------------\nOpens the door.\n-----------------", "go", "Opens the door."),
        ("* Opens the door:", "go", "Opens the door"),
        ("Cafe\u0301 opens at\u00a0noon\u200b today", "go", "Caf\u00e9 opens at noon today"),
        ("Zero\x00width\x1b bytes go", "go", "Zerowidth bytes go"),
        ("Converts the []byte slice of a map[string]int to s[i] and bits[n].", "go",
         "Converts the []byte slice of a map[string]int to s[i] and bits[n]."),
        ("Like [Reader.Read] and [io.EOF] of [*Reader]: `m[i][j]` in [3][4]int or [][]byte.", "go",
         "Like Reader.Read and io.EOF of *Reader: m[i][j] in [3][4]int or [][]byte."),
        ("Reads &[u8], &mut [T] and Box<[u8]> at s[i], `[T]` too.", "rust",
         "Reads &[u8], &mut [T] and Box<[u8]> at s[i], [T] too."),
        ("Wraps [`Vec`]s of [Token]s, [`[u8]`], [the parser][p] and [crate::Kind].", "rust",
         "Wraps Vecs of Tokens, [u8], the parser and crate::Kind."),
        ("@param x the thing", "java", ""),
        ("", "go", ""),
        ("---\n***", "ruby", ""),
    ],
)  # fmt: skip
def test_hand_worked(documentation: str, language: str, query: str) -> None:
    normalised = normalise_query(documentation, language, "doc_comment")
    assert normalised.text == query


@pytest.mark.parametrize(
    ("documentation", "language", "source", "query"),
    [
        ("@param {x} y\n@description Adds\nthe two.\n@return {z}", "javascript", "description",
         "Adds the two."),
        ("@param {x} y\n@return {Promise<{a: T}>} the new user\n@private", "javascript", "returns",
         "the new user"),
        ("@param int $a\n@return string|null The name of it", "php", "returns",
         "The name of it"),
        ("@return [String] the name of it", "ruby", "returns", "the name of it"),
        (":param x: y\n:returns: the sum of it", "python", "returns", "the sum of it"),
        ("Returns:\n    bool: True when it is empty.", "python", "returns",
         "True when it is empty."),
        ("@return {string}\n@private", "javascript", "documentation", ""),
        ("@return {never closed", "javascript", "documentation", ""),
    ],
)  # fmt: skip
def test_only_tags(documentation: str, language: str, source: str, query: str) -> None:
    normalised = normalise_query(documentation, language, "doc_comment")
    assert (normalised.source, normalised.text) == (source, query)


def test_a_plain_comment_has_no_tags() -> None:
    assert normalise_query("@return {T} the thing", "javascript", "line_comment").text == ""


HOSTILE = [
    "{@a", "{@a ", "[", "[a](", "<", "<a ", "`", "http://", "a. ", " ", "*", "**a", "<!--",
    ":a:`", "\n", "x\n", "@return {", "- ", "a", ".\t", "\u0301", "`a<", "`a <", "`" + " " * 999,
    "+a", "<br", ":param ",
    "*a* ", "_a", "**a**", "`a`", "``", "[[a]", "[a](b(", "{a}[", "{A", "<tt>", "<tt>a", "<code><",
    "http://a ", "see http://a ", "Deprecated: a. ", "TODO: ", "the following ", "e.g. ",
    "<details>",
    "a_ ", ".. _a:\n", "!!! note\n", "\\a", "\\*", "__a__ ", ":class:`a` ", "the <p> ", "Use a. ",
    "a\n\n", "TODO\n\n", "@a\n", "<p>a", "<p><b>",
    "\u00e9\u200b", "@return\n", "(http://a ", "&#x9", "&amp", "__a", "[a][",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("unit", [*HOSTILE, "&#" + "9" * 5000])
def test_a_megabyte_of_hostile_text_is_quick(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    for language in ("ruby", "rust", "java", "python"):
        start = time.process_time()
        normalise_query(text, language, "docstring")
        assert time.process_time() - start < 0.5


def test_only_the_first_20_000_characters_are_looked_at() -> None:
    assert normalise_query("\n" * 19_984 + "Return the user.", "go", "").text == "Return the user."
    assert normalise_query("\n" * 20_000 + "Return the user.", "go", "").text == ""


WORDS = st.text(st.characters(categories=["L", "N", "Zs"], include_characters=" .,()\n"))


@given(WORDS)
def test_idempotent_without_markup(text: str) -> None:
    once = normalise_query(text, "python", "docstring").text
    assert normalise_query(once, "python", "docstring").text == once


@given(st.text(), st.sampled_from(["python", "java", "ruby", "rust", "php"]))
def test_a_query_is_one_clean_line(text: str, language: str) -> None:
    query = normalise_query(text, language, "docstring").text
    assert query == " ".join(query.split())
    assert query.isprintable()
    query.encode("utf-8")


@given(st.text())
def test_fold_is_its_definition_and_idempotent(text: str) -> None:
    folded = fold(text)
    assert folded == " ".join(unicodedata.normalize("NFC", text).casefold().split())
    assert fold(folded) == folded


def test_fold_joins_what_reads_the_same() -> None:
    assert fold(" Stra\u00dfe\n\tCafe\u0301 ") == fold("STRASSE caf\u00e9") == "strasse caf\u00e9"


def test_cut_at_a_sentence_else_a_word_else_hard() -> None:
    assert cut_query("One two. Three four five", 16) == "One two."
    assert cut_query("A b. Three four five", 16) == "A b. Three four"
    assert cut_query("x" * 30, 16) == "x" * 16
    assert cut_query("exactly this one", 16) == "exactly this one"


@given(st.text(), st.integers(1, 60))
def test_a_cut_is_a_prefix_within_the_limit(text: str, limit: int) -> None:
    cut = cut_query(text, limit)
    assert len(cut) <= limit or cut == text and len(text) <= limit
    assert text.startswith(cut)


def test_a_sentence_without_its_url_goes_when_little_is_left() -> None:
    assert without_addresses("Do it. See http://a.b/c.") == "Do it."
    assert without_addresses("(http://a.b/c) does all the work") == "does all the work"


def test_generics_are_no_html() -> None:
    text = "Maps Option<T> to Result<T, E> and HashMap<String, Vec<u8>>"
    assert normalise_query(text, "rust", "doc_comment").text == text


def test_the_paragraph_that_was_announced_is_joined_where_nothing_was_cut() -> None:
    text = "Helper method:\n\nTells whether an operation may be used."
    expected = "Helper method Tells whether an operation may be used."
    assert normalise_query(text, "python", "docstring").text == expected
    text = "Return with the following:\n\n- a list of keys"
    assert normalise_query(text, "python", "docstring").text == ""


def test_a_php_type_with_spaces_is_no_query() -> None:
    assert normalise_query("@return HasOne<Mechanic, $this>", "php", "doc_comment").text == ""
    result = normalise_query("@return array<int, string> the names by id", "php", "doc_comment")
    assert (result.text, result.source) == ("the names by id", "returns")


def test_an_example_that_was_cut_off_is_not_announced() -> None:
    text = "Turn static trees into static nodes, e.g.\n```js\nx\n```"
    query = normalise_query(text, "typescript", "doc_comment").text
    assert query == "Turn static trees into static nodes"


def test_type_parameters_before_the_description_are_passed_over() -> None:
    text = "@template T of mixed\n\nTravel forward the given seconds.\n\n@param T $x"
    assert normalise_query(text, "php", "doc_comment").text == "Travel forward the given seconds."


@pytest.mark.parametrize(
    ("documentation", "language", "text"),
    [
        (
            "\\brief Adds \\p size bytes\n to it.\n\\param size the size",
            "c",
            "Adds size bytes to it.",
        ),
        ("@brief Adds @c a to @ref B.\n\nMore.", "cpp", "Adds a to B."),
        ("Adds \\a x and \\em y.\n\\return nothing", "cpp", "Adds x and y."),
        (
            "ring_push - Adds an entry to the ring\n@ring: the ring",
            "c",
            "Adds an entry to the ring",
        ),
        (
            '<summary>\nAdds <paramref name="item"/> to a <see cref="T:A.List{T}"/>.\n</summary>\n'
            '<param name="item">x</param>',
            "csharp",
            "Adds item to a A.List<T>.",
        ),
        (
            '<summary>Is <see langword="null"/> unless <c>a &lt; b</c> holds.</summary>',
            "csharp",
            "Is null unless a < b holds.",
        ),
        (
            '<summary>Sees <see cref="M:A.B(Int32)"/> or <see cref="A">this</see>.</summary>',
            "csharp",
            "Sees A.B or this.",
        ),
        (
            "Returns the entry of [key] in [Map.get].\n\n@param key x",
            "kotlin",
            "Returns the entry of key in Map.get.",
        ),
        (
            "Parses with [[a.Grammar]], a '''strict''' [[Rule one]].",
            "scala",
            "Parses with a.Grammar, a strict one.",
        ),
        ("Reads a file at once.\n{{{\nread()\n}}}", "scala", "Reads a file at once."),
        (
            "Returns ``Key`` of the store.\n\n- Parameters:\n  - a: b",
            "swift",
            "Returns Key of the store.",
        ),
        (
            "Reads all of the file.\n- parameter path: b\n- Returns: c",
            "swift",
            "Reads all of the file.",
        ),
        ("- Returns: The sum of both numbers.", "swift", "The sum of both numbers."),
    ],
)
def test_formats_of_the_c_family_and_its_kin(documentation: str, language: str, text: str) -> None:
    assert normalise_query(documentation, language, "doc_comment").text == text
