"""The quality score against its formula by hand, and the orderings it must give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extract.text.quality_score import is_verb, quality


def score(
    query: str,
    *,
    name: str = "load",
    code: str = "def load(path): rows = open(path)",
    lines: int = 5,
    kind: str = "docstring",
    source: str = "documentation",
) -> int:
    return quality(
        query=query,
        name=name,
        folded_code=code,
        body_lines=lines,
        doc_kind=kind,
        query_source=source,
    )


def test_by_hand() -> None:
    # read, rows, table, path, disk: 5 content words. Opening 150, content 125; rows and path of
    # 5 stand in the code: 40 % -> 200; 5 new words: 100; path is a parameter: 50; lines 100;
    # documentation 100 + docstring 50; shape 25 + 25.
    assert score("Read the rows of a table from a path on disk.") == 925


def test_by_hand_echo_of_a_line_comment() -> None:
    # load, user: opening 150, content 50, overlap 100 % -> 50, novelty 0, no parameters 50,
    # one line 20, documentation 100 + line_comment 10, shape 25 + 0 (2 words).
    got = score("load user", name="load_user", code="def load_user(): pass", lines=1,
                kind="line_comment")  # fmt: skip
    assert got == 455


def test_by_hand_mismatch() -> None:
    # Article: 60; purple, elephants, dance: content 75, overlap 0, novelty 100, parameter not
    # named 25, lines 100, provenance 150, shape 50.
    assert score("The purple elephants dance") == 560


def test_by_hand_verb_after_the_name() -> None:
    # Opening 120; loader, reads, rows, disk: 100; rows of 4: 200; 3 new words besides the name:
    # 100; path not named 25; lines 100; provenance 150; shape 50.
    assert score("Loader reads rows from disk", name="loader") == 845


def test_orderings() -> None:
    good = "Read the rows of a table from a path on disk."
    assert score(good) > score(good, source="description") > score(good, source="returns")
    assert score(good) > score(good, kind="line_comment")
    assert score(good) > score(good, lines=1)
    assert score(good, lines=60) > score(good, lines=61) > score(good, lines=151)
    assert score(good) > score("Deprecated, read the rows of a table from a path")
    assert score(good) > score("Read the rows of a table from a path on disk?")
    assert score(good) > score("load path", name="load_path")
    assert score(good, source="pair") == score(good)


def test_verbs_in_both_forms() -> None:
    assert all(map(is_verb, ("return", "returns", "fetches", "copies", "is")))
    assert not any(map(is_verb, ("the", "user", "s", "")))


@given(st.text(), st.text(), st.text(), st.integers(0, 10_000), st.text(max_size=3))
def test_always_in_range_and_the_same_twice(
    query: str, name: str, code: str, lines: int, kind: str
) -> None:
    first = score(query, name=name, code=code, lines=lines, kind=kind, source=kind)
    assert 0 <= first <= 1000
    assert first == score(query, name=name, code=code, lines=lines, kind=kind, source=kind)
