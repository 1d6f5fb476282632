"""The report on an evaluation shows the numbers of its result and the questions that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.measure.result import Evaluation, load_result
from evaluate.report.evaluation import WORST, interval, result_page, worst_places
from evaluate.report.page import MAX_BYTES, render
from tests.evaluate.report_pages import Parsed


@pytest.fixture
def page(pages: dict[str, bytes]) -> str:
    """The page."""
    return pages["evaluation"].decode()


def test_every_system_has_its_intervals(evaluation: Evaluation, page: str) -> None:
    seen = " ".join(Parsed(page).text.split())
    for system in evaluation.systems:
        for name in ("P@1", "MRR", "nDCG@10", "Recall@10", "Recall@100", "R@100 AUC"):
            assert interval(system.metrics[name]) in seen
    against = evaluation.systems[1].against
    assert against is not None
    assert (
        f"bad{100 * against.value:+.1f} ({100 * against.low:+.1f} to {100 * against.high:+.1f})"
        in seen
    )
    assert f"{against.p:.3g}{against.won}{against.lost}" in seen


def test_the_curves_are_those_of_the_result(evaluation: Evaluation, page: str) -> None:
    good = [one.value for one in evaluation.systems[0].recall_curve]
    seen = Parsed(page)
    labels = [value for name, value in seen.attributes if name == "aria-label" and value]
    label = next(value for value in labels if value.startswith("Recall@k by k"))
    assert f"good from {100 * good[0]:.4g}% to 100%" in label
    # Recall@1 of the first system is 0.75: a quarter of the way down at k = 1 of 0..100.
    assert 'class="line l0" d="M10 250L20 0L' in page
    assert page.count('class="area a') == 2


def test_groups_and_what_was_seen(evaluation: Evaluation, page: str) -> None:
    seen = " ".join(Parsed(page).text.split())
    for kind in ("language", "query length", "repository"):
        assert f"MRR by {kind}, %" in seen
    assert "pythongood, 20 questions" in seen and "owner/r2bad," in seen
    shares = evaluation.systems[0].seen
    assert shares is not None
    by_code = shares["code"]
    assert f"{by_code.seen_answers:,} of {by_code.answers:,}" in seen
    assert by_code.seen_answers == 10
    assert interval(by_code.unseen["P@1"]) in seen


def test_the_worst_questions_stand_first(evaluation: Evaluation, page: str) -> None:
    assert worst_places([1, 3, 0, 120, 0, 1]) == [2, 4, 3, 1]
    assert worst_places([2] * 100) == list(range(WORST))
    places = worst_places(evaluation.systems[0].ranks)
    assert places == list(range(3, 40, 4))
    body = page[page.index('id="worst"') :]
    assert "no relevant document first for 10 questions:" in body
    result = [body.index(evaluation.queries[place].text.split("of")[0]) for place in places]
    assert result == sorted(result)
    assert "good: 2; bad: 120" in body


def test_a_result_without_a_miss_or_a_system(evaluation: Evaluation) -> None:
    perfect = evaluation.systems[0].model_copy(
        update={"ranks": [1] * 40, "groups": {}, "seen": None}
    )
    page = render(result_page(evaluation.model_copy(update={"systems": [perfect]}))).decode()
    assert "puts a relevant document first for every question" in page
    assert "does not say what it was trained on" in page
    assert "of one group" in page
    none = render(result_page(evaluation.model_copy(update={"systems": []}))).decode()
    assert "About this evaluation" in none


def test_a_result_that_means_harm_stays_small(evaluation: Evaluation, tmp_path: Path) -> None:
    bad = "\u202e\u2066<&" * 2_000
    asked = [
        query.model_copy(update={"text": bad, "relevant": [bad] * 9})
        for query in evaluation.queries
    ]
    group = evaluation.systems[0].groups["language"]["go"]
    facts = {str(n): {bad: bad} for n in range(500)}
    systems = [
        evaluation.systems[0].model_copy(
            update={
                "name": f"{n}{bad}",
                "ranks": [0] * 40,
                "firsts": [first and first.model_copy(update={"place": bad}) for first in
                           evaluation.systems[0].firsts],
                "groups": {bad: {f"{n}{bad}": group for n in range(60)}},
            }
        )
        for n in range(30)
    ]  # fmt: skip
    changes = {"name": bad, "queries": asked, "facts": facts, "systems": systems}
    page = render(result_page(evaluation.model_copy(update=changes)))
    assert len(page) < MAX_BYTES
    assert not set("\u202e\u2066") & set(page.decode())


def test_a_written_result_gives_the_same_page(
    evaluation: Evaluation, page: str, tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_bytes(evaluation.to_json())
    assert render(result_page(load_result(tmp_path))).decode() == page
