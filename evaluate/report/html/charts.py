"""Charts of a report: lines, columns and bars that stay legible from 360 pixels to a wide screen.

Method: only the marks are SVG, drawn in a square of 1000 units that stretches with the page
(strokes do not); ticks, names and numbers are HTML around it, so that text keeps its size. Every
chart has a name for those who cannot see it and its numbers as a table; bars are a table anyway.
Cost: about 20 bytes a point. Limits: `POINTS` points a line, evenly chosen; `SERIES` lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evaluate.report.html.markup import Html, joined, short, tag
from evaluate.report.html.page import folded, scrolling, table
from evaluate.report.html.style import SERIES

POINTS: Final = 400
_ROWS: Final = 24
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
    """What an axis says and where it must reach."""

    name: str
    least: float | None = None
    most: float | None = None
    percent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar: its name, its number in words, its parts (length, class), and an interval."""

    name: str | Html
    number: str | Html
    parts: Sequence[tuple[float, str]]
    interval: tuple[float, float] | None = None


def number(value: float, *, percent: bool = False) -> str:
    """A number for people: four digits, thousands apart."""
    if percent:
        return f"{100 * value:.4g}%"
    if not math.isfinite(value):
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def compact(value: float, *, percent: bool = False) -> str:
    """A number for an axis: short."""
    if percent:
        return f"{100 * value:.3g}%"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def ticks(least: float, most: float) -> list[float]:
    """Four to eight round numbers at equal distances that hold the range between them."""
    if not most > least:
        least, most = least - abs(least) / 2 - 0.5, most + abs(most) / 2 + 0.5
    rough = (most - least) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= rough * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def line_chart(title: str, note: str, lines: Sequence[Line], x: Axis, y: Axis) -> Html:
    """A figure with lines on common axes; points that are no numbers are left out."""
    drawn = [kept for line in lines[:SERIES] if (kept := _thinned(_finite(line))).xs]
    if not drawn:
        return tag("p", f"{title}: no numbers.", class_="quiet")
    across = _ticks(x, [value for line in drawn for value in line.xs])
    up = _ticks(y, [v for one in drawn for v in (*one.ys, *one.low, *one.high)])
    frame = _Frame(left=across[0], right=across[-1], bottom=up[0], top=up[-1])
    marks = [_grid(frame, across, up)]
    marks += [_band(frame, line, n) for n, line in enumerate(drawn) if line.low]
    marks += [_line(frame, line, n) for n, line in enumerate(drawn)]
    return _figure(
        title, note, _svg(marks, _words(title, drawn, x, y)), across, up, x, y,
        legend=_legend(drawn) if len(drawn) > 1 else Html(""),
        values=_values(title, drawn, x, y),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    left: float
    right: float
    bottom: float
    top: float

    def at(self, x: float, y: float) -> str:
        across = (x - self.left) / (self.right - self.left) * _SIDE
        up = (self.top - y) / (self.top - self.bottom) * _SIDE
        return f"{across:.4g} {min(max(up, 0.0), float(_SIDE)):.4g}"


def _finite(line: Line) -> Line:
    columns = [line.xs, line.ys, *((line.low, line.high) if line.low else ())]
    rows = [row for row in zip(*columns, strict=True) if all(map(math.isfinite, row))]
    xs, ys, *band = [list(column) for column in zip(*rows, strict=True)] or [[], []]
    low, high = band or ([], [])
    return Line(name=line.name, xs=xs, ys=ys, low=low, high=high, dots=line.dots)


def _chosen(count: int, most: int) -> list[int]:
    """At most so many places of a list, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(n * (count - 1) / (most - 1)) for n in range(most)})


def _thinned(line: Line) -> Line:
    rows = _chosen(len(line.xs), POINTS)
    low, high = ([side[n] for n in rows] if side else [] for side in (line.low, line.high))
    return Line(
        name=line.name,
        xs=[line.xs[n] for n in rows],
        ys=[line.ys[n] for n in rows],
        low=low,
        high=high,
        dots=line.dots,
    )


def _ticks(axis: Axis, values: Sequence[float]) -> list[float]:
    least = min(values) if axis.least is None else axis.least
    most = max(values) if axis.most is None else axis.most
    if axis.least is not None and most <= least:
        # All values stand on the floor: the axis goes up from there and not below it.
        most = least + 1
    return ticks(least, most)


def _grid(frame: _Frame, across: Sequence[float], up: Sequence[float]) -> Html:
    path = [f"M{frame.at(x, frame.top)}V{_SIDE}" for x in across[1:]]
    path += [f"M{frame.at(frame.left, y)}H{_SIDE}" for y in up[1:]]
    return tag("path", class_="grid", d="".join(path))


def _band(frame: _Frame, line: Line, place: int) -> Html:
    there = [frame.at(*point) for point in zip(line.xs, line.high, strict=True)]
    back = [frame.at(*point) for point in zip(line.xs, line.low, strict=True)]
    return tag("path", class_=f"area a{place}", d=f"M{'L'.join([*there, *reversed(back)])}Z")


def _line(frame: _Frame, line: Line, place: int) -> Html:
    points = [frame.at(*point) for point in zip(line.xs, line.ys, strict=True)]
    made = tag("path", class_=f"line l{place}", d=f"M{'L'.join(points)}")
    if line.dots or len(points) == 1:
        dots = tag("path", class_=f"dots d{place}", d="".join(f"M{one}h.01" for one in points))
        return joined([made, dots])
    return made


def _svg(marks: Sequence[Html], words: str) -> Html:
    return tag(
        "svg", *marks, viewBox=f"0 0 {_SIDE} {_SIDE}", preserveAspectRatio="none", role="img",
        aria_label=words,
    )  # fmt: skip


def _words(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> str:
    parts = []
    for line in lines:
        ends = [number(value, percent=y.percent) for value in (line.ys[0], line.ys[-1])]
        least, most = (number(v, percent=y.percent) for v in (min(line.ys), max(line.ys)))
        parts.append(f"{line.name[:60]} from {ends[0]} to {ends[1]}, least {least}, most {most}")
    return f"{title} by {x.name}: {'; '.join(parts)}. The table below has the values."


def _figure(
    title: str,
    note: str,
    svg: Html,
    across: Sequence[float],
    up: Sequence[float],
    x: Axis,
    y: Axis,
    *,
    legend: Html,
    values: Html,
) -> Html:
    side = [tag("span", compact(value, percent=y.percent)) for value in reversed(up)]
    foot = [tag("span", compact(value, percent=x.percent)) for value in across]
    plot = tag(
        "div",
        tag("div", *side, class_="ys", aria_hidden="true"),
        svg,
        tag("div", *foot, class_="xs", aria_hidden="true"),
        tag("div", x.name, class_="what", aria_hidden="true"),
        class_="plot",
    )
    caption = tag("figcaption", title, tag("small", note) if note else "")
    return tag("figure", caption, legend, plot, values)


def _legend(lines: Sequence[Line]) -> Html:
    items = []
    for place, line in enumerate(lines):
        stroke = tag("path", class_=f"line l{place}", d="M0 500H1000")
        key = tag(
            "svg", stroke, viewBox="0 0 1000 1000", preserveAspectRatio="none", aria_hidden="true"
        )
        items.append(tag("li", key, short(line.name, 100)))
    return tag("ul", *items, class_="legend")


def _values(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> Html:
    """The numbers of a chart, thinned, one row for each place on the axis."""
    places = sorted({value for line in lines for value in line.xs})
    chosen = [places[n] for n in _chosen(len(places), _ROWS)]
    columns = [dict(zip(line.xs, _cells(line, y), strict=True)) for line in lines]
    rows = [(number(at), *(column.get(at, "") for column in columns)) for at in chosen]
    header = (x.name, *(line.name[:60] for line in lines))
    return folded("Values as a table", table(title, header, rows, words=()))


def _cells(line: Line, y: Axis) -> list[str]:
    shown = [number(value, percent=y.percent) for value in line.ys]
    if not line.low:
        return shown
    bounds = zip(line.low, line.high, strict=True)
    return [
        f"{one} ({number(low, percent=y.percent)} to {number(high, percent=y.percent)})"
        for one, (low, high) in zip(shown, bounds, strict=True)
    ]


def histogram(title: str, note: str, edges: Sequence[float], counts: Sequence[int], x: str) -> Html:
    """Columns of equal width between edges that are named below them."""
    up = ticks(0, max([*counts, 1]))
    frame = _Frame(left=0, right=len(counts), bottom=0, top=up[-1])
    marks = [tag("path", class_="grid", d="".join(f"M{frame.at(0, y)}H{_SIDE}" for y in up[1:]))]
    for place, count in enumerate(counts):
        corners = [(place, 0), (place, count), (place + 1, count), (place + 1, 0)]
        path = "L".join(frame.at(*one) for one in corners)
        marks.append(tag("path", class_="kept column", d=f"M{path}Z"))
    shown = [f"{number(edges[n])} to {number(edges[n + 1])}" for n in range(len(counts))]
    rows = [(name, f"{count:,}") for name, count in zip(shown, counts, strict=True)]
    top = max(range(len(counts)), key=lambda n: counts[n])
    words = f"{title}: most often {shown[top]}. The table below has the counts."
    step = max(1, len(counts) // 6)
    axis = Axis(name=x)
    return _figure(
        title, note, _svg(marks, words), edges[::step], up, axis, Axis(name="samples"),
        legend=Html(""), values=folded("Values as a table", table(title, (x, "samples"), rows)),
    )  # fmt: skip


def bar_table(
    caption: str, header: tuple[str, str], bars: Sequence[Bar], *, longest: float | None = None
) -> Html:
    """A table of bars on one scale: name, number, bar."""
    most = longest or max((sum(n for n, _ in bar.parts) for bar in bars), default=0) or 1
    rows = [_bar_row(bar, most) for bar in bars]
    head = tag(
        "tr",
        tag("th", header[0], scope="col"),
        tag("th", header[1], scope="col", class_="n"),
        tag("td", class_="bar"),
    )
    made = tag(
        "table", tag("caption", caption), tag("thead", head), tag("tbody", *rows), class_="bars"
    )
    return scrolling(made, caption)


def _bar_row(bar: Bar, most: float) -> Html:
    marks, start = [], 0.0
    for length, kind in bar.parts:
        wide = min(max(length / most * _SIDE, 0.0), _SIDE - start)
        marks.append(tag("rect", class_=kind, x=f"{start:.4g}", width=f"{wide:.4g}", y=1, height=8))
        start += wide
    if bar.interval is not None:
        low, high = (min(max(v / most * _SIDE, 0.0), float(_SIDE)) for v in bar.interval)
        path = f"M{low:.4g} 5H{high:.4g}M{low:.4g} 2V8M{high:.4g} 2V8"
        # The halo keeps the part over the bar as legible as the part beside it.
        marks += [tag("path", class_=kind, d=path) for kind in ("halo", "whisker")]
    svg = tag(
        "svg", *marks, viewBox=f"0 0 {_SIDE} 10", preserveAspectRatio="none", aria_hidden="true"
    )
    name = bar.name if isinstance(bar.name, Html) else short(bar.name, 200)
    return tag(
        "tr", tag("th", name, scope="row"), tag("td", bar.number, class_="n"),
        tag("td", svg, class_="bar"),
    )  # fmt: skip
