"""Files and ready pairs to pairs: what is stored, what is refused, and that all of it adds up."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.filters import files
from extract.filters import pairs as filters
from extract.options import ExtractOptions, FilterOptions
from extract.pair import pair_id
from extract.pipeline.extraction import Extraction, extract_file, extract_pair
from extract.text.query import fold
from ingest.records import SourceFile, SourcePair

OPTIONS = ExtractOptions()
SECRET = "ghp_" + "A1b2C3d4E5f6G7h8I9" * 2
SOURCE = f'''"""Prices."""
import os


@cached
def total(rows, rate):
    """Sum the prices of all items, converted by joe@corp.net.

    :param rows: items
    """
    # Only what is in stock: ann@corp.net, bob@corp.net.
    token = "{SECRET}"
    return sum(row.price * rate for row in rows if row.stock and token)


def bare(rows):
    return [row for row in rows if row.stock]


def name(self):
    """Return the name of this item."""
    return self._name


def test_total(rows):
    """Check that the total of nothing is nothing."""
    result = total([], 3)
    assert result == 0 and not rows, result


def echo(rows):
    """Filter rows by the stock."""
    found = [row for row in rows if row.stock]
    log("filter rows  by THE stock.", found)
    return found


def short(x):
    """Add one to it now."""
    y = x
    return y + 1
'''


def source_file(content: bytes | str, path: str = "shop/prices.py", url: str = "") -> SourceFile:
    return SourceFile(
        source="here",
        source_revision="r1",
        repo="joe/shop",
        path=path,
        revision="c0ffee",
        url=url,
        language="python",
        content=content.encode() if isinstance(content, str) else content,
        licenses=("MIT",),
        license_evidence="declared",
        stars=7,
        row=0,
    )


def source_pair(query: str, code: str, language: str = "python", path: str = "") -> SourcePair:
    return SourcePair(
        source="mine",
        source_revision="r1",
        repo="joe/shop",
        path=path,
        revision="",
        url="https://h.example/a.py#L3",
        language=language,
        query=query,
        code=code,
        name="total",
        start_line=-1,
        end_line=-1,
        start_byte=-1,
        end_byte=-1,
        licenses=("MIT",),
        license_evidence="declared",
        stars=-1,
        row=0,
    )


def holds(extraction: Extraction) -> None:
    """The funnel identity, the leak rule, lengths, identities and known reasons."""
    counted = sum(count for _, count in extraction.function_drops)
    assert extraction.functions == counted + len(extraction.pairs) + len(extraction.dropped)
    assert extraction.file_reason in {"", *files.REASONS}
    assert extraction.file_reason == "" or extraction.functions == 0
    for pair in extraction.pairs:
        assert fold(pair.query) not in fold(pair.code)
        assert 15 <= len(pair.query) <= 512 and 50 <= len(pair.code) <= 8000
        assert len(pair.query.split()) >= 3 and 0 <= pair.quality <= 1000
        assert pair.code_sha256 == hashlib.sha256(pair.code.encode()).hexdigest()
    for dropped in extraction.dropped:
        assert dropped.reason in filters.REASONS and len(dropped.detail) <= 200
        assert SECRET not in dropped.detail
    for reason, _ in extraction.function_drops:
        assert reason in filters.REASONS


def test_a_file_by_hand() -> None:
    got = extract_file(source_file(SOURCE, url="https://h.example/p.py"), OPTIONS)
    holds(got)
    (pair,) = got.pairs
    assert pair.query == "Sum the prices of all items, converted by <EMAIL>."
    assert pair.code.startswith("@cached\ndef total(rows, rate):\n")
    assert (
        "Sum the prices" not in pair.code
        and "# Only what is in stock: <EMAIL>, <EMAIL>." in pair.code
    )
    assert 'token = "<KEY>"' in pair.code
    assert (pair.name, pair.start_line, pair.end_line) == ("total", 5, 13)
    assert pair.url == "https://h.example/p.py#L5-L13"
    span = SOURCE.encode()[pair.start_byte : pair.end_byte]
    assert span.startswith(b"@cached") and span.endswith(b"token)")
    assert pair.id == pair_id(
        source="here", repo="joe/shop", path="shop/prices.py", start_byte=pair.start_byte,
        code=pair.code,
    )  # fmt: skip
    assert (pair.query_source, pair.stars, pair.licenses) == ("documentation", 7, ("MIT",))
    assert got.functions == 6 and got.function_drops == (("no_documentation", 1),)
    assert [(d.name, d.reason) for d in got.dropped] == [
        ("name", "trivial_body"),
        ("test_total", "test_code"),
        ("echo", "query_in_code"),
        ("short", "code_too_short"),
    ]
    assert got.redactions == (("email", 3), ("key", 1))


def test_redaction_is_a_choice_and_details_never_hold_a_secret() -> None:
    plain = ExtractOptions(redact=())
    got = extract_file(source_file(SOURCE), plain)
    assert SECRET in got.pairs[0].code and "joe@corp.net" in got.pairs[0].query
    assert got.redactions == () and got.pairs[0].url == ""
    documented = (
        f'def load(path):\n    """Key {SECRET}"""\n    a = open(path)\n    return a.read()\n'
    )
    (dropped,) = extract_file(source_file(documented), plain).dropped
    assert (dropped.reason, dropped.detail) == ("query_too_few_words", "Key <KEY>")


def test_repository_path_address_and_name_are_redacted_and_identities_are_of_what_is_stored() -> (
    None
):
    row = source_file(SOURCE, path="home/jane@corp.net/prices.py")
    row = replace(row, repo=f"jane@corp.net/{SECRET}", url="https://jane:pw@h.net/52.14.3.9/p.py")
    got = extract_file(row, OPTIONS)
    (pair,) = got.pairs
    assert (pair.repo, pair.path) == ("<EMAIL>/<KEY>", "home/<EMAIL>/prices.py")
    assert pair.url == "https://h.net/52.14.3.9/p.py#L5-L13"  # After a slash: a version.
    assert pair.id == pair_id(
        source="here", repo="<EMAIL>/<KEY>", path="home/<EMAIL>/prices.py",
        start_byte=pair.start_byte, code=pair.code,
    )  # fmt: skip
    assert {(d.repo, d.path) for d in got.dropped} == {(pair.repo, pair.path)}

    # The user of an address goes whatever is redacted.
    plain = extract_file(row, ExtractOptions(redact=())).pairs[0]
    assert (plain.repo, plain.path) == (row.repo, row.path)
    assert plain.url == "https://h.net/52.14.3.9/p.py#L5-L13"


def test_the_scope_is_stored_and_redacted() -> None:
    inner = "".join(f"    {line}\n" for line in SOURCE.partition("def bare")[0].splitlines())
    got = extract_file(source_file(f"class Cart:\n  class load_{SECRET}:\n{inner}"), OPTIONS)
    assert [(pair.scope, pair.name) for pair in got.pairs] == [("Cart.load_<KEY>", "total")]
    assert extract_pair(source_pair("Sum all the prices.", CODE), OPTIONS).pairs[0].scope == ""


@pytest.mark.parametrize("path", ["a/jane@corp.net/x.py", "node_modules/jane@corp.net/x.py"])
def test_ready_pairs_are_redacted_in_every_field(path: str) -> None:
    """Also where a rule on paths, which reads the original, refuses the pair."""
    code = "def total(rows):\n    first = sum(rows)\n    print(first, rows)\n    return first\n"
    row = source_pair("Sum the prices of all the rows.", code, path=path)
    row = replace(
        row, repo="ssh://jane:pw@h.net/x", name=f"load_{SECRET}", url=f"https://{SECRET}@h.net/a"
    )
    got = extract_pair(row, OPTIONS)
    (held,) = got.pairs or got.dropped
    assert bool(got.dropped) == path.startswith("node_modules")
    assert (held.repo, held.name) == ("ssh://h.net/x", "load_<KEY>")
    assert held.path == path.replace("jane@corp.net", "<EMAIL>")
    assert all(pair.url == "https://h.net/a" for pair in got.pairs)


def test_redaction_can_make_a_query_leak_and_is_measured_after() -> None:
    # Before redaction the two addresses differ; after it the query stands in the code.
    code = (
        'def load(path):\n    """Mail it to joe@corp.net."""\n    a = open(path).read()\n'
        '    log("Mail it to ann@corp.net.", a, path)\n    return a\n'
    )
    got = extract_file(source_file(code), OPTIONS)
    assert [d.reason for d in got.dropped] == ["query_in_code"]


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        (SOURCE, "tests/prices.py", "test_file"),
        (SOURCE, "vendor/prices.py", "vendored"),
        ("x = 1\n", "a.py", "no_documentation_marker"),
        (b"\xff" + SOURCE.encode(), "a.py", "not_utf8"),
        ("", "a.py", "no_documentation_marker"),
    ],
)
def test_refused_files(content: bytes | str, path: str, reason: str) -> None:
    got = extract_file(source_file(content, path), OPTIONS)
    holds(got)
    assert (got.file_reason, got.pairs, got.dropped, got.functions) == (reason, (), (), 0)


def test_a_language_without_a_grammar_is_counted() -> None:
    file = source_file(SOURCE)
    other = SourceFile(**{**{n: getattr(file, n) for n in file.__slots__}, "language": "cobol"})
    assert extract_file(other, OPTIONS).file_reason == "unsupported_language"


def test_long_queries_are_cut_and_quality_filters() -> None:
    long = "Sum the prices of everything in stock now.\n    " * 20
    code = f'def total(rows):\n    """{long}"""\n    kept = list(rows)\n    return sum(kept) + 1\n'
    (pair,) = extract_file(source_file(code), OPTIONS).pairs
    assert 256 <= len(pair.query) <= 512 and pair.query.endswith("now.")
    equal = ExtractOptions(filters=FilterOptions(min_quality=pair.quality))
    assert extract_file(source_file(code), equal).pairs == (pair,)
    strict = ExtractOptions(filters=FilterOptions(min_quality=pair.quality + 1))
    (dropped,) = extract_file(source_file(code), strict).dropped
    assert (dropped.reason, dropped.detail) == ("min_quality", str(pair.quality))


def test_no_half_of_a_secret_survives_the_cut() -> None:
    arguments = "sum of rows\n    " * 41 + "and mail to"
    for pad in range(30):
        doc = f"{arguments} {'x' * pad} joe.doe@corp.net when it is all done"
        body = "    kept = list(rows)\n    return sum(kept) + 1\n"
        got = extract_file(source_file(f'def total(rows):\n    """{doc}"""\n{body}'), OPTIONS)
        (pair,) = got.pairs
        assert len(pair.query) > 490 and "doe" not in pair.query and "corp" not in pair.query


@pytest.mark.parametrize(
    "unit", ["{@abc ", "[abc](", "<b ", "`abc <", "@return {", "http://", "key='a1"]
)
def test_a_hostile_docstring_of_the_largest_file_is_quick(unit: str) -> None:
    line = unit * (76 // len(unit)) + "\n"
    text = f'def total(rows):\n    """{line * (900_000 // len(line))}"""\n    return rows\n'
    start = time.process_time()
    got = extract_file(source_file(text), OPTIONS)
    assert time.process_time() - start < 3.0
    assert got.functions == 1 and not got.pairs


CODE = (
    'def total(rows):\n    """Sum all the prices."""\n    kept = list(rows)\n    return sum(kept)\n'
)


def test_a_ready_pair_loses_the_documentation_in_its_code() -> None:
    got = extract_pair(source_pair("Sum all the prices.", CODE), OPTIONS)
    holds(got)
    (pair,) = got.pairs
    assert "Sum all" not in pair.code and pair.code.startswith("def total(rows):")
    assert (pair.query_source, pair.url, pair.start_line) == (
        "pair",
        "https://h.example/a.py#L3",
        -1,
    )


@pytest.mark.parametrize(
    ("query", "code", "language", "path", "reason"),
    [
        ("", CODE, "python", "", "query_empty"),
        ("Sum all the prices.", "x = 1", "python", "", "code_too_short"),
        ("Sum all the prices.", CODE, "cobol", "", "query_in_code"),
        ("Sum all the prices.", CODE, "python", "vendor/a.py", "vendored"),
        ("Sum all the prices.", CODE, "python", "tests/a.py", "test_file"),
        ("Sum all the prices.", CODE + "\ud800", "python", "", "code_not_unicode"),
    ],
)
def test_refused_pairs(query: str, code: str, language: str, path: str, reason: str) -> None:
    got = extract_pair(source_pair(query, code, language, path), OPTIONS)
    holds(got)
    assert [d.reason for d in got.dropped] == [reason]
    assert got.functions == 1


def test_the_size_limit_is_a_choice_up_to_what_sources_read() -> None:
    text = SOURCE + "\n\ndef f(x):\n    return x + 1\n" * 30_000
    assert len(extract_file(source_file(text), OPTIONS).pairs) == 1
    lowered = ExtractOptions(filters=FilterOptions(max_file_bytes=800_000))
    assert extract_file(source_file(text), lowered).file_reason == "too_large"
    with pytest.raises(ValueError, match="1,000,001 is more than the 1,000,000 bytes"):
        FilterOptions(max_file_bytes=1_000_001)


@given(st.text(max_size=200), st.text(max_size=200), st.sampled_from(["python", "go", "sql"]))
def test_any_ready_pair_adds_up(query: str, code: str, language: str) -> None:
    holds(extract_pair(source_pair(query, code, language), OPTIONS))


LINES = st.sampled_from(SOURCE.splitlines()) | st.text(max_size=20)


@given(st.lists(LINES, max_size=40).map("\n".join))
def test_any_file_adds_up(content: str) -> None:
    file = source_file(content.encode("utf-8", "surrogatepass"))
    got = extract_file(file, OPTIONS)
    holds(got)
    assert got == extract_file(file, OPTIONS)


LANGUAGES = ("go", "java", "javascript", "php", "python", "ruby", "rust", "typescript")


@pytest.mark.slow
@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
@pytest.mark.parametrize("language", LANGUAGES)
def test_real_files_add_up_and_do_not_leak(language: str) -> None:
    folder = Path(os.environ["XTROVE_DATA"]) / "the-stack" / "data" / language
    table = pq.read_table(
        sorted(folder.glob("*.parquet"))[0], columns=["content", "max_stars_repo_path"]
    )
    pairs = 0
    for row in table.slice(0, 10_000).to_pylist()[::5]:
        file = SourceFile(
            source="stack", source_revision="r", repo="a/b", path=row["max_stars_repo_path"],
            revision="", url="", language=language, content=row["content"].encode(),
            licenses=("MIT",), license_evidence="e", stars=-1, row=0,
        )  # fmt: skip
        got = extract_file(file, OPTIONS)
        holds(got)
        pairs += len(got.pairs)
    assert pairs > 10


CHANGED = '''def outer(rows):
    first = [row for row in rows if row.good]

    def inner(row):
        return row.price * row.count

    return sum(inner(row) for row in first)


@cached
def later(rows):
    """Sum the rows."""
    return sum(row.price for row in rows if row.good)
'''


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (((2, 3),), ["outer"]),
        (((5, 6),), ["inner"]),
        (((7, 8), (5, 6)), ["inner"]),
        (((8, 10),), []),
        (((10, 11),), ["later"]),
        (((2, 2), (13, 14)), ["outer", "later"]),
        (((1, 1),), []),
        (((10, 10),), []),
        (((14, 14),), []),
        (((1, 14),), ["inner", "later"]),
    ],
)
def test_the_functions_that_a_commit_changed(
    changed: tuple[tuple[int, int], ...], names: list[str]
) -> None:
    """New text in front of a function or behind it is none of its own; the innermost answers."""
    query = "Leave out what is not good when prices are added"
    file = replace(source_file(CHANGED), query=query, changed=changed)
    extraction = extract_file(file, OPTIONS)
    assert extraction.file_reason == ("" if names else "no_function_changed")
    assert [pair.name for pair in extraction.pairs] == names
    assert {(pair.query, pair.query_source) for pair in extraction.pairs} <= {(query, "commit")}
    assert not any("Sum the rows" in pair.code for pair in extraction.pairs)
    holds(extraction)


def test_a_change_of_many_functions_is_about_none() -> None:
    lines = [
        f"def f{number}(rows):\n    first = sorted(rows)\n    return first[{number}] or rows\n"
        for number in range(5)
    ]
    file = source_file("".join(lines))
    for count, reason in ((4, ""), (5, "many_functions_changed")):
        file = replace(file, query="Put the values in order at once", changed=((1, 3 * count),))
        extraction = extract_file(file, OPTIONS)
        assert (extraction.file_reason, len(extraction.pairs)) == (reason, 0 if reason else count)
