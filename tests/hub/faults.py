"""What goes wrong on the small Hub, and what it was asked: a plan and a log.

Method: the plan is a list of faults; each matches requests by port, method and a glob over the
path, lets `skip` of them pass and then strikes `times` times (-1: for ever). The log is one
JSON object a line, flushed before the answer ends, so that a test may read it at once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(kw_only=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    match: str = "*"
    """A glob over the decoded path, without the query."""
    port: str = "any"
    """`hub`, `cdn` or `any`."""
    method: str = "any"
    skip: int = 0
    times: int = 1
    status: int = 0
    """The status answered instead; 0 for the right one."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, instead of its own."""
    body: str = ""
    drop_after: int = -1
    """The connection ends after so many bytes of the body."""
    delay_s: float = 0.0
    """Silence before the answer, which the next plan ends."""
    drip_s: float = 0.0
    """Silence between pieces of 1,024 bytes."""
    shift: int = 0
    """Another range is served, so many bytes further on (and says so)."""
    hang_up: str = ""
    """The connection ends: `before` anything was done, or `after`, without an answer."""
    swap: dict[str, str] = field(default_factory=dict)
    """Words of the body, and what stands there instead."""
    flip: int = -1
    """The byte of the body at this place is changed."""


class Plan:
    """The faults that are left. Safe for threads."""

    def __init__(self, faults: list[Fault]) -> None:
        self._lock = threading.Lock()
        self._faults = faults
        self._struck = 0
        self._over = threading.Event()

    @classmethod
    def parse(cls, text: str) -> Plan:
        """From JSON; an unknown word is an error."""
        return cls([Fault(**entry) for entry in json.loads(text)])

    def strike(self, port: str, method: str, path: str) -> Fault | None:
        """The fault of this request, if it has one."""
        with self._lock:
            for fault in self._faults:
                if fault.port not in ("any", port) or fault.method not in ("any", method):
                    continue
                if fault.times == 0 or not fnmatchcase(path, fault.match):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                self._struck += 1
                return fault
        return None

    def end(self) -> None:
        """Answer what is delayed: another plan takes the place of this one."""
        self._over.set()

    def wait(self, seconds: float) -> None:
        """Be silent so long, or until the end of the plan."""
        self._over.wait(seconds)

    def struck(self) -> int:
        """How many requests have met a fault, those that are not answered yet too."""
        with self._lock:
            return self._struck


class Log:
    """The requests, as JSON lines."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Condition()
        self._path = path
        self._open = 0

    def begin(self) -> None:
        """A request came in; `write` is its end."""
        with self._lock:
            self._open += 1

    def wait_until_idle(self) -> bool:
        """Wait for all requests but the caller's own; False after ten seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: self._open <= 1, timeout=10)

    def write(self, facts: Mapping[str, object]) -> None:
        """Append one request."""
        line = json.dumps({"at": round(time.monotonic(), 4), **facts}, sort_keys=True)
        with self._lock:
            self._open -= 1
            self._lock.notify_all()
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
