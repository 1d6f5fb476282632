"""Content digest, funnel, attribution and evidence files: the parts that are merged."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.format import content_digest as content
from shards.format.content_digest import content_sha256, digest_row, duplicate_ids
from shards.format.funnel import LEVELS, Funnel
from shards.format.sample import decode
from shards.write import attribution
from shards.write.attribution import Attribution, Tally, merge, write_attribution
from shards.write.removals import find_removal, read_removals, write_removals
from tests.shards.builder import default_pairs, default_removals, filtered, make_pair, payload
from xtrove.core.errors import DamagedData


def sidecars(root: Path, shards: list[list[tuple[str, bytes]]]) -> list[Path]:
    """Sorted sidecars of these samples."""
    paths = []
    for number, rows in enumerate(shards):
        path = root / f"{number}.digests"
        path.write_bytes(b"".join(digest_row(key, data) for key, data in sorted(rows)))
        paths.append(path)
    return paths


@pytest.mark.parametrize("range_rows", [1, 7, 500_000])
def test_content_digest_is_the_sorted_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_rows: int
) -> None:
    monkeypatch.setattr(content, "_RANGE_ROWS", range_rows)
    draw = random.Random(5)
    rows = [(f"{draw.getrandbits(128):032x}", draw.randbytes(9)) for _ in range(300)]
    lines = "".join(f"{k} {hashlib.sha256(v).hexdigest()}\n" for k, v in sorted(rows))
    expected = hashlib.sha256(lines.encode()).hexdigest()
    for cuts in ([300], [1, 299], [100, 0, 200]):
        shards, start = [], 0
        for size in cuts:
            shards.append(rows[start : start + size])
            start += size
        assert content_sha256(sidecars(tmp_path, shards)) == expected
    assert content_sha256([]) == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("range_rows", [1, 500_000])
def test_duplicate_ids_are_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_rows: int
) -> None:
    monkeypatch.setattr(content, "_RANGE_ROWS", range_rows)
    ids = [f"{n:032x}" for n in (0, 1, 5)] + ["ff" * 16]
    one = [(key, b"x") for key in ids]
    two = [(ids[0], b"y"), (ids[3], b"y"), ("80" + "0" * 30, b"y")]
    three = [(ids[3], b"z")]
    assert list(duplicate_ids(sidecars(tmp_path, [one, two, three]))) == [ids[0], ids[3]]
    assert list(duplicate_ids(sidecars(tmp_path, [one]))) == []


def test_a_cut_sidecar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(47))
    with pytest.raises(ValueError, match="multiple of 48"):
        content_sha256([tmp_path / "x"])


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["python", ""]),
        st.sampled_from(LEVELS),
        st.sampled_from(["", "short", "generated"]),
        st.integers(0, 9),
    ),
    max_size=12,
)


def counted(events: list[tuple[str, str, str, str, int]]) -> Funnel:
    """A funnel of these events."""
    funnel = Funnel()
    for source, language, level, reason, count in events:
        funnel.add(source, language, level, reason=reason, count=count)
    return funnel


@given(EVENTS, EVENTS, EVENTS)
def test_funnels_merge_in_any_order(
    one: list[tuple[str, str, str, str, int]],
    two: list[tuple[str, str, str, str, int]],
    three: list[tuple[str, str, str, str, int]],
) -> None:
    whole = counted(one + two + three)
    left, right = counted(two), counted(three)
    left.merge(counted(one))
    right.merge(left)
    assert right.to_json() == whole.to_json()
    assert Funnel.from_json(whole.to_json()).to_json() == whole.to_json()
    assert not any("seen, but" in wrong for wrong in whole.check())


def test_funnel_by_hand() -> None:
    funnel = Funnel()
    funnel.add("s", "go", "files", count=3)
    funnel.add("s", "go", "files", reason="minified", count=2)
    funnel.add("s", "go", "functions", count=4)
    funnel.add("s", "go", "pairs", count=4)
    assert funnel.check() == []
    funnel.drop_kept("s", "go", "pairs", reason="near_duplicate")
    assert funnel.check() == [] and funnel.kept_pairs() == 3
    level = json.loads(funnel.to_json())["sources"]["s"]["go"]["pairs"]
    assert level == {"seen": 4, "kept": 3, "dropped": {"near_duplicate": 1}}
    with pytest.raises(ValueError, match="only 3 are kept"):
        funnel.drop_kept("s", "go", "pairs", reason="quota", count=4)
    with pytest.raises(ValueError, match="level 'rows'"):
        funnel.add("s", "go", "rows")
    funnel.at("s", "go", "pairs").seen += 1
    assert len(funnel.check()) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"format":"other"}',
        b'{"format":"xtrove-funnel-1","sources":{},"totals":{"files":{"seen":1}}}',
        b'{"format":"xtrove-funnel-1","sources":{},'
        b'"totals":{"files":{"seen":1,"kept":1,"dropped":{}}}}',
        b'{"format":"xtrove-funnel-1","sources":{"s":{"go":{"cats":{}}}},"totals":{}}',
        b"[" * 50_000,
    ],
)
def test_what_is_no_funnel(data: bytes) -> None:
    with pytest.raises(DamagedData):
        Funnel.from_json(data)


def test_attribution_is_the_same_however_it_is_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribution, "_FAN_IN", 3)
    pairs = default_pairs()
    whole = Tally()
    for pair in pairs:
        whole.add(decode(payload(pair)))
    paths = []
    for part in range(11):
        tally = Tally()
        for pair in pairs[part::11]:
            tally.add(decode(payload(pair)))
        paths.append(tmp_path / f"{part}")
        paths[-1].write_text("".join(tally.lines()), encoding="utf-8")
    facts = write_attribution(tmp_path, paths, tmp_path / "tmp")
    lines = (tmp_path / facts.path).read_text(encoding="utf-8")
    assert lines == "".join(whole.lines())
    assert list((tmp_path / "tmp").iterdir()) == []
    first = json.loads(lines.splitlines()[0])
    assert first == {
        "repo": "owner/repo0",
        "source": "local",
        "licenses": ["Apache-2.0", "MIT"],
        "revisions": ["c0ffee"],
        "samples": 10,
    }
    with pytest.raises(ValueError, match="no line of ATTRIBUTION"):
        list(merge([['{"repo": "x"}\n']]))


def test_attribution_keeps_odd_names() -> None:
    record = Attribution(
        repo='a\u2028b\n"c"', source="s", licenses=("MIT",), revisions=(), samples=1
    )
    assert record.line().count("\n") == 1
    assert Attribution.parse(record.line()) == record


def test_removals_come_back_and_are_found(tmp_path: Path) -> None:
    removed = sorted(default_removals(default_pairs()), key=lambda row: row.id)
    half = len(removed) // 2
    for name, rows in (("part-00000", removed[:half]), ("part-00001", removed[half:])):
        written = write_removals(tmp_path, name, rows, tmp=tmp_path / "tmp")
        assert written.rows == len(rows)
        assert list(read_removals(tmp_path / written.file.path)) == rows
    for row in removed:
        assert find_removal(tmp_path, row.id) == row
    for missing in ("0" * 32, "f" * 32, removed[0].id[:-1] + "x", ""):
        assert find_removal(tmp_path, missing) is None
    assert find_removal(tmp_path / "nowhere", "0" * 32) is None


@pytest.mark.slow
def test_many_removals_have_many_row_groups(tmp_path: Path) -> None:
    rows = [replace(filtered(make_pair(1), "short"), id=f"{n:032x}") for n in range(45_000)]
    written = write_removals(tmp_path, "part-00000", iter(rows), tmp=tmp_path / "tmp")
    again = write_removals(tmp_path / "b", "part-00000", iter(rows), tmp=tmp_path / "tmp")
    assert written == again and written.rows == 45_000
    assert find_removal(tmp_path, f"{30_000:032x}") == rows[30_000]


@pytest.mark.parametrize("ids", [["b" * 32, "a" * 32], ["A" * 32], ["1"]])
def test_removals_must_ascend(tmp_path: Path, ids: list[str]) -> None:
    rows = [replace(filtered(make_pair(1), "short"), id=id_) for id_ in ids]
    with pytest.raises(DamagedData, match="ascending"):
        write_removals(tmp_path, "part-00000", rows, tmp=tmp_path / "tmp")
    assert not (tmp_path / "removals").exists()
