"""plots/*.svg: the funnel, the samples and the licences of a dataset, drawn for its card.

A plot is bars with a name and a number each. `rows` says which, so that `verify` can look for
every one of them in the file without drawing it; `draw` makes the file with matplotlib, which
is imported there and nowhere else (0.8 s once, in the process that seals; workers never see
it). The bytes are a function of the rows and the versions: fixed salt, no date, no
configuration of the user, the font that comes with matplotlib, text kept as text.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import unescape
from importlib import import_module
from pathlib import Path
from re import findall
from typing import TYPE_CHECKING, Final

from shards.format import LEVELS, Funnel, Manifest, layout
from xtrove.core import FileFacts, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

MAX_BYTES: Final = 1 << 22
"""No plot is larger than this (4 MiB)."""
_MOST_ROWS: Final = 16
_MOST_LABEL: Final = 44
_KEPT, _DROPPED = "#2b6cb0", "#c4ccd6"
_SPLITS: Final = {"train": "#2b6cb0", "validation": "#63a4dd", "test": "#b7d4ee"}
_ROW_IN, _HEAD_IN, _WIDE_IN = 0.24, 0.42, 8.0
_LEFT, _RIGHT = 0.34, 0.12
"""Parts of the width for names and numbers."""
_STYLE: Final = {"svg.hashsalt": "xtrove", "svg.fonttype": "none", "axes.unicode_minus": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar: parts of its length with their colours, stacked."""

    name: str
    parts: tuple[tuple[int, str], ...]

    @property
    def value(self) -> int:
        """The whole length."""
        return sum(length for length, _ in self.parts)

    @property
    def number(self) -> str:
        """As it stands beside the bar."""
        return f"{self.value:,}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """Bars on one scale."""

    title: str
    bars: tuple[Bar, ...]


def panels(manifest: Manifest, funnel: Funnel) -> dict[str, list[Panel]]:
    """Path -> what its plot shows."""
    return {
        layout.PLOTS[0]: _funnel_panels(funnel),
        layout.PLOTS[1]: [_samples_panel(manifest)],
        layout.PLOTS[2]: [_licenses_panel(manifest)],
    }


def _funnel_panels(funnel: Funnel) -> list[Panel]:
    panels = []
    totals = funnel.totals()
    for level in LEVELS:
        counts = totals[level]
        bars = [Bar(name="kept", parts=((counts.kept, _KEPT),))]
        bars += _ranked(counts.dropped, _DROPPED)
        panels.append(Panel(title=f"{level}: {counts.seen:,} seen", bars=tuple(bars)))
    return panels


def _samples_panel(manifest: Manifest) -> Panel:
    counts = manifest.counts()
    ranked = sorted(counts, key=lambda language: (-sum(counts[language].values()), language))
    bars = [_split_bar(language, [counts[language]]) for language in ranked[:_MOST_ROWS]]
    if rest := ranked[_MOST_ROWS:]:
        bars.append(_split_bar(f"{len(rest)} others", [counts[language] for language in rest]))
    return Panel(title="samples: train, validation, test", bars=tuple(bars))


def _split_bar(name: str, counts: Sequence[dict[str, int]]) -> Bar:
    parts = [
        (sum(split_counts.get(split, 0) for split_counts in counts), _SPLITS[split])
        for split in layout.SPLITS
    ]
    return Bar(name=_label(name), parts=tuple(parts))


def _licenses_panel(manifest: Manifest) -> Panel:
    return Panel(title="samples by licence", bars=tuple(_ranked(Counter(manifest.licenses), _KEPT)))


def _ranked(counts: Counter[str], colour: str) -> list[Bar]:
    """The largest first, the tail as one bar."""
    ranked = sorted(((n, name) for name, n in counts.items() if n), key=lambda x: (-x[0], x[1]))
    bars = [Bar(name=_label(name), parts=((n, colour),)) for n, name in ranked[:_MOST_ROWS]]
    if rest := ranked[_MOST_ROWS:]:
        bars.append(Bar(name=f"{len(rest)} others", parts=((sum(n for n, _ in rest), colour),)))
    return bars


def _label(name: str) -> str:
    """Plain characters that the font has, and not too many."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in name)
    return plain if len(plain) <= _MOST_LABEL else plain[: _MOST_LABEL - 3] + "..."


def rows(shown: Sequence[Panel]) -> list[str]:
    """Every text of a plot, in its order."""
    rows_ = []
    for panel in shown:
        rows_.append(panel.title)
        for bar in panel.bars:
            rows_ += [bar.name, bar.number]
    return rows_


def texts(svg: bytes) -> list[str]:
    """Every text of an SVG file, in its order; nothing in it is parsed or followed."""
    matches = findall(r"<text\b[^<>]*>([^<>]*)</text>", svg.decode("utf-8", errors="replace"))
    return [unescape(match_) for match_ in matches]


def write_plots(base: Path, manifest: Manifest, funnel: Funnel, tmp: Path) -> list[FileFacts]:
    """Draws and writes every plot of a dataset; `tmp` lies on the file system of `base`."""
    return [
        write_bytes(base, path, draw(shown), tmp)
        for path, shown in panels(manifest, funnel).items()
    ]


def import_drawing() -> None:
    """Import what `draw` needs, ahead of it: in a thread, while workers write the shards."""
    with suppress(ImportError):  # `draw` says it
        for name in ("matplotlib.style", "matplotlib.backends.backend_svg", "matplotlib.figure"):
            import_module(name)


def draw(shown: Sequence[Panel]) -> bytes:
    """The SVG file of a plot."""
    import matplotlib
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    heights = [_HEAD_IN + _ROW_IN * max(len(panel.bars), 1) for panel in shown]
    total = sum(heights)
    stream = io.BytesIO()
    with style.context(["default", _STYLE], after_reset=True):
        figure = Figure(figsize=(_WIDE_IN, total))
        FigureCanvasSVG(figure)
        # The font that matplotlib brings: another of the same name would move the text.
        font = FontProperties(
            fname=Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size=9
        )
        top = 1.0
        for panel, height in zip(shown, heights, strict=True):
            share = height / total
            body = share * (1 - _HEAD_IN / height)
            axes = figure.add_axes((_LEFT, top - share, 1 - _LEFT - _RIGHT, body))
            _draw_panel(axes, panel, font)
            top -= share
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _draw_panel(axes: Axes, panel: Panel, font: FontProperties) -> None:
    longest = max((bar.value for bar in panel.bars), default=0) or 1
    axes.set_axis_off()
    axes.set_xlim(0, longest)
    axes.set_ylim(max(len(panel.bars), 1) - 0.5, -0.5)
    head = axes.text(-0.02 * longest, -0.8, panel.title, ha="right", fontproperties=font)
    head.set_fontweight("bold")
    head.set_parse_math(False)
    for row, bar in enumerate(panel.bars):
        start = 0
        for length, colour in bar.parts:
            axes.barh(row, length, left=start, height=0.7, color=colour)
            start += length
        for x, text, side in ((-0.02, bar.name, "right"), (bar.value / longest + 0.01,
                                                           bar.number, "left")):  # fmt: skip
            drawn = axes.text(x * longest, row, text, ha=side, va="center", fontproperties=font)
            drawn.set_parse_math(False)
