"""Publishing a dataset on the Hub: readers see the old one or the new one, never a mix.

    1. the dataset is checked (`shards.publish.local`) and compared with what the branch holds
    2. the repository is made, and gated where the content needs terms; a repository whose card
       has no terms yet stays private until step 4 has put them there
    3. shards, indexes, twins and evidence go to a staging branch, in small commits; what is
       there already, by size and SHA-256, is not sent again; the branch is then listed and
       every size and SHA-256 compared
    4. ONE commit on the branch, over the parent that was compared: card, manifest, checksums and
       the other small files with their bytes, the staged ones by reference, stale ones deleted
    5. a tag named by the content; the staging branch goes
    6. the commit is listed: every size and SHA-256; small files are fetched and hashed
    7. tags and branches that still serve what was forgotten since are named (`served_history`)

No state is kept on this side: each run compares the dataset with the Hub and does what is
missing, so that after a kill, a cut connection or a lost answer the same command goes on, and a
second one makes no commit. A parent that has moved (412) is taken anew where nothing of ours
changed in it, and is an error otherwise. Cost: every byte is hashed once and sent once; one
request a thousand files for a listing. Limit: the last commit names every changed file; the Hub
gives a commit a minute, so that above some ten thousand files `shards.max_bytes` should be
raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shards.publish.diff import Plan, Tree, is_same, make_plan, mismatches, ours
from shards.publish.hub_repo import HubRepo
from shards.publish.local import LocalDataset, LocalFile
from shards.publish.preview import (
    SHOWN,
    HubState,
    PublishOptions,
    read_hub_state,
    staging_branch,
    tag_name,
)
from shards.publish.retry import FAULTS, Say, read_fault
from shards.publish.served_history import Served, still_served
from xtrove.core import XtroveError

STALE: Final = 412
_MOST_MOVES: Final = 5
Sent = Callable[[int, int], None]
"""Called with the bytes that are staged and the bytes to stage in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What was done."""

    commit: str
    tag: str
    commits: int
    """Commits whose answer this run got."""
    staged_bytes: int
    """Of the files in its staging commits."""
    verified: int
    """Files whose size and SHA-256 on the Hub were compared."""
    private: bool
    gated: bool
    served: Served
    """What the Hub still serves of what this dataset has forgotten."""


@dataclass(kw_only=True, slots=True)
class Publication:
    """One run of a publication; `run` does it all."""

    local: LocalDataset
    hub: HubRepo
    options: PublishOptions
    say: Say
    sent: Sent
    commits: int = 0
    staged_bytes: int = 0

    def run(self) -> Published:
        """Steps 2 to 7. `XtroveError`, or what the Hub refused."""
        # The branch has two states for readers, whatever is stopped where:
        #
        #   old commit --(staging commits, on another branch)-- old commit --one commit--> new
        #
        # Nothing is remembered here: what is left to do is what differs between the two listings.
        hub_state = read_hub_state(self.local, self.hub, self.options)
        plan = hub_state.plan
        opens = self._prepare(hub_state)
        commit = hub_state.head
        if not plan.is_done or hub_state.is_new_branch:
            head = self._target(hub_state)
            staging = self._stage(hub_state, head, opens) if plan.staged or plan.to_stage else ""
            commit = self._publish(hub_state, head, staging)
        tag = self._tag(commit)
        verified = self._verify(commit)
        if opens:
            self.say("the terms are in place: the repository is public from now on, gated")
            self.hub.set_private(False)
        self._sweep()
        return Published(
            commit=commit,
            tag=tag,
            commits=self.commits,
            staged_bytes=self.staged_bytes,
            verified=verified,
            private=hub_state.private and not opens,
            gated=hub_state.gated or self.local.gated,
            served=still_served(
                self.local.manifest, hub_state.standing, self.hub, self.options.revision
            ),
        )

    def _prepare(self, hub_state: HubState) -> bool:
        """Repository, gate and visibility; returns whether to open the repository at the end."""
        revision, hub = self.options.revision, self.hub
        waits = self.local.gated and not hub_state.has_terms
        marker = staging_branch(revision, closed=True)
        opens = hub_state.private and marker in hub_state.branches and not self.options.private
        if not hub_state.exists:
            self._create()
        if waits and not (hub_state.private or self.options.private):
            # The mark comes first: stopped in between, the next run knows who hid the repository.
            self.say("private until the terms are in place")
            hub.create_branch(marker, self._main())
            hub.set_private(True)
            opens = True
        if self.local.gated and not hub_state.gated:
            self.say("gated: readers agree to the terms of the card first")
            hub.gate()
        return opens

    def _create(self) -> None:
        """Private only where that was asked for: empty, it shows nothing that needs terms."""
        hub = self.hub
        self.say(f"new repository {hub.repo}")
        hub.create(private=self.options.private)
        if hub.facts() is None:
            raise XtroveError(
                f"{hub.repo} exists, but this token may not see it",
                remedy="use a token of its owner, or publish under another name",
            )

    def _main(self) -> str:
        head = self.hub.head("main")
        if head is None:
            raise XtroveError(
                f"{self.hub.repo} has no branch main",
                remedy="delete the repository and run the same command again",
            )
        return head

    def _target(self, hub_state: HubState) -> str:
        """The head of the branch to publish on, which is made where there is none."""
        revision = self.options.revision
        if hub_state.head and not hub_state.is_new_branch:
            return hub_state.head
        if revision.startswith("refs/"):
            if self.hub.head(revision) is None:
                raise XtroveError(
                    f"{self.hub.repo} has no {revision}",
                    remedy="open the pull request first, or name a branch",
                )
        elif revision != "main":
            self.hub.create_branch(revision, self._main())
        return self.hub.head(revision) or self._main()

    def _stage(self, hub_state: HubState, head: str, opens: bool) -> str:
        """Brings every changed bulk file to the staging branch; returns that commit."""
        hub, plan = self.hub, hub_state.plan
        branch = staging_branch(self.options.revision, closed=opens)
        bulk = (*plan.staged, *plan.to_stage)
        if branch not in hub_state.branches:
            hub.create_branch(branch, head)
        hub.patience.reset()
        passes = 0
        while True:
            commit = hub.head(branch)
            if commit is None:
                raise XtroveError(
                    f"the branch {branch} was deleted meanwhile", remedy="run it again"
                )
            tree = hub.tree(commit)
            missing = tuple(f for f in bulk if not is_same(self.local.base, f, tree.get(f.path)))
            if not missing:
                return commit
            if passes > 1:
                raise self._damaged(missing, tree, branch)
            passes += self._send(missing, bulk, branch)

    def _send(
        self, missing: tuple[LocalFile, ...], bulk: tuple[LocalFile, ...], branch: str
    ) -> bool:
        """One pass over what is missing; False where a fault that may pass ended it."""
        batches = make_plan(
            self._only(missing),
            {},
            {},
            files_per_commit=self.options.files_per_commit,
            bytes_per_commit=self.options.bytes_per_commit,
        ).batches
        total = sum(file.bytes for file in bulk)
        done = total - sum(file.bytes for file in missing)
        for number, batch in enumerate(batches, start=1):
            self.sent(done, total)
            what = f"staging {len(batch)} files ({number} of {len(batches)})"
            self.say(what)
            try:
                self.hub.stage(self.local, batch, branch, f"Stage {len(batch)} files")
            except FAULTS as error:
                self.hub.patience.wait(what, error)
                return False
            self.hub.patience.reset()
            size = sum(file.bytes for file in batch)
            self.commits += 1
            self.staged_bytes += size
            done += size
        self.sent(done, total)
        return True

    def _only(self, files: tuple[LocalFile, ...]) -> LocalDataset:
        return LocalDataset(base=self.local.base, manifest=self.local.manifest, files=files)

    def _damaged(self, missing: tuple[LocalFile, ...], tree: Tree, where: str) -> XtroveError:
        wrong = mismatches(self._only(missing), {f.path: tree[f.path] for f in missing
                                                if f.path in tree})  # fmt: skip
        return XtroveError(
            f"the Hub holds other files at {where} than were sent: {'; '.join(wrong[:SHOWN])}",
            remedy=f"delete the branch {where} on the Hub and run the same command again",
        )

    def _publish(self, hub_state: HubState, head: str, staging: str) -> str:
        """The one commit, over a parent whose files of ours are those that were compared."""
        hub, moves = self.hub, 0
        hub.patience.reset()
        compared = ours(hub_state.target)
        while True:
            tree = hub.tree(head)
            plan = make_plan(self.local, tree, {}, files_per_commit=1, bytes_per_commit=1)
            if plan.is_done:
                return head
            changed = _difference(compared, ours(tree))
            if changed or plan.foreign:
                raise XtroveError(
                    f"{self.options.revision} of {hub.repo} moved from {hub_state.head[:12]} to "
                    f"{head[:12]} while this was published, and changed "
                    f"{', '.join((changed or list(plan.foreign))[:SHOWN])}",
                    remedy="see who publishes there; the same command publishes over it",
                )
            try:
                commit = self._commit(plan, head, staging)
            except FAULTS as error:
                if read_fault(error).status != STALE:
                    hub.patience.wait("commit", error)
                elif (moves := moves + 1) > _MOST_MOVES:
                    raise XtroveError(
                        f"{self.options.revision} of {hub.repo} has moved {moves} times since",
                        remedy="run the same command when nobody else commits there",
                    ) from error
                else:
                    self.say(f"{self.options.revision} has moved meanwhile: looking again")
            else:
                self.commits += 1
                return commit
            head = hub.head(self.options.revision) or head

    def _commit(self, plan: Plan, head: str, staging: str) -> str:
        manifest = self.local.manifest
        files = len(plan.texts) + len(plan.to_stage)
        self.say(f"publishing: one commit, {files} files changed, {len(plan.stale)} deleted")
        return self.hub.publish(
            self.local,
            texts=plan.texts,
            staged=plan.to_stage,
            staging=staging,
            stale=plan.stale,
            branch=self.options.revision,
            parent=head,
            message=f"Publish {manifest.name}: {manifest.samples:,} samples, content "
            f"{manifest.content_sha256[:12]}",
        )

    def _tag(self, commit: str) -> str:
        """The tag of this dataset; one that stands at the same files is as good."""
        tags = self.hub.refs().tags
        for name in (tag_name(self.local), tag_name(self.local, long=True)):
            tagged = tags.get(name)
            if tagged is None:
                self.say(f"tag {name}")
                self.hub.tag(name, commit, self.local.manifest.name)
                return name
            if tagged == commit or not mismatches(self.local, self.hub.tree(tagged)):
                return name
        raise XtroveError(
            f"the tag {name} stands at other files", remedy=f"delete the tag {name} on the Hub"
        )

    def _verify(self, commit: str) -> int:
        """Every size and SHA-256 of the commit; `XtroveError` names what is wrong."""
        self.say("verifying what the Hub holds")
        tree = self.hub.tree(commit)
        wrong = mismatches(self.local, tree)
        for file in self.local.files:
            remote = tree.get(file.path)
            if remote is not None and not remote.sha256:
                data = self.hub.read(file.path, commit, file.bytes)
                digest = hashlib.sha256(data).hexdigest()
                if digest != file.sha256:
                    wrong.append(f"{file.path} has SHA-256 {digest}, should have {file.sha256}")
        if wrong:
            raise XtroveError(
                f"{len(wrong)} files at {commit[:12]} are not what was published: "
                f"{'; '.join(wrong[:SHOWN])}",
                remedy="delete them on the Hub and run the same command again",
            )
        return len(self.local.files)

    def _sweep(self) -> None:
        """Takes the staging branches away: their files are part of the commit now."""
        branches = self.hub.refs().branches
        for closed in (False, True):
            name = staging_branch(self.options.revision, closed=closed)
            if name in branches:
                self.hub.delete_branch(name)


def _difference(left: Tree, right: Tree) -> list[str]:
    return sorted(path for path in {*left, *right} if left.get(path) != right.get(path))
