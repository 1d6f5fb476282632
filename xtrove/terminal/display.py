"""How far something is: a live view on a terminal, a line every 30 s elsewhere.

`Display` shows whatever it is given to draw; `Step` is the view of one piece of work: what it
does, a bar where the end is known, the time left, and at the end how long it took.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Self

from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from xtrove.terminal.console import duration, err, one_line

LINE_SECONDS = 30.0
REFRESH_SECONDS = 0.25
SLOW_SECONDS = 2.0
_BAR_WIDTH = 40


class Display:
    """Redrawn on a terminal at most four times a second; a context manager.

    Subclasses give the state: `draw` as a live view, `line` as one line. `show=False` shows
    nothing, as in all processes of a training but the first.
    """

    moves: ClassVar[bool] = False
    """Whether a thread redraws in between."""

    def __init__(self, *, show: bool = True) -> None:
        self._console = err()
        self._show = show
        self._live: Live | None = None
        self._due = 0.0
        self.start = time.monotonic()

    def draw(self) -> RenderableType:
        """The live view."""
        raise NotImplementedError

    def line(self) -> str:
        """The state in one line."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._due = time.monotonic() + LINE_SECONDS
        if self._show and self._console.is_terminal:
            self._due = 0.0
            # Stdout stays as it is: it may be a pipe, and what is drawn goes to stderr.
            self._live = Live(
                console=self._console,
                get_renderable=self.draw,
                auto_refresh=self.moves,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
        self.closed(succeeded=kind is None)

    def closed(self, *, succeeded: bool) -> None:
        """Runs once the live view is gone."""

    def say(self, message: str) -> None:
        """A line above the live view."""
        if self._show:
            self._console.print(message)

    def update(self, *, now: bool = False) -> None:
        """Shows the state where that is due; `now` at once."""
        moment = time.monotonic()
        if not self._show or (moment < self._due and not now):
            return
        if self._live:
            self._due = moment + REFRESH_SECONDS
            self._live.refresh()
        else:
            self._due = moment + LINE_SECONDS
            self.print_line()

    def print_line(self) -> None:
        """The state as a line that stays, with the time since the start."""
        if self._show:
            self._console.print(f"[{duration(time.monotonic() - self.start)}] {self.line()}")


class Step(Display):
    """One piece of work.

    `unit` writes an amount: `amount` for bytes, else a count. `timed` says at the end how long it
    took, if that was over 2 s: where nothing else does.
    """

    moves = True

    def __init__(
        self, what: str, *, unit: Callable[[float], str] = "{:,.0f}".format, timed: bool = False
    ) -> None:
        super().__init__()
        self._timed = timed
        self._what = what
        self._unit = unit
        self._doing, self._done, self._total = "", 0, 0
        self._spinner = Spinner("dots")

    def closed(self, *, succeeded: bool) -> None:
        """The time that it took."""
        taken = time.monotonic() - self.start
        if self._timed and succeeded and taken >= SLOW_SECONDS:
            self.say(f"{self._what}: {duration(taken)}")

    def report(self, doing: str, done: int = 0, total: int = 0) -> None:
        """What it does now, and how much of how much is done; a total of 0 is not known."""
        self._doing, self._done, self._total = doing, done, total
        self.update()

    def line(self) -> str:
        """What it is, what it does, how much of it is done."""
        text = f"{self._what}: {self._doing}" if self._doing else self._what
        if self._total:
            return f"{text} {self._unit(self._done)} of {self._unit(self._total)}"
        return f"{text} {self._unit(self._done)}" if self._done else text

    def draw(self) -> RenderableType:
        """The line with a spinner, and a bar where the end is known."""
        table = Table.grid(padding=(0, 1))
        cells: list[RenderableType] = [self._spinner, Text(one_line(self.line()))]
        if self._total:
            bar = ProgressBar(total=self._total, completed=self._done, width=_BAR_WIDTH)
            cells.append(bar)
        table.add_row(*cells)
        return table
