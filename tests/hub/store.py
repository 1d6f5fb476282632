"""Repositories of the small Hub, as folders: `datasets/OWNER/NAME/{commits,refs,repo.json}`.

Method: a commit is a folder of files named by a digest of its tree; a reference is a file that
holds the name of a commit, and branches move by rewriting it. `repo.json` says who may read.
Cost: files are digested on first sight and remembered. Limits: no history, no deletion.
Source: https://huggingface.co/docs/hub/api (what `tree` and `paths-info` answer).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

LARGE_SUFFIXES = frozenset({".parquet", ".gz", ".zip", ".tar", ".zst", ".pkl", ".arrow"})
LARGE_BYTES = 10_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """One file of a commit."""

    path: str
    place: Path
    size: int
    git: str
    sha256: str
    large: bool
    """Kept in LFS, so that its bytes come from the second port."""

    @property
    def etag(self) -> str:
        """What the Hub answers as ETag: the SHA-256 of a large file, else git's object id."""
        return self.sha256 if self.large else self.git

    def facts(self) -> dict[str, object]:
        """The entry of a listing."""
        entry: dict[str, object] = {
            "type": "file",
            "oid": self.git,
            "size": self.size,
            "path": self.path,
        }
        if self.large:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 134}
        return entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may read a repository."""

    visibility: str = "public"
    """`public`, `gated` (facts for all, files for those granted) or `private`."""
    granted: tuple[str, ...] = ()
    """Tokens."""
    gate: str = ""
    """`auto` or `manual` where access is asked for; also of a private repository."""


class Store:
    """The repositories under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs: dict[Path, Blob] = {}

    def commit(
        self,
        repo: str,
        files: Mapping[str, bytes],
        branch: str = "main",
        access: Access | None = None,
    ) -> str:
        """Store a commit, move the branch to it, and return its name."""
        whole = hashlib.sha1(usedforsecurity=False)
        for path in sorted(files):
            whole.update(path.encode() + b"\0" + hashlib.sha256(files[path]).digest())
        name = whole.hexdigest()
        folder = self._folder(repo) / "commits" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        self.move(repo, branch, name)
        if access is not None:
            facts = {"visibility": access.visibility, "granted": list(access.granted)}
            (self._folder(repo) / "repo.json").write_text(json.dumps(facts), "utf-8")
        return name

    def move(self, repo: str, branch: str, commit: str) -> None:
        """Point a branch (or `refs/convert/parquet`) at a commit."""
        target = self._folder(repo) / "refs" / quote(branch, safe="")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(commit, "utf-8")

    def has(self, repo: str) -> bool:
        """Whether there is such a repository."""
        return (self._folder(repo) / "commits").is_dir()

    def access(self, repo: str) -> Access:
        """Who may read it."""
        target = self._folder(repo) / "repo.json"
        if not target.is_file():
            return Access()
        facts = json.loads(target.read_text("utf-8"))
        return Access(
            visibility=facts["visibility"],
            granted=tuple(facts["granted"]),
            gate=facts.get("gate", ""),
        )

    def refs(self, repo: str) -> dict[str, str]:
        """Every reference with its commit."""
        folder = self._folder(repo) / "refs"
        return {path.name: path.read_text("utf-8") for path in sorted(folder.iterdir())}

    def resolve(self, repo: str, revision: str) -> str | None:
        """The commit of a branch or of its own name."""
        if (self._folder(repo) / "commits" / quote(revision, safe="")).is_dir():
            return revision
        refs = self.refs(repo)
        return refs.get(quote(revision, safe="")) or refs.get(
            quote(f"refs/tags/{revision}", safe="")
        )

    def blobs(self, repo: str, commit: str) -> list[Blob]:
        """The files of a commit, sorted by path."""
        folder = self._folder(repo) / "commits" / commit
        places = [path for path in folder.rglob("*") if path.is_file()]
        result = [self._blob(folder, place) for place in places]
        return sorted(result, key=lambda one: one.path)

    def blob(self, repo: str, commit: str, path: str) -> Blob | None:
        """One file of a commit."""
        folder = self._folder(repo) / "commits" / commit
        target = folder / path
        if ".." in path.split("/") or not target.is_file():
            return None
        return self._blob(folder, target)

    def tree(self, repo: str, commit: str, folder: str, recursive: bool) -> list[dict[str, object]]:
        """The entries of a folder, folders first named then filled, as the Hub orders them."""
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, object]] = {}
        for blob in self.blobs(repo, commit):
            if not blob.path.startswith(prefix):
                continue
            steps = blob.path.removeprefix(prefix).split("/")
            for count in range(1, len(steps) if recursive else min(len(steps), 2)):
                path = prefix + "/".join(steps[:count])
                oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
                entries[path] = {"type": "directory", "oid": oid, "size": 0, "path": path}
            if recursive or len(steps) == 1:
                entries[blob.path] = blob.facts()
        return [entries[path] for path in sorted(entries)]

    def _folder(self, repo: str) -> Path:
        return self._root / "datasets" / repo

    def _blob(self, folder: Path, place: Path) -> Blob:
        if place not in self._blobs:
            data = place.read_bytes()
            header = b"blob %d\0" % len(data)
            self._blobs[place] = Blob(
                path=place.relative_to(folder).as_posix(),
                place=place,
                size=len(data),
                git=hashlib.sha1(header + data, usedforsecurity=False).hexdigest(),
                sha256=hashlib.sha256(data).hexdigest(),
                large=place.suffix in LARGE_SUFFIXES or len(data) > LARGE_BYTES,
            )
        return self._blobs[place]
