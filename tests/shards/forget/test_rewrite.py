"""Forgetting a repository: what goes, what stays to the letter, what is remembered."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from extract.pair import Pair, pair_id
from shards.forget.inventory import Survey, nearest, survey
from shards.forget.rewrite import finish, prepare
from shards.format import layout
from shards.format.funnel import Funnel
from shards.format.journal import Redo
from shards.format.manifest import UnfinishedBuild, load_manifest
from shards.format.tombstones import WITNESS_FORGOTTEN, repo_sha256
from shards.read.dataset import Dataset
from shards.verify.dataset import check_dataset
from shards.write.removals import removal_files
from tests.shards.builder import (
    Built,
    build,
    default_pairs,
    exact_removal,
    filtered,
    license_class,
    make_pair,
    near_copy,
    near_removal,
)
from tests.shards.damage import edit_manifest, findings
from xtrove.core.errors import DamagedData

ROOT = Path(__file__).resolve().parents[3]
REPO = "owner/repo3"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Evidence of every kind: about the repository, witnessed by it, and of others."""
    pairs = default_pairs()
    gone = [
        near_removal(near_copy(pairs[3], 204), pairs[3]),
        exact_removal(make_pair(205, code=pairs[13].code + "# a comment\n"), pairs[13]),
        replace(
            filtered(make_pair(206, query=pairs[23].query), "query_cap"), witness_id=pairs[23].id
        ),
        near_removal(near_copy(pairs[4], 207), pairs[4]),
        filtered(make_pair(213), "short_query"),
        exact_removal(make_pair(223, code=pairs[5].code + "# a comment\n"), pairs[5]),
    ]
    return build(tmp_path_factory.mktemp("forget"), pairs, gone)


@pytest.fixture
def copy(sound: Built, tmp_path: Path) -> Path:
    """A copy of it to forget in."""
    shutil.copytree(sound.path, tmp_path / "copy")
    return tmp_path / "copy"


def silent(label: str, done: int, total: int) -> None:
    """No progress is shown."""


def forget(path: Path, *names: str) -> Survey:
    dataset = Dataset.open(path)
    result = survey(dataset, names, silent)
    prepare(dataset, result, license_class, silent).commit()
    return result


def published(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in layout.walk(path)}


def test_the_repository_is_gone_and_everything_holds(sound: Built, copy: Path) -> None:
    """The name in other letters; what is left is what the rest of the pairs would say."""
    before = load_manifest(copy)
    result = forget(copy, "Owner/REPO3").found[REPO]
    mine = [pair for pair in sound.kept if pair.repo == REPO]
    assert sorted(result.ids) == sorted(pair.id for pair in mine) and len(mine) == 10
    assert (result.evidence, result.witnesses) == (2, 3)
    report = check_dataset(copy, license_class=license_class)
    assert report.findings == ()
    assert report.counts["witness_forgotten"] == 3 and report.counts["witnesses"] == 1
    assert report.counts["tombstones"] == 1
    for name, data in published(copy).items():
        assert REPO.encode() not in data, name
    after = load_manifest(copy)
    assert after.samples == before.samples - 10
    assert after.removals == before.removals - 2
    left = [pair for pair in sound.kept if pair.repo != REPO]
    assert after.licenses == dict(sorted(Counter(n for p in left for n in p.licenses).items()))
    rows = [json.loads(line) for line in (copy / "ATTRIBUTION.jsonl").read_text().splitlines()]
    assert {row["repo"] for row in rows} == {pair.repo for pair in left}
    assert sorted(str(sample["id"]) for sample in Dataset.open(copy).samples()) == sorted(
        pair.id for pair in left
    )


def test_the_content_digest_is_that_of_a_build_without_it(
    sound: Built, copy: Path, tmp_path: Path
) -> None:
    forget(copy, REPO)
    left = [pair for pair in sound.kept if pair.repo != REPO]
    again = build(tmp_path / "without", left, [])
    assert load_manifest(copy).content_sha256 == again.manifest.content_sha256
    assert load_manifest(copy).tokens == again.manifest.tokens


def test_only_the_shards_concerned_change(sound: Built, copy: Path) -> None:
    before = published(copy)
    result = forget(copy, REPO)
    after = published(copy)
    texts = {"manifest.json", "funnel.json", "README.md", "ATTRIBUTION.jsonl", "SHA256SUMS"}
    changed = {name for name in before if after.get(name) != before[name]} - texts
    tars = {name for name in changed if name.endswith(".tar")}
    assert tars == set(result.shards) and 0 < len(tars) < len(sound.manifest.shards)
    assert {name for name in changed if name.startswith("removals/")} == {
        f"removals/{name}" for name in result.evidence
    }
    assert after.keys() <= before.keys()
    checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=copy, check=False)
    assert checked.returncode == 0
    assert not (copy / ".xtrove/forget").exists()


def test_the_tombstone_tells_counts_and_no_name(copy: Path) -> None:
    result = forget(copy, REPO)
    (stone,) = json.loads((copy / "manifest.json").read_bytes())["tombstones"]
    assert stone["repo_sha256"] == hashlib.sha256(REPO.encode()).hexdigest()
    assert stone["repo_sha256"] == repo_sha256("OWNER/Repo3")
    assert (stone["samples"], stone["evidence"], stone["witnesses"]) == (10, 2, 3)
    assert {shard["path"]: shard["samples"] for shard in stone["shards"]} == dict(result.shards)
    funnel = Funnel.from_json((copy / "funnel.json").read_bytes())
    assert funnel.check() == []
    dropped = funnel.totals()["pairs"].dropped
    assert dropped["forgotten"] == 12
    assert (dropped["short_query"], dropped["near_duplicate"], dropped["query_cap"]) == (0, 2, 1)
    card = (copy / "README.md").read_text()
    assert "1 repositories asked to be left out, with 10 samples" in card


def test_evidence_whose_witness_went_is_marked(sound: Built, copy: Path) -> None:
    forget(copy, REPO)
    dataset = Dataset.open(copy)
    by_name = {row.id: row for row in sound.removed}
    marked = 0
    for number, old in by_name.items():
        new = dataset.removal(number)
        if old.repo == REPO:
            assert new is None
        elif old.witness_id and dataset.get(old.witness_id) is None:
            assert new == replace(old, witness_id="", detail=WITNESS_FORGOTTEN)
            marked += 1
        else:
            assert new == old
    assert marked == 3 and len(removal_files(copy)) == 1


def test_a_split_and_a_language_that_become_empty_disappear(tmp_path: Path) -> None:
    pairs = default_pairs()
    lonely = [replace(p, language="go") for p in (make_pair(n) for n in (303, 313))]
    built = build(tmp_path, [p for p in pairs if p.language == "python"] + lonely, [])
    forget(built.path, REPO)
    assert check_dataset(built.path, license_class=license_class).findings == ()
    assert load_manifest(built.path).languages() == ["python"]
    assert not (built.path / "data/go").exists() and not (built.path / "parquet/go").exists()
    head = yaml.safe_load((built.path / "README.md").read_text().split("---\n")[1])
    assert [config["config_name"] for config in head["configs"]] == ["default", "python"]
    for split in sorted({shard.split for shard in built.manifest.shards} - {"train"}):
        names = {str(s["repo"]) for s in Dataset.open(built.path).samples(split=split)}
        forget(built.path, *names)
        head = yaml.safe_load((built.path / "README.md").read_text().split("---\n")[1])
        files = [file["split"] for config in head["configs"] for file in config["data_files"]]
        assert split not in files
    assert check_dataset(built.path, license_class=license_class).findings == ()


def test_everything_can_be_forgotten(sound: Built, copy: Path) -> None:
    forget(copy, *{pair.repo for pair in (*sound.kept,)})
    assert check_dataset(copy, license_class=license_class).findings == ()
    manifest = load_manifest(copy)
    assert (manifest.samples, manifest.shards, manifest.licenses) == (0, [], {})
    assert len(manifest.tombstones) == 10


@pytest.mark.slow
def test_one_after_the_other_is_both_at_once(copy: Path, tmp_path: Path) -> None:
    """Except for marks: evidence that lost its witness before it was forgotten itself."""
    other = tmp_path / "other"
    shutil.copytree(copy, other)
    forget(copy, "owner/repo7")
    forget(copy, REPO)
    assert findings(copy) == []
    forget(other, REPO, "owner/repo7")
    assert findings(other) == []
    assert published(copy) == published(other)


def test_a_gap_needs_a_tombstone_that_explains_it(tmp_path: Path) -> None:
    """A middle shard that is emptied leaves a gap; `verify` knows an honest one."""
    pairs = [_alone(number) for number in range(90)]
    built = build(tmp_path, pairs, [])
    series = [s for s in built.manifest.shards if s.split == "train"]
    assert len(series) >= 3
    names = {str(s["repo"]) for s in Dataset.open(built.path).shard(series[1]).samples()}
    forget(built.path, *names)
    assert series[1].path not in published(built.path)
    assert series[2].path in published(built.path)
    assert findings(built.path) == []

    def lie(document: dict[str, list[dict[str, object]]]) -> None:
        """As if the gap had been there, and the bytes had stood in the first shard."""
        for stone in document["tombstones"]:
            shards = stone["shards"]
            assert isinstance(shards, list)
            shards[0]["path"] = series[0].path

    shutil.copytree(built.path, tmp_path / "moved")
    edit_manifest(tmp_path / "moved", lie)
    assert [f.message for f in findings(tmp_path / "moved") if f.check == "boundaries"] == [
        "no tombstone explains the missing [1]"
    ]
    edit_manifest(
        built.path, lambda d: d["tombstones"][0]["shards"][0].update(bytes=built.manifest.max_bytes)
    )
    assert "boundaries" in {finding.check for finding in findings(built.path)}


def _alone(number: int) -> Pair:
    """A pair in a repository of its own."""
    pair = make_pair(number)
    repo = f"alone/repo{number}"
    same = {"source": pair.source, "path": pair.path, "code": pair.code}
    return replace(pair, repo=repo, id=pair_id(repo=repo, start_byte=pair.start_byte, **same))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("drop", {"funnel", "witness"}),
        ("witnesses", {"witness"}),
        ("evidence", {"funnel", "card"}),
        ("name", {"forgotten"}),
    ],
)
def test_a_wrong_tombstone_is_found(copy: Path, change: str, check: set[str]) -> None:
    forget(copy, REPO)

    def edit(document: dict[str, list[dict[str, object]]]) -> None:
        stone = document["tombstones"][0]
        if change == "drop":
            del document["tombstones"]
        elif change == "name":
            stone["repo_sha256"] = repo_sha256("owner/repo4")
        else:
            stone[change] = 1

    edit_manifest(copy, edit)
    assert check <= {finding.check for finding in findings(copy)}


def test_nearest_names(copy: Path) -> None:
    dataset = Dataset.open(copy)
    assert nearest(dataset, "ownr/repo3")[0] == REPO
    assert REPO in nearest(dataset, "somebody-else-altogether/repo3")
    assert nearest(dataset, "zzzzzzzz/qqqqqqq") == []
    assert survey(dataset, ["ownr/repo3"], silent).found["ownr/repo3"].is_empty


def test_a_damaged_dataset_is_left_alone(copy: Path) -> None:
    result = survey(Dataset.open(copy), [REPO], silent)
    tar = copy / next(iter(result.shards))
    data = bytearray(tar.read_bytes())
    data[600] ^= 0xFF
    tar.write_bytes(data)
    before = published(copy)
    with pytest.raises(DamagedData, match=f"{tar.name} is damaged"):
        prepare(Dataset.open(copy), result, license_class, silent)
    assert published(copy) == before
    lines = (copy / "ATTRIBUTION.jsonl").read_text().replace(REPO, "owner/repo4")
    (copy / "ATTRIBUTION.jsonl").write_text(lines)
    with pytest.raises(DamagedData, match="counts 0 samples"):
        survey(Dataset.open(copy), [REPO], silent)


def test_names_leave_provenance_quarantine_and_split_reason(copy: Path) -> None:
    def edit(document: dict[str, object]) -> None:
        document["split"] = {**dict(document["split"]), "reason": f"{REPO} holds 9 of 9"}  # type: ignore[call-overload]
        document["quarantined"] = [
            {"source": "local", "name": f"{REPO}/a.py", "reason": "corrupt"},
            {"source": "local", "name": "owner/repo33/a.py", "reason": "corrupt"},
        ]
        sources = document["sources"]
        assert isinstance(sources, list)
        sources[0]["provenance"] = [[f"repository {REPO}", "c0"], ["repository owner/repo", "c1"]]

    edit_manifest(copy, edit)
    forget(copy, REPO)
    manifest = load_manifest(copy)
    assert manifest.split.reason == "a forgotten repository holds 9 of 9"
    assert [one.name for one in manifest.quarantined] == ["owner/repo33/a.py"]
    assert manifest.sources[0].provenance == [("repository owner/repo", "c1")]
    text = (copy / "manifest.json").read_text() + (copy / "README.md").read_text()
    assert not re.search(rf"{REPO}\b", text)


def test_a_stopped_forget_says_what_to_do(copy: Path) -> None:
    dataset = Dataset.open(copy)
    change = prepare(dataset, survey(dataset, [REPO], silent), license_class, silent)
    change.promise()
    assert Redo(base=copy).repos() == (repo_sha256(REPO),)
    (copy / "manifest.json").unlink()
    with pytest.raises(UnfinishedBuild, match="run the same command again"):
        load_manifest(copy)
    assert finish(copy) and not finish(copy)
    assert findings(copy) == []


@pytest.mark.parametrize("lost", ["ATTRIBUTION.jsonl", "manifest.json", "SHA256SUMS"])
def test_a_staged_file_that_is_lost_is_no_file_that_was_moved(copy: Path, lost: str) -> None:
    """The old one under the final name is not taken for it, and no mix is sealed."""
    dataset = Dataset.open(copy)
    change = prepare(dataset, survey(dataset, [REPO], silent), license_class, silent)
    change.promise()
    (copy / "manifest.json").unlink()
    (copy / ".xtrove/forget/files" / lost).unlink()
    with pytest.raises(DamagedData, match=f"{lost} is gone: build the dataset again"):
        finish(copy)
    assert not (copy / "manifest.json").exists()


def test_a_staged_file_that_was_moved_counts(copy: Path) -> None:
    dataset = Dataset.open(copy)
    change = prepare(dataset, survey(dataset, [REPO], silent), license_class, silent)
    change.promise()
    (copy / "manifest.json").unlink()
    staged = copy / ".xtrove/forget/files"
    (staged / "ATTRIBUTION.jsonl").replace(copy / "ATTRIBUTION.jsonl")
    assert finish(copy)
    assert findings(copy) == []


def test_a_journal_of_an_older_dataset_is_dropped(copy: Path) -> None:
    """A build that sealed the folder anew since wins."""
    dataset = Dataset.open(copy)
    change = prepare(dataset, survey(dataset, [REPO], silent), license_class, silent)
    change.promise()
    edit_manifest(copy, lambda document: document.update(name="renamed"))
    before = published(copy)
    assert not finish(copy)
    assert published(copy) == before and not (copy / ".xtrove/forget").exists()


@pytest.mark.slow
def test_killed_at_any_change_of_a_file(tmp_path: Path) -> None:
    """A shard is rewritten, one vanishes, evidence changes; see `forget_child`."""
    pairs = [make_pair(n) for n in (0, 3, 10, 13)] + [make_pair(103, language="go")]
    gone = [near_removal(near_copy(pairs[1], 204), pairs[1]), filtered(make_pair(213), "short")]
    built = build(tmp_path, pairs, gone)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.shards.forget_child", str(built.path), str(scratch), REPO],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["old"] > 8 and counts["unsealed"] > 3 and counts["new"] > 0, counts
