"""Charts of a report: lines, columns and bars that stay legible from 360 pixels to a wide screen.

Method: this module turns numbers into positions, templates draw them. Only marks are SVG, in a
square of 1000 units that stretches with the page (strokes do not); ticks, names and numbers are
HTML around it, so that text keeps its size. Every chart has a description for those who cannot see
it and its numbers as a table. Cost: about 20 bytes a point. Limits: `POINTS` points a line, evenly
chosen; `SERIES` lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

POINTS: Final = 400
SERIES: Final = 6
"""Lines that the style can tell apart in one chart."""
_TABLE_ROWS: Final = 24
_SIDE: Final = 1000
_TICKS: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line; `low` and `high` bound a band around it where they are given."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dots: bool = False
    """Mark each point: for few of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """The name of an axis and the values that it must reach."""

    name: str
    least: float | None = None
    most: float | None = None
    percent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A row of a bar table: name, number in words, parts (length, class), 95% interval."""

    name: str
    number: str
    parts: Sequence[tuple[float, str]]
    note: str = ""
    """A smaller line below the name."""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A figure that a template can draw; without `marks` there is nothing to show."""

    title: str
    note: str = ""
    description: str = ""
    marks: Sequence[tuple[str, str]] = ()
    """Classes and path data."""
    x_ticks: Sequence[str] = ()
    y_ticks: Sequence[str] = ()
    x_name: str = ""
    legend: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def number(value: float, percent: bool = False) -> str:
    """A number for people: four digits, thousands apart; "-" where it is not finite."""
    if not math.isfinite(value):
        return "-"
    if percent:
        return f"{100 * value:.4g}%"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def compact(value: float, *, percent: bool = False) -> str:
    """A number for an axis: short."""
    if percent:
        return f"{100 * value:.3g}%"
    for least, unit, unit_name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / unit:.3g}{unit_name}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def ticks(least: float, most: float) -> list[float]:
    """Four to eight round numbers at equal distances that hold the range between them."""
    if not most - least > 1e-9 * max(abs(least), abs(most)):
        least, most = least - abs(least) / 2 - 0.5, most + abs(most) / 2 + 0.5
    rough = (most - least) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= rough * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def line_chart(title: str, lines: Iterable[Line], x: Axis, y: Axis, note: str = "") -> Chart:
    """Lines on common axes; points that are not finite are left out."""
    drawn = [line for line in map(_drawable, [*lines][:SERIES]) if len(line.xs)]
    if not drawn:
        return Chart(title=title)
    x_ticks = _axis_ticks(x, np.concatenate([line.xs for line in drawn]))
    y_ticks = _axis_ticks(y, np.concatenate([[*line.ys, *line.low, *line.high] for line in drawn]))
    frame = _Frame(x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1])
    marks = [frame.grid(x_ticks, y_ticks)]
    for series, line in enumerate(drawn):
        if len(line.low):
            band = frame.points(line.xs, line.high) + frame.points(line.xs, line.low)[::-1]
            marks.append((f"area a{series}", f"M{'L'.join(band)}Z"))
    for series, line in enumerate(drawn):
        points = frame.points(line.xs, line.ys)
        marks.append((f"line l{series}", f"M{'L'.join(points)}"))
        if line.dots or len(points) == 1:
            marks.append((f"dots d{series}", "".join(f"M{point}h.01" for point in points)))
    positions = np.unique(np.concatenate([line.xs for line in drawn]))
    cells = [dict(zip(line.xs, _cells(line, y.percent), strict=True)) for line in drawn]
    return Chart(
        title=title,
        note=note,
        description=_description(title, drawn, x, y),
        marks=marks,
        x_ticks=[compact(value, percent=x.percent) for value in x_ticks],
        y_ticks=[compact(value, percent=y.percent) for value in y_ticks],
        x_name=x.name,
        legend=[line.name for line in drawn],
        header=(x.name, *(line.name[:60] for line in drawn)),
        rows=[
            (number(position), *(column.get(position, "") for column in cells))
            for position in positions[_evenly(len(positions), _TABLE_ROWS)]
        ],
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    left: float
    right: float
    bottom: float
    top: float

    def points(self, xs: Any, ys: Any) -> list[str]:
        across = (np.asarray(xs) - self.left) / (self.right - self.left) * _SIDE
        down = (self.top - np.asarray(ys)) / (self.top - self.bottom) * _SIDE
        down = np.clip(down, 0, _SIDE)
        return [f"{x:.4g} {y:.4g}" for x, y in zip(across, down, strict=True)]

    def grid(self, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> tuple[str, str]:
        columns = self.points(x_ticks, [self.top] * len(x_ticks))[1:]
        rows = self.points([self.left] * len(y_ticks), y_ticks)[1:]
        return "grid", "".join(
            [f"M{point}V{_SIDE}" for point in columns] + [f"M{point}H{_SIDE}" for point in rows]
        )


def _drawable(line: Line) -> Line:
    """The finite points of a line as arrays, at most `POINTS`, evenly chosen."""
    band = [line.low, line.high] if len(line.low) else []
    columns = np.array([line.xs, line.ys, *band], dtype=float)
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    xs, ys, *band = columns[:, _evenly(columns.shape[1], POINTS)]
    low, high = band or ((), ())
    return replace(line, xs=xs, ys=ys, low=low, high=high)


def _evenly(count: int, most: int) -> Any:
    """At most `most` of `count` positions, the first and the last among them."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _axis_ticks(axis: Axis, values: Any) -> list[float]:
    least = min(values) if axis.least is None else axis.least
    most = max(values) if axis.most is None else axis.most
    if axis.least is not None and most <= least:
        # Every value is the least one: the axis rises from it and does not go below.
        most = least + 1
    return ticks(least, most)


def _description(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> str:
    parts = []
    for line in lines:
        values = (line.ys[0], line.ys[-1], min(line.ys), max(line.ys))
        first, last, least, most = (number(value, y.percent) for value in values)
        parts.append(f"{line.name[:60]} from {first} to {last}, least {least}, most {most}")
    return f"{title} by {x.name}: {'; '.join(parts)}. The table below has the values."


def _cells(line: Line, percent: bool) -> list[str]:
    values = [number(value, percent) for value in line.ys]
    if not len(line.low):
        return values
    bounds = zip(values, line.low, line.high, strict=True)
    return [f"{v} ({number(low, percent)} to {number(high, percent)})" for v, low, high in bounds]


def histogram(
    title: str, edges: Sequence[float], counts: Sequence[int], x: str, note: str
) -> Chart:
    """Columns of equal width between named edges, which are one more than the counts."""
    y_ticks = ticks(0, max([*counts, 1]))
    frame = _Frame(0, len(counts), 0, y_ticks[-1])
    marks = [frame.grid([0], y_ticks)]
    for column, count in enumerate(counts):
        corners = frame.points([column, column, column + 1, column + 1], [0, count, count, 0])
        marks.append(("kept column", f"M{'L'.join(corners)}Z"))
    names = [f"{number(edges[n])} to {number(edges[n + 1])}" for n in range(len(counts))]
    top = names[int(np.argmax(counts))]
    return Chart(
        title=title,
        note=note,
        description=f"{title}: most often {top}. The table below has the counts.",
        marks=marks,
        x_ticks=[compact(edge) for edge in edges[:: max(1, len(counts) // 6)]],
        y_ticks=[compact(value) for value in y_ticks],
        x_name=x,
        header=(x, "samples"),
        rows=[(name, f"{count:,}") for name, count in zip(names, counts, strict=True)],
    )


def count_bars(
    counts: Iterable[tuple[str, int]],
    *,
    kind: str = "kept",
    most: int = 40,
    others: str = "others",
    notes: Any = None,
) -> list[Bar]:
    """A bar for each of the first `most` (name, count), and one for the sum of the others."""
    pairs = list(counts)
    bars = [(name, count, (notes or {}).get(name, "")) for name, count in pairs[:most]]
    if rest := pairs[most:]:
        bars.append((f"{len(rest)} {others}", sum(count for _, count in rest), ""))
    return [
        Bar(name=name, number=f"{count:,}", parts=((count, kind),), note=note)
        for name, count, note in bars
    ]


def bar_rows(bars: Sequence[Bar], longest: float = 0.0) -> list[dict[str, Any]]:
    """The bars on one scale: `rects` (class, x, width) and the path of the `whisker`."""
    most = longest or max((sum(n for n, _ in bar.parts) for bar in bars), default=0) or 1
    rows = []
    for bar in bars:
        rects, start = [], 0.0
        for length, kind in bar.parts:
            width = min(max(length / most * _SIDE, 0.0), _SIDE - start)
            rects.append((kind, f"{start:.4g}", f"{width:.4g}"))
            start += width
        whisker = ""
        if bar.interval is not None:
            low, high = (min(max(v / most * _SIDE, 0.0), float(_SIDE)) for v in bar.interval)
            whisker = f"M{low:.4g} 5H{high:.4g}M{low:.4g} 2V8M{high:.4g} 2V8"
        rows.append({"bar": bar, "rects": rects, "whisker": whisker})
    return rows
