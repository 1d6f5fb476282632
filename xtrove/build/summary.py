"""What a build says at its end: the funnel with every reason, the output, the speed."""

from __future__ import annotations

import os

from rich.console import Console
from rich.table import Table

from xtrove.build.run import Built
from xtrove.terminal import amount, duration, fetched, funnel_table


def show(built: Built, console: Console) -> None:
    """The closing table, then what to type next."""
    manifest = built.manifest
    console.print(funnel_table(built.funnel))
    dropped = built.funnel.totals()["pairs"].dropped
    size = sum(shard.bytes for shard in manifest.shards)
    languages = ", ".join(
        f"{language} {sum(splits.values()):,}" for language, splits in manifest.counts().items()
    )
    splits: dict[str, int] = {}
    for by_split in manifest.counts().values():
        for split, count in by_split.items():
            splits[split] = splits.get(split, 0) + count
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row(
        "duplicates removed",
        f"{dropped['exact_duplicate']:,} exact, "
        f"{dropped['near_duplicate']:,} near (Jaccard >= {manifest.dedupe['threshold']}, with "
        f"another name and query >= {manifest.dedupe['other_name_threshold']})",
    )
    table.add_row("samples", f"{manifest.samples:,}" + (f" ({languages})" if languages else ""))
    if splits:
        counts = ", ".join(f"{name} {count:,}" for name, count in splits.items())
        table.add_row("splits", f"{counts} (by {manifest.split.by})")
    table.add_row("shards", f"{len(manifest.shards):,} tars, {amount(size)}")
    if manifest.quarantined:
        table.add_row("quarantined", f"{len(manifest.quarantined):,} (named in manifest.json)")
    if built.reused:
        table.add_row("time", f"{duration(built.seconds)}: finished before, inputs unchanged")
    else:
        speed = built.source_bytes / max(built.seconds, 1e-9)
        table.add_row(
            "time",
            f"{duration(built.seconds)}, {amount(built.source_bytes)} of source, {amount(speed)}/s",
        )
        where = "of this machine" if os.environ.get("RAY_ADDRESS") else "together"
        if built.traffic:
            table.add_row("fetched", fetched(built.traffic))
        table.add_row("memory", f"{amount(built.peak_bytes)} at most, all processes {where}")
    console.print(table)
    console.print(f"\nThe dataset is in {built.output}. Next:")
    console.print(f"  xtrove verify {built.output}     recompute every checksum, count and witness")
    console.print(f"  xtrove inspect {built.output}    counts and readable samples")
    console.print(f"  xtrove why {built.output} ID     why a pair was kept or dropped")
