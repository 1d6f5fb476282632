"""`xtrove forget`: take repositories out of a dataset, and keep them out of later builds.

The order matters: what an earlier run left half done is finished first; the new dataset is
staged; the work folder remembers the tombstones; the dataset is put in place; what the work
folder holds of the code itself is deleted. After a kill anywhere the same command ends in the
same place. Cost: see `shards.forget.rewrite`; a later build with that work folder reads its slices
again, since what they may hold has changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from extract.redaction import published_name
from shards.forget import Survey, finish, nearest, prepare, repo_names, survey
from shards.format import Redo, load_manifest, repo_sha256
from shards.read import Dataset, reading
from xtrove.build import tombstones
from xtrove.commands.scrubbing import scrub
from xtrove.core import Misuse
from xtrove.runtime import Workspace, driver_lock
from xtrove.stages import license_class
from xtrove.terminal import Step, amount, duration, err, one_line, out

SHOWN = 20


def forget(path: Path, names: Sequence[str], *, work: Path | None, dry_run: bool) -> None:
    """Forget repositories. `Misuse` for an unknown one, `DamagedData` where it cannot be done."""
    repos = _wanted(names)
    base = path.resolve()
    if dry_run:
        dataset = Dataset.open(base)
        _show_plan(dataset, _survey(dataset, _as_held(dataset, repos)))
        return
    if not Redo(base=base).is_committed():
        Dataset.open(base)
    workspace = Workspace(work=work.resolve() if work else base / ".xtrove", output=base)
    start = time.monotonic()
    with driver_lock(workspace, err().print):
        _forget(base, repos, workspace, work is not None, start)


def _wanted(names: Sequence[str]) -> list[str]:
    repos = [name.strip() for name in names]
    for name in repos:
        if not name or name != name.strip("/"):
            raise Misuse(f"{name!r} names no repository", remedy="give owner/repo")
    return repos


def _as_held(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """The names case-folded; where redaction changed one, as the dataset has it.

    Names that redaction makes equal are forgotten together.
    """
    published = {name: published_name(name) for name in names}
    if any(name != other for name, other in published.items()):
        with Step("reading the names"), reading(dataset.path, "nothing was changed"):
            known = {repo_sha256(repo) for repo in repo_names(dataset)}
        known.update(tombstone.repo_sha256 for tombstone in dataset.manifest.tombstones)
        names = [name if repo_sha256(name) in known else published[name] for name in names]
    return list(dict.fromkeys(name.casefold() for name in names))


def _forget(
    base: Path, named: list[str], workspace: Workspace, is_named: bool, start: float
) -> None:
    if finish(base):
        err().print("finished what an earlier run had begun")
    dataset = Dataset.open(base)
    asked, named = named, _as_held(dataset, named)
    # What is published is redacted; plans and logs may have the name as it was.
    names = list(dict.fromkeys((*named, *(name.casefold() for name in asked))))
    inventory = _survey(dataset, named)
    repos = {repo_sha256(name): holding.ids for name, holding in inventory.found.items()}
    if not any(not holding.is_empty for holding in inventory.found.values()):
        tombstones.remember(workspace, repos)
        with Step("clearing the work folder"):
            scrub(workspace, names)
        out().print(f"{base}: forgotten before, nothing to do")
        return
    with Step("rewriting", unit=amount) as step, reading(base, "nothing was changed"):
        change = prepare(dataset, inventory, license_class, step.report)
    tombstones.remember(workspace, repos)
    change.commit()
    with Step("clearing the work folder"):
        scrub(workspace, names)
    _show_done(base, inventory, time.monotonic() - start)
    _show_next(base, workspace, is_named)


def _survey(dataset: Dataset, repos: list[str]) -> Survey:
    """What the dataset holds of them. `Misuse` for a name that is not in it at all."""
    with reading(dataset.path, "nothing was changed"):
        with Step("reading", unit=amount) as step:
            inventory = survey(dataset, repos, step.report)
        before = {tombstone.repo_sha256 for tombstone in dataset.manifest.tombstones}
        lines = []
        for name in repos:
            if inventory.found[name].is_empty and repo_sha256(name) not in before:
                near = nearest(dataset, name)
                hint = f"; the nearest names: {one_line(', '.join(near))}" if near else ""
                lines.append(f"{name}{hint}")
    if lines:
        raise Misuse(
            f"{dataset.path} holds nothing of\n" + "\n".join(f"  {line}" for line in lines),
            remedy="nothing was changed; to keep a repository out of later builds, name it "
            "under `opt_out:` of the config",
        )
    return inventory


def _counts(name: str, inventory: Survey) -> str:
    holding = inventory.found[name]
    return (
        f"{name}: {len(holding.ids):,} samples in {len(holding.shards):,} shards, "
        f"{holding.evidence:,} rows of evidence, witness of {holding.witnesses:,} others"
    )


def _show_plan(dataset: Dataset, inventory: Survey) -> None:
    for name in sorted(inventory.found):
        out().print(_counts(name, inventory))
    sizes = {facts.path: facts.samples for facts in dataset.manifest.shards}
    for path, count in sorted(inventory.shards.items())[:SHOWN]:
        last = " (all: the shard disappears)" if count == sizes[path] else ""
        out().print(one_line(f"  {path}: {count:,} of {sizes[path]:,} samples{last}"))
    if len(inventory.shards) > SHOWN:
        out().print(f"  and {len(inventory.shards) - SHOWN:,} shards more")
    for evidence in inventory.evidence:
        out().print(one_line(f"  removals/{evidence}"))
    out().print("dry run: nothing was changed")


def _show_done(base: Path, inventory: Survey, seconds: float) -> None:
    for name in sorted(inventory.found):
        out().print(f"forgotten {_counts(name, inventory)}")
    manifest = load_manifest(base)
    out().print(
        f"{base}: {manifest.samples:,} samples in {len(manifest.shards):,} shards are left; "
        f"{len(inventory.shards):,} shards rewritten ({duration(seconds)})",
    )


def _show_next(base: Path, workspace: Workspace, is_named: bool) -> None:
    if not is_named and not (workspace.work / "outputs").is_dir():
        out().print(
            "the work folder of its build is not here: name it with --work, or add "
            f"`opt_out: [{base}]` to later configs, so that they leave the repository out too",
        )
    else:
        out().print(
            f"builds into this folder keep it out; `opt_out: [{base}]` in a config does so for any",
        )
    out().print(
        "what was published before still holds it: publish this one again; the Hub goes on serving "
        "the older files by their tags and its history, `xtrove publish` names them and says how "
        "to take them down",
    )
