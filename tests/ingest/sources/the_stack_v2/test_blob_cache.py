"""The cache of blobs: nothing is asked twice, damage is only a miss, the limit holds."""

from __future__ import annotations

import gzip
import hashlib
import multiprocessing
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import SourceError
from ingest.sources.the_stack_v2.blob_cache import GROUP_BYTES, BlobCache
from ingest.sources.the_stack_v2.contents import (
    DENIED_FIRST,
    BlobReader,
    BlobRequest,
    Content,
    Missing,
    Outcome,
)
from tests.ingest.blob_server import Bucket, bucket, status

MB = 1_000_000


@pytest.fixture(name="store")
def _store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


def fetched(store: Bucket, folder: Path, wishes: list[BlobRequest]) -> list[Outcome | None]:
    with BlobReader.open(store.options(cache=str(folder))) as reader:
        return [outcome for _, outcome in reader.stream(wishes, lambda wish: wish)]


def blob(number: int, size: int) -> tuple[str, bytes]:
    data = random.Random(number).randbytes(size)
    return hashlib.sha1(data).hexdigest(), data


def filled(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if len(path.name) > 30)


def test_a_second_run_asks_for_nothing(store: Bucket, tmp_path: Path) -> None:
    wishes = [store.put(b"x = %d\n" % number) for number in range(50)]
    first = fetched(store, tmp_path, wishes)
    assert len(store.asked) == 50
    second = fetched(store, tmp_path, wishes)
    assert len(store.asked) == 50
    assert [one.data for one in first if isinstance(one, Content)] == [
        one.data for one in second if isinstance(one, Content)
    ]
    assert all(isinstance(one, Content) and one.cached for one in second)
    for wish in wishes:
        path = tmp_path / wish.blob_id[:2] / wish.blob_id[2:]
        assert hashlib.sha1(gzip.decompress(path.read_bytes())).hexdigest() == wish.blob_id
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize(
    "damage", [b"", b"\x1f\x8b", gzip.compress(b"other"), bytes(9_000)], ids=range(4)
)
def test_a_damaged_entry_is_asked_for_again(store: Bucket, tmp_path: Path, damage: bytes) -> None:
    wish = store.put(b"content")
    fetched(store, tmp_path, [wish])
    path = tmp_path / wish.blob_id[:2] / wish.blob_id[2:]
    path.write_bytes(damage)
    assert isinstance(fetched(store, tmp_path, [wish])[0], Content)
    assert len(store.asked) == 2
    assert path.read_bytes() == store.blobs[wish.blob_id]


def test_what_is_no_file_is_not_opened(store: Bucket, tmp_path: Path) -> None:
    wish = store.put(b"content")
    (tmp_path / wish.blob_id[:2]).mkdir()
    os.mkfifo(tmp_path / wish.blob_id[:2] / wish.blob_id[2:])
    assert isinstance(fetched(store, tmp_path, [wish])[0], Content)
    other = store.put(b"elsewhere")
    (tmp_path / "secret").write_bytes(store.blobs[other.blob_id])
    (tmp_path / other.blob_id[:2]).mkdir(exist_ok=True)
    (tmp_path / other.blob_id[:2] / other.blob_id[2:]).symlink_to(tmp_path / "secret")
    fetched(store, tmp_path, [other])
    assert store.asked == [wish.blob_id, other.blob_id]


def test_only_what_is_verified_is_kept(store: Bucket, tmp_path: Path) -> None:
    wrong = store.put(b"content", gzip.compress(b"another"))
    assert isinstance(fetched(store, tmp_path, [wrong])[0], Missing)
    assert filled(tmp_path) == 0


@pytest.mark.parametrize("limit", [2 * MB, 16 * GROUP_BYTES])
def test_the_limit_holds(tmp_path: Path, limit: int) -> None:
    """Of one group for all ids, and of sixteen by their first digit."""
    cache = BlobCache.open(str(tmp_path), limit)
    size = 90_000 if limit == 2 * MB else 2 * MB
    most = 0
    for number in range(60 if limit == 2 * MB else 200):
        cache.put(blob(number, 8)[0], bytes(size))
        most = max(most, filled(tmp_path)) if number % 10 == 9 else most
    assert 0.5 * limit < filled(tmp_path) <= limit
    assert most <= limit


def _hammer(folder: str, seed: int) -> None:
    cache = BlobCache.open(folder, 3 * MB)
    for number in range(60):
        blob_id, data = blob(number % 45, 100_000)
        kept = cache.get(blob_id, MB)
        if kept is not None and kept != data:
            raise AssertionError(f"{seed}: {blob_id} is torn")
        cache.put(blob_id, data)


@pytest.mark.slow
def test_many_processes_share_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    crowd = [context.Process(target=_hammer, args=(str(tmp_path), seed)) for seed in range(3)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert [one.exitcode for one in crowd] == [0, 0, 0]
    assert 0 < filled(tmp_path) <= 3 * MB
    assert not list(tmp_path.rglob(".*"))


def test_a_folder_that_cannot_be_used_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match=r"blobs\.cache"):
        BlobCache.open(str(tmp_path / "file"), MB)


def test_a_disk_that_refuses_keeps_nothing_and_stops_nothing(store: Bucket, tmp_path: Path) -> None:
    wish = store.put(b"content")
    with BlobReader.open(store.options(cache=str(tmp_path))) as reader:
        shutil.rmtree(tmp_path / wish.blob_id[:2])
        (tmp_path / wish.blob_id[:2]).touch()
        assert isinstance(reader.fetch(wish), Content)
    assert filled(tmp_path) == 0


def test_a_403_among_cached_blobs_is_decided_by_one_that_is_there(
    store: Bucket, tmp_path: Path
) -> None:
    """The first run sees contents from the store, the second only 403: both say `missing`."""
    store.lacks = 403
    wishes = [store.put(b"content")]
    wishes += [
        BlobRequest(blob_id=f"{n:040x}", length=1, encoding="utf-8") for n in range(DENIED_FIRST)
    ]
    first = fetched(store, tmp_path, wishes)
    asked = len(store.asked)
    second = fetched(store, tmp_path, wishes)
    assert len(store.asked) == asked + DENIED_FIRST + 1
    for outcomes in (first, second):
        assert {outcome.reason for outcome in outcomes if isinstance(outcome, Missing)} == {
            "blob_missing"
        }
    few = fetched(store, tmp_path, wishes[:3])
    assert [one.reason for one in few if isinstance(one, Missing)] == ["blob_missing"] * 2
    store.always = status(403, "AccessDenied")
    with pytest.raises(SourceError, match="denies all of the first 2 blobs"):
        fetched(store, tmp_path, wishes[:3])
