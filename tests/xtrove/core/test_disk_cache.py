"""The cache by itself: its limit, who may be removed, and processes that fork, race or die."""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from xtrove.core import (
    CacheFull,
    CacheItem,
    DiskCache,
    WrongDigest,
    cache_folder,
    disk_cache,
    hold_lock,
)

ROOT = Path(__file__).parents[3]
DYING = """
import io, sys, time
from pathlib import Path
from xtrove.core import CacheItem, DiskCache

class Slow(io.RawIOBase):
    def readable(self):
        return True

    def read(self, size=-1):
        sys.stdout.write("reading\\n")
        sys.stdout.flush()
        time.sleep(100)

wanted = CacheItem(name="slow", sha256=sys.argv[2], size=100, open=Slow)
DiskCache(Path(sys.argv[1]), 1000).hold(wanted)
"""


def content(number: int) -> bytes:
    """100 bytes."""
    return bytes([number]) * 100


def wanted(number: int, opened: Callable[[], BinaryIO] | None = None) -> CacheItem:
    """A file of 100 bytes."""
    data = content(number)
    digest = hashlib.sha256(data).hexdigest()
    return CacheItem(
        name=f"shard {number}", sha256=digest, size=100, open=opened or (lambda: io.BytesIO(data))
    )


def cache_in(folder: Path, size: int = 300) -> DiskCache:
    """A cache of three files."""
    return DiskCache(folder, size)


def names(folder: Path) -> set[str]:
    """The files that are there."""
    return {path.name for path in folder.iterdir()} - {"lock"}


def fetch(cache: DiskCache, number: int) -> None:
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
    rows = [cache.hold(wanted(number)) for number in (1, 2, 3)]
    with pytest.raises(CacheFull, match="300 in use, of 300"):
        cache.hold(wanted(4))
    assert os.pread(rows[0].descriptor, 100, 0) == content(1)
    rows[1].close()
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
        rows = list(pool.map(lambda _: cache.hold(wanted(1, source)), range(8)))
    assert len(opened) == 1
    assert {os.pread(one.descriptor, 100, 0) for one in rows} == {content(1)}
    for one in rows:
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
        with pytest.raises(WrongDigest, match="shard 2 has SHA-256"):
            cache.hold(wanted(2, lambda bad=bad: io.BytesIO(bad)))  # type: ignore[misc]
    assert names(tmp_path) == {wanted(1).sha256}
    # A file of another length was cut behind our back: it is fetched again.
    (tmp_path / wanted(1).sha256).write_bytes(b"cut")
    cache.hold(wanted(1)).close()
    assert (tmp_path / wanted(1).sha256).read_bytes() == content(1)


def test_a_link_in_the_cache_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / f"{wanted(1).sha256}.part").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        cache_in(folder).hold(wanted(1))
    assert outside.read_bytes() == b"precious"


def test_one_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XTROVE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "xtrove"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder("shards") == tmp_path / "xdg" / "xtrove" / "shards"
    monkeypatch.setenv("XTROVE_CACHE", "~/own")
    assert cache_folder("search", "graphs") == tmp_path / "own" / "search" / "graphs"


def key(number: int) -> str:
    """The name of an entry."""
    return f"{number:032x}"


def make_folder(cache: DiskCache, number: int, size: int = 100) -> None:
    """A folder of that many bytes, with a time of its own."""
    with cache.new_folder(key(number)) as draft:
        (draft / "deep").mkdir()
        (draft / "deep" / "file").write_bytes(bytes(size))
    os.utime(cache.folder() / key(number), (1_000_000 + number, 1_000_000 + number))


def test_the_oldest_folders_go_unless_they_are_locked(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    for number in (1, 2, 3):
        make_folder(cache, number)
    with hold_lock(tmp_path / f"{key(1)}.lock"):
        make_folder(cache, 4)
    assert {name for name in names(tmp_path) if "." not in name} == {key(n) for n in (1, 3, 4)}
    # The newest stays, however large it is.
    make_folder(cache, 5, 1000)
    assert {name for name in names(tmp_path) if "." not in name} == {key(5)}


def test_what_is_not_ours_is_neither_counted_nor_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    for name in ("thesis/file", "models.json", "notes.part", ".hidden.1"):
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, (1, 1))
    before = names(tmp_path)
    cache = cache_in(tmp_path)
    for number in (1, 2, 3):
        fetch(cache, number)
    cache.trim()
    cache.cut(keep="")
    assert names(tmp_path) >= before


WRITER = """
import sys, time
from pathlib import Path
from xtrove.core import DiskCache
with DiskCache(Path(sys.argv[1]), 1000).new_folder(sys.argv[2]) as draft:
    (draft / "half").write_bytes(b"1")
    print("half", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_writer_left_is_removed_and_that_of_a_live_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "STALE_S", 0.0)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), key(1)], cwd=ROOT, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"half\n"
        cache_in(tmp_path).cut(keep="")
        (draft,) = names(tmp_path)
        assert (tmp_path / draft / "half").exists()
        child.kill()
        child.wait()
    cache_in(tmp_path).cut(keep="")
    assert names(tmp_path) == set()


def test_a_fresh_draft_without_a_lock_stays(tmp_path: Path) -> None:
    old, new = (tmp_path / f".{key(n)}.{key(n)}" for n in (1, 2))
    for path in (old, new):
        path.write_bytes(b"torn")
    os.utime(old, (1, 1))
    cache_in(tmp_path).trim()
    assert (old.exists(), new.exists()) == (False, True)


def test_small_files_are_kept_until_there_are_too_many(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 1000)
    for number in range(8):
        cache.put(key(number), content(number))
        os.utime(tmp_path / key(number), (1_000_000 + number, 1_000_000 + number))
    assert cache.get(key(0), 100) == content(0)
    assert cache.get(key(0), 99) is None
    assert cache.get(key(9), 100) is None
    cache.put(key(8), content(8))
    cache.trim()
    assert names(tmp_path) == {key(n) for n in (0, 3, 4, 5, 6, 7, 8)}
    cache.drop(key(8))
    assert cache.get(key(8), 100) is None


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    os.mkfifo(tmp_path / key(1))
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / key(2)).symlink_to(tmp_path / "secret")
    (tmp_path / key(3)).mkdir()
    assert [cache.get(key(n), 100) for n in (1, 2, 3)] == [None] * 3


def test_a_full_disk_keeps_nothing_and_fetches_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    cache = cache_in(tmp_path)
    fetch(cache, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
    try:
        cache.put(key(2), content(2))
        with pytest.raises(OSError, match="too large"):
            cache.hold(wanted(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == {wanted(1).sha256}


def test_an_index_that_is_removed_stays_readable_where_it_is_mapped(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    make_folder(cache, 1)
    with (tmp_path / key(1) / "deep" / "file").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    make_folder(cache, 2, 300)
    assert names(tmp_path) == {key(2)}
    assert mapped[:] == bytes(100)
    mapped.close()
