"""`xtrove forget` of what was published: what the Hub still serves is named, with the calls."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.running import RunningHub, running_hub
from tests.shards import builder
from tests.xtrove import support

TOKEN = "hf_write_5ecret"
REPO = "o/forgets"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A Hub to publish to."""
    with running_hub(tmp_path_factory.mktemp("hub"), 20) as running:
        yield running


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four pairs of as many repositories."""
    return builder.build(tmp_path, [builder.make_pair(n) for n in range(4)], []).path


def _publish(hub: RunningHub, path: Path, *words: str) -> str:
    command = [sys.executable, "-m", "xtrove", "publish", str(path), REPO, *words]
    done: subprocess.CompletedProcess[str] = hub.run(command, token=TOKEN, NO_COLOR="1")
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tag(path: Path) -> str:
    return f"content-{support.manifest(path)['content_sha256'][:16]}"


@pytest.mark.slow
def test_older_tags_branches_and_history_are_named(hub: RunningHub, dataset: Path) -> None:
    output = _publish(hub, dataset)
    _publish(hub, dataset, "--revision", "next")
    old = _tag(dataset)
    assert "still served" not in output
    done = support.xtrove("forget", dataset, "owner/repo3")
    assert done.returncode == 0, done.stderr
    assert "by their tags and its history" in " ".join(done.stdout.split())
    new = _tag(dataset)
    for _ in range(2):  # the first answer may be lost with its connection
        output = " ".join(_publish(hub, dataset).split())
        assert f"1 repositories were forgotten: {old}, branch next, the history of main" in output
        for tag in (old, new):
            assert f'delete_tag("{REPO}", tag="{tag}", repo_type="dataset")' in output
        assert f'delete_branch("{REPO}", branch="next", repo_type="dataset")' in output
        assert f'super_squash_history("{REPO}", branch="main", repo_type="dataset")' in output
    for name in (f"refs/tags/{old}", f"refs/tags/{new}", "next"):
        assert hub.store.drop(REPO, name)
    output = _publish(hub, dataset)
    assert "still served" not in output
    assert hub.store.resolve(REPO, new) == hub.store.resolve(REPO, "main")


@pytest.mark.slow
def test_the_work_folder_may_be_a_link(dataset: Path, tmp_path: Path) -> None:
    work = tmp_path / "elsewhere"
    (dataset / ".xtrove").rename(work)
    (dataset / ".xtrove").symlink_to(work)
    done = support.xtrove("forget", dataset, "owner/repo3", "--work", work)
    assert done.returncode == 0, done.stderr
    assert support.xtrove("verify", dataset).returncode == 0


SHM = Path("/dev/shm")


@pytest.mark.slow
@pytest.mark.skipif(not SHM.is_dir(), reason="there is no second file system")
def test_a_work_folder_on_another_disk_is_refused_before_anything_changes(dataset: Path) -> None:
    """Nothing can be renamed from there, which came out when the manifest was gone."""
    if SHM.stat().st_dev == dataset.stat().st_dev:
        pytest.skip("/dev/shm is the disk of the tests")
    before = support.sums(dataset)
    with tempfile.TemporaryDirectory(dir=SHM) as elsewhere:
        shutil.rmtree(dataset / ".xtrove")
        (dataset / ".xtrove").symlink_to(elsewhere)
        done = support.xtrove("forget", dataset, "owner/repo3", "--work", elsewhere)
        assert done.returncode == 1 and "another disk" in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
    (dataset / ".xtrove").unlink()
    assert support.sums(dataset) == before
    assert support.xtrove("verify", dataset).returncode == 0
