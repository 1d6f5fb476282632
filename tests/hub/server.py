"""The small Hub's two ports: the endpoint (facts, resolver) and the CDN (bytes of LFS files).

Method: what the real clients were seen to call (`huggingface_hub` 2.4, `datasets` 5.2); the
write side is `tests.hub.writing`. The CDN answers 400 and notes a violation when a client sends
it a token, or loses the `Range` header on the way of a redirect.
Limits: data sets only; a page of a listing holds `page` entries.
Source: https://huggingface.co/docs/hub/api and the calls of those clients.
"""

from __future__ import annotations

import json
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.hub.faults import Log, Plan
from tests.hub.store import Blob
from tests.hub.writable import WritableStore
from tests.hub.writing import Receiving, Writing


class Hub(Writing):
    """The endpoint."""

    port = "hub"
    page: int

    def respond(self) -> None:
        """Choose by path."""
        path = urlsplit(self.path).path
        steps = [unquote(step) for step in path.strip("/").split("/")]
        if self.path == "/_/faults" and self.command == "PUT":
            self.plan.end()
            type(self).plan = CDN.plan = Plan.parse(self.read_body().decode())
            self.answer(200, b"", {})
        elif self.path == "/_/struck":
            self.answer_json(self.plan.struck())
        elif self.path == "/_/idle":
            self.answer(200 if self.record.wait_until_idle() else 504, b"", {})
        elif self.token() and not self.token().startswith("hf_"):
            output = "Invalid credentials in Authorization header"
            self.answer(401, b"", {"X-Error-Message": output})
        elif self.write(steps):
            return
        elif path.startswith("/api/resolve-cache/datasets/") and len(steps) > 6:
            self._file("/".join(steps[3:5]), steps[5], "/".join(steps[6:]), cached=True)
        elif path.startswith("/api/datasets/") and len(steps) >= 4:
            self._facts("/".join(steps[2:4]), steps[4:])
        elif path.startswith("/datasets/") and len(steps) > 5 and steps[3] == "resolve":
            self._file("/".join(steps[1:3]), steps[4], "/".join(steps[5:]), cached=False)
        else:
            self.refuse(404, "NotFound", "Sorry, we can't find the page you are looking for.")

    def _found(self, repo: str, files: bool) -> bool:
        """Whether this token may see the repository (or its files); answers if not."""
        known = self.store.has(repo)
        access = self.store.access(repo)
        granted = self.token() in access.granted
        if not known or (access.visibility == "private" and not granted):
            self.refuse(404 if self.token() else 401, "RepoNotFound", "Repository not found")
            return False
        if files and access.visibility == "gated" and not granted:
            output = (
                f"Access to dataset {repo} is restricted. You must be authenticated to access it"
            )
            self.refuse(403 if self.token() else 401, "GatedRepo", output)
            return False
        return True

    def _facts(self, repo: str, rest: list[str]) -> None:
        body = self.read_body()
        if not self._found(repo, files=False):
            return
        what = rest[0] if rest else "revision"
        if what == "refs":
            refs = self.store.refs(repo)
            named = {unquote(name): commit for name, commit in refs.items()}
            tags = {n: c for n, c in named.items() if n.startswith("refs/tags/")}
            heads = {f"refs/heads/{n}": c for n, c in named.items() if not n.startswith("refs/")}
            self.answer_json({"branches": _refs(heads), "converts": [], "tags": _refs(tags)})
            return
        revision = rest[1] if len(rest) > 1 else "main"
        commit = self.store.resolve(repo, revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif what == "revision":
            self._info(repo, commit)
        elif what == "tree":
            self._tree(repo, commit, "/".join(rest[2:]))
        elif what == "paths-info":
            self._paths(repo, commit, body)
        else:
            self.refuse(404, "NotFound")

    def _info(self, repo: str, commit: str) -> None:
        access = self.store.access(repo)
        facts: dict[str, object] = {"id": repo, "sha": commit}
        facts["private"] = access.visibility == "private"
        facts["gated"] = access.gate or ("manual" if access.visibility == "gated" else False)
        if "expand" not in parse_qs(urlsplit(self.path).query):
            facts["siblings"] = [
                {"rfilename": blob.path} for blob in self.store.blobs(repo, commit)
            ]
            facts |= {"disabled": False, "tags": [], "downloads": 0, "likes": 0}
            facts |= {"author": repo.split("/")[0], "lastModified": "2024-01-01T00:00:00.000Z"}
        self.answer_json(facts)

    def _tree(self, repo: str, commit: str, folder: str) -> None:
        query = {key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()}
        recursive = query.get("recursive", "false").lower() == "true"
        entries = self.store.tree(repo, commit, folder, recursive)
        if folder and not entries:
            self.refuse(404, "EntryNotFound", f"{folder} does not exist")
            return
        first = int(query.get("cursor", "0"))
        last = first + min(self.page, int(query.get("limit", str(self.page))))
        headers: dict[str, str] = {}
        if last < len(entries):
            place = self.path.split("?")[0]
            more = f"recursive={str(recursive).lower()}&cursor={last}"
            headers["Link"] = f'<{self._home()}{place}?{more}>; rel="next"'
        self.answer_json(entries[first:last], headers)

    def _paths(self, repo: str, commit: str, body: bytes) -> None:
        if "json" in self.headers.get("Content-Type", ""):
            paths = list(json.loads(body)["paths"])
        else:
            paths = parse_qs(body.decode()).get("paths", [])
        result: list[dict[str, object]] = []
        for path in paths:
            blob = self.store.blob(repo, commit, path)
            if blob is not None:
                result.append(blob.facts())
            elif self.store.tree(repo, commit, path, False):
                result.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": path})
        self.answer_json(result)

    def _file(self, repo: str, revision: str, path: str, *, cached: bool) -> None:
        self.read_body()
        if not self._found(repo, files=True):
            return
        commit = self.store.resolve(repo, revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        blob = self.store.blob(repo, commit, path)
        if blob is None:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{blob.etag}"'}
        if blob.large:
            self._redirect(blob, repo, headers)
        elif cached or self.command == "HEAD":
            self.answer_file(blob.place, blob.size, headers)
        else:
            where = f"/api/resolve-cache/datasets/{repo}/{commit}/{quote(path)}"
            self.answer(307, b"", {**headers, "Location": where})

    def _redirect(self, blob: Blob, repo: str, headers: dict[str, str]) -> None:
        ranged = int("Range" in self.headers)
        where = f"{self.cdn}/{quote(repo)}/{quote(str(blob.place.relative_to(self.root)), safe='')}"
        headers |= {
            "X-Linked-Size": str(blob.size),
            "X-Linked-Etag": f'"{blob.etag}"',
            "Location": f"{where}?X-Signature=5ecret{blob.etag[:8]}&ranged={ranged}",
        }
        self.answer(302, b"Found. Redirecting to the CDN", headers)

    root: Path

    def _home(self) -> str:
        host = self.headers.get("Host", "")
        return f"http://{host}"


def _refs(named: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"name": ref.split("/", 2)[2], "ref": ref, "targetCommit": commit}
        for ref, commit in named.items()
    ]


class CDN(Receiving):
    """The bytes of LFS files."""

    port = "cdn"
    root: Path

    def respond(self) -> None:
        """Serve a file; refuse clients that give away tokens or lose ranges."""
        if self.command == "PUT":
            self.receive()
            return
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        target = self.root / unquote(url.path.rpartition("/")[2])
        if "Authorization" in self.headers:
            self.violation = "a token was sent to the CDN"
        elif query.get("ranged") == ["1"] and "Range" not in self.headers:
            self.violation = "the range was lost in the redirect"
        elif "X-Signature" not in query:
            self.violation = "the signature was lost"
        if self.violation:
            self.answer(400, self.violation.encode(), {})
        elif ".." in target.parts or not target.is_file():
            self.answer(404, b"", {})
        else:
            self.answer_file(target, target.stat().st_size, {"ETag": '"cdn"'})


class Server(ThreadingHTTPServer):
    """Threads that do not outlive the program."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no error here."""


def start(root: Path, plan: Plan, log: Log, port: int, page: int) -> tuple[Server, Server]:
    """Both ports, bound but not yet serving; port 0 takes any."""
    cdn = Server(("127.0.0.1", 0), CDN)
    hub = Server(("127.0.0.1", port), Hub)
    # `localhost` makes the second port a second host too.
    Hub.cdn = f"http://localhost:{cdn.server_address[1]}"
    Hub.store, Hub.page = WritableStore(root), page
    CDN.store = Hub.store
    Hub.root = CDN.root = root
    Hub.plan = CDN.plan = plan
    Hub.record = CDN.record = log
    return hub, cdn
