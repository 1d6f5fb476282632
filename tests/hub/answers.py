"""One HTTP exchange of the small Hub: faults, ranges, the log line. Both ports use it.

Source: RFC 9110, sections 14 (ranges) and 15.5.17 (416).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.hub.faults import Fault, Log, Plan

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE = 1 << 16


class Exchange(BaseHTTPRequestHandler):
    """Answers of one port; a subclass has `port`, `plan`, `log` and `respond`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    port = "hub"
    plan: Plan
    record: Log
    sent = 0
    status = 0
    violation = ""
    fault: Fault | None = None

    def respond(self) -> None:
        """Answer the request."""
        raise NotImplementedError

    def handle_request(self) -> None:
        """Faults first, then the answer, then the log."""
        self.record.begin()
        self.sent, self.status, self.violation = 0, 0, ""
        path = unquote(urlsplit(self.path).path)
        plan = self.plan
        self.fault = plan.strike(self.port, self.command, path)
        if self.fault is not None and self.fault.delay_s:
            plan.wait(self.fault.delay_s)
        try:
            if self.fault is not None and self.fault.hang_up == "before":
                raise ConnectionResetError
            if self.fault is not None and self.fault.status:
                self.read_body()
                body = self.fault.body.encode()
                self.answer(self.fault.status, body, self.fault.headers)
            else:
                self.respond()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.record.write(
                {
                    "port": self.port,
                    "method": self.command,
                    "path": path,
                    "query": urlsplit(self.path).query,
                    "range": self.headers.get("Range", ""),
                    "status": self.status,
                    "bytes": self.sent,
                    "authorized": "Authorization" in self.headers,
                    "fault": self.fault is not None,
                    "violation": self.violation,
                }
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def log_message(self, format: str, *args: object) -> None:
        """The log is a file of its own."""

    def token(self) -> str:
        """The bearer token, or ""."""
        return self.headers.get("Authorization", "").removeprefix("Bearer ").strip()

    def read_body(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def refuse(self, status: int, code: str, said: str = "") -> None:
        """An error as the Hub states it."""
        headers = {"X-Error-Code": code, "X-Error-Message": said or code}
        self.answer(status, json.dumps({"error": said or code}).encode(), headers)

    def answer_json(self, value: object, headers: Mapping[str, str] | None = None) -> None:
        """200 with JSON."""
        kind = {"Content-Type": "application/json"}
        self.answer(200, json.dumps(value).encode(), {**kind, **(headers or {})})

    def answer_file(self, place: Path, size: int, headers: Mapping[str, str]) -> None:
        """200, 206 or 416, as the `Range` header asks."""
        span = self._span(size)
        if span is None:
            self.answer(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        shift = self.fault.shift if self.fault is not None else 0
        start, stop, partial = span[0] + shift, min(span[1] + shift, size), span[2]
        facts = {"Accept-Ranges": "bytes", **headers}
        if partial:
            facts["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        with place.open("rb") as file:
            file.seek(start)
            data = file.read(stop - start)
        self.answer(206 if partial else 200, data, facts)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Any answer, with what the fault does to it."""
        self.status = status
        if self.fault is not None:
            if self.fault.hang_up:
                raise ConnectionResetError
            for old, new in self.fault.swap.items():
                body = body.replace(old.encode(), new.encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        changed = self.fault.headers if self.fault is not None else {}
        for name, value in {**headers, **changed}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in self._pieces(body):
            self.wfile.write(piece)
            self.sent += len(piece)

    def _span(self, size: int) -> tuple[int, int, bool] | None:
        header = self.headers.get("Range")
        if header is None:
            return 0, size, False
        result = _RANGE.fullmatch(header)
        if result is None or not (result[1] or result[2]):
            return 0, size, False
        if not result[1]:
            return max(size - int(result[2]), 0), size, True
        start = int(result[1])
        stop = min(int(result[2]) + 1, size) if result[2] else size
        return (start, stop, True) if start < stop else None

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        fault = self.fault
        if fault is None:
            for start in range(0, len(body), _PIECE):
                yield body[start : start + _PIECE]
            return
        if 0 <= fault.flip < len(body):
            body = body[: fault.flip] + bytes([body[fault.flip] ^ 0xFF]) + body[fault.flip + 1 :]
        if fault.drop_after >= 0:
            self.close_connection = True
            body = body[: fault.drop_after]
        for start in range(0, len(body), 1024):
            yield body[start : start + 1024]
            time.sleep(fault.drip_s)
