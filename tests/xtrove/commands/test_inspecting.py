"""`xtrove inspect` and `xtrove why` over a dataset that is incomplete or damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shards.builder import Built, build
from tests.xtrove import support
from xtrove.commands.inspecting import inspect, why
from xtrove.core.errors import XtroveError

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A sound dataset, only copied."""
    return build(tmp_path_factory.mktemp("looking"))


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(built.path, tmp_path / "copy")
    return tmp_path / "copy"


def _every(pattern: str, change: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        for one in path.glob(pattern):
            change(one)

    return damage


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _blank(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SHARDS = {
    "no tar": _every("data/*/*.tar", Path.unlink),
    "no index": _every("data/*/*.arrow", Path.unlink),
    "half a tar": _every("data/*/*.tar", _half),
    "half an index": _every("data/*/*.arrow", _half),
    "a blank tar": _every("data/*/*.tar", _blank),
    "a link": _every("data/*/*.tar", _link),
}
EVIDENCE = {
    "half of it": _every("removals/*", _half),
    "blank": _every("removals/*", _blank),
    "a folder": _every("removals/*", _folder),
}


@pytest.mark.parametrize("damage", [*SHARDS, *EVIDENCE])
def test_damage_is_said_in_a_sentence(built: Built, copy: Path, damage: str) -> None:
    {**SHARDS, **EVIDENCE}[damage](copy)
    with pytest.raises(XtroveError, match="incomplete or damaged") as caught:
        inspect(copy, len(built.kept))
    assert (
        caught.value.exit_code == 1
        and caught.value.remedy == f"`xtrove verify {copy}` says what is wrong"
    )
    kept = [pair.id for pair in built.kept]
    expected = kept if damage in SHARDS else [built.removed[0].id]
    with pytest.raises(XtroveError, match="incomplete or damaged"):
        for one in expected:
            why(copy, one, None)


@pytest.mark.slow
def test_one_shard_is_missing(copy: Path) -> None:
    next(copy.glob("data/*/*.tar")).unlink()
    done = support.xtrove("inspect", copy)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "is missing" in done.stderr and "xtrove verify" in done.stderr


def test_damaged_work_files_cost_the_diff_alone(
    built: Built, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "work" / "files" / "extract" / "run"
    run.mkdir(parents=True)
    (run / "items.npy").write_bytes(b"\x93NUMPY rubbish")
    removed = next(row for row in built.removed if row.witness_id)
    why(copy, removed.id, tmp_path / "work")
    assert f"dropped {removed.id}" in capsys.readouterr().out.replace("\n", " ")
