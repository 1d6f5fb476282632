"""A bucket on loopback whose every answer can be scripted, and that remembers what was asked."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ingest.sources.the_stack_v2.blob_store import BlobOptions
from ingest.sources.the_stack_v2.contents import BlobRequest

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass(kw_only=True)
class Bucket:
    """What is stored, how it is answered, and what was asked for."""

    port: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    script: dict[str, list[Behaviour]] = field(default_factory=dict)
    """Answers of a blob, one a request; afterwards it is served."""
    always: Behaviour | None = None
    lacks: int = 404
    """Status for what is not there."""
    asked: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    proxy_keys: list[str] = field(default_factory=list)
    """What clients that take this for a proxy said to be let in."""
    busy: int = 0
    most_busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, raw: bytes, packed: bytes | None = None) -> BlobRequest:
        """Store a blob; what a row would say about it."""
        blob_id = hashlib.sha1(raw).hexdigest()
        self.blobs[blob_id] = gzip.compress(raw, mtime=0) if packed is None else packed
        return BlobRequest(blob_id=blob_id, length=len(raw), encoding="utf-8")

    def wait_for(self, count: int) -> None:
        """Wait until so many different blobs were asked for."""
        deadline = time.monotonic() + 100
        while len(set(self.asked)) < count:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def options(self, **changes: object) -> BlobOptions:
        """Options that lead here, over `https://`-style addresses, with few retries."""
        base = {"url": f"http://127.0.0.1:{self.port}/content", "retries": 2, "timeout": 5}
        return BlobOptions.model_validate({**base, **changes})

    def s3_options(self, **changes: object) -> BlobOptions:
        """Options that lead here as an S3 service."""
        endpoint = f"http://127.0.0.1:{self.port}"
        base = {"url": "s3://archive/content", "endpoint": endpoint, "retries": 2, "timeout": 5}
        return BlobOptions.model_validate({**base, **changes})


def status(code: int, error: str = "", **headers: str) -> Behaviour:
    """Answer with a status and an S3 error code."""

    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        body = f"<Error><Code>{error}</Code></Error>".encode() if error else b""
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def serve(handler: BaseHTTPRequestHandler, packed: bytes) -> None:
    """Answer with the blob."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(packed)))
    handler.end_headers()
    handler.wfile.write(packed)


def drop(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def cut(handler: BaseHTTPRequestHandler, packed: bytes) -> None:
    """Announce the whole body, send half, and close."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(packed)))
    handler.end_headers()
    handler.wfile.write(packed[: len(packed) // 2])
    handler.close_connection = True


def drip(handler: BaseHTTPRequestHandler, packed: bytes) -> None:
    """Send single bytes without end, each soon enough for a timeout between two of them."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(packed)))
    handler.end_headers()
    handler.close_connection = True
    try:
        for byte in itertools.cycle(packed):
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


def endless(handler: BaseHTTPRequestHandler, packed: bytes) -> None:
    """Send the blob and never stop."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    try:
        handler.wfile.write(packed)
        while True:
            handler.wfile.write(b"\0" * 65536)
    except OSError:
        return


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A running server; closed with the context."""
    kept = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            _answer(kept, self)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, *_: object) -> None:
            """Clients that hang up are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(kept: Bucket, handler: BaseHTTPRequestHandler) -> None:
    path, _, query = handler.path.partition("?")
    blob_id = path.rsplit("/", 1)[-1]
    with kept.lock:
        kept.asked.append(blob_id)
        kept.queries.append(query)
        kept.proxy_keys.extend(handler.headers.get_all("Proxy-Authorization", []))
        kept.busy += 1
        kept.most_busy = max(kept.most_busy, kept.busy)
        steps = kept.script.get(blob_id, [])
        step = steps.pop(0) if steps else kept.always
    try:
        packed = kept.blobs.get(blob_id)
        if step is not None:
            step(handler, packed or b"")
        elif packed is None:
            status(kept.lacks, "NoSuchKey" if kept.lacks == 404 else "AccessDenied")(handler, b"")
        else:
            serve(handler, packed)
    finally:
        with kept.lock:
            kept.busy -= 1
