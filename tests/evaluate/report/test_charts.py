"""Charts: marks stand where their numbers say, and the numbers stand beside them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.report.charts import (
    POINTS,
    SERIES,
    Axis,
    Bar,
    Line,
    compact,
    histogram,
    line_chart,
    number,
    ticks,
)
from evaluate.report.page import macro
from tests.evaluate.report_pages import HOSTILE, Parsed


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_hold_the_range_at_equal_distances(least: float, span: float) -> None:
    result = ticks(least, least + span)
    room = 1e-6 * max(1.0, abs(least), span)
    assert result[0] <= least + room and result[-1] >= least + span - room
    assert 2 <= len(result) <= 9
    steps = [b - a for a, b in zip(result, result[1:], strict=False)]
    assert max(steps) - min(steps) <= room


def test_ticks_are_round_and_exist_for_one_value() -> None:
    assert ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(5, 5)[0] < 5 < ticks(5, 5)[-1]
    assert ticks(0, 0)[-1] > 0


def paths(markup: str, kind: str) -> list[str]:
    return re.findall(rf'<path class="{kind}" d="([^"]*)"', markup)


def test_points_stand_where_they_should() -> None:
    line = Line(name="a", xs=[0, 50, 100], ys=[0, 0.25, 1], low=[0, 0, 0.5], high=[0.5, 0.5, 1])
    made = macro("figure", line_chart("T", [line], Axis(name="k"), Axis(name="y", least=0, most=1)))
    assert paths(made, "line l0") == ["M0 1000L500 750L1000 0"]
    assert paths(made, "area a0") == ["M0 500L500 500L1000 0L1000 500L500 1000L0 1000Z"]
    seen = Parsed(made)
    assert "0.25 (0 to 0.5)" in seen.text
    name = dict(seen.attributes)["aria-label"]
    assert made.count('role="img"') == 1
    assert name is not None
    assert "a from 0 to 1, least 0, most 1" in made


def test_what_is_no_number_is_left_out() -> None:
    nan = float("nan")
    line = Line(name="a", xs=[0, 1, 2, 3], ys=[1, nan, math.inf, 2])
    made = macro("figure", line_chart("T", [line], Axis(name="x"), Axis(name="y")))
    assert paths(made, "line l0")[0].count("L") == 1
    assert "nan" not in made and "inf" not in made
    empty = macro(
        "figure",
        line_chart("T", [Line(name="a", xs=[0], ys=[nan])], Axis(name="x"), Axis(name="y")),
    )
    assert empty.strip() == '<p class="quiet">T: no numbers.</p>'


def test_lines_are_bounded_and_told_apart_without_colour() -> None:
    xs = list(range(100_001))
    lines = [Line(name=f"line {n}", xs=xs, ys=xs) for n in range(SERIES + 3)]
    made = macro("figure", line_chart("T", lines, Axis(name="x"), Axis(name="y")))
    drawn = [paths(made, f"line l{n}") for n in range(SERIES)]
    # One in the chart, one in the legend.
    assert all(len(one) == 2 for one in drawn)
    assert drawn[0][1].count("L") == POINTS - 1
    assert drawn[0][1].startswith("M0 1000L") and drawn[0][1].endswith("L1000 0")
    assert len(made) < 80_000
    assert "line 5" in made and "line 6" not in made


def test_values_on_the_floor_do_not_go_below_it() -> None:
    line = Line(name="a", xs=[0, 1], ys=[0, 0])
    made = macro("figure", line_chart("T", [line], Axis(name="x"), Axis(name="y", least=0)))
    assert paths(made, "line l0") == ["M0 1000L1000 1000"]
    assert "-" not in Parsed(made).text


def test_bars_are_as_long_as_their_numbers() -> None:
    bars = [
        Bar(name="a", number="30", parts=((20, "kept"), (10, "dropped"))),
        Bar(name=HOSTILE, number="15", parts=((15, "kept"),), interval=(12, 90)),
    ]
    made = macro("bars", "T", ("name", "count"), bars)
    result = re.findall(r'<rect class="(\w+)" x="([\d.]+)" width="([\d.]+)"', made)
    assert result == [
        ("kept", "0", "666.7"), ("dropped", "666.7", "333.3"), ("kept", "0", "500"),
    ]  # fmt: skip
    assert paths(made, "halo") == paths(made, "whisker")
    assert paths(made, "whisker") == ["M400 5H1000M400 2V8M1000 2V8"]
    assert not {"script", "img"} & set(Parsed(made).tags)
    assert "<rect" in macro(
        "bars", "T", ("a", "b"), [Bar(name="x", number="0", parts=((0, "kept"),))]
    )


def test_a_histogram_has_its_counts_as_a_table() -> None:
    counts = [0, 4, 2, 0, 0, 1]
    made = macro("figure", histogram("T", [0, 10, 20, 30, 40, 50, 60], counts, "tokens", ""))
    columns = paths(made, "kept column")
    assert len(columns) == 6
    assert columns[1] == "M166.7 1000L166.7 0L333.3 0L333.3 1000Z"
    seen = Parsed(made)
    assert "10 to 204" in seen.text and "most often 10 to 20" in made


@pytest.mark.parametrize(
    ("value", "words", "axis"),
    [(0, "0", "0"), (0.05, "0.05", "0.05"), (1234, "1,234", "1,234"), (12_000, "12,000", "12k"),
     (2.5e6, "2,500,000", "2.5M"), (1e-4, "0.0001", "0.0001"), (1234.5, "1,234", "1,234")],
)  # fmt: skip
def test_numbers_are_for_people(value: float, words: str, axis: str) -> None:
    assert number(value) == words
    assert compact(value) == axis
    assert number(0.5, percent=True) == "50%"
    assert number(float("nan")) == "-"
