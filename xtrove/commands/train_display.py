"""What people see while a run trains: one live table on a terminal, a line every 30 s elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from xtrove.terminal import LINE_SECONDS, REFRESH_SECONDS, LiveTable, amount, duration

if TYPE_CHECKING:
    from train.run import Speed, StepFacts


class TrainDisplay:
    """Shows the steps of a run; a context manager. `show` is off in all but the first process."""

    def __init__(self, console: Console, *, show: bool = True) -> None:
        self._console = console
        self._show = show
        self._live = LiveTable(console, show=show)
        self._shown_at = 0.0
        self._line_at = 0.0
        self._start = time.monotonic()
        self._last: tuple[StepFacts, Speed, int] | None = None

    def __enter__(self) -> TrainDisplay:
        self._live.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.close()
        if self._show and self._last:
            self._console.print(self.line())

    def say(self, message: str) -> None:
        """A message above the table."""
        if self._show:
            self._console.print(message)

    def step(self, facts: StepFacts, speed: Speed, total: int) -> None:
        """A step has ended."""
        first = self._last is None
        self._last = (facts, speed, total)
        now = time.monotonic()
        if not self._show:
            return
        if self._live and now - self._shown_at >= REFRESH_SECONDS:
            self._shown_at = now
            self._live.update(self.table())
        if not self._live and (first or now >= self._line_at):
            # The first step at once: whoever watches a log should see the loss it starts from.
            self._line_at = now + LINE_SECONDS
            self._console.print(self.line())

    def rows(self) -> dict[str, str]:
        """Name -> value of everything that is shown."""
        if self._last is None:
            return {}
        facts, speed, total = self._last
        empty = facts.loss_facts.get("empty_positives")
        done = facts.step + 1
        return {
            "step": f"{done:,}/{total:,}",
            "loss": f"{facts.loss:.4f}",
            "empty positives": f"{empty:.1%}" if empty is not None else "",
            "lr": f"{facts.lr:.2e}",
            "pairs/s": f"{speed.pairs_per_second:,.0f}",
            "tokens/s": f"{speed.tokens_per_second:,.0f}",
            "padding": f"{speed.padding:.1%}",
            "MFU": f"{speed.mfu:.1%}",
            "loader": f"{speed.waited:.0%} waited",
            "memory": amount(facts.peak_bytes),
            "left": duration((total - done) * speed.seconds_per_step),
        }

    def line(self) -> str:
        """The state in one line."""
        parts = [f"{name} {value}" for name, value in self.rows().items() if value]
        return f"[{duration(time.monotonic() - self._start)}] " + ", ".join(parts)

    def table(self) -> Table:
        """The live table."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        rows = self.rows()
        for name in rows:
            table.add_column(name, justify="right")
        table.add_row(*rows.values())
        return table
