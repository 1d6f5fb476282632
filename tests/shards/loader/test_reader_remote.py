"""Datasets elsewhere: through the cache, by range, with faults, and shared by processes."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shards.format.layout import index_path
from shards.format.manifest import ManifestError, NotADataset
from shards.loader.reader import Batch, CacheOptions, PlanOptions, Reader, Select, State
from tests.ingest.s3_front import KEYS, running_front, running_moto
from tests.shards.builder import Built, build
from tests.shards.web_server import Served, serving
from xtrove.core.errors import DamagedData

ROOT = Path(__file__).parents[3]
OPTIONS = PlanOptions(seed=7, batch_size=8, window=32, run=4, pool=16)
EVERYTHING = Select(splits=("train", "validation", "test"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A small dataset."""
    return build(tmp_path_factory.mktemp("remote"))


@pytest.fixture(scope="module")
def batches(built: Built) -> list[Batch]:
    """An epoch of the local copy."""
    with Reader.open(built.path, select=EVERYTHING) as reader:
        return list(reader.batches(OPTIONS))


@pytest.fixture
def served(built: Built) -> Iterator[Served]:
    """The dataset behind a web server."""
    with serving(built.path) as served:
        yield served


def cache_of(folder: Path, size: int = 1 << 30) -> CacheOptions:
    """A cache of a test."""
    return CacheOptions(folder=folder / "cache", max_bytes=size)


def cached(folder: Path) -> list[Path]:
    """The files in the cache, its lock left out."""
    return [path for path in (folder / "cache/shards").iterdir() if path.name != "lock"]


def cached_bytes(folder: Path) -> int:
    """Size of the cache; a download that ends meanwhile renames its file."""
    sizes = 0
    for path in cached(folder):
        with contextlib.suppress(FileNotFoundError):
            sizes += path.stat().st_size
    return sizes


def open_served(served: Served, folder: Path, size: int = 1 << 30) -> Reader:
    """A reader over HTTP."""
    return Reader.open(served.url, select=EVERYTHING, cache=cache_of(folder, size))


def test_the_same_batches_and_each_byte_once(
    built: Built, batches: list[Batch], served: Served, tmp_path: Path
) -> None:
    for _ in range(2):
        with open_served(served, tmp_path) as reader:
            assert list(reader.batches(OPTIONS)) == batches
    for facts in built.manifest.shards:
        assert served.bytes[facts.path] == facts.bytes
    names = {path.name for path in cached(tmp_path)}
    assert {facts.sha256 for facts in built.manifest.shards} < names


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 60_000])
def test_what_does_not_fit_is_read_by_range(
    batches: list[Batch], served: Served, tmp_path: Path, size: int
) -> None:
    with open_served(served, tmp_path, size) as reader:
        for number, batch in enumerate(reader.batches(OPTIONS)):
            assert batch == batches[number]
            assert cached_bytes(tmp_path) <= size
        assert sorted(str(one["id"]) for one in reader.iterate()) == sorted(
            str(sample["id"]) for batch in batches for sample in batch.samples
        )
        assert reader.sample(0) == next(reader.iterate())


def test_cut_connections_and_busy_servers(
    batches: list[Batch], served: Served, tmp_path: Path
) -> None:
    served.cut = lambda path, number: 777 if path.startswith("data/") and number < 3 else None
    served.status = lambda path, number: 503 if path == "manifest.json" and number == 1 else 0
    with open_served(served, tmp_path) as reader:
        assert list(reader.batches(OPTIONS)) == batches


def test_a_changed_shard_stops_with_its_name(built: Built, served: Served, tmp_path: Path) -> None:
    name = built.manifest.shards[0].path
    served.change = lambda path, data: data[:700] + b"X" + data[701:] if path == name else data
    with (
        open_served(served, tmp_path) as reader,
        pytest.raises(DamagedData, match=f"{name} has SHA-256"),
    ):
        list(reader.batches(OPTIONS))
    assert not any(
        path.name.startswith(built.manifest.shards[0].sha256) for path in cached(tmp_path)
    )
    assert served.requests[name] >= 2


def test_an_index_that_is_not_the_published_one(
    built: Built, served: Served, tmp_path: Path
) -> None:
    name = index_path(built.manifest.shards[0].path)
    served.change = lambda path, data: data[:-9] + b"X" + data[-8:] if path == name else data
    with (
        open_served(served, tmp_path) as reader,
        pytest.raises(DamagedData, match=f"{name} has SHA-256"),
    ):
        list(reader.batches(OPTIONS))


def test_an_index_that_no_shard_can_have_is_not_fetched(
    built: Built, served: Served, tmp_path: Path
) -> None:
    """It would be fetched past the limit of the cache."""
    facts = built.manifest.shards[0]
    name = index_path(facts.path)
    most = facts.samples * 1024 + (1 << 20)
    served.change = lambda path, data: data + bytes(most + 1 - len(data)) if path == name else data
    with (
        open_served(served, tmp_path, 0) as reader,
        pytest.raises(DamagedData, match=f"{name} has {most + 1} bytes, too many"),
    ):
        list(reader.batches(OPTIONS))
    assert served.bytes[name] == 0


def test_missing_newer_and_halfway_published(built: Built, served: Served, tmp_path: Path) -> None:
    served.change = lambda path, data: data.replace(b'"xtrove-2"', b'"xtrove-9"')
    with pytest.raises(ManifestError, match="update xtrove"):
        open_served(served, tmp_path)
    served.change = lambda path, data: data.replace(b'"tiny"', b'"tinY"')
    with pytest.raises(ManifestError, match="publish it again"):
        open_served(served, tmp_path)
    served.status = lambda path, number: 404
    with pytest.raises(NotADataset, match="no manifest"):
        open_served(served, tmp_path)


CHILD = """
import json, sys
from pathlib import Path
from shards.loader.reader import CacheOptions, PlanOptions, Reader, Select
url, folder, size, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
options = PlanOptions(seed=seed, batch_size=8, window=32, run=4, pool=16)
select = Select(splits=("train", "validation", "test"))
cache = CacheOptions(folder=folder, max_bytes=size)
with Reader.open(url, select=select, cache=cache) as reader:
    worst, seen = 0, 0
    for batch in reader.batches(options):
        seen += len(batch.samples)
        files = [one for one in (folder / "shards").iterdir() if one.name != "lock"]
        sizes = []
        for one in files:
            try:
                sizes.append(one.stat().st_size)
            except FileNotFoundError:
                pass
        worst = max(worst, sum(sizes))
    sys.stdout.write(json.dumps([seen, worst]))
"""


@pytest.mark.slow
def test_two_processes_share_a_cache_with_a_limit(
    built: Built, served: Served, tmp_path: Path
) -> None:
    size = 2 * max(facts.bytes for facts in built.manifest.shards) + 30_000
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, served.url, str(tmp_path / "cache"), str(size), seed],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for seed in ("1", "2")
    ]
    for child in children:
        out, _ = child.communicate(timeout=100)
        seen, worst = json.loads(out)
        assert seen == built.manifest.samples
        assert worst <= size
    assert not [path for path in cached(tmp_path) if path.name.endswith(".part")]


def test_a_local_state_goes_on_elsewhere(
    built: Built, batches: list[Batch], served: Served, tmp_path: Path
) -> None:
    with Reader.open(built.path, select=EVERYTHING) as reader:
        state = reader.state(OPTIONS, 0, 3).as_dict()
    with open_served(served, tmp_path) as reader:
        assert list(reader.batches(OPTIONS, start=State.from_dict(state))) == batches[3:]


def test_what_a_dead_process_left_is_removed(
    built: Built, batches: list[Batch], served: Served, tmp_path: Path
) -> None:
    folder = tmp_path / "cache/shards"
    folder.mkdir(parents=True)
    stale = folder / ("0" * 64 + ".part")
    stale.write_bytes(bytes(100_000_000))
    foreign = folder / "notes.txt"
    foreign.write_text("mine")
    half = folder / f"{built.manifest.shards[0].sha256}.part"
    half.write_bytes(b"half")
    with open_served(served, tmp_path, 99_000_000) as reader:
        assert list(reader.batches(OPTIONS)) == batches
    assert not stale.exists()
    assert not half.exists()
    assert foreign.read_text() == "mine"
    shutil.rmtree(folder)


@pytest.mark.slow
def test_in_a_bucket(
    built: Built, batches: list[Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with running_moto() as port, running_front(port) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        client = front.client()
        client.create_bucket(Bucket="shards")
        for path in built.path.rglob("*.*"):
            if path.is_file() and ".xtrove" not in path.parts:
                key = f"sets/tiny/{path.relative_to(built.path).as_posix()}"
                client.put_object(Bucket="shards", Key=key, Body=path.read_bytes())
        client.put_object(
            Bucket="shards",
            Key="sets/tiny/SHA256SUMS",
            Body=(built.path / "SHA256SUMS").read_bytes(),
        )
        for size in (1 << 30, 60_000):
            cache = cache_of(tmp_path / str(size), size)
            with Reader.open("s3://shards/sets/tiny", select=EVERYTHING, cache=cache) as reader:
                assert list(reader.batches(OPTIONS)) == batches
        client.put_object(
            Bucket="shards", Key=f"sets/tiny/{built.manifest.shards[0].path}", Body=b""
        )
        cache = cache_of(tmp_path / "again")
        with (
            Reader.open("s3://shards/sets/tiny", select=EVERYTHING, cache=cache) as reader,
            pytest.raises(DamagedData, match=built.manifest.shards[0].path),
        ):
            list(reader.batches(OPTIONS))
