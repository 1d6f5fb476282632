"""The seal, the card and the reader of a published dataset."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from shards.format import layout
from shards.format.checksums import parse_checksums
from shards.format.layout import safe_file
from shards.format.manifest import ManifestError, UnfinishedBuild, load_manifest, parse_manifest
from shards.format.shard_sizes import tar_sizes
from shards.read.dataset import Dataset
from shards.read.summary import summarise
from shards.write.card import size_category
from shards.write.removals import write_removals
from shards.write.seal import build_manifest, remove_stale, unseal, write_published
from tests.shards.builder import (
    MAX_BYTES,
    Built,
    build,
    default_pairs,
    default_removals,
    funnel_of,
    parts_of,
    write_shards,
)
from xtrove.core.errors import DamagedData, XtroveError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A dataset that is only read."""
    return build(tmp_path_factory.mktemp("published"))


def published(path: Path) -> dict[str, bytes]:
    """Every published file."""
    return {name: (path / name).read_bytes() for name in layout.walk(path)}


def test_builds_are_byte_identical_in_any_folder(built: Built, tmp_path: Path) -> None:
    pairs = default_pairs()
    again = build(tmp_path / "another place", pairs[::-1], default_removals(pairs)[::-1])
    assert published(again.path) == published(built.path)


def test_nothing_published_names_the_folder(built: Built) -> None:
    for name, data in published(built.path).items():
        assert str(built.path.parent).encode() not in data, name


def test_manifest_says_what_the_contract_asks(built: Built) -> None:
    document = json.loads((built.path / "manifest.json").read_bytes())
    assert document["format"] == "xtrove-2" and document["samples"] == 100
    assert set(document["shards"][0]) == {
        *("path", "sha256", "bytes", "samples", "language", "split")
    }
    assert load_manifest(built.path) == built.manifest
    assert parse_manifest(built.manifest.to_json()) == built.manifest
    totals: dict[tuple[str, str], list[int]] = {}
    for shard in Dataset.open(built.path).shards():
        sizes = tar_sizes(shard.index.numbers("size"))
        key = (shard.facts.language, shard.facts.split)
        totals.setdefault(key, []).append(int(sizes.sum()))
    for members in totals.values():
        assert len(members) == -(-sum(members) // MAX_BYTES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"samples": 100,', '"samples": 99,'),
        ('"removals": 4', '"removals": "4"'),
        ('"removals": 4', '"removals": -4'),
        ('"removals": 4', '"removal": 4'),
        ('"split": "test"', '"split": "train"'),
        ("data/go/test-00000.tar", "data/go/../test-00000.tar"),
        ("xtrove-2", "webdataset"),
    ],
)
def test_a_damaged_manifest_is_refused(built: Built, old: str, new: str) -> None:
    text = built.manifest.to_json().decode()
    assert old in text
    with pytest.raises(ManifestError):
        parse_manifest(text.replace(old, new).encode())


def test_front_matter_and_tables(built: Built) -> None:
    text = (built.path / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert [config["config_name"] for config in head["configs"]] == ["default", "go", "python"]
    assert head["license"] == "other" and head["size_categories"] == ["n<1K"]
    assert "| all | 60 | 10 | 30 | 100 |" in text
    assert "| Apache-2.0 | 50 |" in text
    assert "near_duplicate 1" in text
    assert "extra_gated_prompt" not in text and "The Stack" not in text


def test_terms_stand_where_the_stack_is_inside(tmp_path: Path) -> None:
    path = build(tmp_path, kind="the-stack").path
    text = (path / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert "attribution" in head["extra_gated_prompt"] and "## Terms" in text


def test_a_name_cannot_break_the_card(tmp_path: Path) -> None:
    pairs = default_pairs()
    base, work = tmp_path / "d", tmp_path / "w"
    parts = parts_of(write_shards(base, work, pairs), [], funnel_of(pairs, []))
    name = "a: [b]\n---\n# <script>|`"
    write_published(
        base, replace(parts, name=name), work_of=lambda shard: work, tmp=base / ".xtrove/tmp"
    )
    text = (base / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))["pretty_name"] == name
    assert "<script>" not in text.split("\n---\n", 2)[-1]


def test_parts_that_contradict_each_other_are_not_sealed(tmp_path: Path) -> None:
    pairs = default_pairs()
    base, work = tmp_path / "d", tmp_path / "w"
    shards = write_shards(base, work, pairs)
    funnel = funnel_of(pairs, [])
    with pytest.raises(XtroveError, match=r"100 pairs kept, but \d+ are in the shards"):
        build_manifest(parts_of(shards[1:], [], funnel), lambda shard: work)
    funnel.at("local", "go", "files").seen += 1
    with pytest.raises(XtroveError, match="41 seen, but 0 dropped"):
        build_manifest(parts_of(shards, [], funnel), lambda shard: work)
    with pytest.raises(UnfinishedBuild):
        load_manifest(base)


def test_a_smaller_rebuild_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    first = build(tmp_path)
    (first.path / "my notes.txt").write_text("kept")
    unseal(first.path)
    with pytest.raises(UnfinishedBuild):
        load_manifest(first.path)
    fewer = [pair for pair in default_pairs() if pair.language == "go"]
    work = tmp_path / "work"
    write_removals(first.path, "part-00001", [], tmp=first.path / ".xtrove/tmp")
    parts = parts_of(write_shards(first.path, work, fewer), [], funnel_of(fewer, []))
    write_published(first.path, parts, work_of=lambda shard: work, tmp=first.path / ".xtrove/tmp")
    names = set(published(first.path))
    assert not any("python" in name or "removals" in name for name in names)
    assert "my notes.txt" in names
    assert remove_stale(first.path, [name for name in names if "train" in name])
    assert (first.path / "my notes.txt").exists()


def test_get_find_and_removal(built: Built) -> None:
    dataset = Dataset.open(built.path)
    for pair in built.kept:
        sample = dataset.get(pair.id)
        assert sample is not None and sample["code"] == pair.code
    assert dataset.get("0" * 32) is None and dataset.get("") is None
    removed = default_removals(default_pairs())[0]
    assert dataset.removal(removed.id) == removed
    assert dataset.removal(built.ids[0]) is None
    assert [s["id"] for s in dataset.samples(language="go", split="test")] == sorted(
        pair.id
        for pair in built.kept
        if pair.language == "go" and pair.id in {s["id"] for s in dataset.samples(split="test")}
    )
    assert len(list(dataset.samples())) == 100


def test_a_damaged_shard_is_no_crash(built: Built, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built.path, copy)
    shard = next(Dataset.open(copy).shards(language="python"))
    shard.tar.write_bytes(shard.tar.read_bytes()[:1000])
    with pytest.raises(DamagedData, match="ends outside the tar"):
        shard.sample(len(shard.index) - 1)


def test_summary(built: Built) -> None:
    dataset = Dataset.open(built.path)
    one, same, other = (summarise(dataset, samples=5, seed=seed) for seed in (1, 1, 2))
    assert one == same and one.shown != other.shown
    assert len({str(sample["id"]) for sample in one.shown}) == 5
    assert one.counts == built.manifest.counts() and one.licenses == {"MIT": 100, "Apache-2.0": 50}
    assert one.token_quantiles[0] <= one.token_quantiles[50] <= one.token_quantiles[100]
    assert sum(one.removals.values()) == 4
    assert len(summarise(dataset, samples=1000).shown) == 100


def test_links_and_paths_that_leave(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.txt").write_text("x")
    (tmp_path / "in/link").symlink_to(tmp_path / "out.txt")
    (tmp_path / "in/folder").symlink_to(tmp_path)
    for path in ("../out.txt", "/etc/passwd", "link", "folder/out.txt", "", ".", "a//b", "./a"):
        with pytest.raises(DamagedData):
            safe_file(tmp_path / "in", path)
    assert safe_file(tmp_path, "out.txt") == tmp_path / "out.txt"


@pytest.mark.parametrize("language", ["", "..", "a/b", "C", "-x", "x" * 65, "a\n"])
def test_languages_that_cannot_be_folders(language: str) -> None:
    with pytest.raises(ValueError, match="cannot name a folder"):
        layout.tar_path(language, "train", 0)


def test_checksum_files_are_read_strictly() -> None:
    digest = "0" * 64
    assert parse_checksums(f"{digest}  a b\n{digest}  b\n".encode()) == {"a b": digest, "b": digest}
    wrong = ("x  a\n", f"{digest} a\n", f"{digest}  b\n{digest}  a\n", f"{digest}  a", "\n")
    for text in wrong:
        with pytest.raises(DamagedData):
            parse_checksums(text.encode())


@pytest.mark.parametrize(
    ("samples", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (2_500_000, "1M<n<10M"), (10**13, "n>1T")],
)
def test_size_categories(samples: int, name: str) -> None:
    assert size_category(samples) == name


def test_shard_numbers_have_five_digits() -> None:
    path = layout.tar_path("c++", "test", 99_999)
    assert path == "data/c++/test-99999.tar"
    assert layout.parse_tar_path(path) == ("c++", "test", 99_999)
    assert layout.parse_tar_path("data/c++/test-1.tar") is None
    with pytest.raises(ValueError, match="max_bytes"):
        layout.tar_path("c++", "test", 100_000)
