"""The report on a dataset says what is in the dataset, whatever that is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.report import duplicates as report_duplicates
from evaluate.report.dataset import draw
from evaluate.report.duplicates import CLUSTERS, MEMBERS, near_duplicates
from evaluate.report.lengths import BINS, LONGEST, QUANTILES, bins, count_lengths, quantiles
from evaluate.report.page import MAX_BYTES, render
from shards.read.dataset import Dataset
from tests.evaluate.report_pages import HOSTILE, Made, Parsed, dataset
from tests.shards import builder
from xtrove.core.errors import DamagedData


def quiet(what: str, done: int, total: int) -> None:
    """Ignores the progress."""


def text_of(page: bytes) -> str:
    return " ".join(Parsed(page.decode()).text.split())


def test_the_numbers_are_those_of_the_dataset(made: Made) -> None:
    shown = text_of(render(made.page()))
    manifest = Dataset.open(made.path).manifest
    assert f"samples {manifest.samples}" in shown or f"samples{manifest.samples}" in shown
    assert f"{manifest.tokens:,}" in shown
    for name, count in manifest.licenses.items():
        assert f"{name}{count:,}" in shown
    for language, counts in manifest.counts().items():
        cells = "".join(f"{counts.get(split, 0):,}" for split in ("train", "validation", "test"))
        assert f"{language}{cells}" in shown
    assert "near_duplicate7" in shown and "generatedmade by a machine" in shown
    assert "localdirectoryr1" in shown and manifest.content_sha256 in shown
    assert "109 seen" in shown  # files: 100 kept pairs, 8 removed ones, 1 generated file


def test_samples_are_drawn_by_the_seed_alone(made: Made) -> None:
    opened = Dataset.open(made.path)
    first = draw(opened, 12, 0)
    assert [one["id"] for one in first] == [one["id"] for one in draw(opened, 12, 0)]
    assert [one["id"] for one in first] != [one["id"] for one in draw(opened, 12, 1)]
    assert [one["language"] for one in first] == ["go"] * 6 + ["python"] * 6
    assert len({str(one["id"]) for one in first}) == 12
    every = draw(opened, 500, 0)
    assert len(every) <= 100
    assert len({str(one["id"]) for one in every}) == len(every)
    page = render(made.page())
    assert all(str(one["id"]).encode() in page for one in first)
    assert render(made.page(seed=1)) != page


def test_clusters_have_a_diff_where_the_code_is_known(made: Made) -> None:
    page = render(made.page()).decode()
    assert '<span class="minus">-    return total</span>' in page
    assert '<span class="plus">+    return total + 1</span>' in page
    assert "work_3</" in page or "work_3: stands for 6" in page
    assert "No diffs" not in page
    without = render(made.page(known=False)).decode()
    assert "No diffs: the code of removed pairs is published nowhere" in without
    assert "return total + 1</span>" not in without
    assert "work_3: stands for 6" in without


def test_the_largest_clusters_come_first(made: Made) -> None:
    result = near_duplicates(Dataset.open(made.path), 0, quiet)
    assert (result.removed, result.clusters) == (7, 2)
    assert [one.size for one in result.shown] == [6, 1]
    assert result.shown[0].witness == builder.make_pair(3).id
    assert sum(result.scores) == 7
    assert dict(result.sizes) == {
        "1": 1, "2": 0, "3 to 5": 0, "6 to 20": 1, "more than 20": 0,
    }  # fmt: skip
    scores = [member.score for member in result.shown[0].members]
    assert scores == sorted(scores, reverse=True) and 0.7 < scores[0] < 1


def test_clusters_are_bounded(tmp_path: Path) -> None:
    kept = builder.default_pairs()
    gone = [
        builder.near_removal(builder.near_copy(pair, 1_000 + 100 * n + m), pair)
        for n, pair in enumerate(kept[:30])
        for m in range(30 if n == 5 else 1)
    ]
    built = builder.build(tmp_path, kept, gone)
    opened = Dataset.open(built.path)
    result = near_duplicates(opened, 0, quiet)
    assert (result.removed, result.clusters, len(result.shown)) == (59, 30, CLUSTERS)
    assert result.shown[0].witness == kept[5].id
    assert (result.shown[0].size, len(result.shown[0].members)) == (30, MEMBERS)
    other = near_duplicates(opened, 1, quiet)
    assert {one.witness for one in result.shown} != {one.witness for one in other.shown}


def test_evidence_that_is_damaged_is_named(made: Made, tmp_path: Path) -> None:
    opened = Dataset.open(made.path)
    broken = replace(opened, path=tmp_path)
    (tmp_path / "removals").mkdir()
    (tmp_path / "removals" / "part-00000.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(DamagedData, match="part-00000"):
        near_duplicates(broken, 0, quiet)
    assert not report_duplicates.near_duplicates(
        replace(opened, path=tmp_path / "nowhere"), 0, quiet
    ).removed


@pytest.mark.slow
def test_a_dataset_that_means_harm_stays_small(tmp_path: Path) -> None:
    bad = "\u202e\u2066<&" * 4_000
    kept = [
        replace(
            builder.make_pair(n, query=f"{bad} {n}", code=f"def f():\n  {bad}{n}\n"),
            name=bad, path=f"{n}{bad}", repo=f"o/{n % 10}{bad}", licenses=(f"{n}{bad}",),
        )
        for n in range(60)
    ]  # fmt: skip
    page = render(dataset(tmp_path, kept).page())
    assert len(page) < MAX_BYTES
    assert not set("\u202e\u2066") & set(page.decode())


def test_an_empty_kind_of_duplicates_is_said(tmp_path: Path) -> None:
    built = builder.build(tmp_path, builder.default_pairs()[:10], [])
    page = Made(path=built.path, removed={}).page()
    assert "No near-duplicate was removed." in render(page).decode()


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=200))
def test_quantiles_and_columns_count_every_sample(values: list[int]) -> None:
    counts = np.bincount(values, minlength=LONGEST + 1)
    expected = np.percentile(values, [100 * q for q in QUANTILES], method="inverted_cdf")
    assert quantiles(counts) == expected.tolist()
    edges, columns = bins(counts)
    assert (len(edges), len(columns)) == (BINS + 1, BINS)
    assert sum(columns) == len(values)
    assert edges[-1] >= quantiles(counts)[-2]
    assert columns[0] == sum(value < edges[1] for value in values)


def test_lengths_are_those_of_the_samples(made: Made) -> None:
    opened = Dataset.open(made.path)
    reported: list[tuple[int, int]] = []
    result = count_lengths(opened, lambda what, done, total: reported.append((done, total)))
    for language in opened.languages():
        tokens = [int(str(sample["tokens"])) for sample in opened.samples(language=language)]
        assert np.repeat(np.arange(LONGEST + 1), result.tokens[language]).tolist() == sorted(tokens)
    assert int(result.quality.sum()) == 100
    assert reported[-1] == (100, 100)
    assert HOSTILE  # the dataset holds it
