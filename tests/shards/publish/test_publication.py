"""Publishing to the small Hub over real connections: what is seen, sent, resumed and refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from tests.hub.running import Reader, RunningHub, running_hub, running_reader
from tests.hub.store import Access
from tests.hub.writable import Change
from tests.shards import builder

MUTATING = ("POST", "PUT", "DELETE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A Hub, a process that publishes to it, and datasets."""

    hub: RunningHub
    client: Reader
    tiny: Path
    """One shard."""
    small: Path
    """Two languages, 13 shards."""
    other: Path
    """Half of `small`: other shards under the same names."""
    stack: Path
    """One shard that holds content of The Stack."""

    def publish(self, path: Path, repo: str, **job: Any) -> dict[str, Any]:
        """A publication that has to succeed."""
        done: dict[str, Any] = self.client.get("publish", path=str(path), repo=repo, **job)
        return done

    def fails(self, path: Path, repo: str, **job: Any) -> str:
        """What a publication that has to fail says."""
        answer = self.client.ask("publish", path=str(path), repo=repo, **job)
        assert answer["error"], answer
        return str(answer["error"])

    def holds(self, repo: str, path: Path, revision: str = "main") -> None:
        """The branch holds exactly the dataset, byte for byte, beside `.gitattributes`."""
        commit = self.hub.store.resolve(repo, revision)
        assert commit is not None
        by_name = {
            blob.path: hashlib.sha256(blob.place.read_bytes()).hexdigest()
            for blob in self.hub.store.blobs(repo, commit)
        }
        del by_name[".gitattributes"]
        assert by_name == _digests(path)


def _digests(path: Path) -> dict[str, str]:
    lines = (path / "SHA256SUMS").read_text().splitlines()
    sums = {line[66:]: line[:64] for line in lines}
    return sums | {"SHA256SUMS": hashlib.sha256((path / "SHA256SUMS").read_bytes()).hexdigest()}


def _writes(hub: RunningHub) -> list[dict[str, Any]]:
    return [one for one in hub.log() if one["method"] in MUTATING and one["status"] == 200]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything, once."""
    base = tmp_path_factory.mktemp("publish")
    pairs = [builder.make_pair(number) for number in range(4)]
    tiny = builder.build(base / "tiny", pairs, builder.default_removals(pairs + pairs)[:1])
    small = builder.build(base / "small")
    half = builder.default_pairs()[:50]
    other = builder.build(base / "other", half, builder.default_removals(half))
    stack = builder.build(
        base / "stack", pairs, builder.default_removals(pairs + pairs)[:1], kind="the-stack"
    )
    with (
        running_hub(base, 7) as hub,
        running_reader(hub, "tests.hub.publishing") as client,
    ):
        yield Place(
            hub=hub, client=client, tiny=tiny.path, small=small.path, other=other.path,
            stack=stack.path,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh(place: Place) -> None:
    place.hub.forget()


@pytest.mark.slow
def test_one_commit_makes_all_of_it_visible(place: Place) -> None:
    done = place.publish(place.small, "o/visible", options={"files_per_commit": 15})
    place.holds("o/visible", place.small)
    history = place.hub.store.history("o/visible")
    on_main = [one for one in history if one["branch"] == "main"]
    assert len(on_main) == 1
    assert len(history) == done["commits"] > 3
    files = len(_digests(place.small))
    assert done["verified"] == files
    refs = place.hub.store.refs("o/visible")
    manifest = json.loads((place.small / "manifest.json").read_bytes())
    tag = f"content-{manifest['content_sha256'][:16]}"
    assert done["tag"] == tag
    assert refs == {"main": done["commit"], f"refs%2Ftags%2F{tag}": done["commit"]}
    for one in place.hub.log():
        assert not one["violation"], one
        if one["path"].endswith("/commit/xtrove-staging-main"):
            assert one["method"] == "POST"


def test_a_second_publication_writes_nothing(place: Place) -> None:
    place.publish(place.small, "o/second")
    place.hub.forget()
    done = place.publish(place.small, "o/second")
    assert done["commits"] == 0
    assert _writes(place.hub) == []


def test_another_dataset_replaces_the_first_in_one_step(place: Place) -> None:
    first = place.publish(place.small, "o/replace")
    second = place.publish(place.other, "o/replace")
    place.holds("o/replace", place.other)
    place.holds("o/replace", place.small, first["tag"])
    on_main = [o for o in place.hub.store.history("o/replace") if o["branch"] == "main"]
    assert [one["commit"] for one in on_main] == [first["commit"], second["commit"]]


def test_what_the_branch_has_already_is_not_sent(place: Place, tmp_path: Path) -> None:
    place.publish(place.small, "o/half")
    place.hub.forget()
    pairs = [*builder.default_pairs(), builder.make_pair(999)]
    grown = builder.build(tmp_path, pairs, builder.default_removals(pairs)).path
    place.publish(grown, "o/half")
    sent = {one["path"][-64:] for one in place.hub.log() if one["method"] == "PUT"}
    bulk = {d for p, d in _digests(grown).items() if p.endswith((".tar", ".arrow", ".parquet"))}
    fresh = bulk - set(_digests(place.small).values())
    assert 0 < len(fresh) < len(bulk)
    assert sent == fresh


STEPS = (
    ("POST", "/api/repos/create"),
    ("GET", "/api/datasets/*/refs"),
    ("GET", "/api/datasets/*/revision/*"),
    ("GET", "/api/datasets/*/tree/*"),
    ("POST", "/api/datasets/*/branch/*"),
    ("POST", "/api/datasets/*/preupload/xtrove-staging-main"),
    ("POST", "/datasets/*.git/info/lfs/objects/batch"),
    ("PUT", "/_put/*"),
    ("POST", "/datasets/*.git/info/lfs/verify"),
    ("POST", "/api/datasets/*/commit/xtrove-staging-main"),
    ("POST", "/api/validate-yaml"),
    ("POST", "/api/datasets/*/preupload/main"),
    ("POST", "/api/datasets/*/paths-info/*"),
    ("POST", "/api/datasets/*/commit/main"),
    ("POST", "/api/datasets/*/tag/*"),
    ("GET", "/datasets/*/resolve/*"),
    ("GET", "/api/resolve-cache/*"),
    ("DELETE", "/api/datasets/*/branch/*"),
)
"""Every kind of request that a publication makes."""


def test_the_steps_are_all_there_are(place: Place) -> None:
    place.publish(place.tiny, "o/steps")
    for one in place.hub.log():
        known = [s for s in STEPS if s[0] == one["method"] and fnmatchcase(one["path"], s[1])]
        assert known or one["path"] in ("/api/datasets/o/steps",), one


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(step).strip("/*"))
def test_a_connection_cut_at_any_step(place: Place, step: tuple[str, str], when: str) -> None:
    """Cut once: before anything was done, and after it was, without an answer."""
    repo = f"o/cut-{when}-{STEPS.index(step)}"
    place.hub.faults({"match": step[1], "method": step[0], "hang_up": when})
    done = place.publish(place.tiny, repo)
    assert [one["fault"] for one in place.hub.log()].count(True) == 1
    place.holds(repo, place.tiny)
    history = place.hub.store.history(repo)
    assert [one["branch"] for one in history].count("main") == 1
    assert place.hub.store.resolve(repo, done["tag"]) == done["commit"]
    assert "xtrove-staging-main" not in place.hub.store.refs(repo)


@pytest.mark.parametrize(("status", "headers"), [(429, {"Retry-After": "0"}), (503, {})])
def test_a_busy_hub_is_waited_for(place: Place, status: int, headers: dict[str, str]) -> None:
    repo = f"o/busy-{status}-{headers.get('Retry-After', 'silent')}"
    fault = {"status": status, "headers": headers}
    place.hub.faults(
        {"match": "*/commit/*", "times": 2, **fault},
        {"match": "*/tag/*", **fault},
        {"match": "*/api/repos/create", **fault},
        {"match": f"*/{repo}/revision/*", **fault},
    )
    answer = place.client.ask("publish", path=str(place.tiny), repo=repo)
    assert not answer["error"]
    assert sum(f"HTTP {status}" in line for line in answer["said"]) == 5
    place.holds(repo, place.tiny)


def test_a_hub_that_names_a_time_is_given_it(place: Place) -> None:
    place.hub.faults({"match": "*/commit/main", "status": 429, "headers": {"Retry-After": "1"}})
    answer = place.client.ask("publish", path=str(place.tiny), repo="o/later")
    assert not answer["error"]
    assert answer["seconds"] > 1


def test_a_hub_that_stays_down_ends_it_and_the_same_command_goes_on(place: Place) -> None:
    place.hub.faults({"match": "*/commit/main", "times": -1, "status": 503})
    assert "HfHubHTTPError" in place.fails(place.small, "o/down", tries=2)
    assert [one["branch"] for one in place.hub.store.history("o/down")] == ["xtrove-staging-main"]
    place.hub.forget()
    place.publish(place.small, "o/down")
    assert not [one for one in place.hub.log() if one["method"] == "PUT"]
    place.holds("o/down", place.small)


def _commit(place: Place, repo: str, files: dict[str, bytes]) -> None:
    change = Change(summary="by hand", parent=None, files=files, large={}, deleted=())
    place.hub.store.apply(repo, "main", change)


def test_a_parent_that_moved_elsewhere_is_taken_anew(place: Place) -> None:
    place.publish(place.tiny, "o/moved")
    place.hub.faults({"match": "*/commit/main", "status": 412})
    _commit(place, "o/moved", {"LICENSE": b"text"})
    answer = place.client.ask("publish", path=str(place.other), repo="o/moved")
    assert not answer["error"]
    assert any("moved meanwhile" in line for line in answer["said"])
    commit = place.hub.store.resolve("o/moved", "main")
    assert commit is not None
    assert place.hub.store.blob("o/moved", commit, "LICENSE") is not None


def test_a_parent_whose_files_changed_is_an_error(place: Place) -> None:
    """Somebody else publishes between the comparison and the commit."""
    place.publish(place.tiny, "o/raced")
    before = place.hub.store.history("o/raced")
    place.hub.faults({"match": "*/commit/xtrove-staging-main", "delay_s": 100})
    process = place.client._process
    assert process.stdin is not None and process.stdout is not None
    job = {"do": "publish", "path": str(place.other), "repo": "o/raced"}
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    _wait_for(place, "xtrove-staging-main")
    _commit(place, "o/raced", {"README.md": b"# mine\n"})
    place.hub.faults()
    answer = json.loads(process.stdout.readline())
    assert "README.md" in answer["error"] and "moved from" in answer["error"]
    history = [one for one in place.hub.store.history("o/raced") if one["branch"] == "main"]
    assert [one["summary"] for one in history[-1:]] == ["by hand"]
    assert len(before) == 2


def _wait_for(place: Place, branch: str) -> None:
    deadline = time.monotonic() + 120
    while branch not in place.hub.store.refs("o/raced"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_wrong_sizes_on_the_hub_are_found(place: Place) -> None:
    place.publish(place.tiny, "o/wrong")
    tar = next(place.tiny.rglob("*.tar"))
    size = tar.stat().st_size
    swap = {f'"size": {size}': f'"size": {size - 1}'}
    place.hub.faults({"match": "*/tree/*", "times": -1, "swap": swap})
    output = place.fails(place.tiny, "o/wrong")
    assert f"has {size - 1} bytes, should have {size}" in output
    assert "xtrove-staging-main" in output


def test_a_wrong_digest_after_the_commit_is_found(place: Place) -> None:
    digest = _digests(place.tiny)["README.md"]
    place.hub.faults({"match": "*/resolve-cache/*/README.md", "times": -1, "flip": 100})
    output = place.fails(place.tiny, "o/flipped")
    assert f"should have {digest}" in output and "README.md has SHA-256" in output


def test_content_of_the_stack_is_gated_and_never_shown_without_its_terms(place: Place) -> None:
    place.hub.faults({"match": "*/commit/main", "times": -1, "status": 503})
    place.fails(place.stack, "o/stack", tries=1)
    assert place.hub.store.access("o/stack").visibility == "private"
    place.hub.forget()
    done = place.publish(place.stack, "o/stack")
    access = place.hub.store.access("o/stack")
    assert (access.visibility, access.gate) == ("gated", "auto")
    assert done["gated"] and not done["private"]
    writes = [write["path"].split("/")[-2:] for write in _writes(place.hub)]
    assert writes.index(["commit", "main"]) < writes.index(["stack", "settings"])
    card = (place.stack / "README.md").read_text()
    assert "extra_gated_prompt:" in card and "extra_gated_fields:" in card


def test_a_private_repository_stays_private(place: Place) -> None:
    done = place.publish(place.stack, "o/hidden", options={"private": True})
    assert done["private"]
    assert place.hub.store.access("o/hidden").visibility == "private"
    assert place.publish(place.stack, "o/hidden")["private"]


def test_public_is_not_made_private(place: Place) -> None:
    place.publish(place.tiny, "o/public")
    assert "is public already" in place.fails(place.tiny, "o/public", options={"private": True})


def test_another_branch(place: Place) -> None:
    place.publish(place.tiny, "o/branch")
    done = place.publish(place.other, "o/branch", options={"revision": "next"})
    place.holds("o/branch", place.tiny)
    place.holds("o/branch", place.other, "next")
    assert place.hub.store.resolve("o/branch", done["tag"]) == done["commit"]


def test_a_pull_request(place: Place) -> None:
    place.publish(place.tiny, "o/asked")
    start = place.hub.store.resolve("o/asked", "main")
    assert start is not None
    assert "has no refs/pr/1" in place.fails(
        place.other, "o/asked", options={"revision": "refs/pr/1"}
    )
    place.hub.store.move("o/asked", "refs/pr/1", start)
    place.publish(place.other, "o/asked", options={"revision": "refs/pr/1"})
    place.holds("o/asked", place.tiny)
    place.holds("o/asked", place.other, "refs/pr/1")


def test_terms_are_shown_by_main_alone(place: Place) -> None:
    output = place.fails(place.stack, "o/aside", options={"revision": "aside"})
    assert "publish to main first" in output
    assert not place.hub.store.has("o/aside")
    place.publish(place.tiny, "o/opened")
    place.publish(place.stack, "o/opened")
    access = place.hub.store.access("o/opened")
    assert (access.visibility, access.gate) == ("gated", "auto")
    settings = [write for write in _writes(place.hub) if write["path"].endswith("/settings")]
    assert len(settings) == 3


def test_files_of_somebody_else_are_never_deleted(place: Place) -> None:
    place.hub.store.commit("o/theirs", {"data.csv": b"a,b\n", "README.md": b"# theirs\n"})
    assert "data.csv" in place.fails(place.tiny, "o/theirs")
    place.publish(place.tiny, "o/mixed")
    _commit(place, "o/mixed", {"parquet/python/train-extra.parquet": b"PAR1"})
    assert "parquet/python/train-extra.parquet" in place.fails(place.other, "o/mixed")


def test_the_staged_is_looked_at_and_not_the_clock(place: Place) -> None:
    """What a first run staged is not staged again, and shows in the plan."""
    place.hub.faults({"match": "*/commit/main", "times": -1, "status": 503})
    place.fails(place.small, "o/plan", tries=1)
    place.hub.forget()
    plan = place.publish(place.small, "o/plan", look=True)
    assert plan["commits"] == 1
    assert _writes(place.hub) == []


def test_tokens_that_may_not(place: Place) -> None:
    assert "403" in place.fails(place.tiny, "o/denied", token="hf_read_only")
    assert "401" in place.fails(place.tiny, "o/denied", token="nonsense")
    place.hub.store.commit(
        "o/closed", {"a.txt": b"a"}, access=Access(visibility="private", granted=("hf_other",))
    )
    assert "o/closed exists, but this token may not see it" in place.fails(place.tiny, "o/closed")


def test_a_changed_dataset_is_refused(place: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(place.tiny, copy)
    tar = next(copy.rglob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:-512] + b"x" * 512)
    assert "should be" in place.fails(copy, "o/changed")
    assert not place.hub.store.has("o/changed")
