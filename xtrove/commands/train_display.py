"""What people see while a run trains: step, loss, speed, memory and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from xtrove.terminal import Display, amount, duration

if TYPE_CHECKING:
    from train.run import Speed, StepFacts


class TrainDisplay(Display):
    """Shows the steps of a run; a context manager. `show` is off in all but the first process."""

    def __init__(self, *, show: bool = True) -> None:
        super().__init__(show=show)
        self._last: tuple[StepFacts, Speed, int] | None = None

    def closed(self, *, succeeded: bool) -> None:
        """The last step stays."""
        if self._last:
            self.print_line()

    def step(self, facts: StepFacts, speed: Speed, total: int) -> None:
        """A step has ended. Of the first one there is a line at once: the loss it starts from."""
        first = self._last is None
        self._last = (facts, speed, total)
        self.update(now=first)

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
        return ", ".join(f"{name} {value}" for name, value in self.rows().items() if value)

    def draw(self) -> Table:
        """The live table."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        rows = self.rows()
        for name in rows:
            table.add_column(name, justify="right")
        table.add_row(*rows.values())
        return table
