"""The cache by itself: its limit, who may be removed, and processes that fork, race or die."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from shards.access.cache import CacheFull, CacheOptions, ShardCache, Wanted
from shards.read.dataset import DamagedShard

ROOT = Path(__file__).parents[3]
DYING = """
import io, sys, time
from pathlib import Path
from shards.access.cache import CacheOptions, ShardCache, Wanted

class Slow(io.RawIOBase):
    def readable(self):
        return True

    def read(self, size=-1):
        sys.stdout.write("reading\\n")
        sys.stdout.flush()
        time.sleep(100)

wanted = Wanted(name="slow", sha256=sys.argv[2], size=100, open=Slow)
ShardCache(CacheOptions(folder=Path(sys.argv[1]), max_bytes=1000)).hold(wanted)
"""


def content(number: int) -> bytes:
    """100 bytes."""
    return bytes([number]) * 100


def wanted(number: int, opened: Callable[[], BinaryIO] | None = None) -> Wanted:
    """A file of 100 bytes."""
    data = content(number)
    digest = hashlib.sha256(data).hexdigest()
    return Wanted(
        name=f"shard {number}", sha256=digest, size=100, open=opened or (lambda: io.BytesIO(data))
    )


def cache_in(folder: Path, size: int = 300) -> ShardCache:
    """A cache of three files."""
    return ShardCache(CacheOptions(folder=folder, max_bytes=size))


def names(folder: Path) -> set[str]:
    """The files that are there."""
    return {path.name for path in (folder / "shards").iterdir()} - {"lock"}


def fetch(cache: ShardCache, number: int) -> None:
    """Fetches and lets go, with a time of its own."""
    held = cache.hold(wanted(number))
    os.utime(held.path, (1_000_000 + number, 1_000_000 + number))
    held.close()


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    for number in (1, 2, 3):
        fetch(cache, number)
    cache.hold(wanted(1)).close()
    fetch(cache, 4)
    assert names(tmp_path) == {wanted(number).sha256 for number in (1, 3, 4)}


def test_what_is_held_stays(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    held = [cache.hold(wanted(number)) for number in (1, 2, 3)]
    with pytest.raises(CacheFull, match="300 in use, of 300"):
        cache.hold(wanted(4))
    assert os.pread(held[0].descriptor, 100, 0) == content(1)
    held[1].close()
    cache.hold(wanted(4)).close()
    assert names(tmp_path) == {wanted(number).sha256 for number in (1, 3, 4)}
    with pytest.raises(CacheFull):
        cache_in(tmp_path, 99).hold(wanted(5))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_keeps_nothing_from_being_removed(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 100)
    held = cache.hold(wanted(1))
    child = os.fork()
    if not child:
        time.sleep(30)
        os._exit(0)
    try:
        held.close()
        deadline = time.monotonic() + 10
        while True:
            try:
                cache.hold(wanted(2)).close()
                break
            except CacheFull:
                # The child may not have come to its first step yet.
                assert time.monotonic() < deadline
                time.sleep(0.01)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert names(tmp_path) == {wanted(2).sha256}


def test_many_threads_fetch_once(tmp_path: Path) -> None:
    opened: list[int] = []

    def source() -> BinaryIO:
        opened.append(1)
        time.sleep(0.05)
        return io.BytesIO(content(1))

    cache = cache_in(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(lambda _: cache.hold(wanted(1, source)), range(8)))
    assert len(opened) == 1
    assert {os.pread(one.descriptor, 100, 0) for one in held} == {content(1)}
    for one in held:
        one.close()


def test_a_fetch_whose_process_was_killed(tmp_path: Path) -> None:
    digest = wanted(1).sha256
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path), digest], cwd=ROOT, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert names(tmp_path) == {f"{digest}.part"}
        child.kill()
    cache_in(tmp_path).hold(wanted(1)).close()
    assert names(tmp_path) == {digest}


def test_damage_on_the_way_and_at_the_source(tmp_path: Path) -> None:
    answers = [b"x" * 100, content(1)]
    cache = cache_in(tmp_path)
    cache.hold(wanted(1, lambda: io.BytesIO(answers.pop(0)))).close()
    for bad in (b"x" * 100, b"short", b""):
        with pytest.raises(DamagedShard, match="shard 2 has SHA-256"):
            cache.hold(wanted(2, lambda bad=bad: io.BytesIO(bad)))  # type: ignore[misc]
    assert names(tmp_path) == {wanted(1).sha256}
    # A file of another length was cut behind our back: it is fetched again.
    (tmp_path / "shards" / wanted(1).sha256).write_bytes(b"cut")
    cache.hold(wanted(1)).close()
    assert (tmp_path / "shards" / wanted(1).sha256).read_bytes() == content(1)


def test_a_link_in_the_cache_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / f"{wanted(1).sha256}.part").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        cache_in(tmp_path).hold(wanted(1))
    assert outside.read_bytes() == b"precious"


def test_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert CacheOptions().place() == tmp_path / "xtrove"
    with pytest.raises(ValueError, match="starts at 0"):
        CacheOptions(max_bytes=-1)
