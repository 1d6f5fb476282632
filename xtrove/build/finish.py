"""From decisions to a sealed dataset: layout, shards, evidence, funnel, seal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt

from dedupe import REASONS, scheme_facts
from extract.redaction import published_name
from ingest import LANGUAGES
from shards.format import (
    SYNTAX_ERRORS,
    Funnel,
    Manifest,
    Quarantined,
    SourceFacts,
    SplitRule,
    kept_out,
    names_any,
)
from shards.write import (
    BuildOutputs,
    RemovalsFile,
    ShardFiles,
    import_drawing,
    unseal,
    write_published,
)
from xtrove.build.plan import Plan
from xtrove.build.quota_rounds import Round
from xtrove.core import FileFacts, XtroveError, digest
from xtrove.runtime import Scheduler, Task, published_versions, stage_version
from xtrove.stages import Records, RunName, load, open_items, removals, shard
from xtrove.terminal import err, funnel_table


def finish(plan: Plan, scheduler: Scheduler, result: Round) -> tuple[Manifest, Funnel]:
    """Write shards and evidence, then seal."""
    workspace = scheduler.workspace
    funnel, refused = _funnel(plan, scheduler, result)
    try:
        planned = _layout(plan, scheduler, result)
    except XtroveError:
        err().print(funnel_table(funnel))
        raise
    key = planned["key"]
    tmp = shard.output_tmp(workspace)
    tmp.mkdir(parents=True, exist_ok=True)
    unseal(workspace.output)
    removed = int(result.facts["pairs"]) - int(planned["kept"]) + refused
    shards = _shard_tasks(result, key, planned["shards"])
    Thread(target=import_drawing, name="import", daemon=True).start()
    facts = scheduler.run_stages(
        {"removals": _removals_tasks(result, key, removed), "shard": shards}
    )
    files = [ShardFiles.from_dict(fact["files"]) for fact in facts["shard"]]
    folders = {
        written.tar.path: workspace.folder("shard", task.key)
        for written, task in zip(files, shards, strict=True)
    }
    config = plan.config
    parts = BuildOutputs(
        name=config.name,
        config_digest=config.digest(),
        sources=_sources(plan),
        versions=published_versions(),
        dedupe=scheme_facts(config.dedupe),
        per_repo_cap=config.query_cap.per_repo or 0,
        total_cap=config.query_cap.total or 0,
        splits=config.shards.splits,
        rule=SplitRule(**planned["rule"]),
        max_bytes=config.shards.max_bytes,
        shards=tuple(files),
        removals=tuple(
            RemovalsFile(file=FileFacts(**fact["file"]), rows=fact["rows"])
            for fact in facts["removals"]
        ),
        funnel=funnel,
        quarantined=tuple(_quarantined(plan, scheduler, result)),
        tombstones=tuple(kept_out(plan.tombstones)),
    )
    seal = Task(stage="seal", key=digest(key)[:40], label="manifest, card, checksums", spec={})
    with scheduler.driver_stage(seal):
        manifest = write_published(
            workspace.output, parts, work_of=lambda s: folders[s.tar.path], tmp=tmp
        )
    return manifest, funnel


def _sources(plan: Plan) -> tuple[SourceFacts, ...]:
    return tuple(
        SourceFacts(
            name=listing.source,
            kind=listing.kind,
            revision=listing.revision,
            provenance=sorted(
                (published_name(name, plan.config.redact), fact)
                for name, fact in listing.provenance
                if not names_any(name, plan.tombstones)
            ),
            terms=listing.terms,
        )
        for listing in plan.listings
    )


def _layout(plan: Plan, scheduler: Scheduler, result: Round) -> dict[str, Any]:
    spec = {
        "runs": result.runs,
        "select": result.select_key,
        "splits": plan.config.shards.splits.model_dump(mode="json"),
        "max_bytes": plan.config.shards.max_bytes,
        "keeps_partition": plan.config.keeps_partition,
    }
    key = digest("layout", stage_version("layout"), spec)[:40]
    task = Task(stage="layout", key=key, label="shard boundaries", spec=spec)
    return {**scheduler.run("layout", [task])[0], "key": key}


def _shard_tasks(result: Round, layout_key: str, shards: Sequence[Sequence[Any]]) -> list[Task]:
    version = stage_version("shard")
    return [
        Task(
            stage="shard",
            key=digest("shard", version, layout_key, list(row))[:40],
            label=f"{row[0]} {row[1]} {row[2]}",
            spec={"runs": result.runs, "layout": layout_key, "shard": list(row)},
        )
        for row in shards
    ]


def _removals_tasks(result: Round, layout_key: str, rows: int) -> list[Task]:
    parts = max(1, -(-rows // removals.ROWS_PER_PART))
    version = stage_version("removals")
    return [
        Task(
            stage="removals",
            key=digest("removals", version, layout_key, part, parts)[:40],
            label=f"evidence {part + 1} of {parts}",
            spec={"runs": result.runs, "layout": layout_key, "part": part, "parts": parts},
        )
        for part in range(parts)
    ]


def _funnel(plan: Plan, scheduler: Scheduler, result: Round) -> tuple[Funnel, int]:
    """The counts of the slices that count, and how many pairs the extract stage refused."""
    funnel = Funnel()
    refused = 0
    for listing in plan.listings:
        for item in listing.quarantined:
            funnel.add(listing.source, "unknown", "files", reason="corrupt_input")
            name = published_name(item.name, plan.config.redact)
            scheduler.report(f"quarantined: {listing.source}: {name}: {item.reason}")
    for planned in result.slices:
        facts = scheduler.facts("extract", planned.task.key)
        refused += _add_slice(funnel, facts)
    runs = [RunName(key=planned.task.key, source=planned.source) for planned in result.slices]
    folder = scheduler.workspace.folder("select", result.select_key)
    decisions: Records = load(folder / "decisions.npy")  # type: ignore[assignment]
    start = 0
    for planned, items in zip(result.slices, open_items(scheduler.workspace, runs), strict=True):
        stop = start + len(items)
        _add_decisions(funnel, planned.source, items["language"], decisions["reason"][start:stop])
        start = stop
    wrong = funnel.check()
    if wrong:
        raise XtroveError(
            "the funnel does not add up: " + "; ".join(wrong[:5]), remedy="report this"
        )
    return funnel, refused


def _add_slice(funnel: Funnel, facts: Mapping[str, Any]) -> int:
    """Add the extract stage's counts of a slice; returns its refused pairs."""
    refused = 0
    source = facts["source"]
    for language, level, reason, count in facts["counts"]:
        counts_of_level = funnel.at(source, language, level)
        if reason == "seen":
            counts_of_level.seen += count
            counts_of_level.kept += count
        else:
            counts_of_level.kept -= count
            counts_of_level.dropped[reason] += count
            refused += count if level == "pairs" else 0
    for language, count in facts["syntax_errors"].items():
        funnel.at(source, language, "files").noted[SYNTAX_ERRORS] += count
    return refused


def _add_decisions(
    funnel: Funnel, source: str, language: npt.NDArray[np.uint8], reason: npt.NDArray[np.uint8]
) -> None:
    codes, counts = np.unique(
        language.astype(np.int64) * 256 + reason.astype(np.int64), return_counts=True
    )
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        name, why = LANGUAGES[code // 256], REASONS[code % 256]
        if code % 256:
            funnel.drop_kept(source, name, "pairs", reason=why, count=count)


def _quarantined(plan: Plan, scheduler: Scheduler, result: Round) -> list[Quarantined]:
    quarantined = [
        Quarantined(
            source=listing.source,
            name=published_name(item.name, plan.config.redact),
            reason=item.reason,
        )
        for listing in plan.listings
        for item in listing.quarantined
    ]
    for planned in result.slices:
        for name, reason in scheduler.facts("extract", planned.task.key)["quarantined"]:
            quarantined.append(Quarantined(source=planned.source, name=name, reason=reason))
    return quarantined
