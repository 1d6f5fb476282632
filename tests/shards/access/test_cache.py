"""The cache of shards: its options, and the error that names the shard."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from shards.access.cache import CacheOptions, ShardCache
from xtrove.core import CacheItem
from xtrove.core.errors import DamagedData


def test_damage_names_the_shard(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    item = CacheItem(name="train-0.tar", sha256=digest, size=5, open=lambda: io.BytesIO(b"wrong"))
    cache = ShardCache(CacheOptions(folder=tmp_path))
    with pytest.raises(DamagedData, match=r"train-0\.tar has SHA-256"):
        cache.hold(item)
    with pytest.raises(DamagedData, match=r"train-0\.tar has SHA-256"), cache.beside(item):
        raise AssertionError("a damaged file was given")
    assert cache.folder() == tmp_path / "shards"


def test_options() -> None:
    with pytest.raises(ValueError, match="starts at 0"):
        CacheOptions(max_bytes=-1)
