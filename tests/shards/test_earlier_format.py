"""A dataset of format 1, whose samples have no scope, is read, checked, forgotten in and trained
on as before."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shards.forget.inventory import survey
from shards.forget.rewrite import prepare
from shards.format.funnel import Funnel
from shards.format.layout import CARD, FUNNEL, MANIFEST
from shards.format.manifest import load_manifest
from shards.loader.reader import Reader
from shards.read.dataset import Dataset
from shards.write.card import render_card
from shards.write.removals import write_removals
from shards.write.seal import write_published
from tests.shards.builder import (
    default_pairs,
    default_removals,
    funnel_of,
    license_class,
    parts_of,
    write_shards,
)
from tests.shards.damage import TAR, TWIN, edit_manifest, findings, resign


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """As a build wrote it before samples had a scope."""
    base, work = tmp_path / "dataset", tmp_path / "work"
    kept = default_pairs()
    gone = sorted(default_removals(kept), key=lambda row: row.id)
    shards = write_shards(base, work, kept, version=1)
    tmp = base / ".xtrove/tmp"
    evidence = [write_removals(base, "part-00000", gone, tmp=tmp)]
    parts = parts_of(shards, evidence, funnel_of(kept, gone))
    manifest = write_published(base, parts, work_of=lambda shard: work, tmp=tmp)
    manifest = manifest.model_copy(update={"format": "xtrove-1"})
    (base / MANIFEST).write_bytes(manifest.to_json())
    funnel = Funnel.from_json((base / FUNNEL).read_bytes())
    (base / CARD).write_bytes(render_card(manifest, funnel))
    resign(base)
    return base


def _members(path: Path) -> list[dict[str, object]]:
    with tarfile.open(path / TAR) as tar:
        return [json.loads(stream.read()) for one in tar if (stream := tar.extractfile(one))]


def test_it_is_sound_and_its_samples_have_an_empty_scope(earlier: Path) -> None:
    assert "scope" not in _members(earlier)[0]
    assert "name: scope" not in (earlier / CARD).read_text(encoding="utf-8")
    assert findings(earlier) == []
    samples = list(Dataset.open(earlier).samples())
    assert len(samples) == 100 and {sample["scope"] for sample in samples} == {""}
    with Reader.open(earlier) as reader:
        assert {sample["scope"] for sample in reader.iterate()} == {""}


def test_forgetting_keeps_its_format(earlier: Path) -> None:
    dataset = Dataset.open(earlier)

    def silent(label: str, done: int, total: int) -> None:
        """No progress is shown."""

    prepare(dataset, survey(dataset, ["owner/repo3"], silent), license_class, silent).commit()
    assert load_manifest(earlier).format == "xtrove-1"
    assert findings(earlier) == []
    assert "scope" not in pq.read_schema(earlier / TWIN).names


def test_samples_of_another_format_than_the_manifest_states_are_found(earlier: Path) -> None:
    edit_manifest(earlier, lambda document: document.update(format="xtrove-2"))
    wrong = findings(earlier)
    assert any("the fields of its format" in str(finding) for finding in wrong)
    assert any("it has another schema" in str(finding) for finding in wrong)
