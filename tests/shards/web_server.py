"""A web server on loopback that serves a folder with ranges, counts, and does what goes wrong."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@dataclass(kw_only=True)
class Served:
    """What was asked and what goes wrong; change it at any time."""

    root: Path
    url: str = ""
    bytes: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    cut: Callable[[str, int], int | None] = lambda path, number: None
    """After how many bytes of the body the connection ends, for the n-th request of a path."""
    status: Callable[[str, int], int] = lambda path, number: 0
    """The status answered instead; 0 for the right one."""
    change: Callable[[str, bytes], bytes] = lambda path, data: data


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._serve(body=False)

        def do_GET(self) -> None:
            self._serve(body=True)

        def _serve(self, body: bool) -> None:
            path = unquote(self.path.split("?")[0]).lstrip("/")
            served.requests[path] += 1
            number = served.requests[path]
            folder = served.root / path
            status = served.status(path, number)
            if status or not folder.is_file():
                self._answer(status or 404, b"", 0, body)
                return
            data = served.change(path, folder.read_bytes())
            start, stop, code = 0, len(data), 200
            if expected := self.headers.get("Range"):
                first, last = expected.removeprefix("bytes=").split("-")
                start, stop, code = int(first), min(int(last) + 1, len(data)), 206
            self._range = f"bytes {start}-{stop - 1}/{len(data)}"
            self._answer(code, data[start:stop], stop - start, body, served.cut(path, number))

        def _answer(
            self, code: int, data: bytes, size: int, body: bool, cut: int | None = None
        ) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(size))
            if code == 206:
                self.send_header("Content-Range", self._range)
            self.end_headers()
            if body:
                served.bytes[self.path.lstrip("/")] += len(data)
                self.wfile.write(data if cut is None else data[:cut])
            if cut is not None:
                self.close_connection = True

        def log_message(self, format: str, *words: object) -> None:
            """Nothing."""

    return Handler


@contextmanager
def serving(root: Path) -> Iterator[Served]:
    """Serves a folder until the context ends."""
    served = Served(root=root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
