"""How much this process has asked of each host: requests and bytes of answers.

Method: one table of the process behind a lock; a caller that wants the figures of a task takes
a `snapshot` before it and asks for the difference. Cost: a lock per request.
Limits: bytes are those of bodies, as they came over the wire (no headers).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What was asked of one host."""

    requests: int = 0
    bytes: int = 0


class Meter:
    """Counts by host. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, Traffic] = {}

    def add(self, host: str, requests: int, size: int) -> None:
        """Count requests and bytes of a host (`name:port`)."""
        with self._lock:
            old = self._hosts.get(host, Traffic())
            self._hosts[host] = Traffic(requests=old.requests + requests, bytes=old.bytes + size)

    def snapshot(self) -> Mapping[str, Traffic]:
        """All counts so far, sorted by host."""
        with self._lock:
            return dict(sorted(self._hosts.items()))

    def since(self, before: Mapping[str, Traffic]) -> Mapping[str, Traffic]:
        """What was added after a snapshot, sorted by host; hosts without any are left out."""
        added: dict[str, Traffic] = {}
        for host, now in self.snapshot().items():
            old = before.get(host, Traffic())
            if now != old:
                added[host] = Traffic(
                    requests=now.requests - old.requests, bytes=now.bytes - old.bytes
                )
        return added


@cache
def meter() -> Meter:
    """The meter of this process."""
    return Meter()
