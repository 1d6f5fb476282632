"""The write side of the small Hub's endpoint: what `huggingface_hub` 2.4 calls to publish.

Method: repositories, settings, branches and tags are JSON; `preupload` says which files are
large; large files go to the second port by `basic` or, where `--part-bytes` asks, `multipart`
transfers of git-lfs, and are checked by their SHA-256; a commit is NDJSON, applied whole or not
at all, over the parent it names. Only tokens that begin with `hf_write` may write.
Source: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md and those calls.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, quote, unquote, urlsplit

import yaml

from tests.hub.answers import Exchange
from tests.hub.store import LARGE_BYTES, LARGE_SUFFIXES
from tests.hub.writable import BadCommit, Change, Conflict, WritableStore
from tests.hub.xet_store import fetch, listed

_LINE = {"header", "file", "lfsFile", "deletedFile", "deletedFolder"}


class Writing(Exchange):
    """Answers that change something."""

    store: WritableStore
    cdn: str
    part_bytes: int = 0
    """Objects larger than this are asked for in parts; 0: never."""
    xet: str = ""
    """The folder of a local xet store; "": there is none."""

    def write(self, steps: list[str]) -> bool:
        """Answer a request of the write side; False if it is none."""
        if self.path.startswith("/api/validate-yaml"):
            self._validate()
        elif steps[:3] == ["api", "repos", "create"]:
            self._create()
        elif len(steps) > 4 and steps[0] == "datasets" and steps[3:5] == ["info", "lfs"]:
            self._objects(f"{steps[1]}/{steps[2].removesuffix('.git')}", steps[5:])
        elif len(steps) > 4 and steps[:2] == ["api", "datasets"] and steps[4] in self._ACTIONS:
            body = self.read_body()
            if self._may_write("/".join(steps[2:4])):
                action = self._ACTIONS[steps[4]]
                action(self, "/".join(steps[2:4]), "/".join(steps[5:]), body)
        else:
            return False
        return True

    def _may_write(self, repo: str) -> bool:
        if not self.token():
            self.refuse(401, "Unauthorized", "Invalid username or password.")
        elif not self.store.has(repo):
            self.refuse(404, "RepoNotFound", "Repository not found")
        elif not self.token().startswith("hf_write"):
            self.refuse(403, "Forbidden", "you need a token with the write role")
        else:
            return True
        return False

    def _create(self) -> None:
        words = json.loads(self.read_body())
        repo = f"{words['organization']}/{words['name']}"
        if not self.token():
            self.refuse(401, "Unauthorized", "Invalid username or password.")
        elif not self.token().startswith("hf_write"):
            self.refuse(403, "Forbidden", f"you cannot create under {words['organization']}")
        elif self.store.create(repo, self.token(), words.get("visibility") == "private"):
            self.answer_json({"url": f"{self._root()}/datasets/{repo}"})
        else:
            output = {
                "error": "You already created this dataset repo",
                "url": f"{self._root()}/datasets/{repo}",
            }
            self.answer(409, json.dumps(output).encode(), {"X-Error-Message": str(output["error"])})

    def _settings(self, repo: str, _rest: str, body: bytes) -> None:
        words = json.loads(body)
        private = {"private": True, "public": False}.get(words.get("visibility", ""))
        gate = (words["gated"] or "") if "gated" in words else None
        self.store.settle(repo, private=private, gate=gate)
        self.answer_json({})

    def _branch(self, repo: str, name: str, body: bytes) -> None:
        if self.command == "DELETE":
            if self.store.drop(repo, name):
                self.answer_json({})
            else:
                self.refuse(404, "RevisionNotFound", f"no branch {name}")
            return
        start = json.loads(body or b"{}").get("startingPoint", "main")
        commit = self.store.resolve(repo, start)
        if self.store.resolve(repo, name) is not None:
            self.refuse(409, "Conflict", f"Reference already exists: {name}")
        elif commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {start}")
        else:
            self.store.move(repo, name, commit)
            self.answer_json({})

    def _tag(self, repo: str, revision: str, body: bytes) -> None:
        name = f"refs/tags/{json.loads(body)['tag']}"
        commit = self.store.resolve(repo, revision)
        if self.store.resolve(repo, name) is not None:
            self.refuse(409, "Conflict", f"Tag reference exists already: {name}")
        elif commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            self.store.move(repo, name, commit)
            self.answer_json({})

    def _preupload(self, repo: str, revision: str, body: bytes) -> None:
        commit = self.store.resolve(repo, revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        files = []
        for entry in json.loads(body)["files"]:
            path = entry["path"]
            large = PurePosixPath(path).suffix in LARGE_SUFFIXES or entry["size"] > LARGE_BYTES
            blob = self.store.blob(repo, commit, path)
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False})
            files[-1]["oid"] = blob.etag if blob else None
        self.answer_json({"files": files})

    def _commit(self, repo: str, revision: str, body: bytes) -> None:
        files: dict[str, bytes] = {}
        large: dict[str, str] = {}
        deleted: list[str] = []
        head: dict[str, str] = {}
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                head = value
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                large[value["path"]] = value["oid"]
            elif item["key"] == "deletedFile":
                deleted.append(value["path"])
            else:
                self.refuse(400, "BadRequest", f"unknown key {item['key']}")
                return
        change = Change(
            summary=head["summary"], parent=head.get("parentCommit"), files=files, large=large,
            deleted=tuple(deleted),
        )  # fmt: skip
        try:
            for oid in set(large.values()):
                self.gather(repo, oid)
            name = self.store.apply(repo, revision, change)
        except Conflict as error:
            self.refuse(412, "PreconditionFailed", f"A commit has happened since. {error}")
        except BadCommit as error:
            self.refuse(400, "BadRequest", str(error))
        else:
            where = f"{self._root()}/datasets/{repo}/commit/{name}"
            self.answer_json({"success": True, "commitOid": name, "commitUrl": where})

    def gather(self, repo: str, oid: str) -> None:
        """Make an object of what a client put into the xet store; nothing without one."""
        place = self.store.object(repo, oid)
        if not self.xet or place.is_file():
            return
        result = listed(Path(self.xet)).get(oid)
        if result is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            fresh = place.with_suffix(".new")
            fetch(Path(self.xet), *result, fresh)
            if not self.store.put(repo, oid, fresh.read_bytes()):
                raise BadCommit(f"what the xet store has for {oid} has another SHA-256")
            fresh.unlink()

    def _validate(self) -> None:
        words = json.loads(self.read_body())
        block = words["content"].split("---\n")
        try:
            head = yaml.safe_load(block[1]) if len(block) > 2 else {}
            errors = [] if isinstance(head, dict) else [{"message": "the metadata is no mapping"}]
        except yaml.YAMLError as error:
            errors = [{"message": f"no YAML: {error}"}]
        body = json.dumps({"errors": errors, "warnings": []}).encode()
        self.answer(400 if errors else 200, body, {"Content-Type": "application/json"})

    def _objects(self, repo: str, rest: list[str]) -> None:
        words = json.loads(self.read_body())
        if not self.token().startswith("hf_write") and rest[:1] != ["complete"]:
            self.refuse(403, "Forbidden", "you need a token with the write role")
        elif rest == ["objects", "batch"]:
            objects = [self._asked(repo, word["oid"], word["size"]) for word in words["objects"]]
            self.answer_json({"transfer": "basic", "objects": objects})
        elif rest == ["verify"]:
            place = self.store.object(repo, words["oid"])
            held = place.stat().st_size if place.is_file() else -1
            if held == words["size"]:
                self.answer_json({})
            else:
                self.refuse(422, "BadRequest", f"holds {held} bytes, not {words['size']}")
        elif rest[:1] == ["complete"]:
            parts = [self.store.object(repo, f"{words['oid']}.{word['partNumber']}") for word in
                     words["parts"]]  # fmt: skip
            data = b"".join(part.read_bytes() for part in parts)
            if self.store.put(repo, words["oid"], data):
                self.answer_json({})
            else:
                self.refuse(422, "BadRequest", "the parts are not this object")
        else:
            self.refuse(404, "NotFound")

    def _asked(self, repo: str, oid: str, size: int) -> dict[str, object]:
        """How an object is to be sent; without `actions` where it is there already."""
        facts: dict[str, object] = {"oid": oid, "size": size}
        if self.store.object(repo, oid).is_file():
            return facts
        home = f"{self._root()}/datasets/{repo}.git/info/lfs"
        place = f"{self.cdn}/_put/{quote(repo, safe='')}/{oid}"
        verify = {"href": f"{home}/verify", "header": {}}
        upload: dict[str, object] = {"href": f"{place}?X-Signature=5ecret"}
        if self.part_bytes and size > self.part_bytes:
            count = -(-size // self.part_bytes)
            upload["href"] = f"{home}/complete"
            upload["header"] = {"chunk_size": str(self.part_bytes)} | {
                str(n): f"{place}.{n}?X-Signature=5ecret" for n in range(1, count + 1)
            }
        return facts | {"actions": {"upload": upload, "verify": verify}}

    def _xet_token(self, repo: str, _revision: str, _body: bytes) -> None:
        if not self.xet:
            self.refuse(404, "NotFound", "no xet store")
            return
        self.answer_json(
            {"casUrl": f"local://{self.xet}", "accessToken": "xet", "exp": int(time.time()) + 3600}
        )

    def _root(self) -> str:
        return f"http://{self.headers.get('Host', '')}"

    _ACTIONS = {
        "settings": _settings,
        "branch": _branch,
        "tag": _tag,
        "preupload": _preupload,
        "commit": _commit,
        "xet-write-token": _xet_token,
    }


class Receiving(Exchange):
    """The write side of the second port: bytes of objects."""

    store: WritableStore

    def receive(self) -> None:
        """Keep an object or a part of one."""
        url = urlsplit(self.path)
        repo, oid = map(unquote, url.path.split("/")[2:4])
        data = self.read_body()
        if "Authorization" in self.headers:
            self.violation = "a token was sent to the CDN"
        elif parse_qs(url.query).get("X-Signature") != ["5ecret"]:
            self.violation = "the signature was lost"
        if self.violation:
            self.answer(400, self.violation.encode(), {})
            return
        if not self.store.put(repo, oid, data):
            self.answer(400, b"these bytes have another SHA-256", {})
            return
        self.answer(200, b"", {"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'})
