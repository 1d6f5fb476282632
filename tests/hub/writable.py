"""What clients may write to the small Hub: objects, commits, references, settings.

Method: a large file is an object named by its SHA-256, put once (each repository has its own)
and linked into each commit that names it; a commit is a copy of its parent's folder (hard links)
with the changes applied, made under another name and renamed, so that a reader sees the old
commit or the new one. Limits: no garbage is collected.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.hub.store import Store

ATTRIBUTES = b"".join(
    b"*%s filter=lfs diff=lfs merge=lfs -text\n" % one
    for one in (b".arrow", b".gz", b".parquet", b".tar", b".zip", b".zst")
)


class Conflict(ValueError):
    """A commit over a parent that is no longer the head."""


class BadCommit(ValueError):
    """A commit that names what is not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One commit."""

    summary: str
    parent: str | None
    files: Mapping[str, bytes]
    large: Mapping[str, str]
    """Path -> SHA-256 of an object."""
    deleted: tuple[str, ...]


class WritableStore(Store):
    """The repositories under one folder, open for writing."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._lock = threading.Lock()
        self._objects = root / "objects"

    def object(self, repo: str, oid: str) -> Path:
        """Where an object is, or would be."""
        return self._objects / quote(repo, safe="") / oid

    def put(self, repo: str, oid: str, data: bytes) -> bool:
        """Keep an object, or (`oid.1`) a part of one; False if it is another one."""
        if "." not in oid and hashlib.sha256(data).hexdigest() != oid:
            return False
        place = self.object(repo, oid)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(uuid.uuid4().hex)
        temporary.write_bytes(data)
        temporary.replace(place)
        return True

    def create(self, repo: str, owner: str, private: bool) -> bool:
        """A repository with the first commit that the Hub makes; False if there is one."""
        with self._lock:
            if self.has(repo):
                return False
            self.commit(repo, {".gitattributes": ATTRIBUTES})
            self.settle(repo, owner=owner, private=private, gate="")
            return True

    def settle(
        self, repo: str, *, owner: str = "", private: bool | None = None, gate: str | None = None
    ) -> None:
        """Change who may read; None leaves a setting as it is."""
        old = self.access(repo)
        hidden = old.visibility == "private" if private is None else private
        gated = old.gate if gate is None else gate
        facts = {
            "visibility": "private" if hidden else "gated" if gated else "public",
            "granted": sorted({*old.granted, *([owner] if owner else [])}),
            "gate": gated,
        }
        target = self._folder(repo) / "repo.json"
        target.with_suffix(".new").write_text(json.dumps(facts), "utf-8")
        target.with_suffix(".new").replace(target)

    def apply(self, repo: str, branch: str, change: Change) -> str:
        """Commit to a branch and return the commit's name. `Conflict`, `BadCommit`."""
        with self._lock:
            head = self.refs(repo).get(quote(branch, safe=""))
            if head is None:
                raise BadCommit(f"no branch {branch}")
            if change.parent not in (None, head):
                raise Conflict(f"the head of {branch} is {head}, not {change.parent}")
            name = hashlib.sha1(f"{head} {uuid.uuid4()}".encode()).hexdigest()
            folder = self._folder(repo) / "commits" / name
            draft = self._folder(repo) / f"draft-{name}"
            shutil.copytree(folder.with_name(head), draft, copy_function=os.link)
            try:
                self._change(repo, draft, change)
                draft.rename(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            facts = {"commit": name, "parent": head, "branch": branch, "summary": change.summary}
            with (self._folder(repo) / "history").open("a", encoding="utf-8") as file:
                file.write(json.dumps(facts) + "\n")
            self.move(repo, branch, name)
            return name

    def history(self, repo: str) -> list[dict[str, str]]:
        """Every commit that a client made, in order."""
        target = self._folder(repo) / "history"
        lines = target.read_text("utf-8").splitlines() if target.exists() else []
        return [json.loads(line) for line in lines]

    def drop(self, repo: str, name: str) -> bool:
        """Remove a reference; False if there is none."""
        target = self._folder(repo) / "refs" / quote(name, safe="")
        there = target.is_file()
        target.unlink(missing_ok=True)
        return there

    def _change(self, repo: str, draft: Path, change: Change) -> None:
        for path in change.deleted:
            if not (draft / path).is_file():
                raise BadCommit(f"A file with this name doesn't exist: {path}")
            (draft / path).unlink()
        for path, data in change.files.items():
            place = self._fresh(draft, path)
            place.write_bytes(data)
        for path, oid in change.large.items():
            if not self.object(repo, oid).is_file():
                raise BadCommit(f"{path}: the LFS object {oid} was never uploaded")
            os.link(self.object(repo, oid), self._fresh(draft, path))

    def _fresh(self, draft: Path, path: str) -> Path:
        if path.startswith("/") or ".." in path.split("/"):
            raise BadCommit(f"{path} is no path")
        target = draft / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        return target
