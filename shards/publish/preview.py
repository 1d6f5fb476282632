"""What the Hub holds of a repository, compared with the dataset that is to stand there.

Read only: this is all that `--dry-run` does, and the first step of a publication. Refused are
repositories that hold files of somebody else, and `--private` for one that is public already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shards.format import Manifest, ManifestError, layout, parse_manifest
from shards.publish.diff import Plan, Tree, make_plan
from shards.publish.hub_repo import HubRepo
from shards.publish.local import LocalDataset
from shards.publish.served_history import STAGING, TAGS
from xtrove.core import XtroveError

SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishOptions:
    """Where and how."""

    revision: str = "main"
    """A branch (made from `main` where there is none) or `refs/pr/N`."""
    private: bool = False
    """Of a new repository."""
    files_per_commit: int = 50
    bytes_per_commit: int = 2_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class HubState:
    """What the Hub holds, and what is to be done about it."""

    exists: bool
    private: bool
    gated: bool
    head: str
    """The commit of the branch, or of `main` where it is new; "" without a repository."""
    is_new_branch: bool
    target: Tree
    plan: Plan
    branches: tuple[str, ...]
    tags: dict[str, str]
    standing: Manifest | None
    """Of the dataset that stands there; None where there is none."""
    has_terms: bool
    """Whether the card of `main`, which is the one the Hub shows, has terms."""

    @property
    def replaces(self) -> str:
        """Name and content of the dataset that stands there; "" where there is none."""
        standing = self.standing
        return f"{standing.name} {standing.content_sha256[:12]}" if standing else ""


def tag_name(local: LocalDataset, *, long: bool = False) -> str:
    """The tag of a dataset: by its content; the long form by its files too."""
    name = f"{TAGS}{local.manifest.content_sha256[:16]}"
    sums = next(file.sha256 for file in local.files if file.path == layout.CHECKSUMS)
    return f"{name}-{sums[:8]}" if long else name


def staging_branch(revision: str, *, closed: bool) -> str:
    """The branch that shards are staged on; `closed`: the repository is to be opened after."""
    return f"{STAGING}{revision.replace('/', '-')}" + ("-closed" if closed else "")


def read_hub_state(local: LocalDataset, hub: HubRepo, options: PublishOptions) -> HubState:
    """Compares the dataset with the Hub; changes nothing. `XtroveError` where it may not be."""
    facts = hub.facts()
    target: Tree = {}
    staging: Tree = {}
    head, is_new, refs = "", False, None
    if facts is not None:
        refs = hub.refs()
        commit = hub.head(options.revision)
        is_new = commit is None
        head = commit or refs.branches.get("main", "")
        target = hub.tree(head) if head else {}
        for closed in (False, True):
            branch = refs.branches.get(staging_branch(options.revision, closed=closed))
            staging = {**staging, **(hub.tree(branch) if branch else {})}
    plan = make_plan(
        local,
        target,
        staging,
        files_per_commit=options.files_per_commit,
        bytes_per_commit=options.bytes_per_commit,
    )
    shown = refs.branches.get("main", "") if refs else ""
    hub_state = HubState(
        exists=facts is not None,
        private=facts.private if facts else options.private,
        gated=facts.gated if facts else False,
        head=head,
        is_new_branch=is_new,
        target=target,
        plan=plan,
        branches=tuple(refs.branches) if refs else (),
        tags=dict(refs.tags) if refs else {},
        standing=_standing(hub, head, target, options),
        has_terms=bool(shown) and local.gated and _has_terms(hub, shown),
    )
    _refuse(hub.repo, hub_state, local, options)
    return hub_state


def _standing(hub: HubRepo, head: str, target: Tree, options: PublishOptions) -> Manifest | None:
    """The dataset that stands there already; `XtroveError` for the manifest of somebody else."""
    if layout.MANIFEST not in target:
        return None
    data = hub.read(layout.MANIFEST, head, layout.MAX_TEXT_BYTES)
    try:
        return parse_manifest(data)
    except ManifestError as error:
        raise XtroveError(
            f"{hub.repo} has a {layout.MANIFEST} at {options.revision} that is none of ours: "
            f"{error.message}",
            remedy="publish under another name, or delete that file first",
        ) from None


def _has_terms(hub: HubRepo, commit: str) -> bool:
    if layout.CARD not in hub.tree(commit):
        return False
    return b"\nextra_gated_prompt:" in hub.read(layout.CARD, commit, layout.MAX_TEXT_BYTES)


def _refuse(repo: str, hub_state: HubState, local: LocalDataset, options: PublishOptions) -> None:
    if hub_state.plan.foreign:
        names = ", ".join(hub_state.plan.foreign[:SHOWN])
        raise XtroveError(
            f"{repo} holds {len(hub_state.plan.foreign)} files at {options.revision} that were not "
            f"published by xtrove: {names}",
            remedy="publish under another name, or delete them first",
        )
    if hub_state.exists and options.private and not hub_state.private:
        raise XtroveError(
            f"{repo} is public already, --private is for a new repository",
            remedy="make it private in its settings first, or leave --private out",
        )
    if local.gated and options.revision != "main" and not hub_state.has_terms:
        raise XtroveError(
            f"the Hub shows the terms in the card of main, and {repo} has none there: "
            f"{options.revision} would be given out without them",
            remedy="publish to main first",
        )
