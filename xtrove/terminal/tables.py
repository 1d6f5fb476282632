"""The funnel as a table: shown at the end of a build, and where a build is left with nothing."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from shards.format import LEVELS, Funnel, Level


def funnel_table(funnel: Funnel) -> Table:
    """Seen, every drop reason and kept, for files, functions and pairs over all sources."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right", style="dim")
    totals = funnel.totals()
    for name in LEVELS:
        _level_rows(table, name, totals[name])
    return table


def _level_rows(table: Table, name: str, level: Level) -> None:
    table.add_row(Text(f"{name} seen", style="bold"), f"{level.seen:,}", "")
    for reason, count in sorted(level.dropped.items(), key=lambda item: (-item[1], item[0])):
        share = 100 * count / level.seen if level.seen else 0
        table.add_row(f"  {reason}", f"{count:,}", f"{share:.1f}%")
    for note, count in sorted(level.noted.items()):
        table.add_row(Text(f"  ({note})", style="dim"), f"{count:,}", "")
    share = 100 * level.kept / level.seen if level.seen else 0
    table.add_row(Text("  kept", style="green"), f"{level.kept:,}", f"{share:.1f}%")
