"""Builds on a real cluster of several Ray nodes on this machine: same bytes, nodes that die,
nodes that do not fit, and submitted jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.xtrove import support
from tests.xtrove.cluster_support import (
    RAY,
    XTROVE,
    Cluster,
    cluster,
    environment,
    free_port,
    kill_group,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(library_config: Path) -> Path:
    """A config over a part of the standard library, in several slices."""
    return library_config


@pytest.fixture(scope="module")
def reference(library_dataset: Path) -> str:
    """The checksums of the same build in one process."""
    return support.sums(library_dataset)


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    """A head with a dashboard and one node; tests add nodes and take them away again."""
    with cluster(dashboard=True) as held:
        held.join()
        yield held


def _wait_for_words(process: subprocess.Popen[str], output: Path, words: str) -> None:
    deadline = time.monotonic() + support.TIMEOUT
    logs = output / ".xtrove" / "logs"
    while not any(words in log.read_text(encoding="utf-8") for log in logs.glob("*.jsonl")):
        assert process.poll() is None, f"the build ended before it said {words!r}"
        assert time.monotonic() < deadline, f"the build never said {words!r}"
        time.sleep(0.05)


def test_the_same_bytes_and_a_quiet_terminal(
    shared: Cluster, config: Path, reference: str, tmp_path: Path
) -> None:
    output = tmp_path / "dataset"
    done = shared.build(config, "--output", output)
    assert done.returncode == 0, done.stderr
    assert support.sums(output) == reference
    assert support.without_progress(done.stderr) == ["on a cluster of 2 nodes and 1 CPU"]
    assert not list((output / ".xtrove").glob("session-*"))


def test_a_node_is_killed_and_another_joins(
    shared: Cluster, config: Path, reference: str, tmp_path: Path
) -> None:
    output = tmp_path / "dataset"
    lost = shared.join()
    with shared.start_build(config, "--output", output) as process:
        try:
            support.wait_for_receipts(process, output, "extract", 1)
            lost.kill()
            assert not support.receipts(output, "shard"), "the kill came too late to mean anything"
            _, err = process.communicate(timeout=support.TIMEOUT)
        finally:
            kill_group(process)
    assert process.returncode == 0, err
    assert support.sums(output) == reference
    lines = support.without_progress(err)
    assert lines[0] == "on a cluster of 3 nodes and 2 CPUs"
    assert set(lines[1:]) <= {"the cluster has 2 nodes and 1 CPU now"}


UNSHARED = {
    "does not share the work folder": 'mount -t tmpfs none "$P"',
    "cannot write the work folder": 'mount --bind "$P" "$P" && mount -o remount,ro,bind "$P"',
    "which does not arrive here": 'mount -t tmpfs none "$Q" && mkdir "$Q/up" "$Q/work" && '
    'mount -t overlay none -o "lowerdir=$P,upperdir=$Q/up,workdir=$Q/work" "$P"',
}
"""What the build says -> how the node comes to see another folder, in a namespace of its own."""


@pytest.mark.parametrize("words", UNSHARED)
def test_a_node_that_cannot_write_the_shared_output_is_refused(
    words: str, shared: Cluster, config: Path, tmp_path: Path
) -> None:
    parent, other = tmp_path / "mount", tmp_path / "other"
    (parent / "dataset" / ".xtrove").mkdir(parents=True)
    other.mkdir()
    changes = {"P": str(parent), "Q": str(other)}
    try_it = ["unshare", "--mount", "sh", "-c", UNSHARED[words]]
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            try_it, env={**os.environ, **changes}, capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("unshare: no mount namespaces of this kind here")
    node = shared.join(before=[*try_it[:-1], f'{UNSHARED[words]} && exec "$@"', "sh"],
                       changes=changes)  # fmt: skip
    try:
        done = shared.build(config, "--output", parent / "dataset")
    finally:
        node.kill()
    assert done.returncode == 1
    assert words in done.stderr.replace("\n", " ")
    assert "put `output:` (and `work:`) on a mount that every node can write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (parent / "dataset" / "SHA256SUMS").exists()
    assert not support.receipts(parent / "dataset", "extract")


@pytest.fixture(scope="module")
def other_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that differs in a file that decides bytes."""
    copy = _checkout(tmp_path_factory.mktemp("other") / "checkout")
    changed = copy / "xtrove" / "stages" / "__init__.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    return copy


def _checkout(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for package in ("ingest", "extract", "dedupe", "shards", "xtrove"):
        shutil.copytree(
            support.ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def test_a_node_with_other_code_is_refused(
    shared: Cluster, config: Path, other_code: Path, tmp_path: Path
) -> None:
    node = shared.join(changes={"PYTHONPATH": str(other_code)})
    try:
        done = shared.build(config, "--output", tmp_path / "dataset")
    finally:
        node.kill()
    assert done.returncode == 1
    assert "runs other versions: code: " in done.stderr
    assert "install the same checkout on every node" in done.stderr
    assert not support.receipts(tmp_path / "dataset", "extract")


def test_a_node_with_other_code_that_joins_later_is_refused_too(
    config: Path, other_code: Path, tmp_path: Path
) -> None:
    output = tmp_path / "dataset"
    with cluster() as held, held.start_build(config, "--output", output) as process:
        try:
            _wait_for_words(process, output, "no node offers a CPU yet")
            held.join(changes={"PYTHONPATH": str(other_code)})
            _, err = process.communicate(timeout=support.TIMEOUT)
        finally:
            kill_group(process)
    assert process.returncode == 1
    assert "runs other versions: code: " in err
    assert not support.receipts(output, "extract")


def test_the_head_is_killed_and_another_cluster_goes_on(
    shared: Cluster, config: Path, reference: str, tmp_path: Path
) -> None:
    output = tmp_path / "dataset"
    with cluster() as held:
        held.join()
        with held.start_build(config, "--output", output) as process:
            try:
                before = support.wait_for_receipts(process, output, "extract", 1)
                held.head.kill()
                _, err = process.communicate(timeout=support.TIMEOUT)
            finally:
                kill_group(process)
    assert process.returncode == 1, err
    assert "has not answered for 10 s" in err or "the Ray of this machine has ended" in err
    assert "run the same command again: what is finished is kept" in err
    assert not (output / "SHA256SUMS").exists()
    done = shared.build(config, "--output", output)
    assert done.returncode == 0, done.stderr
    assert support.sums(output) == reference
    assert not support.worked(output, "extract") & before


def test_a_job_is_submitted(shared: Cluster, config: Path, reference: str, tmp_path: Path) -> None:
    checkout, output = _checkout(tmp_path / "checkout"), tmp_path / "dataset"
    refused = _submit(shared, checkout, config, "dataset")
    assert refused.returncode != 0
    text = refused.stdout + refused.stderr
    assert "output: 'dataset' is relative, and this job runs in a folder that Ray deletes" in text
    assert "exit code 2" in text
    done = _submit(shared, checkout, config, str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    assert support.sums(output) == reference


def _submit(
    held: Cluster, checkout: Path, config: Path, output: str
) -> subprocess.CompletedProcess[str]:
    path = f"{RAY.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [
            str(RAY), "job", "submit", "--working-dir", ".", "--",
            str(RAY.with_name("python")), "-m", "xtrove", "build", str(config), "--output", output,
        ],
        cwd=checkout,
        env=environment(RAY_API_SERVER_ADDRESS=held.head.dashboard, PATH=path),
        capture_output=True, text=True, timeout=support.TIMEOUT, check=False,
    )  # fmt: skip


def test_an_address_where_nothing_answers(config: Path, tmp_path: Path) -> None:
    start = support.child_seconds()
    done = subprocess.run(
        [str(XTROVE), "build", str(config), "--output", str(tmp_path / "dataset")],
        env=environment(RAY_ADDRESS=f"127.0.0.1:{free_port()}"),
        capture_output=True, text=True, timeout=support.TIMEOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "RAY_ADDRESS: nothing answers at '127.0.0.1:" in done.stderr
    assert support.child_seconds() - start < 20
