"""Packing and the identity of slices."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingest.records import Part
from ingest.slicing import content_revision, make_slice, pack, target_bytes

PART = Part(path="/here/a.py", name="a.py", digest="ab", size=3, start=0, stop=3, language="python")


def test_target_is_clamped() -> None:
    assert target_bytes(0, None) == 4_000_000
    assert target_bytes(32 * 5_000_000, None) == 5_000_000
    assert target_bytes(10**12, None) == 128_000_000
    assert target_bytes(10**12, 77) == 77
    assert target_bytes(1, 0) == 1


def test_groups_stay_together_where_they_fit() -> None:
    groups = [[4, 4], [3, 3, 3], [9, 9], [1], [1]]
    assert pack(groups, lambda item: item, 10) == [[4, 4], [3, 3, 3], [9], [9, 1], [1]]
    assert pack([[], []], lambda item: item, 10) == []


@given(st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=8), st.integers(1, 60))
def test_packing_keeps_order_and_bound(groups: list[list[int]], target: int) -> None:
    runs = pack(groups, lambda item: item, target)
    assert [item for run in runs for item in run] == [item for group in groups for item in group]
    assert all(run for run in runs)
    assert all(sum(run) <= target or len([item for item in run if item]) == 1 for run in runs)


def digest(part: Part, **facts: object) -> str:
    return make_slice(source="s", stream="", parts=[part], size=3, facts=facts).digest


def test_digest_follows_content_and_options_but_no_local_path() -> None:
    base = digest(PART, policy="x")
    assert base == digest(replace(PART, path="/there/b.py"), policy="x")
    changed = [
        digest(replace(PART, name="b.py"), policy="x"),
        digest(replace(PART, digest="cd"), policy="x"),
        digest(replace(PART, start=1), policy="x"),
        digest(replace(PART, stop=2), policy="x"),
        digest(replace(PART, meta=(("licenses", "MIT"),)), policy="x"),
        digest(PART, policy="y"),
    ]
    assert len({base, *changed}) == 7


def test_labels_and_revisions() -> None:
    one = make_slice(source="s", stream="go", parts=[PART, PART, PART], size=9, facts={})
    assert (one.label, one.bytes, one.stream) == ("a.py and 2 more", 9, "go")
    assert content_revision([("a", "1"), ("b", "2")]) == content_revision([("b", "2"), ("a", "1")])
    assert content_revision([("a", "1")]) != content_revision([("a", "2")])
    assert len(content_revision([])) == 16
