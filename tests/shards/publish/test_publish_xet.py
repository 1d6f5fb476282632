"""Publishing through xet storage, into a local store that the small Hub hands out."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.running import Reader, RunningHub, running_hub, running_reader
from tests.shards import builder

PROBE = """
import hf_xet, sys
with hf_xet.XetSession().new_upload_commit(endpoint="local://" + sys.argv[1]) as commit:
    commit.start_upload_bytes(b"probe" * 1000, sha256=hf_xet.COMPUTE_SHA256)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningHub, Reader, Path]]:
    """A Hub with a xet store, a client that uses it, and a dataset."""
    pytest.importorskip("hf_xet")
    base = tmp_path_factory.mktemp("xet")
    (base / "store").mkdir()
    (base / "probe").mkdir()
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, str(base / "probe")], capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    if probe.returncode:
        pytest.skip(f"this hf_xet takes no local store: {probe.stderr[-200:]}")
    path = builder.build(base / "set", [builder.make_pair(n) for n in range(8)], []).path
    env = {"HF_HUB_DISABLE_XET": "0", "HF_XET_CACHE": str(base / "cache")}
    with (
        running_hub(base, 1000, "--xet", str(base / "store")) as hub,
        running_reader(hub, "tests.hub.publishing", **env) as client,
    ):
        yield hub, client, path


def _bulk(path: Path) -> dict[str, str]:
    return {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.suffix in (".tar", ".arrow", ".parquet")
    }


def test_published_through_xet_and_not_through_lfs(place: tuple[RunningHub, Reader, Path]) -> None:
    hub, client, path = place
    hub.forget()
    done = client.get("publish", path=str(path), repo="o/xet")
    log = hub.log()
    assert not [one for one in log if "/info/lfs/" in one["path"] or one["method"] == "PUT"]
    assert [one for one in log if "/xet-write-token/" in one["path"]]
    by_name = {blob.path: blob.sha256 for blob in hub.store.blobs("o/xet", done["commit"])}
    bulk = _bulk(path)
    assert bulk and bulk.items() <= by_name.items()
    assert client.get("publish", path=str(path), repo="o/xet")["commits"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["xet-write-token/*", "commit/xtrove-staging-main", "commit/main"])
def test_a_cut_in_xet_mode(place: tuple[RunningHub, Reader, Path], step: str, when: str) -> None:
    hub, client, path = place
    repo = f"o/{when}-{step.split('/')[0]}-{len(step)}"
    hub.forget()
    hub.faults({"match": f"*/{step}", "hang_up": when})
    client.ask("publish", path=str(path), repo=repo)
    done = client.get("publish", path=str(path), repo=repo)
    by_name = {blob.path: blob.sha256 for blob in hub.store.blobs(repo, done["commit"])}
    assert _bulk(path).items() <= by_name.items()
    history = [one["branch"] for one in hub.store.history(repo)]
    assert history.count("main") == 1
