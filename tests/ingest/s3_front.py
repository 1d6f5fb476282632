"""moto's S3 on loopback behind a front that can fail: a child process and a server of this one."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "5ecret", "AWS_REGION": "us-east-1"}
Failure = Callable[[BaseHTTPRequestHandler, int, bytes], None]
"""Of the handler, the status and the body that moto answered."""


@dataclass(kw_only=True)
class Front:
    """What passes between a client and moto."""

    moto: int
    port: int = 0
    failures: list[Failure | None] = field(default_factory=list)
    """Of the next requests, one each; None lets one pass."""
    asked: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Method, path with its query, range, bytes of the answer."""

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """A real client that fills the buckets, beside the front."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.moto}",
            aws_access_key_id="test",
            aws_secret_access_key="5ecret",
            region_name="us-east-1",
        )


def say(status: int, code: str, **headers: str) -> Failure:
    """Another answer."""

    def answer(handler: BaseHTTPRequestHandler, _: int, body: bytes) -> None:
        del body
        text = f"<Error><Code>{code}</Code></Error>".encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return answer


def drop(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    """Announce the whole body, send a third, hang up."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    if "Range" in handler.headers:
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        handler.send_header("Content-Range", f"bytes {first}-{last}/*")
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 3])
    handler.close_connection = True


def silence(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    """No answer for longer than anybody waits."""
    time.sleep(1.5)
    handler.close_connection = True


@contextmanager
def running_moto() -> Iterator[int]:
    """The port of an empty moto in a process of its own, with a bucket of 1,100 names."""
    command = [sys.executable, "-m", "tests.ingest.moto_store"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().split()[0])
        finally:
            process.kill()


@contextmanager
def running_front(moto: int) -> Iterator[Front]:
    """A front before moto."""
    front = Front(moto=moto)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            _pass(front, self)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that hang up are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    front.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()


def _pass(front: Front, handler: BaseHTTPRequestHandler) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.moto, timeout=20)
    connection.request(handler.command, handler.path, headers=dict(handler.headers.items()))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    front.asked.append((handler.command, handler.path, handler.headers.get("Range", ""), len(body)))
    failure = front.failures.pop(0) if front.failures else None
    if failure is not None:
        failure(handler, answer.status, body)
        return
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
            handler.send_header(name, value)
    if answer.getheader("Content-Length") is None:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
