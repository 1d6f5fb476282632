"""A dataset on the Hub, read by a real client against the small Hub of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shards.read.dataset import Dataset
from tests.hub.running import RunningHub, running_hub
from tests.shards.builder import Built, build, published

REPO = "owner/name"
SCRIPT = """
from pathlib import Path
from shards.loader.reader import CacheOptions, PlanOptions, Reader, Select
place, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
cache = CacheOptions(folder=folder, max_bytes=size)
select = Select(splits=("train", "validation", "test"))
options = PlanOptions(seed=1, batch_size=8, window=64)
try:
    with Reader.open(place, select=select, cache=cache) as reader:
        ids = [str(one["id"]) for batch in reader.batches(options) for one in batch.samples]
        answer = [reader.digest, sorted(ids)]
except Exception as error:
    answer = [type(error).__name__, str(error)]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A small dataset."""
    return build(tmp_path_factory.mktemp("hub-reader"))


@pytest.fixture
def hub(built: Built, tmp_path: Path) -> Iterator[RunningHub]:
    """It on the Hub."""
    with running_hub(tmp_path / "hub") as hub:
        hub.store.commit(REPO, published(built.path))
        yield hub


@pytest.mark.slow
@pytest.mark.parametrize("size", [1 << 30, 0])
def test_whole_or_by_range(built: Built, hub: RunningHub, tmp_path: Path, size: int) -> None:
    digest, ids = hub.client(SCRIPT, f"hf://datasets/{REPO}", str(tmp_path / "cache"), str(size))
    assert ids == built.ids
    asked = [one["path"] for one in hub.log() if "/resolve/" in one["path"]]
    tars = [path for path in asked if path.endswith(".tar")]
    assert len(set(tars)) == len(built.manifest.shards)
    if size:
        # One request of the resolver a shard; by range it is one a window.
        assert len(tars) == len(set(tars))
    assert all("/resolve/main/" not in path for path in asked)


@pytest.mark.slow
def test_a_cut_connection_and_a_busy_hub(built: Built, hub: RunningHub, tmp_path: Path) -> None:
    hub.faults(
        {"match": "*.tar", "port": "cdn", "drop_after": 900, "times": 2},
        {"match": "*/tree/*", "status": 503, "times": 1},
    )
    assert hub.client(SCRIPT, f"hf://datasets/{REPO}", str(tmp_path / "cache"), str(1 << 30))[
        1
    ] == (built.ids)


@pytest.mark.slow
def test_a_shard_that_was_replaced_is_named(built: Built, hub: RunningHub, tmp_path: Path) -> None:
    name = built.manifest.shards[0].path
    files = published(built.path)
    hub.store.commit(REPO, files | {name: files[name][:-1] + b"X"})
    kind, output = hub.client(
        SCRIPT, f"hf://datasets/{REPO}", str(tmp_path / "cache"), str(1 << 30)
    )
    assert kind == "DamagedData"
    assert name in output


@pytest.mark.slow
def test_nothing_that_can_be_read(built: Built, hub: RunningHub, tmp_path: Path) -> None:
    files = published(built.path)
    del files["manifest.json"]
    hub.store.commit("owner/half", files)
    cache = [str(tmp_path / "cache"), "1000"]
    assert hub.client(SCRIPT, "hf://datasets/owner/half", *cache)[0] == "NotADataset"
    kind, output = hub.client(SCRIPT, "hf://datasets/owner/none", *cache)
    assert kind == "SourceError"
    assert "owner/none" in output


REPUBLISHED = """
from pathlib import Path
from shards.loader.reader import CacheOptions, PlanOptions
from shards.loader.torch_loader import Feed, Loader
from tests.hub.store import Store
def ids(batch):
    return [str(one["id"]) for one in batch.samples]
feed = Feed(place=sys.argv[1], options=PlanOptions(seed=1, batch_size=8, window=64),
            transform=ids, cache=CacheOptions(folder=Path(sys.argv[2])))
loader = Loader(feed, workers=1, context="fork")
answer = [sorted(one for batch in loader for one in batch)]
Store(Path(sys.argv[3])).commit(sys.argv[1].removeprefix("hf://datasets/"), {"README.md": b"moved"})
answer.append(sorted(one for batch in loader for one in batch))
loader.close()
answer.append(sorted(one for batch in loader for one in batch))
answer.append(loader.reader.uri)
"""


@pytest.mark.slow
def test_a_branch_that_moves_between_epochs(built: Built, hub: RunningHub, tmp_path: Path) -> None:
    """Loader processes and later epochs go on with the commit of the first."""
    pytest.importorskip("torch")
    first = hub.store.resolve(REPO, "main")
    place = f"hf://datasets/{REPO}"
    *epochs, pinned = hub.client(
        REPUBLISHED, place, str(tmp_path / "cache"), str(tmp_path / "hub/root")
    )
    train = sorted(str(sample["id"]) for sample in Dataset.open(built.path).samples(split="train"))
    assert epochs == [train, train, train]
    assert pinned == f"{place}@{first}"
    assert hub.store.resolve(REPO, "main") != first
