"""`xtrove publish`: the words, the token, what is shown, and what failures mean.

The token comes from the environment or `hf auth login` and is never shown: what a failure says
is searched for it first. The build's lock is held where there is one, so that neither a build
nor a `forget` changes the dataset under a publication.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from rich.table import Table

from ingest.transport import check_token_goes_to
from shards.format import load_manifest
from shards.publish import (
    HubRepo,
    HubState,
    LocalDataset,
    Patience,
    Publication,
    Published,
    PublishOptions,
    read_hub_state,
    read_local,
    staging_branch,
    tag_name,
)
from shards.read import reading
from xtrove.core import Interrupted, Misuse, XtroveError
from xtrove.runtime import Workspace, driver_lock
from xtrove.terminal import Step, amount, duration, err, one_line, out

TOKEN_HELP = (
    "set HF_TOKEN (or HF_TOKEN_PATH), or run `hf auth login`, with a token that may write: "
    "https://huggingface.co/settings/tokens"
)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
_SIGNED = re.compile("[Ss]ignature=")
_REVISION = re.compile(r"refs/pr/[0-9]{1,9}|(?!refs/)[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def publish(path: Path, repo: str, options: PublishOptions, *, dry_run: bool) -> None:
    """Publish a dataset. `Misuse` for wrong words, `XtroveError` where the work fails."""
    _check_words(repo, options)
    token = get_token()
    if token is None and not dry_run:
        raise Misuse("no token of the Hugging Face Hub was found", remedy=TOKEN_HELP)
    if token is not None:
        check_token_goes_to(constants.ENDPOINT)
    base = path.resolve()
    start = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(_failures(repo, token))
        if not dry_run:
            _lock(base, stack)
        with Step("reading", unit=amount) as step, reading(base, "nothing was published"):
            local = read_local(base, step.report)
        hub = HubRepo.open(repo, token, Patience(_say))
        if dry_run:
            with Step("asking the Hub"):
                hub_state = read_hub_state(local, hub, options)
            _show_plan(local, hub_state, hub, options)
            return
        with Step("publishing", unit=amount) as step:
            publication = Publication(
                local=local,
                hub=hub,
                options=options,
                say=_say,
                sent=lambda done, total: step.report("staged", done, total),
            )
            done = publication.run()
    _show_done(local, hub, options, done, time.monotonic() - start)


def _check_words(repo: str, options: PublishOptions) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise Misuse(
            f"{repo!r} cannot name a data set: {error}", remedy="give OWNER/NAME"
        ) from None
    if repo.count("/") != 1:
        raise Misuse(f"{repo!r} names no owner", remedy="give OWNER/NAME")
    if not _REVISION.fullmatch(options.revision) or ".." in options.revision:
        raise Misuse(
            f"--revision {options.revision!r} is no branch", remedy="give a branch, or refs/pr/N"
        )


def _lock(base: Path, stack: ExitStack) -> None:
    """Holds the build's lock; a dataset without a work folder of its own has none to hold."""
    # Whoever takes a lock empties its folder for temporary files: not in a folder of others.
    load_manifest(base)
    own = Workspace(work=base / ".xtrove", output=base)
    if own.work.is_dir():
        try:
            stack.enter_context(driver_lock(own, _say))
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            _say("the work folder cannot be written to: no lock is held while this publishes")


@contextmanager
def _failures(repo: str, token: str | None) -> Iterator[None]:
    """What went wrong, in words of ours, without the token."""
    again = "run the same command again, it goes on where it stopped"
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped", remedy=again) from None
    except XtroveError as error:
        error.message = _without(error.message, token)
        raise
    except HfHubHTTPError as error:
        raise _refused(repo, error, token) from None
    except (httpx2.TransportError, RuntimeError, ValueError, OSError) as error:
        message = _without(f"{type(error).__name__}: {error}", token)
        raise XtroveError(f"{repo} could not be published: {message}", remedy=again) from None


def _refused(repo: str, error: HfHubHTTPError, token: str | None) -> XtroveError:
    status = error.response.status_code
    message = error.server_message or " ".join(str(error).split())
    message = _without(message, token)
    if status == 401 and token is not None:
        return XtroveError(f"the Hub does not accept the token: {message}", remedy=TOKEN_HELP)
    if status == 403:
        owner = repo.partition("/")[0]
        return XtroveError(
            f"the token may not write to {repo}: {message}",
            remedy=f"use a token with write access to {owner}; {TOKEN_HELP}",
        )
    if status == 429 or status >= 500:
        remedy = "wait some minutes and run the same command again, it goes on where it stopped"
        return XtroveError(f"the Hub answers {status} for {repo}: {message}", remedy=remedy)
    return XtroveError(
        f"the Hub refuses {repo} with {status}: {message}",
        remedy=TOKEN_HELP if token is None else "run the same command again",
    )


def _without(text: str, token: str | None) -> str:
    """Text in which neither the token nor the signature of an address stands."""
    if token:
        text = text.replace(token, "hf_...")
    return re.sub(
        r"\?[^\s'\"]*+", lambda query: "?..." if _SIGNED.search(query[0]) else query[0], text
    )


def _say(line: str) -> None:
    err().print(line)


def _show_plan(
    local: LocalDataset, hub_state: HubState, hub: HubRepo, options: PublishOptions
) -> None:
    """What a publication would do; nothing was changed."""
    plan = hub_state.plan
    table = Table(
        "", "files", "bytes", title=one_line(f"{local.base} -> {hub.repo} ({options.revision})")
    )
    for name, files in (
        ("the dataset", local.files),
        ("there already", plan.unchanged),
        ("staged already", plan.staged),
        ("to stage", plan.to_stage),
        ("with the last commit", plan.texts),
    ):
        size = amount(sum(file.bytes for file in files))
        table.add_row(name, f"{len(files):,}", size)
    table.add_row("to delete", f"{len(plan.stale):,}", "")
    out().print(table)
    state = "public" if not hub_state.private else "private"
    if not hub_state.exists:
        unseen = "" if hub.has_token else " (without a token, a private one is not seen)"
        _line(f"repository: new, {state}{unseen}")
    else:
        _line(f"repository: {state}{', gated' * hub_state.gated}")
    if hub_state.replaces:
        _line(f"stands there: {hub_state.replaces}")
    if local.gated:
        _line("gated: readers have to agree to the terms of The Stack in the card")
    for number, batch in enumerate(plan.batches, start=1):
        size = amount(sum(file.bytes for file in batch))
        _line(f"commit {number}: {len(batch)} files, {size} on the branch "
              f"{staging_branch(options.revision, closed=False)}")  # fmt: skip
    if not plan.is_done:
        changed = len(plan.texts) + len(plan.staged) + len(plan.to_stage)
        _line(f"commit {plan.commits}: {changed} files changed, {len(plan.stale)} deleted on "
              f"{options.revision}, over {hub_state.head[:12] or 'its first commit'}")  # fmt: skip
    tag = tag_name(local)
    _line(f"tag: {tag}{' (there already)' * (tag in hub_state.tags)}")
    _line(f"{plan.commits} commits, {amount(plan.to_send)} to send; nothing was changed")


def _show_done(
    local: LocalDataset, hub: HubRepo, options: PublishOptions, done: Published, seconds: float
) -> None:
    """The result, and how to use it."""
    what = f"{done.commits} commits, {amount(done.staged_bytes)} staged"
    if not done.commits:
        what = "was published before, no commit was made"
    state = "private" if done.private else "public"
    _line(f"{hub.repo}: {local.manifest.samples:,} samples at {options.revision} "
          f"({done.commit[:12]}), {state}{', gated' * done.gated}: {what}")  # fmt: skip
    _line(f"  verified: {done.verified:,} files, every size and SHA-256 ({duration(seconds)})")
    _line(f"  hf://datasets/{hub.repo}@{done.tag}")
    if done.served.repositories:
        _show_served(hub.repo, options.revision, done)


def _show_served(repo: str, revision: str, done: Published) -> None:
    """What was forgotten and can still be downloaded, and how to take it down."""
    served = done.served
    places = [*served.tags, *(f"branch {name}" for name in served.branches)]
    places += [f"the history of {revision}"] * served.history
    _line(f"still served, from before {served.repositories:,} repositories were forgotten: "
          f"{', '.join(places)}")  # fmt: skip
    _line("  to take it down, with `from huggingface_hub import HfApi`:")
    # The new tag too: it stands on a commit that has the old ones behind it.
    for tag in dict.fromkeys((*served.tags, *([done.tag] if served.history else []))):
        _line(f'  HfApi().delete_tag("{repo}", tag="{tag}", repo_type="dataset")')
    for branch in served.branches:
        if branch == "main":
            _line("  (branch main: publish there too, and squash its history)")
            continue
        _line(f'  HfApi().delete_branch("{repo}", branch="{branch}", repo_type="dataset")')
    if served.history:
        _line(f'  HfApi().super_squash_history("{repo}", branch="{revision}", repo_type="dataset")')
    _line("  and run this command once more, which sets the tag anew")


def _line(text: str) -> None:
    out().print(text)
