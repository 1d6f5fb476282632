"""The report on a run shows what the trainer wrote down, of one step or of many."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from evaluate.report import training
from evaluate.report.page import MAX_BYTES, Page, Request, render
from evaluate.report.training import LOG, RUN, TRAINING
from evaluate.report.training_log import (
    BUCKETS,
    bucketed,
    curve,
    measures,
    rate,
    read_training_log,
    trailing,
)
from tests.evaluate.report_pages import Made, Parsed, run
from xtrove.core.errors import XtroveError


@pytest.fixture
def data(made: Made) -> Path:
    """The dataset that runs are trained on."""
    return made.path


def training_page(root: Path) -> Page:
    return training.training_page(root, Request())


def test_the_log_comes_back_as_columns(data: Path, tmp_path: Path) -> None:
    log = read_training_log(run(tmp_path, data) / LOG)
    assert len(log) == 30 and log.broken == 0
    assert list(log.columns["step"]) == list(range(30))
    assert log.columns["loss"][0] == 3.0
    assert log.total("pairs") == 960
    assert {name: steps for name, (steps, _) in log.languages.items()} == {"python": 15, "go": 15}
    assert log.events == {"checkpoint": 1}
    assert [row["step"] for row in log.validations] == [9, 19, 29]
    assert measures(log)["MRR"].ys == pytest.approx([0.15, 0.95 / 3, 29 / 60])
    assert rate(log, "tokens", "x").ys == pytest.approx([2_000.0] * 30)
    assert curve(log, "temperature", "x").ys == [0.05] * 30


def test_broken_lines_are_counted_and_left_out(data: Path, tmp_path: Path) -> None:
    output = run(tmp_path, data)
    with (output / LOG).open("ab") as file:
        file.write(b'{"event": "step"}\n[]\n{"event": "step", "step": 1e999, "loss": "x"}\nno\n')
        file.write(b'{"event": "step", "step": 30, "loss": NaN, "lr": true, "tokens": 1}\n{"ev')
    log = read_training_log(output / LOG)
    assert (len(log), log.broken) == (32, 4)
    assert math.isnan(log.columns["lr"][-1]) and math.isnan(log.columns["loss"][-1])
    page = render(training_page(output)).decode()
    assert "4 lines of the log could not be read." in page


def test_a_log_that_means_harm_stays_small(data: Path, tmp_path: Path) -> None:
    output = run(tmp_path, data)
    with (output / LOG).open("a", encoding="utf-8") as file:
        for row in range(200):
            names = {f"{row}.{n}" + "\u202e" * 100: 0.5 for n in range(200)}
            file.write(json.dumps({"event": "validation", "step": row, **names}) + "\n")
            file.write(json.dumps({"event": f"{row}" * 1_000, "step": row}) + "\n")
    log = read_training_log(output / LOG)
    assert len(measures(log)) == 30 and len(log.events) <= 200
    assert len(render(training_page(output))) < MAX_BYTES


def test_many_steps_become_few_points() -> None:
    ys = [float(n % 10) for n in range(100_000)]
    line = bucketed(range(100_000), ys, "loss")
    assert len(line.xs) == BUCKETS and line.xs[-1] == 99_999
    assert line.ys == [4.5] * BUCKETS
    assert (set(line.low), set(line.high)) == ({0.0}, {9.0})
    short = bucketed([0, 1, 2], [1.0, float("nan"), 3.0], "loss")
    assert (list(short.xs), list(short.ys), list(short.low)) == ([0, 2], [1.0, 3.0], [])


def test_the_trailing_mean_is_one() -> None:
    line = bucketed(range(40), [float(n) for n in range(40)], "loss")
    result = trailing(line, "mean").ys
    assert result[:2] == [0.0, 0.5]
    assert result[-1] == sum((36, 37, 38, 39)) / 4


def test_the_page_says_what_the_run_was(data: Path, tmp_path: Path) -> None:
    page = render(training_page(run(tmp_path, data))).decode()
    seen = " ".join(Parsed(page).text.split())
    for words in (
        "Training run", "statefinished", "steps30", "pairs seen960", "time in steps15 s",
        "best P@162.5%", "last loss2.033", "tokens a second2,000", "padding20%",
        "waited for the loader10%", "checkpoints1", "samples12,345", "objective.kindxtr",
        "Loss of each step", "Learning rate", "Temperature", "Empty positives", "Tokens a second",
        "python15", "reader_digest", "data.path…/dataset",
    ):  # fmt: skip
        assert words in seen, words
    assert str(tmp_path) not in page


def test_questions_of_other_kinds_are_shown_from_the_start_on(data: Path, tmp_path: Path) -> None:
    output = run(tmp_path, data)
    with (output / LOG).open("a", encoding="utf-8") as file:
        for step, share in ((-1, 0.4), (29, 0.3)):
            row = {"event": "validation", "step": step, "commits MRR": share, "mean MRR": share}
            file.write(json.dumps(row) + "\n")
    facts = json.loads((output / TRAINING).read_text())
    facts["metrics"]["mean MRR"] = 0.4
    (output / TRAINING).write_text(json.dumps(facts))
    assert list(measures(read_training_log(output / LOG))["commits MRR"].xs) == [0, 29]
    page = render(training_page(output)).decode()
    chart = page[page.index("Measures of the validations") :].partition("</figure>")[0]
    assert "commits MRR" in chart
    assert "best mean MRR40%" in " ".join(Parsed(page).text.split())


@pytest.mark.slow
def test_a_long_run_is_bounded(data: Path, tmp_path: Path) -> None:
    output = run(tmp_path, data, steps=20_000, validations=5_000)
    page = render(training_page(output))
    assert len(page) < MAX_BYTES / 4
    assert b"steps" in page and b"20,000" in page


def test_a_model_without_its_run_says_so(data: Path, tmp_path: Path) -> None:
    output = run(tmp_path, data)
    moved = tmp_path / "moved"
    moved.mkdir()
    (output / TRAINING).rename(moved / TRAINING)
    page = render(training_page(moved)).decode()
    assert "No curves" in page and "62.5%" in page


def test_a_run_before_its_first_step(data: Path, tmp_path: Path) -> None:
    output = run(tmp_path, data, steps=1, validations=1)
    (output / TRAINING).unlink()
    (output / LOG).write_bytes(b"")
    page = render(training_page(output)).decode()
    assert "No step has been logged yet." in page and "No validation has been logged." in page


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"x"'])
def test_a_run_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / RUN).parent.mkdir()
    (tmp_path / RUN).write_text(text)
    with pytest.raises(XtroveError, match=r"run\.json"):
        training_page(tmp_path)
    with pytest.raises(XtroveError, match="holds neither"):
        training_page(tmp_path / "nowhere")


def test_fields_of_any_type_are_shown(tmp_path: Path) -> None:
    facts = {"name": ["<b>"], "data": "x", "metrics": {"P@1": "high", "MRR": None}, "config": 3}
    (tmp_path / TRAINING).write_text(json.dumps(facts))
    page = render(training_page(tmp_path)).decode()
    assert "<b>" not in page
