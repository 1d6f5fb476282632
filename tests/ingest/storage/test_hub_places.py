"""Listing, pinning, access and transport, by real clients against the small Hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub.running import Reader, RunningHub, running_hub, running_reader
from tests.hub.store import Access

REPO = "owner/name"
URI = f"hf://datasets/{REPO}"
FILES = {
    "README.md": b"# hello\n",
    **{f"data/c++/train-0000{i}-of-00004.parquet": bytes([i]) * 5000 for i in range(4)},
    "data/python/data.json": b'{"a": 1}\n' * 40,
}
GATE = "hf_granted"
Served = tuple[RunningHub, Reader]


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running_hub(tmp_path_factory.mktemp("hub"), page=3) as hub:
        hub.store.commit(REPO, FILES)
        hub.store.commit("owner/gated", FILES, access=Access(visibility="gated", granted=(GATE,)))
        hub.store.commit("owner/own", FILES, access=Access(visibility="private", granted=(GATE,)))
        with running_reader(hub) as reader:
            yield hub, reader


@pytest.fixture
def served(served_once: Served) -> Served:
    served_once[0].forget()
    return served_once


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def digest(name: str) -> str:
    data = FILES[name]
    large = name.endswith(".parquet")
    return f"sha256:{hashlib.sha256(data).hexdigest()}" if large else f"git:{git_oid(data)}"


def test_a_listing_of_three_pages_names_each_file_once(served: Served) -> None:
    hub, reader = served
    result = reader.get("list", path=URI)
    commit = hub.store.resolve(REPO, "main")
    assert result == {
        "revision": commit,
        "folders": ["data"],
        "terms": "open",
        "files": [
            {
                "name": name,
                "size": len(FILES[name]),
                "digest": digest(name),
                "uri": f"{URI}@{commit}/{name}",
                "problem": "",
            }
            for name in sorted(FILES)
        ],
    }
    pages = [one for one in hub.log() if "recursive=true" in one["query"]]
    assert len(pages) == 3
    assert {page["path"] for page in pages} == {f"/api/datasets/{REPO}/tree/{commit}"}


def test_the_real_client_sees_the_same_files(served: Served) -> None:
    """Otherwise the small Hub would only prove that it agrees with itself."""
    hub, _ = served
    seen = hub.client(
        f"""
from pathlib import Path
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, hf_hub_url
from huggingface_hub import get_hf_file_metadata
from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError
api, repo = HfApi(), dict(repo_id={REPO!r}, repo_type="dataset")
tree = api.list_repo_tree(recursive=True, **repo)
tree = [x for x in tree if hasattr(x, "size")]
files = {{x.path: [x.size, x.lfs.sha256 if x.lfs else x.blob_id] for x in tree}}
read = {{name: Path(hf_hub_download(filename=name, **repo)).read_bytes().hex() for name in files}}
with HfFileSystem().open("datasets/{REPO}/data/c++/train-00002-of-00004.parquet", "rb") as file:
    file.seek(4990)
    tail = file.read().hex()
errors = []
for words in (dict(filename="none"), dict(filename="README.md", revision="none")):
    try:
        hf_hub_download(**words, **repo)
    except (EntryNotFoundError, RevisionNotFoundError) as error:
        errors.append(type(error).__name__)
url = hf_hub_url(filename="README.md", **repo)
answer = [api.dataset_info({REPO!r}).sha, files, read, tail, errors, get_hf_file_metadata(url).size]
"""
    )
    oids = {name: [len(FILES[name]), digest(name).split(":")[1]] for name in FILES}
    assert seen == [
        hub.store.resolve(REPO, "main"),
        oids,
        {name: data.hex() for name, data in FILES.items()},
        "02" * 10,
        ["RemoteEntryNotFoundError", "RevisionNotFoundError"],
        len(FILES["README.md"]),
    ]
    assert not [one for one in hub.log() if one["violation"]]


def test_a_branch_that_moves_is_not_seen(served: Served) -> None:
    hub, reader = served
    before = reader.get("list", path=f"{URI}@main")
    moved = hub.store.commit(REPO, {**FILES, "README.md": b"other"})
    try:
        again = reader.get("list", path=f"{URI}@{before['revision']}", bytes=9)
        assert again["revision"] == before["revision"] != moved
        assert again["files"][0]["read"] == b"# hello\n".hex()
        assert reader.get("list", path=URI, bytes=9)["files"][0]["read"] == b"other".hex()
    finally:
        hub.store.move(REPO, "main", before["revision"])


@pytest.mark.parametrize("revision", ["refs/convert/parquet", "refs%2Fconvert%2Fparquet"])
def test_revisions_with_slashes_subfolders_and_single_files(served: Served, revision: str) -> None:
    hub, reader = served
    commit = hub.store.commit(REPO, {"all/train/0000.parquet": b"x"}, "refs/convert/parquet")
    result = reader.get("list", path=f"{URI}@{revision}/all", bytes=5)
    assert result["revision"] == commit
    assert [(one["name"], one["read"]) for one in result["files"]] == [("train/0000.parquet", "78")]
    single = reader.get("list", path=f"{URI}@{revision}/all/train/0000.parquet", bytes=5)
    assert [(one["name"], one["read"]) for one in single["files"]] == [("0000.parquet", "78")]
    assert single["files"][0]["uri"] == result["files"][0]["uri"]
    assert single["folders"] == []


REFUSALS: list[tuple[str, str, str, list[str]]] = [
    ("hf://datasets/owner/gated", "", "gated", ["HTTP 401", "Accept its terms at", "HF_TOKEN"]),
    ("hf://datasets/owner/gated", "hf_stranger", "gated", ["HTTP 403", "Accept its terms at"]),
    ("hf://datasets/owner/gated", "stale", "", ["HTTP 401", "HF_TOKEN"]),
    ("hf://datasets/owner/own", "", "own", ["HTTP 401 RepoNotFound", "HF_TOKEN"]),
    ("hf://datasets/owner/own", "hf_stranger", "own", ["no such data set", "HF_TOKEN"]),
    ("hf://datasets/owner/none", "", "none", ["HTTP 401", "check the name"]),
    (f"{URI}@none", "", "@none", ["no such revision"]),
    (f"{URI}/none", "", "/none", ["nothing of this name"]),
]


@pytest.mark.parametrize(("uri", "token", "named", "said"), REFUSALS)
def test_a_refusal_names_the_page_and_the_remedy(
    served: Served, uri: str, token: str, named: str, said: list[str]
) -> None:
    hub, reader = served
    hub.forget()
    answer = reader.ask("list", path=uri, token=token, bytes=1)
    repo = "/".join(uri.split("@")[0].split("/")[3:5])
    assert answer["error"].startswith("SourceError: ")
    for words in [*said, named, f"{hub.endpoint}/datasets/{repo}"]:
        assert words in answer["error"], answer["error"]
    assert not token or token not in answer["error"]
    refused = [one["path"] for one in hub.log() if one["status"] >= 400]
    assert len(refused) == len(set(refused)), "it was tried again"


def test_whoever_was_granted_reads_and_the_token_stays_at_home(served: Served) -> None:
    hub, reader = served
    result = reader.get("list", path="hf://datasets/owner/gated", token=GATE, bytes=3)
    assert [one["read"] for one in result["files"]][1:3] == ["000000", "010101"]
    assert result["terms"] == "gated"
    log = hub.log()
    assert {(one["port"], one["authorized"]) for one in log} == {("hub", True), ("cdn", False)}
    assert not [one for one in log if one["violation"]]
    assert all(one["range"] for one in log if one["port"] == "cdn")


def test_another_range_is_never_taken_for_the_one_asked_for(served: Served) -> None:
    hub, reader = served
    hub.faults({"match": "*resolve-cache*", "shift": 2, "times": 2})
    result = reader.get("list", path=f"{URI}/README.md", bytes=4)
    assert result["files"][0]["read"] == b"# he".hex()
    assert len([one for one in hub.log() if one["fault"]]) == 2


def test_an_answer_that_drips_is_broken_off_and_goes_on(served: Served) -> None:
    hub, reader = served
    name = "data/c++/train-00002-of-00004.parquet"
    hub.faults({"port": "cdn", "drip_s": 0.25})
    limits = {"timeout_s": 0.3}
    result = reader.get("list", path=f"{URI}/{name}", bytes=5000, limits=limits)
    assert result["files"][0]["read"] == FILES[name].hex()
    # The log is in the order in which answers end.
    later, first = sorted((one["range"] for one in hub.log() if one["port"] == "cdn"), reverse=True)
    assert first == "bytes=0-4999" != later
    assert later.endswith("-4999")


@pytest.mark.slow
def test_an_expired_address_is_asked_for_again(served: Served) -> None:
    hub, _ = served
    name = "data/c++/train-00003-of-00004.parquet"
    hub.faults({"port": "cdn", "match": "*train-00003*", "skip": 1, "status": 403})
    seen = hub.client(
        f"""
from ingest.storage.locate import open_entry, pin
(entry,) = pin("{URI}/{name}").files()
with open_entry(entry) as file:
    answer = [file.read(2).hex(), file.seek(10), file.read(3).hex(), file.read(3).hex()]
"""
    )
    assert seen == ["0303", 10, "030303", "030303"]
    resolved = [one for one in hub.log() if "/resolve/" in one["path"]]
    assert len(resolved) == 2


HOSTILE: list[Any] = [
    {"type": "file", "path": "../../etc/passwd", "size": 1, "oid": "0" * 40},
    {"type": "file", "path": "a//b", "size": 1, "oid": "0" * 40},
    {"type": "file", "path": "a\nb", "size": 1, "oid": "0" * 40},
    {"type": "file", "path": "negative", "size": -1, "oid": "0" * 40},
    {"type": "file", "path": 7, "size": 1},
    {"type": "file"},
    {"type": 5},
    "text",
    {"type": "file", "path": "good", "size": 1, "oid": "x", "lfs": {"oid": "../x"}},
]


def test_a_hostile_listing_gives_only_what_can_be_named(served: Served) -> None:
    hub, reader = served
    hub.faults({"match": "*/tree/*", "status": 200, "body": json.dumps(HOSTILE)})
    result = reader.get("list", path=URI)
    assert [(one["name"], one["digest"]) for one in result["files"]] == [("good", "")]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"headers": {"Link": '<http://10.0.0.1/x>; rel="next"'}, "body": "[]"}, "leads elsewhere"),
        ({"body": "<html>"}, "no JSON"),
        ({"body": "[" * 100_000}, "no JSON"),
        ({"status": 302, "headers": {"Location": "file:///etc/passwd"}}, "not followed"),
        ({"status": 302, "headers": {"Location": "/api/datasets/owner/name"}, "times": -1}, "many"),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(
    served: Served, fault: dict[str, object], said: str
) -> None:
    hub, reader = served
    hub.faults({"match": "/api/datasets/*", "skip": 1, "status": 200, **fault})
    error = reader.ask("list", path=URI)["error"]
    assert error.startswith("SourceError") and said in error


@pytest.mark.slow
def test_offline_is_said_at_once(served: Served) -> None:
    hub, _ = served
    with running_reader(hub, HF_HUB_OFFLINE="1") as reader:
        error = reader.ask("list", path=URI)["error"]
    assert "HF_HUB_OFFLINE" in error and error.startswith("SourceError")
    assert hub.log() == []
