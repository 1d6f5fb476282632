"""Start the small Hub from a test, and run real clients against it in processes of their own.

Method: `HF_ENDPOINT` is read when `huggingface_hub` is imported, so that a client is a child
process whose environment is set before; it gets a script and answers one JSON value.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.hub.writable import WritableStore

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120


class RunningHub:
    """A Hub that serves."""

    def __init__(self, endpoint: str, cdn: str, folder: Path) -> None:
        self.endpoint = endpoint
        self.cdn = cdn
        self.store = WritableStore(folder / "root")
        self._folder = folder

    def faults(self, *faults: Mapping[str, object]) -> None:
        """Replace the plan of faults (see `tests.hub.faults.Fault`)."""
        self._control("faults", json.dumps(list(faults)).encode(), "PUT")

    def log(self) -> list[dict[str, Any]]:
        """The requests of clients so far, each with the end of its answer."""
        self._control("idle", None, "GET")
        path = self._folder / "log"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [one for one in map(json.loads, lines) if not one["path"].startswith("/_/")]

    def forget(self) -> None:
        """Empty the log and the plan."""
        self.faults()
        (self._folder / "log").write_text("", "utf-8")

    def struck(self) -> int:
        """How many requests have met a fault of the present plan, open ones too."""
        return int(self._control("struck", None, "GET"))

    def _control(self, word: str, body: bytes | None, method: str) -> bytes:
        request = urllib.request.Request(f"{self.endpoint}/_/{word}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.status == 200
            answer: bytes = response.read()
            return answer

    def client(self, script: str, *words: str, token: str = "", **env: str) -> Any:
        """What a script leaves in `answer`, run by a new process that knows only this Hub."""
        code = f"import json, sys\n{script}\nsys.stdout.write('\\n' + json.dumps(answer))"
        done = self.run([sys.executable, "-c", code, *words], token=token, **env)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.rpartition("\n")[2])

    def run(
        self, command: Sequence[str], *, token: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """A program in the checkout that knows only this Hub."""
        return subprocess.run(
            command,
            env=self.environment(token) | env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def environment(self, token: str = "") -> dict[str, str]:
        """The variables of a client."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        return kept | {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self._folder / "home"),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(ROOT),
        }


class Reader:
    """A process with the package's functions; see `tests.hub.reading`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, do: str, **job: object) -> dict[str, Any]:
        """The answer of a job, with `error`, `seconds` and `traffic` beside it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **job}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the reading process has died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def get(self, do: str, **job: object) -> Any:
        """The answer of a job that must not fail."""
        answer = self.ask(do, **job)
        assert not answer["error"], answer["error"]
        return answer["answer"]

    def both(self, options: Mapping[str, object], **job: object) -> tuple[Any, list[Any]]:
        """Plan a source and read all of it."""
        plan = self.get("plan", options=options, **job)
        return plan, self.get("read", options=options, plan=plan, **job)


@contextmanager
def running_reader(
    hub: RunningHub, program: str = "tests.hub.reading", **env: str
) -> Iterator[Reader]:
    """A process of jobs (this one reads) that knows only this Hub."""
    with subprocess.Popen(
        [sys.executable, "-m", program],
        cwd=ROOT,
        env=hub.environment() | env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Reader(process)
        finally:
            process.kill()


@contextmanager
def running_hub(folder: Path, page: int = 1000, *more: str) -> Iterator[RunningHub]:
    """A Hub over `folder/root` that ends with the context."""
    (folder / "root").mkdir(parents=True, exist_ok=True)
    arguments = ["--root", str(folder / "root"), "--log", str(folder / "log"), "--page", str(page)]
    arguments += more
    with subprocess.Popen(
        [sys.executable, "-m", "tests.hub", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        try:
            yield RunningHub(ports["endpoint"], ports["cdn"], folder)
        finally:
            process.kill()
