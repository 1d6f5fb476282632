"""Caches, work folders and indexes are closed to other users."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evaluate.code_search.store import Store
from evaluate.index.cache import IndexCache
from ingest.sources.the_stack_v2.blob_cache import BlobCache
from shards.access.cache import CacheOptions, ShardCache
from train.model.token_vectors import TokenVectors
from xtrove.core.folders import private_folder
from xtrove.runtime.workspace import Workspace, driver_lock, running_task


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_closed_and_an_open_one_is_closed(tmp_path: Path) -> None:
    assert _mode(private_folder(tmp_path / "a" / "b")) == 0o700
    old = tmp_path / "old"
    old.mkdir(mode=0o777)
    assert _mode(private_folder(old)) == 0o700
    old.chmod(0o500)
    assert _mode(private_folder(old)) == 0o500


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a folder away")
def test_a_folder_of_another_user_is_used_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    os.chown(other, 65534, 65534)
    assert _mode(private_folder(other)) == 0o755


def test_every_cache_is_closed(tmp_path: Path) -> None:
    shards = ShardCache(CacheOptions(folder=tmp_path / "cache")).folder()
    BlobCache.open(str(tmp_path / "blobs"), 1 << 30)
    cache = IndexCache(folder=tmp_path / "indexes")
    vectors = TokenVectors(values=np.ones((1, 8), np.float32), offsets=np.array([0, 1]))
    cache.index("c0ffee" * 6, ["a"], lambda texts: vectors, precision="fp16")
    with Store(folder=tmp_path / "search" / "x").hold(lambda: None):
        pass
    for folder in (shards, tmp_path / "blobs", tmp_path / "indexes", tmp_path / "search"):
        assert _mode(folder) == 0o700, folder


def test_work_folders_are_closed(tmp_path: Path) -> None:
    workspace = Workspace(work=tmp_path / "work", output=tmp_path / "out")
    (tmp_path / "out" / ".xtrove").mkdir(parents=True, mode=0o777)
    with driver_lock(workspace, lambda _: None), running_task(workspace):
        pass
    assert _mode(tmp_path / "work") == _mode(tmp_path / "out" / ".xtrove") == 0o700
    assert _mode(tmp_path / "out") != 0o700, "what is published keeps the umask"
    assert _mode(tmp_path / "work" / "lock") == 0o600
