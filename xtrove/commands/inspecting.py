"""`xtrove inspect` and `xtrove why`: what is in a dataset, and why a pair is or is not.

`why` answers from the dataset alone; only the diff of a removed pair needs the work files of
the build (the removed code is published nowhere), and says so where they are gone.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from dedupe import query_jaccard, same_name
from extract.filters import files, pairs
from extract.pipeline import watchdog
from shards.format import Sample, text
from shards.read import Dataset, Summary, reading, summarise
from shards.write import Removal, open_removals, removal_files
from xtrove.build import is_forgotten
from xtrove.core import Misuse, XtroveError
from xtrove.stages import load, open_run
from xtrove.terminal import Step, amount, one_line, out

SHORTEST_PREFIX = 6
MEANINGS: Mapping[str, str] = {
    **files.REASONS,
    **pairs.REASONS,
    **watchdog.REASONS,
    "exact_duplicate": "a kept pair of an earlier rank has the same normalised code",
    "near_duplicate": "a kept pair of an earlier rank is as similar as the rule for pairs asks",
    "query_cap": "its query is already answered by as many kept pairs as the config allows",
    "over_quota": "its language already had the number of pairs the config asks for",
    "forgotten": "its repository asked to be forgotten",
    "opted_out": "its repository or owner opted out",
    "decontaminated": "it is, or answers, an item of an evaluation set named in the config",
}


def inspect(path: Path, samples: int) -> None:
    """Print counts by language, split, licence and reason, and readable samples.

    `Misuse` where there is no dataset, `XtroveError` where it is damaged.
    """
    dataset = Dataset.open(path)
    with reading(path), Step("reading the dataset"):
        summary = summarise(dataset, samples=samples, seed=0)
    console = out()
    _show_counts(console, dataset, summary)
    for sample in summary.shown:
        _show_sample(console, sample)


def _show_counts(console: Console, dataset: Dataset, summary: Summary) -> None:
    manifest = dataset.manifest
    size = sum(shard.bytes for shard in manifest.shards)
    console.print(
        Text.assemble(
            (one_line(manifest.name), "bold"),
            f"  {manifest.samples:,} samples, {len(manifest.shards):,} shards, {amount(size)}",
        )
    )
    table = Table("language", *("train", "validation", "test"), box=None, pad_edge=False)
    for language, counts in dataset.counts().items():
        cells = (f"{counts.get(split, 0):,}" for split in ("train", "validation", "test"))
        table.add_row(language, *cells)
    console.print(table)
    _line(console, f"split by {manifest.split.by} ({manifest.split.reason})")
    for title, rows in (("licences", summary.licenses), ("removed", summary.removals)):
        text = ", ".join(f"{name} {count:,}" for name, count in rows.items())
        _line(console, f"{title}: {text or 'none'}")
    if manifest.tombstones:
        gone = manifest.tombstones
        _line(
            console,
            f"forgotten: {len(gone):,} repositories, {sum(entry.samples for entry in gone):,} "
            f"samples, {sum(entry.evidence for entry in gone):,} rows of evidence",
        )
    quantiles = ", ".join(
        f"{percent}% {value:,}" for percent, value in summary.token_quantiles.items()
    )
    _line(console, f"tokens of code: {quantiles}")


def _show_sample(console: Console, sample: Sample) -> None:
    console.rule(f"{sample['id']}")
    query = str(sample["query"]).replace("\n", "\n" + " " * 10)
    console.print(f"query:    {query}")
    _line(
        console,
        f"function: {sample['name']}  ({sample['language']}, {sample['tokens']} tokens, "
        f"quality {sample['quality']})",
    )
    _show_place(console, sample)
    _show_code(console, str(sample["code"]), str(sample["language"]))


def _show_code(console: Console, code: str, lexer: str) -> None:
    """Highlighted on a terminal, to the letter elsewhere."""
    if console.is_terminal:
        console.print(Syntax(code, lexer, background_color="default", word_wrap=True))
    else:
        console.print(code, highlight=False)


def _show_place(console: Console, sample: Sample) -> None:
    lines = f":{sample['start_line']}-{sample['end_line']}" if sample["start_line"] != -1 else ""
    _line(
        console,
        f"from:     {sample['repo']} {sample['path']}{lines} "
        f"({sample['source']}, revision {sample['revision'] or 'unknown'})",
    )
    licenses = ", ".join(str(item) for item in _strings(sample["licenses"]))
    _line(console, f"licence:  {licenses} ({sample['license_evidence']})")
    if sample["url"]:
        _line(console, f"url:      {sample['url']}")


def _strings(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def why(path: Path, prefix: str, work: Path | None) -> None:
    """Explain one pair. Raises `Misuse` for an id that is malformed, unknown or ambiguous,
    `DamagedData` where the dataset is damaged."""
    dataset = Dataset.open(path)
    with reading(path):
        _why(dataset, prefix, path, work)


def _why(dataset: Dataset, prefix: str, path: Path, work: Path | None) -> None:
    with Step("looking for the id"):
        id_ = _one_id(dataset, prefix.strip().lower(), work or path / ".xtrove")
    if not id_:
        text = f"{prefix}: {MEANINGS['forgotten']}; nothing is kept"
        _verdict(out(), "forgotten", "bold red", text)
        return
    sample = dataset.get(id_)
    if sample is not None:
        _explain_kept(dataset, sample)
        return
    removal = dataset.removal(id_)
    if removal is None:
        raise XtroveError(f"the evidence for {id_} cannot be read", remedy=f"xtrove verify {path}")
    _explain_removed(dataset, removal, work or path / ".xtrove")


def _one_id(dataset: Dataset, prefix: str, work: Path) -> str:
    """The id that begins so; "" where the work folder knows it as forgotten."""
    if not re.fullmatch(r"[0-9a-f]{6,32}", prefix):
        raise Misuse(
            f"{prefix!r} is not an id: an id is 32 hex digits",
            remedy=f"give all of them, or at least the first {SHORTEST_PREFIX}",
        )
    ids = sorted({*_kept_ids(dataset, prefix), *_removed_ids(dataset, prefix)})
    if not ids:
        if is_forgotten(work, prefix):
            return ""
        gone = sum(
            tombstone.samples + tombstone.evidence for tombstone in dataset.manifest.tombstones
        )
        hint = f"{gone:,} pairs were forgotten on request: it may be one; " if gone else ""
        raise Misuse(
            f"no pair of {dataset.path} has the id {prefix}",
            remedy=f"{hint}functions without documentation, and those in refused files, have no "
            "id: funnel.json counts them",
        )
    if len(ids) > 1:
        raise Misuse(
            f"{len(ids)} ids start with {prefix}: {', '.join(ids[:5])}",
            remedy="give more digits",
        )
    return ids[0]


def _kept_ids(dataset: Dataset, prefix: str) -> Iterator[str]:
    low, high = prefix.encode(), prefix.encode() + b"g"
    for shard in dataset.shards():
        first, last = np.searchsorted(shard.index.keys, [low, high])
        for key in shard.index.keys[int(first) : min(int(last), int(first) + 5)]:
            yield key.decode()


def _removed_ids(dataset: Dataset, prefix: str) -> Iterator[str]:
    for file in removal_files(dataset.path):
        with open_removals(file) as evidence:
            for batch in evidence.batches(["id"]):
                yield from (id for id in batch.column(0).to_pylist() if id.startswith(prefix))


def _explain_kept(dataset: Dataset, sample: Sample) -> None:
    console = out()
    text = "it passed every filter, and no kept pair of an earlier rank is a duplicate of it"
    _verdict(console, "kept", "bold green", f"{sample['id']}: {text}")
    _show_sample(console, sample)
    with Step("looking for its duplicates"):
        duplicates = list(_duplicates(dataset, str(sample["id"])))
    for row in duplicates[:5]:
        _line(
            console,
            f"stands for {row['id']} ({row['reason']}, score {row['score']:.3f}): "
            f"{row['repo']} {row['path']}",
        )
    if len(duplicates) > 5:
        _line(console, f"and for {len(duplicates) - 5:,} more")


def _line(console: Console, text: str) -> None:
    """One line, whatever stands in the fields of a stranger's dataset."""
    console.print(one_line(text))


def _verdict(console: Console, verdict: str, style: str, text: str) -> None:
    console.print(Text.assemble((verdict, style), f" {one_line(text)}"))


def _duplicates(dataset: Dataset, witness: str) -> Iterator[dict[str, Any]]:
    """The evidence whose witness is this sample."""
    columns = ["id", "witness_id", "reason", "score", "repo", "path"]
    for file in removal_files(dataset.path):
        with open_removals(file) as evidence:
            for batch in evidence.batches(columns):
                yield from (row for row in batch.to_pylist() if row["witness_id"] == witness)


def _explain_removed(dataset: Dataset, removal: Removal, work: Path) -> None:
    console = out()
    _verdict(console, "dropped", "bold red", f"{removal.id}: {removal.reason}")
    _line(console, f"rule:     {MEANINGS.get(removal.reason, 'unknown reason')}")
    if removal.detail:
        _line(console, f"detail:   {removal.detail}")
    lines = f":{removal.start_line}-{removal.end_line}" if removal.start_line != -1 else ""
    _line(console, f"function: {removal.name}  ({removal.language})")
    _line(console, f"from:     {removal.repo} {removal.path}{lines} ({removal.source})")
    removed = _work_sample(work, removal.id)
    if removed is not None:
        licenses = ", ".join(str(item) for item in _strings(removed["licenses"]))
        _line(console, f"licence:  {licenses} ({removed['license_evidence']})")
    if not removal.witness_id:
        return
    score = f", score {removal.score:.4f}" if removal.score >= 0 else ""
    _line(console, f"witness:  {removal.witness_id}{score}")
    witness = dataset.get(removal.witness_id)
    if witness is None:
        return
    _show_place(console, witness)
    if removal.query:
        _show_agreement(console, removal, witness)
    if removed is None:
        _line(
            console,
            f"(no diff: the removed code is published nowhere, and {work} does not hold "
            "it; name the work folder of the build with --work)",
        )
        return
    _show_diff(console, witness, removed)


def _show_agreement(console: Console, removal: Removal, witness: Sample) -> None:
    """What the pair rule compares besides the code."""
    name, query = text(witness, "name"), text(witness, "query")
    shared, union = query_jaccard(removal.query, query)
    names = "the same name" if same_name(removal.name, name) else f"another name ({name})"
    console.print(
        f"agrees:   {names}; {shared} of {union} words of both queries "
        f"({shared / max(union, 1):.2f}); {removal.tokens} and {witness['tokens']} tokens"
    )
    console.print(f"query:    {removal.query}")
    console.print(f"its query: {query}")


def _show_diff(
    console: Console, witness: Mapping[str, object], removed: Mapping[str, object]
) -> None:
    for title in ("query", "code"):
        diff = "\n".join(
            difflib.unified_diff(
                str(witness[title]).splitlines(), str(removed[title]).splitlines(),
                f"kept {title}", f"dropped {title}", lineterm="",
            )
        )  # fmt: skip
        if diff:
            _show_code(console, diff, "diff")
        else:
            _line(console, f"(the {title} is the same to the letter)")


def _work_sample(work: Path, id_: str) -> dict[str, object] | None:
    """The sample of a removed pair in the build's work files, where they are still there."""
    high, low = int(id_[:16], 16), int(id_[16:], 16)
    for path in sorted((work / "files" / "extract").glob("*/items.npy")):
        try:
            ids = load(path)["id"]  # type: ignore[call-overload]
            rows = np.flatnonzero((ids[:, 0] == np.uint64(high)) & (ids[:, 1] == np.uint64(low)))
            if len(rows):
                run = open_run(str(path.parent))
                sample: dict[str, object] = json.loads(run.sample(int(rows[0])))
                return sample
        except (OSError, ValueError, LookupError):
            continue  # half of it was deleted, or the disk lost it: there is no diff then
    return None
