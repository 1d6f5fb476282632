"""What a build will do, fixed before any worker starts.

The sources are listed at their revisions, their slices permuted by hash (so that a quota is a
sample), and everything a task needs is written to WORK/plan. The build key is the digest of
config, inputs and code: same key, same bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dedupe import DecontaminateSet, EvaluationFacts, evaluation_facts
from extract.redaction import published_name
from ingest import Listing, Part, Slice
from ingest.sources import SourceOptions, plan
from shards.format import Redo
from xtrove.build import tombstones
from xtrove.config import BuildConfig, OptOuts, without_places
from xtrove.config import opt_out as opt_outs
from xtrove.core import Misuse, digest
from xtrove.runtime import PlannedSlice, Task, Workspace, node_versions, stage_version


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A build before it starts."""

    config: BuildConfig
    listings: tuple[Listing, ...]
    slices: tuple[PlannedSlice, ...]
    quotas: dict[str, int]
    """Source -> most pairs a language."""
    languages: dict[str, tuple[str, ...]]
    """Source -> languages it is read for, sorted."""
    inputs: dict[str, str]
    """Source (or evaluation set) -> digest of all that will be read."""
    key: str
    tombstones: tuple[str, ...]
    """Digests of the repositories that were forgotten and are not read. No part of the key: a
    dataset that forgot one is finished all the same."""
    holdouts: tuple[Task, ...]
    """What has to run before any slice is read."""
    files: dict[str, object]
    """Name in WORK/plan -> JSON value that tasks will read."""
    notes: tuple[str, ...] = ()
    """What the user should know before it runs, a line each."""


def ready(config: BuildConfig, base: Path) -> BuildConfig:
    """The config with every path absolute, so that it means the same on every node."""
    if "/working_dir_files/_ray_pkg_" in f"{base}/":
        _refuse_relative(config)
    sources = [source.resolved(base) for source in config.sources]
    sets = tuple(
        item.model_copy(update={"path": base / item.path.expanduser()})
        for item in config.decontaminate
    )
    paths = {"output": str(_absolute(base, config.output))}
    if config.work:
        paths["work"] = str(_absolute(base, config.work))
    resolved = {"sources": sources, "decontaminate": sets, **paths}
    resolved["opt_out"] = opt_outs.resolve(config.opt_out, base)
    return config.model_copy(update=resolved)


def _absolute(base: Path, path: str) -> Path:
    return (base / Path(path).expanduser()).resolve()


def _refuse_relative(config: BuildConfig) -> None:
    """Ray unpacks a working directory to a folder that is deleted with the job."""
    for key, value in (("output", config.output), ("work", config.work or "/")):
        if not Path(value).is_absolute():
            raise Misuse(
                f"{key}: {value!r} is relative, and this job runs in a folder that Ray deletes",
                remedy=f"give an absolute path that every node shares: --set {key}=/mnt/...",
            )


def workspace_of(config: BuildConfig) -> Workspace:
    """The folders of a config that is `ready`."""
    output = Path(config.output)
    return Workspace(work=Path(config.work) if config.work else output / ".xtrove", output=output)


def make_plan(config: BuildConfig, hashed: Callable[[int], None]) -> Plan:
    """List and digest all inputs. Reads every input file once; writes nothing."""
    names = config.source_names()
    hub = config.hub.model_dump(mode="json")
    sets = config.decontaminate
    facts = evaluation_facts(sets, config.dedupe) if sets else None
    evaluation = facts.digest if facts else ""
    listings = [
        plan(options, name, config.licenses, config.slice_bytes, hashed, limits=config.hub.limits())
        for name, options in zip(names, config.sources, strict=True)
    ]
    refused = opt_outs.read(config.opt_out)
    forgotten = sorted({*refused.forgotten, *tombstones.honoured(workspace_of(config))})
    slices: list[PlannedSlice] = []
    files: dict[str, object] = {}
    holdouts: list[Task] = []
    for listing, options in zip(listings, config.sources, strict=True):
        if options.holds_out:
            settings = _settings(config, listing.source, options, listing.revision, ())
            holdouts.append(_holdout(listing.source, settings, files, hub))
    held_out = [task.key for task in holdouts]
    for listing, options in zip(listings, config.sources, strict=True):
        name = listing.source
        settings = _settings(config, name, options, listing.revision, sets)
        settings["holdouts"] = held_out
        settings["opted_out"], settings["forgotten"] = list(refused.names), forgotten
        settings_name = _put(files, "settings", settings)
        decisive = digest(_portable(settings), evaluation)
        for source_slice in sorted(listing.slices, key=lambda s: digest(name, s.label, s.digest)):
            slices.append(_planned(name, source_slice, settings_name, decisive, hub))
            files[f"slice-{source_slice.digest}.json"] = _fields(source_slice)
    inputs = _inputs(listings, evaluation, refused)
    quotas = {
        name: source.max_per_language
        for name, source in zip(names, config.sources, strict=True)
        if source.max_per_language is not None
    }
    return Plan(
        config=config,
        listings=tuple(listings),
        slices=tuple(slices),
        quotas=quotas,
        languages={
            name: tuple(sorted(source.wanted()))
            for name, source in zip(names, config.sources, strict=True)
        },
        inputs=inputs,
        key=digest(config.digest(), inputs, node_versions()),
        tombstones=tuple(forgotten),
        holdouts=tuple(holdouts),
        files=files,
        notes=_notes(facts),
    )


def _fields(slice_: Slice) -> dict[str, object]:
    """A slice as `read_slice` reads it; `dataclasses.asdict` copies every string of every part."""
    names = [field.name for field in dataclasses.fields(Part)]
    parts = [{name: getattr(part, name) for name in names} for part in slice_.parts]
    facts = {field.name: getattr(slice_, field.name) for field in dataclasses.fields(slice_)}
    return {**facts, "parts": parts}


def _notes(facts: EvaluationFacts | None) -> tuple[str, ...]:
    return tuple(
        f"decontaminate {name}: {rows:,} rows hold code in a language that is none of ours "
        f"({', '.join(languages)}): their queries count, their code does not"
        for name, rows, languages in (facts.unknown if facts else ())
    )


def _inputs(listings: Sequence[Listing], evaluation: str, refused: OptOuts) -> dict[str, str]:
    """What will be read, by digest; what is left out by the config is an input too."""
    inputs = {
        listing.source: digest(
            listing.revision,
            [source_slice.digest for source_slice in listing.slices],
            [dataclasses.asdict(item) for item in listing.quarantined],
        )
        for listing in listings
    }
    if evaluation:
        inputs["decontaminate"] = evaluation
    if refused.names or refused.forgotten:
        inputs["opt_out"] = digest(refused.names, refused.forgotten)
    return inputs


def _settings(
    config: BuildConfig,
    name: str,
    options: SourceOptions,
    revision: str,
    sets: tuple[DecontaminateSet, ...],
) -> dict[str, object]:
    return {
        "name": name,
        "revision": revision,
        "source": options.model_dump(mode="json"),
        "policy": config.licenses.model_dump(mode="json"),
        "extract": config.extract.model_dump(mode="json"),
        "dedupe": config.dedupe.model_dump(mode="json"),
        "splits": config.shards.splits.model_dump(mode="json"),
        "decontaminate": [item.model_dump(mode="json") for item in sets],
        "holdouts": [],
        "opted_out": [],
        "forgotten": [],
    }


def _put(files: dict[str, object], kind: str, value: dict[str, object]) -> str:
    """Enter a file of the plan under a name that says what is in it."""
    name = f"{kind}-{digest(value)[:32]}.json"
    files[name] = value
    return name


def _holdout(
    name: str, settings: dict[str, object], files: dict[str, object], hub: dict[str, object]
) -> Task:
    """The task that writes down what a source holds out; a pure function of its revision."""
    source = _portable(settings)["source"]
    version = stage_version("holdout")
    return Task(
        stage="holdout",
        key=digest("holdout", version, name, settings["revision"], source)[:40],
        label=f"{name}: validation and test",
        spec={"settings": _put(files, "settings", settings), "hub": hub},
    )


def _portable(settings: dict[str, object]) -> dict[str, object]:
    """The settings without what cannot change a run: where things lie, and how many are wanted.

    The numbers of the pair rule are no part of a run: others reuse it.
    """
    source = without_places(settings["source"])  # type: ignore[arg-type]
    source.pop("max_per_language", None)
    dedupe: dict[str, object] = dict(settings["dedupe"])  # type: ignore[call-overload]
    del dedupe["other_name_threshold"], dedupe["query_overlap"]
    if not settings["decontaminate"] and not settings["holdouts"]:
        del dedupe["threshold"], dedupe["min_tokens"]
    return {**settings, "source": source, "dedupe": dedupe, "decontaminate": None}


def _planned(
    name: str, source_slice: Slice, settings_name: str, decisive: str, hub: dict[str, object]
) -> PlannedSlice:
    key = digest("extract", stage_version("extract"), decisive, source_slice.digest)[:40]
    task = Task(
        stage="extract",
        key=key,
        label=f"{name}: {published_name(source_slice.label)}",
        spec={"settings": settings_name, "slice": f"slice-{source_slice.digest}.json", "hub": hub},
        bytes=source_slice.bytes,
    )
    return PlannedSlice(source=name, stream=source_slice.stream, task=task)


def write_plan(plan: Plan, workspace: Workspace) -> None:
    """Put down what tasks will read, and take over what was forgotten."""
    tombstones.remember(workspace, dict.fromkeys(plan.tombstones, ()))
    # A `forget` that was stopped halfway here is done by this build: it reads without them.
    Redo(base=workspace.output).drop()
    for name, value in plan.files.items():
        workspace.write_json(workspace.plan_path(name), value)
