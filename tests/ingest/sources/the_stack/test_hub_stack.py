"""The Stack v1 from the small Hub: the records of a local copy, whatever goes wrong on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.hub.running import Reader, RunningHub, running_hub, running_reader
from tests.hub.store import Access
from tests.ingest.stack_tables import row, write

REPO = "bigcode/the-stack-like"
URI = f"hf://datasets/{REPO}"
OPTIONS: dict[str, object] = {"kind": "the-stack", "path": URI}
Served = tuple[RunningHub, Reader]
Records = list[dict[str, Any]]


def rows(first: int, count: int, **changes: Any) -> list[dict[str, Any]]:
    licences: tuple[list[str], ...] = (["MIT"], ["GPL-3.0"], ["Apache-2.0", "MIT"], [])
    return [
        row(
            i,
            content=f"def f{i}():\n    return {i}\n" * 40,
            max_stars_repo_licenses=licences[i % 4],
            max_stars_repo_name=f"owner{i % 3}/name",
            **changes,
        )
        for i in range(first, first + count)
    ]


def smol(values: list[dict[str, Any]]) -> bytes:
    return "".join(
        json.dumps({**value, "max_stars_count": 3.0}) + "\n" for value in values
    ).encode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("files")
    write(root / "data/python/train-00000-of-00002.parquet", rows(0, 24), group=6)
    write(root / "data/python/train-00001-of-00002.parquet", rows(24, 8), group=6)
    write(root / "data/TypeScript/data-00000-of-00001.parquet", rows(32, 9, lang="TypeScript"))
    write(
        root / "data/objective-c++/train-00000-of-00001.parquet", rows(41, 4, lang="Objective-C++")
    )
    go = root / "data/go/data.json"
    go.parent.mkdir()
    go.write_bytes(smol(rows(45, 12, lang="Go")))
    (root / "README.md").write_text("The Stack, or something like it\n", "utf-8")
    (root / "data/python/notes.txt").write_text("no table\n", "utf-8")
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def served_once(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> Iterator[Served]:
    with running_hub(tmp_path_factory.mktemp("hub"), page=2) as hub:
        hub.store.commit(REPO, files)
        with running_reader(hub) as reader:
            yield hub, reader


@pytest.fixture
def served(served_once: Served) -> Served:
    served_once[0].forget()
    return served_once


@pytest.fixture(scope="module")
def whole(served_once: Served) -> Records:
    """The records with nothing going wrong."""
    records: Records = served_once[1].both(OPTIONS)[1]
    return records


def counted(records: Records) -> Counter[str]:
    counts: Counter[str] = Counter()
    for record in records:
        counts[record.get("reason", "file")] += record.get("rows", 1)
    return counts


def test_the_hub_gives_what_a_local_copy_gives(
    served: Served, whole: Records, files: dict[str, bytes], tmp_path: Path
) -> None:
    hub, reader = served
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    local_plan, local = reader.both({"kind": "the-stack", "path": str(tmp_path)})
    commit = hub.store.resolve(REPO, "main")
    assert [one | {"source_revision": ""} for one in local if "content" in one] == [
        one | {"source_revision": ""} for one in whole if "content" in one
    ]
    assert [one for one in local if "content" not in one] == [
        one for one in whole if "content" not in one
    ]
    assert {one["source_revision"] for one in whole if "content" in one} == {commit}
    assert local_plan["revision"] != commit
    assert counted(whole) == {
        "file": 27,
        "license_not_permissive": 13,
        "license_unknown": 13,
    }
    assert {one["language"] for one in whole} == {"go", "python", "typescript"}
    assert {one["stars"] for one in whole if one["language"] == "go" and "stars" in one} == {3}


@pytest.mark.parametrize("slice_bytes", [200, 5000])
def test_any_cut_gives_the_same_records(served: Served, whole: Records, slice_bytes: int) -> None:
    plan, records = served[1].both(OPTIONS, slice_bytes=slice_bytes)
    bare = [record | {"row": 0} for record in records]
    assert bare == [one | {"row": 0} for one in whole]
    assert len(plan["slices"]) > 8
    assert len({one["digest"] for one in plan["slices"]}) == len(plan["slices"])


def test_planning_costs_one_resolver_request_a_file(served: Served) -> None:
    hub, reader = served
    reader.get("plan", options={**OPTIONS, "languages": ["python", "typescript"]})
    log = hub.log()
    assert len([one for one in log if "/resolve/" in one["path"]]) == 3
    assert not [one for one in log if "c%2B%2B" in one["path"] or "objective-c++" in one["path"]]
    assert not [one for one in log if one["violation"]]


def test_a_branch_that_moves_between_plan_and_read_is_not_seen(
    served: Served, whole: Records
) -> None:
    hub, reader = served
    plan = reader.get("plan", options=OPTIONS)
    commit = plan["revision"]
    hub.store.commit(REPO, {"data/python/other.parquet": b"PAR1"})
    try:
        assert reader.get("read", options=OPTIONS, plan=plan) == whole
        pinned = {**OPTIONS, "path": f"{URI}@{commit}"}
        assert reader.both(pinned)[1] == whole
        assert "no Parquet file" in reader.ask("plan", options=OPTIONS)["error"]
    finally:
        hub.store.move(REPO, "main", commit)


RESOLVE = {"match": "/datasets/*/resolve/*"}
CDN = {"port": "cdn"}
PASSING: list[list[dict[str, Any]]] = [
    [{**RESOLVE, "status": 408, "times": 2}],
    [{"match": "*/revision/*", "status": 503}, {"match": "*/tree/*", "status": 502, "skip": 1}],
    [{**RESOLVE, "status": 500}, {**CDN, "status": 504}],
    [{"match": "*/tree/*", "status": 429, "headers": {"Retry-After": "1"}}],
    [{**RESOLVE, "status": 429, "headers": {"RateLimit": '"resolvers";r=0;t=1'}}],
    [{**CDN, "drop_after": 0}, {**CDN, "drop_after": 300, "skip": 2, "times": 3}],
    [{"match": "*/tree/*", "drop_after": 20}, {"match": "*/revision/*", "drop_after": 1}],
    [{**CDN, "delay_s": 100, "skip": 3}],
    [{**CDN, "drip_s": 0.01, "times": 5}],
    [{**CDN, "flip": 5, "skip": 6}],
    [{**CDN, "headers": {"Content-Range": "bytes 0-9/10"}, "skip": 5, "times": 2}],
    [{"match": "*data.json", "drop_after": 777, "times": 4}],
]


@pytest.mark.parametrize("faults", PASSING)
def test_what_passes_leaves_no_trace(
    served: Served, whole: Records, faults: list[dict[str, Any]]
) -> None:
    hub, reader = served
    hub.faults(*faults)
    # Silence lasts until the plan of faults is replaced: only a short timeout ends it.
    limits = {"timeout_s": 0.7} if "delay_s" in str(faults) else {}
    plan, records = reader.both(OPTIONS, limits=limits)
    assert records == whole
    assert plan["quarantined"] == []
    hub.faults()
    log = hub.log()
    assert sum(one["fault"] for one in log) == sum(fault.get("times", 1) for fault in faults)
    stated = "RateLimit" in str(faults) or "Retry-After" in str(faults)
    if stated:
        struck = next(one["at"] for one in log if one["fault"])
        path = next(one["path"] for one in log if one["fault"])
        again = next(one["at"] for one in log if one["path"] == path and one["at"] > struck)
        assert 0.95 < again - struck < 60


LASTING: list[tuple[dict[str, Any], str, list[str]]] = [
    ({**RESOLVE, "status": 401, "headers": {"X-Error-Code": "GatedRepo"}}, "plan", ["Accept its"]),
    ({**RESOLVE, "status": 403, "headers": {"X-Error-Code": "GatedRepo"}}, "read", ["Accept its"]),
    ({**RESOLVE, "status": 403}, "read", ["refuses access (HTTP 403)", "HF_TOKEN"]),
    ({**RESOLVE, "status": 404, "headers": {"X-Error-Code": "EntryNotFound"}}, "read", ["no such"]),
    ({**RESOLVE, "status": 412}, "plan", ["SourceError", "HTTP 412"]),
    ({**CDN, "status": 503}, "read", ["TransientFault", "HTTP 503", "Run the same command again"]),
    ({**CDN, "drop_after": 0}, "read", ["TransientFault"]),
    ({**CDN, "delay_s": 100}, "read", ["TransientFault", "ReadTimeout"]),
    ({**RESOLVE, "status": 429, "headers": {"Retry-After": "9999"}}, "read", ["HTTP 429"]),
    ({**CDN, "status": 416}, "read", ["ChangedInput"]),
    ({**CDN, "headers": {"Content-Encoding": "gzip"}}, "read", ["is compressed", "proxy"]),
    ({"headers": {"Content-Encoding": "gzip"}}, "plan", ["is compressed"]),
    ({**RESOLVE, "status": 416}, "read", ["ChangedInput"]),
]


@pytest.mark.parametrize(("fault", "when", "said"), LASTING)
def test_what_lasts_ends_in_a_clear_error(
    served: Served, fault: dict[str, Any], when: str, said: list[str]
) -> None:
    hub, reader = served
    plan = reader.get("plan", options=OPTIONS) if when == "read" else None
    hub.faults({**fault, "times": -1})
    limits = {"patience_s": 2.0, "timeout_s": 0.4 if "delay_s" in fault else 30.0}
    answer = reader.ask(when, options=OPTIONS, plan=plan, limits=limits)
    for words in said:
        assert words in answer["error"], answer["error"]
    assert "Signature" not in answer["error"]
    assert answer["seconds"] < 60, "less than the patience of the others"


def test_an_object_that_is_not_the_listed_one_is_noticed(served: Served) -> None:
    hub, reader = served
    plan = reader.get("plan", options=OPTIONS)
    for headers in ({"X-Linked-Etag": f'"{"0" * 64}"'}, {"X-Linked-Size": "7"}):
        hub.faults({**RESOLVE, "headers": headers})
        answer = reader.ask("read", options=OPTIONS, plan=plan)
        assert answer["error"].startswith("ChangedInput"), answer["error"]


def test_broken_files_and_row_groups_are_set_aside_by_name(
    served: Served, files: dict[str, bytes], tmp_path: Path
) -> None:
    hub, reader = served
    name = "data/python/train-00000-of-00002.parquet"
    folder = tmp_path / "x.parquet"
    folder.write_bytes(files[name])
    column = pq.ParquetFile(folder).metadata.row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    damaged = bytearray(files[name])
    damaged[start + 40 : start + 60] = b"\xff" * 20
    good = files["data/python/train-00001-of-00002.parquet"]
    hub.store.commit(
        "o/broken",
        {
            "python/a.parquet": bytes(damaged),
            "python/b.parquet": good[: len(good) // 2],
            "python/c.parquet": b"",
            "python/d.parquet": good[:-200] + b"\xff" * 192 + good[-8:],
            "python/e.parquet": good,
        },
    )
    plan, records = reader.both({**OPTIONS, "path": "hf://datasets/o/broken"})
    names = [one["name"] for one in plan["quarantined"]]
    assert names == ["python/b.parquet", "python/c.parquet", "python/d.parquet"]
    assert all(one["reason"].startswith("unreadable footer") for one in plan["quarantined"])
    broken = [record for record in records if record.get("reason") == "corrupt_input"]
    assert [(one["rows"], one["row"], one["quarantined"]) for one in broken] == [
        (6, 6, "python/a.parquet#1")
    ]
    assert sum(counted(records).values()) == 24 + 8


def test_a_gate_is_an_error_and_never_a_broken_file(
    served: Served, files: dict[str, bytes]
) -> None:
    hub, reader = served
    gate = Access(visibility="gated", granted=("hf_good",))
    hub.store.commit("o/gated", files, access=gate)
    options = {**OPTIONS, "path": "hf://datasets/o/gated"}
    error = reader.ask("plan", options=options)["error"]
    assert f"Accept its terms at {hub.endpoint}/datasets/o/gated" in error
    plan, records = reader.both(options, token="hf_good")
    assert counted(records)["file"] == 27
    assert not [one for one in hub.log() if one["violation"]]


def test_opted_out_owners_and_repositories_are_refused(served: Served, whole: Records) -> None:
    _, reader = served
    plan = reader.get("plan", options=OPTIONS)
    options = {**OPTIONS, "opt_out": ["OWNER1/Name", "owner2"]}
    closed, records = reader.both(options)
    assert {one["digest"] for one in plan["slices"]}.isdisjoint(
        one["digest"] for one in closed["slices"]
    )
    kept = [one for one in whole if "content" in one and one["repo"] == "owner0/name"]
    assert [record for record in records if "content" in record] == kept
    assert counted(records)["opted_out"] == 27 - len(kept) > 0
    assert [record["row"] for record in records] == [one["row"] for one in whole]
