"""`xtrove export`: which writer a format has, what goes with what, and what was written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.export import FORMATS, Exported, ExportOptions, Format, export, export_triplets
from shards.format import layout
from shards.read import Dataset, reading
from xtrove.core import Misuse
from xtrove.terminal import Step, amount, duration, out

ONNX = "onnx"
TRIPLETS = "pylate-triplets"
KINDS = (*FORMATS, ONNX)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRequest:
    """What was typed; None and empty: was not."""

    path: Path
    to: str
    output: Path
    splits: Sequence[str]
    languages: Sequence[str]
    negatives: Path | None
    per_query: int | None


def run(request: ExportRequest) -> None:
    """Export a dataset or a model. `Misuse` for wrong words, `XtroveError` where the work fails."""
    if request.to not in KINDS:
        raise Misuse(f"--to {request.to!r} is unknown", remedy=f"choose one of {', '.join(KINDS)}")
    _check(request)
    start = time.monotonic()
    if request.to == ONNX:
        _onnx(request, start)
        return
    chosen = next(name for name in FORMATS if name == request.to)
    base = request.path.resolve()
    dataset = Dataset.open(base)
    if request.output.resolve().is_relative_to(base):
        raise Misuse(
            f"--output {request.output} lies inside the dataset, which would not verify any more",
            remedy="give a folder elsewhere",
        )
    with reading(base, "nothing was exported"):
        done = _export(dataset, request, chosen)
    _show(request.output, done, start)


def _check(request: ExportRequest) -> None:
    """Options that the format does not have are wrong, not ignored."""
    given = {
        "--split": bool(request.splits),
        "--language": bool(request.languages),
        "--negatives": request.negatives is not None,
        "--per-query": request.per_query is not None,
    }
    known = {"--split", "--language"} if request.to != ONNX else set()
    if request.to == TRIPLETS:
        known = set(given)
    for name, is_given in given.items():
        if is_given and name not in known:
            raise Misuse(f"{name} means nothing for --to {request.to}", remedy="leave it out")
    for split in request.splits:
        if split not in layout.SPLITS:
            raise Misuse(
                f"--split {split!r} is unknown", remedy=f"choose of {', '.join(layout.SPLITS)}"
            )
    if request.to == TRIPLETS and request.negatives is None:
        raise Misuse(
            "--to pylate-triplets needs --negatives DIR",
            remedy="`xtrove mine DATASET --model-path MODEL --output DIR` makes them; "
            "--to st-pairs needs none",
        )


def _export(dataset: Dataset, request: ExportRequest, chosen: Format) -> Exported:
    options = ExportOptions(
        format=chosen,
        splits=tuple(dict.fromkeys(request.splits)) or layout.SPLITS,
        languages=tuple(dict.fromkeys(request.languages)) or None,
    )
    with Step("exporting", unit=amount) as step:
        if request.negatives is None:
            return export(dataset, request.output, options, step.report)
        return export_triplets(
            dataset,
            request.output,
            options,
            negatives=request.negatives,
            per_query=request.per_query or 1,
            progress=step.report,
        )


def _onnx(request: ExportRequest, start: float) -> None:
    from train.checkpoint import export_onnx

    with Step("exporting") as step:
        files = export_onnx(request.path, request.output, progress=step.report)
    for path in files:
        _line(f"  {path.name}: {amount(path.stat().st_size)}")
    _line(f"{request.output}: {len(files)} files ({duration(time.monotonic() - start)})")


def _show(output: Path, done: Exported, start: float) -> None:
    for split, count in done.rows.items():
        _line(f"  {split}: {count:,} rows")
    for reason, count in sorted(done.skipped.items()):
        _line(f"  left out: {count:,} x {reason}")
    size = amount(sum(facts.bytes for facts in done.files))
    _line(f"{output}: {sum(done.rows.values()):,} rows, {size} "
          f"({duration(time.monotonic() - start)})")  # fmt: skip


def _line(text: str) -> None:
    out().print(text)
