"""One repository of the Hub, as a publication needs it: what is there, and the few ways to
change it.

A thin layer over `huggingface_hub.HfApi`: calls that may be repeated are repeated with patience
(`shards.publish.retry`); the two that may not, a commit and the upload before it, raise. Every
request has a deadline, which the library's own client does not have; its progress bars and its
log, which may show signed addresses, are off. Source: https://huggingface.co/docs/hub/api.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import httpx2
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    get_session,
    hf_hub_url,
    is_offline_mode,
    set_client_factory,
)
from huggingface_hub.errors import (
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from huggingface_hub.utils.tqdm import disable_progress_bars

from shards.publish.diff import RemoteFile
from shards.publish.local import LocalDataset, LocalFile
from shards.publish.retry import Patience

_KIND: Final = "dataset"
_TIMEOUT: Final = httpx2.Timeout(connect=20.0, read=180.0, write=180.0, pool=60.0)
_THREADS: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class RepoFacts:
    """The settings of a repository."""

    private: bool
    gated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Refs:
    """Branches and tags with their commits."""

    branches: Mapping[str, str]
    tags: Mapping[str, str]


def _client() -> httpx2.Client:
    """Like the library's own client, with deadlines."""
    return httpx2.Client(
        event_hooks={"request": [_prepare_request]}, follow_redirects=True, timeout=_TIMEOUT
    )


def _prepare_request(request: httpx2.Request) -> None:
    """Refuses a request in offline mode; numbers it, so that the Hub can find it in its logs."""
    if is_offline_mode():
        raise OfflineModeIsEnabled(f"HF_HUB_OFFLINE is set: {request.url.host} is not asked")
    request.headers.setdefault("X-Amzn-Trace-Id", str(uuid.uuid4()))


@dataclass(frozen=True, kw_only=True, slots=True)
class HubRepo:
    """A data set repository."""

    repo: str
    api: HfApi
    patience: Patience

    @classmethod
    def open(cls, repo: str, token: str | None, patience: Patience) -> Self:
        """The repository under a name; nothing is asked yet. Without a token: read only."""
        disable_progress_bars()
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        set_client_factory(_client)
        api = HfApi(token=token or False, library_name="xtrove")
        return cls(repo=repo, api=api, patience=patience)

    @property
    def has_token(self) -> bool:
        """Whether it is asked as somebody."""
        return bool(self.api.token)

    def facts(self) -> RepoFacts | None:
        """Its settings; None where there is no such repository (or none for this token)."""

        def call() -> RepoFacts | None:
            try:
                info = self.api.dataset_info(self.repo, expand=["private", "gated"])
            except RepositoryNotFoundError:
                return None
            return RepoFacts(private=bool(info.private), gated=bool(info.gated))

        return self.patience.insist("settings", call)

    def refs(self) -> Refs:
        """Its branches and tags."""
        refs = self.patience.insist(
            "branches", lambda: self.api.list_repo_refs(self.repo, repo_type=_KIND)
        )
        return Refs(
            branches={ref.name: ref.target_commit for ref in refs.branches},
            tags={ref.name: ref.target_commit for ref in refs.tags},
        )

    def head(self, revision: str) -> str | None:
        """The commit of a branch, a tag or `refs/pr/N`; None where there is none."""

        def call() -> str | None:
            try:
                info = self.api.dataset_info(self.repo, revision=revision, expand=["sha"])
            except RevisionNotFoundError:
                return None
            return info.sha

        return self.patience.insist(revision, call)

    def tree(self, commit: str) -> dict[str, RemoteFile]:
        """Every file of a commit."""
        return self.patience.insist("listing", lambda: self._tree(commit))

    def _tree(self, commit: str) -> dict[str, RemoteFile]:
        blobs = {}
        for entry in self.api.list_repo_tree(
            self.repo, recursive=True, revision=commit, repo_type=_KIND
        ):
            if isinstance(entry, RepoFile):
                blobs[entry.path] = RemoteFile(
                    path=entry.path,
                    bytes=entry.lfs.size if entry.lfs else entry.size,
                    git_oid=entry.blob_id,
                    sha256=entry.lfs.sha256 if entry.lfs else "",
                )
        return blobs

    def read(self, path: str, commit: str, most_bytes: int) -> bytes:
        """The bytes of a small file of a commit, cut after `most_bytes`."""
        url = hf_hub_url(
            self.repo, path, repo_type=_KIND, revision=commit, endpoint=self.api.endpoint
        )
        headers = build_hf_headers(token=self.api.token, library_name="xtrove")

        def call() -> bytes:
            with get_session().stream("GET", url, headers=headers) as response:
                hf_raise_for_status(response)
                data = b""
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > most_bytes:
                        break
                return data

        return self.patience.insist(path, call)

    def create(self, *, private: bool) -> None:
        """Makes the repository, if there is none."""
        self.patience.insist(
            "new repository",
            lambda: self.api.create_repo(
                self.repo, repo_type=_KIND, private=private, exist_ok=True
            ),
        )

    def gate(self) -> None:
        """Readers have to agree to the terms of the card first; access follows at once."""
        self.patience.insist(
            "gate",
            lambda: self.api.update_repo_settings(self.repo, repo_type=_KIND, gated="auto"),
        )

    def set_private(self, private: bool) -> None:
        """Hides the repository, or shows it."""
        self.patience.insist(
            "visibility",
            lambda: self.api.update_repo_settings(self.repo, repo_type=_KIND, private=private),
        )

    def create_branch(self, name: str, commit: str) -> None:
        """A branch at a commit; nothing where there is one of the name."""
        self.patience.insist(
            f"branch {name}",
            lambda: self.api.create_branch(
                self.repo, repo_type=_KIND, branch=name, revision=commit, exist_ok=True
            ),
        )

    def delete_branch(self, name: str) -> None:
        """Takes a branch away; nothing where there is none."""

        def call() -> None:
            try:
                self.api.delete_branch(self.repo, repo_type=_KIND, branch=name)
            except RevisionNotFoundError:
                return

        self.patience.insist(f"branch {name}", call)

    def tag(self, name: str, commit: str, message: str) -> None:
        """A tag at a commit; nothing where there is one of the name."""
        self.patience.insist(
            f"tag {name}",
            lambda: self.api.create_tag(
                self.repo,
                repo_type=_KIND,
                tag=name,
                tag_message=message,
                revision=commit,
                exist_ok=True,
            ),
        )

    def stage(
        self, local: LocalDataset, files: Sequence[LocalFile], branch: str, message: str
    ) -> None:
        """Uploads files and commits them to a branch; not to be repeated blindly."""
        self.api.create_commit(
            self.repo,
            [_add(local, file) for file in files],
            commit_message=message,
            repo_type=_KIND,
            revision=branch,
            num_threads=_THREADS,
        )

    def publish(
        self,
        local: LocalDataset,
        *,
        texts: Sequence[LocalFile],
        staged: Sequence[LocalFile],
        staging: str,
        stale: Sequence[str],
        branch: str,
        parent: str,
        message: str,
    ) -> str:
        """The one commit that makes a dataset visible, over exactly this parent.

        `staged` files are taken from the commit `staging` by reference, without their bytes.
        Raises `HfHubHTTPError` with status 412 where the branch has moved.
        """
        operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = [
            CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=local.read(file))
            for file in texts
        ]
        operations += [
            CommitOperationCopy(
                src_path_in_repo=file.path, path_in_repo=file.path, src_revision=staging
            )
            for file in staged
        ]
        operations += [CommitOperationDelete(path_in_repo=path, is_folder=False) for path in stale]
        info = self.api.create_commit(
            self.repo,
            operations,
            commit_message=message,
            repo_type=_KIND,
            revision=branch,
            parent_commit=parent,
            num_threads=_THREADS,
        )
        return str(info.oid)


def _add(local: LocalDataset, file: LocalFile) -> CommitOperationAdd:
    operation = CommitOperationAdd(
        path_in_repo=file.path, path_or_fileobj=str(local.base / file.path)
    )
    # The digest was computed when the dataset was checked: reading a terabyte twice is slow.
    operation.upload_info.sha256 = bytes.fromhex(file.sha256)
    return operation
