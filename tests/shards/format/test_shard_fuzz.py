"""The checker survives any damage: it reports, it never raises.

Files are damaged at random places (fixed seeds) and signed again, so that the damage reaches the
parsers of tar, Arrow, Parquet, JSON and YAML.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from shards.format.layout import walk
from tests.shards.builder import Built, build, default_pairs, default_removals
from tests.shards.damage import checks, findings, resign

KINDS = (".tar", ".idx.arrow", "parquet/", "removals/", "README.md", "funnel.json", "ATTRIBUTION")
LOOSE = ("parquet/", "removals/", ".idx.arrow", "README.md")
"""Formats with bytes that mean nothing (padding, statistics, prose): the checksum sees them."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A small dataset."""
    pairs = default_pairs()[:60]
    return build(tmp_path_factory.mktemp("fuzz"), pairs, default_removals(pairs))


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, the end cut off, or rubbish put in."""
    changed = bytearray(data)
    way = draw.random()
    if way < 0.6:
        for _ in range(draw.choice([1, 1, 4])):
            changed[draw.randrange(len(changed))] ^= draw.randrange(1, 256)
    elif way < 0.8:
        del changed[draw.randrange(len(changed)) :]
    else:
        place = draw.randrange(len(changed))
        changed[place:place] = draw.randbytes(draw.randrange(1, 600))
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_reported_and_never_raises(sound: Built, tmp_path: Path, kind: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sound.path, copy)
    draw = random.Random(kind)
    names = [name for name in walk(copy) if kind in name]
    for _ in range(12):
        path = copy / draw.choice(names)
        original = path.read_bytes()
        changed = damaged(original, draw)
        path.write_bytes(changed)
        assert "checksums" in checks(copy)
        resign(copy)
        result = findings(copy)
        assert result or kind in LOOSE or changed == original
        path.write_bytes(original)
        resign(copy)
    assert findings(copy) == []
