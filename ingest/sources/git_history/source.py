"""Source `git-history`: what commits say, and the code they changed as it stood before.

Method: the repositories of a folder are found as for `directory`; the commits that are no merges
are cut into runs. A worker reads the messages of a run, keeps those that are questions
(`ingest.sources.git_history.messages`), asks git which lines they changed, and emits each changed
file as it stood before the commit, with the message as its `query` and the lines as `changed`:
the extractor takes the functions that hold them. A commit that touches many files says little
about each, and is left out.
Licences: those of the repository at its HEAD, as for files; and where its licence files ever said
something that the policy refuses, only the commits that descend from the last change of that.
Cost: some 1,000 commits a second, and the parse of each changed file. Limits: `max_commits`, the
newest; files up to 1 MB; new files, renames and first commits have no code before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from ingest.errors import SourceError, TransientFault
from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files import (
    BlobReader,
    Checkout,
    Choice,
    Commit,
    FileChange,
    GitFault,
    Progress,
    Repository,
    checkout_at,
    commit_ids,
    commits_touching,
    escaped,
    excluded,
    license_files_of_commit,
    read_changes,
    read_commits,
    repositories,
    skipped_folder,
)
from ingest.languages import EXTENSIONS, language_of
from ingest.licenses import LicenseFiles, LicensePolicy
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import content_revision, slice_units
from ingest.sources.base import CommonOptions, Sample, Source, local_path
from ingest.sources.git_history.messages import BadMessage, clean_message
from ingest.terms import OPEN
from ingest.transport import ReadLimits

RUN = 500
"""Commits that a part holds."""
COMMIT_BYTES = 8_000
"""What a commit counts for in the size of a slice."""
MAX_LICENCE_CHANGES = 200
_LICENCES = tuple(f":(top,glob,icase)*{word}*" for word in ("license", "licence", "copying"))


class GitHistoryOptions(CommonOptions):
    """The history of a git checkout, a bare repository, or a folder of either."""

    kind: Literal["git-history"] = "git-history"
    path: Annotated[str, AfterValidator(local_path)]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")] | None = None
    """Name of the repository of `path` itself; default: its origin, or the folder's name."""
    exclude: tuple[str, ...] = ()
    """Globs over relative paths; `*` crosses `/`; a folder takes out all beneath it."""
    max_commits: Annotated[int, Field(ge=1)] = 10_000
    """Of each repository, the newest that are no merges."""
    max_files: Annotated[int, Field(ge=1, le=100)] = 4
    """Commits that change more files of the known languages are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _History:
    """What is read of one repository."""

    name: str
    git_dir: str
    head: str
    github: bool
    since: str
    commits: int


def plan(
    options: GitHistoryOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List the commits. Raises `SourceError` where there is no history of the languages."""
    root = Path(options.path)
    if not root.is_dir():
        raise SourceError(
            "the path of this source is no folder",
            value=options.path,
            remedy="Name a git checkout, a bare repository, or a folder of them under `path`.",
        )
    histories, quarantined = _histories(options, root, policy)
    groups = [_parts(options, history) for history in histories if history.commits]
    if sample is not None:
        groups = [[part] for part in sample.choose(
            [part for group in groups for part in group], lambda _: "", lambda part: part
        )]  # fmt: skip
    revision = (
        histories[0].head
        if len(histories) == 1
        else content_revision((history.name, history.head) for history in histories)
    )
    facts = _facts(options, policy)
    units = [[(part, part.size) for part in group] for group in groups]
    return Listing(
        source=name,
        kind=options.kind,
        terms=OPEN,
        revision=revision,
        slices=slice_units(
            {"": units}, source=name, target=slice_bytes or RUN * COMMIT_BYTES, facts=facts
        ),
        quarantined=tuple(quarantined),
        provenance=tuple(
            sorted((f"repository {history.name}", history.head) for history in histories)
        ),
    )


def read(
    options: GitHistoryOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourceFile | Skip]:
    """A record for each changed file, or one for a commit that gives none.

    Raises `TransientFault` when git takes too long.
    """
    row = 0
    with BlobReader() as files, BlobReader() as license_files:
        for part in slice_.parts:
            reader = _RunReader(
                options, policy, slice_.source, revision, part, files, license_files
            )
            for record in reader.records():
                yield replace(record, row=row)
                row += record.rows if isinstance(record, Skip) else 1


def _histories(
    options: GitHistoryOptions, root: Path, policy: LicensePolicy
) -> tuple[list[_History], list[Quarantine]]:
    """The repositories in a folder. Raises `SourceError` where none has a commit to read."""
    histories: list[_History] = []
    quarantined: list[Quarantine] = []
    with BlobReader() as blobs:
        choice = Choice(wanted=options.wanted(), exclude=options.exclude)
        for repository in repositories(root, choice, blobs):
            if repository.checkout is None:
                continue
            try:
                histories.append(_history(options, policy, repository, repository.checkout, blobs))
            except GitFault as fault:
                quarantined.append(Quarantine(name=repository.name, reason=str(fault)))
    if not any(history.commits for history in histories):
        raise SourceError(
            f"no git history of {', '.join(sorted(options.wanted()))}",
            value=options.path,
            remedy="Clone a repository with its history (no `--depth`), or check `languages` and "
            "`exclude`." + "".join(f" {entry.name}: {entry.reason}." for entry in quarantined[:3]),
        )
    return histories, quarantined


def _history(
    options: GitHistoryOptions,
    policy: LicensePolicy,
    repository: Repository,
    checkout: Checkout,
    blobs: BlobReader,
) -> _History:
    """Where the history of a repository begins that may be read. Raises `GitFault`."""
    since = _permissive_since(checkout, policy, blobs)
    return _History(
        name=options.repo if options.repo and not repository.prefix else repository.name,
        git_dir=checkout.git_dir,
        head=checkout.commit,
        github=checkout.github,
        since=since,
        commits=min(options.max_commits, len(commit_ids(checkout, since))),
    )


def _permissive_since(checkout: Checkout, policy: LicensePolicy, blobs: BlobReader) -> str:
    """The commit since which nothing refused stood in the licence files at the top; "" for ever.

    What was published under another licence is not ours to relicense, even if its owner did later.
    """
    changes = commits_touching(checkout, _LICENCES)[:MAX_LICENCE_CHANGES]
    newer = ""
    for commit in changes:
        licences = license_files_of_commit(checkout_at(checkout, commit), blobs).found("x")
        if licences.ids and policy.refusal(licences.ids) is not None:
            return newer or checkout.commit
        newer = commit
    return newer if len(changes) == MAX_LICENCE_CHANGES else ""


def _parts(options: GitHistoryOptions, history: _History) -> list[Part]:
    meta = (
        ("github", "yes" if history.github else ""),
        ("head", history.head),
        ("repo", history.name),
        ("since", history.since),
    )
    return [
        Part(
            path=history.git_dir,
            name=f"{history.name}@{history.head[:12]}:{start}",
            digest=f"git:{history.head}",
            size=(min(start + RUN, history.commits) - start) * COMMIT_BYTES,
            start=start,
            stop=min(start + RUN, history.commits),
            meta=meta,
        )
        for start in range(0, history.commits, RUN)
    ]


@dataclass(frozen=True, slots=True)
class _RunReader:
    """Reads the commits of one part."""

    options: GitHistoryOptions
    policy: LicensePolicy
    source: str
    revision: str
    part: Part
    files: BlobReader
    license_files: BlobReader

    def records(self) -> Iterator[SourceFile | Skip]:
        """The records of the run; rows are counted by the caller."""
        part = self.part
        count = part.stop - part.start
        try:
            head = self._head()
            ids = commit_ids(head, dict(part.meta)["since"])[part.start : part.stop]
            commits = read_commits(part.path, ids)
        except GitFault as fault:
            yield self._unreadable(fault, count)
            return
        if len(commits) < count:
            yield Skip(
                language="", reason="commit_without_parent", row=0, rows=count - len(commits)
            )
        questions: dict[str, str] = {}
        refused: dict[str, str] = {}
        for commit in commits:
            try:
                questions[commit.id] = clean_message(commit.message, commit.author)
            except BadMessage as bad:
                refused[commit.id] = str(bad)
        try:
            changes = self._changes(questions, refused)
        except GitFault as fault:
            yield self._unreadable(fault, len(commits))
            return
        licences = license_files_of_commit(head, self.license_files)
        self.files.expect(
            (part.path, change.blob) for commit in commits for change in changes.get(commit.id, ())
        )
        for commit in commits:
            if reason := refused.get(commit.id):
                yield Skip(language="", reason=reason, row=0, fact=f"commit {commit.id}")
            for change in changes.get(commit.id, ()):
                yield self._file(head, licences, commit, questions[commit.id], change)

    def _head(self) -> Checkout:
        """The repository at its HEAD. Raises `GitFault`."""
        facts = dict(self.part.meta)
        bare = Checkout(
            repo=facts["repo"],
            commit=facts["head"],
            github=bool(facts["github"]),
            git_dir=self.part.path,
            blobs={},
            links={},
        )
        return checkout_at(bare, facts["head"])

    def _changes(
        self, questions: Mapping[str, str], refused: dict[str, str]
    ) -> dict[str, tuple[FileChange, ...]]:
        """What the commits with a question changed; those that changed too little or too much are
        noted in `refused`. Raises `GitFault`."""
        languages = self.options.wanted()
        endings = sorted(ending for ending, language in EXTENSIONS.items() if language in languages)
        if not questions:
            return {}
        changes = read_changes(self.part.path, list(questions), endings)
        for commit, files in list(changes.items()):
            code = tuple(change for change in files if self._is_code(change.path))
            changes[commit] = code
            if not 0 < len(code) <= self.options.max_files:
                refused[commit] = "commit_changes_many_files" if code else "commit_changes_no_code"
                del changes[commit]
        return changes

    def _is_code(self, path: str) -> bool:
        return (
            language_of(path) in self.options.wanted()
            and escaped(path) == path
            and not any(map(skipped_folder, path.split("/")[:-1]))
            and not excluded(path, self.options.exclude)
        )

    def _file(
        self,
        head: Checkout,
        licences: LicenseFiles,
        commit: Commit,
        question: str,
        change: FileChange,
    ) -> SourceFile | Skip:
        path, language = change.path, language_of(change.path)
        fact = f"commit {commit.id}"
        content = self.files.read(self.part.path, change.blob, MAX_FILE_BYTES)
        if content is None:
            if not Path(self.part.path).exists():
                raise TransientFault(self.part.name, "the repository is gone")
            return Skip(language=language, reason="too_large_or_damaged", row=0, fact=fact)
        ids, evidence = self.options.settled(*licences.of(path))
        reason = self.policy.refusal(ids)
        if reason is not None:
            detail = ", ".join(ids)[:200]
            return Skip(language=language, reason=reason, row=0, detail=detail, fact=evidence)
        page = f"https://github.com/{head.repo}/blob/{commit.parent}/{quote(path)}"
        return SourceFile(
            source=self.source,
            source_revision=self.revision,
            repo=head.repo,
            path=path,
            revision=commit.parent,
            url=page if head.github else "",
            language=language,
            content=content,
            licenses=self.policy.recorded(ids),
            license_evidence=evidence,
            stars=-1,
            row=0,
            query=question,
            changed=change.changed,
        )

    def _unreadable(self, fault: GitFault, rows: int) -> Skip:
        return Skip(
            language="",
            reason="unreadable_history",
            row=0,
            rows=rows,
            detail=str(fault),
            quarantined=self.part.name,
        )


def _facts(options: GitHistoryOptions, policy: LicensePolicy) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "policy": policy.policy_digest(),
        "declared": list(options.declared_licenses),
        "languages": sorted(options.wanted()),
        "exclude": list(options.exclude),
        "max_files": options.max_files,
    }


SOURCE = Source(
    options=GitHistoryOptions,
    plan=plan,
    read=read,
    terms=OPEN,
    rows_remedy="No commit of the sample gives a question: see the reasons; `max_files` and "
    "`languages` decide too.",
)
