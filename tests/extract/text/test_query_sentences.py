"""No sentence is left dangling, and what is no description goes: notices, labels, addresses."""

from __future__ import annotations

import pytest

from extract.options import ExtractOptions
from extract.pipeline.extraction import extract_pair
from extract.text.query import cut_query, normalise_query
from ingest.languages import LANGUAGES
from ingest.records import SourcePair

EVERY = tuple(LANGUAGES)


def query(documentation: str, language: str = "go") -> str:
    normalised = normalise_query(documentation, language, "doc_comment")
    assert not normalised.refused
    return normalised.text


def refused(documentation: str, language: str = "go") -> str:
    return normalise_query(documentation, language, "doc_comment").refused


@pytest.mark.parametrize("language", EVERY)
@pytest.mark.parametrize(
    ("documentation", "expected"),
    [
        ("Indents the text, adapted from https://a.b/c.", "Indents the text."),
        ("Indents the text (see https://a.b/c).", "Indents the text."),
        ("Indents the text as described in the article at https://a.b/c", "Indents the text"),
        ("Indents the text. For more details, see https://a.b/c.", "Indents the text."),
        ("Indents the text. See https://a.b/c for more.", "Indents the text."),
        ("Indents the text. Copied from http://a.b/c.", "Indents the text."),
        ("Sends the text to the http://a.b/c endpoint.", "Sends the text to the endpoint."),
        ("Implements the scheme of https://a.b/x in full.", "Implements the scheme in full."),
        ("Reads all the sets of the benchmark: http://a.b/c.",
         "Reads all the sets of the benchmark."),
        ("Waits until https://a.b/1 is closed and https://a.b/2 is merged.",
         "Waits until is closed and is merged."),
        ("Tells one brand from others: https://a.b/c.", "Tells one brand from others."),
        ("Validates all addresses using https://a.b/c", "Validates all addresses"),
        ("(Adapted from https://a.b/c) Computes the hash.", "Computes the hash."),
        ("Computes the hash (based on https://a.b/c and https://d.e/f).", "Computes the hash."),
        ("Sets the seed of it See: https://a.b/c for more details.", "Sets the seed of it."),
        ("Writes the line table See https://a.b/c This is a format.",
         "Writes the line table. This is a format."),
        ("Returns \"a.org\" in \"www.a.org\".", "Returns \"a.org\" in \"www.a.org\"."),
        ("Cuts `www.a.org` up. Copied from www.a.org/b.", "Cuts www.a.org up."),
        ("Returns \"dev\" for \"dev.www.example.org\" only.",
         "Returns \"dev\" for \"dev.www.example.org\" only."),
    ],
)  # fmt: skip
def test_an_address_goes_with_the_words_that_led_to_it(
    documentation: str, expected: str, language: str
) -> None:
    assert query(documentation, language) == expected


@pytest.mark.parametrize("language", EVERY)
@pytest.mark.parametrize(
    ("documentation", "expected"),
    [
        ("Merges both hashes. For example:\n\n    a", "Merges both hashes."),
        ("Merges both hashes, for example:\n\n    a", "Merges both hashes"),
        ("Merges both hashes. Here is an example:\n\n    a", "Merges both hashes."),
        ("Merges both hashes. Example usage\n\n    a", "Merges both hashes."),
        ("Merges both hashes. These are the following:\n\n  a", "Merges both hashes."),
        ("Merges both hashes. The result may be one of\n\n  a", "Merges both hashes."),
        ("Merges both hashes with the following options:\n\n a", "Merges both hashes"),
        ("Merges both hashes as follows:\n\n    a", "Merges both hashes"),
        ("Merges both hashes, e.g.\n```\na\n```", "Merges both hashes"),
        ("Merges both hashes. It will look like this:\n\n    a", "Merges both hashes."),
        ("Merges both hashes. Also note that\n\n    a", "Merges both hashes."),
        ("Merges both hashes. Returns: the new hash", "Merges both hashes."),
        ("Merges both hashes. @return the new hash", "Merges both hashes."),
        ("Merges both hashes. Args: a, the first of them", "Merges both hashes."),
    ],
)  # fmt: skip
def test_what_announces_something_goes(documentation: str, expected: str, language: str) -> None:
    assert query(documentation, language) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Returns the host that it is connected to",
        "Return the operator(s) that this state is an eigenstate of",
        "Generates all of the patterns for Or.",
        "Skips objects that are not ordered by less than.",
        "Returns the address that this socket is bound to.",
        "Set the path that the dump should be written to.",
        "Dir returns the directory the file is stored in",
        "Tests whether this version is at least the version passed in.",
        "Computes the bitwise and",
        "Returns the longest path from A to B, then to A",
        "Divides the row b by the row a.",
        "Returns the line that the following lines need.",
        "Gives a word for each example.",
        "Adds the listener (of an event, for example).",
        "Prefixes the keys with \"on\"",
        "Converts a string, a list, etc.",
    ],
)  # fmt: skip
def test_whole_sentences_stay(text: str) -> None:
    assert query(text) == text


@pytest.mark.parametrize("language", EVERY)
@pytest.mark.parametrize(
    "text",
    [
        "Checks the following cases:\n\n- a\n- b",
        "Tests whether the name is one of\n\n- a",
        "Runs the block in a context where:\n\n* a",
        "Counts the functions that are nested in the.",
        "Counts the functions and",
        "Process tokens and search for",
        "The set of values that are used to",
    ],
)
def test_one_dangling_sentence_is_refused_by_name(text: str, language: str) -> None:
    assert refused(text, language) == "query_dangling"


def test_the_function_words_of_code_are_none() -> None:
    assert query("Combines both by `and` or `or`") == "Combines both by and or or"
    assert query("Reads the stream from `in`", "java") == "Reads the stream from in"


@pytest.mark.parametrize("language", EVERY)
@pytest.mark.parametrize(
    ("documentation", "expected"),
    [
        ("[Deprecated] Search the index for a name.", "Search the index for a name."),
        ("TODO: make it fast. Searches the index for a name.",
         "Searches the index for a name."),
        ("Deprecated Search the index for a name.", "Search the index for a name."),
        ("[*Discouraged*] Search the index for a name.", "Search the index for a name."),
        ("DEPRECATED Search the index for a name.", "Search the index for a name."),
        ("(deprecated) Search the index for a name.", "Search the index for a name."),
        ("Deprecated: use Find instead. Search the index for a name.",
         "Search the index for a name."),
        ("Deprecated. Please use Find. It is faster. Search the index.", "Search the index."),
        ("Deprecated: use Push, which tells.\n\nSearch the index for a name.",
         "Search the index for a name."),
        ("TODO: write it without the loop\n\nSearch the index for a name.",
         "Search the index for a name."),
        ("FIXME(ann) it is slow.\n\nSearch the index for a name.", "Search the index for a name."),
        ("Search the index for a name. TODO: make it fast", "Search the index for a name."),
        ("Search the index for a name. Deprecated: use Find.", "Search the index for a name."),
        ("Search the index for a name. [DEPRECATED]", "Search the index for a name."),
        ("Warning: This method is deprecated. Use Find. Search the index for a name.",
         "Search the index for a name."),
        ("Soft deprecated. Use Find instead.\n\nSearch the index for a name.",
         "Search the index for a name."),
        ("#2437 Search the index for a name.", "Search the index for a name."),
        ("(#2437): Search the index for a name.", "Search the index for a name."),
        ("See Find for details.\n\nSearch the index for a name.", "Search the index for a name."),
        ("Search the index for a name. See Find#all. See also the API docs.",
         "Search the index for a name."),
        ("Search the index for a name. See: Find() and FindAll() for further information.",
         "Search the index for a name."),
        ("To do: cache it.\n\nSearch the index for a name.", "Search the index for a name."),
    ],
)  # fmt: skip
def test_notices_go_and_the_description_stays(
    documentation: str, expected: str, language: str
) -> None:
    assert query(documentation, language) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Finds all TODO comments of the file.",
        "Sets the XXX_digest attribute, where XXX is the name.",
        "Returns whether the deprecated name was used.",
        "Marks the function as deprecated.",
        "Warns when a deprecated option is given.",
    ],
)
def test_the_words_of_notices_may_be_what_code_is_about(text: str) -> None:
    assert query(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Deprecated: use Find instead.",
        "[DEPRECATED] Use Find.",
        "TODO: document it",
        "TODO: it is slow. Add a cache to it.",
        "Deprecated since 2.0. It will be removed.",
        "TODO: document it\n\nMaybe we should do it at once.",
        "Warning: This method is deprecated.",
        "This method is deprecated, use Find.",
        "Soft deprecated. Use Find or FindAll instead.",
    ],
)
def test_a_notice_alone_is_boilerplate(text: str) -> None:
    assert refused(text) == "query_boilerplate"


@pytest.mark.parametrize("language", EVERY)
@pytest.mark.parametrize(
    "text",
    [
        "See the docs for the Form#fields helper.",
        "See the Statements#transaction API docs.",
        "See store.Reader (since 9).",
        "See `fields` for more.",
        "Read implements the io.Reader interface.",
        "Implements Iterator.",
        "Implementation of the Builder::Part trait.",
        "List implements store.Store's List",
        "Overrides the method of the superclass.",
        "Renamed to Metrics::num_alive_tasks",
        "Moved to io.Reader.",
        "Implement interface and override super-class.",
    ],
)
def test_a_sentence_that_only_refers_is_boilerplate(text: str, language: str) -> None:
    assert refused(text, language) == "query_boilerplate"


@pytest.mark.parametrize(
    "text",
    [
        "See if the error matches Type.",
        "Reads the index. See if Type is known.",
        "See whether the user_id is known.",
        "Implements rounding of halves to even.",
        "Implements Dijkstra's algorithm.",
        "Overrides the route parameter names.",
        "Override locale to return a symbol.",
        "Overrides Rack::Request to support indifferent access.",
        "Seeks to Start.",
        "Renamed columns of Table are written back.",
        "Moved to the end of Queue.",
        "Read implements io.Reader. It reads up to a line.",
        "The implementation of standard leftmost search.",
    ],
)
def test_a_sentence_with_more_than_names_describes(text: str) -> None:
    assert query(text) == text


@pytest.mark.parametrize("label", ["Public", "Private", "Internal", "Protected"])
def test_tomdoc_labels_and_arguments_go(label: str) -> None:
    documentation = f"{label}: Print it.\n\nname - the String to print\nsize - its Integer size"
    assert query(documentation, "ruby") == "Print it."
    assert query(f"{label}: Print a message of any size.", "go").startswith(label)


def test_a_dash_within_a_sentence_of_ruby_is_no_argument() -> None:
    assert query("Prints the\nname - and its size.", "ruby") == "Prints the name - and its size."
    assert query("name - the one to print", "ruby") == "name - the one to print"


def test_a_cut_query_does_not_end_in_a_function_word() -> None:
    assert cut_query("Returns the list of the names", 24) == "Returns the list"
    assert cut_query("Returns the list of names again", 26) == "Returns the list of names"
    assert cut_query("of the of the of the", 12) == "of the of"
    assert cut_query("Adds both, e.g. one or two", 22) == "Adds both, e.g. one"


def test_a_refused_query_is_dropped_with_its_reason() -> None:
    pair = SourcePair(
        query="Checks the following cases:\n\n- a",
        code="func check(a int) int {\n\tif a > 1 {\n\t\treturn a * 2\n\t}\n\treturn 3\n}\n",
        language="go",
        name="check",
        repo="a/b",
        path="a.go",
        revision="",
        url="",
        source="pairs",
        source_revision="",
        licenses=("MIT",),
        license_evidence="x",
        stars=-1,
        row=0,
        start_line=-1,
        end_line=-1,
        start_byte=-1,
        end_byte=-1,
    )
    (dropped,) = extract_pair(pair, ExtractOptions()).dropped
    assert (dropped.reason, dropped.detail) == ("query_dangling", "Checks the following cases")
