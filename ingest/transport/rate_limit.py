"""How fast one task may ask, so that all tasks together stay under a service's limit.

Method: the config states requests per five minutes for the whole cluster; the build hands each
running task its share as `ReadLimits`; a token bucket in the worker process enforces it. The
Hub counts resolver and API requests over windows of five minutes (free account: 5,000 resolver
requests, 16 a second for every worker of a token together); answers of its CDN are not
counted, and so take no token. Cost: a lock and a clock per request.
Limits: a process that restarts starts with a full bucket (`BURST_SECONDS` of its share, and at
least two requests); processes do not lend to each other.
Source: Hub rate limits, https://huggingface.co/docs/hub/rate-limits (August 2026).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

WINDOW_SECONDS = 300
DEFAULT_REQUESTS = 2_400
BURST_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadLimits:
    """What one task may ask of a remote place, and how long it waits."""

    requests_per_second: float = DEFAULT_REQUESTS / WINDOW_SECONDS
    timeout_s: float = 30.0
    """To connect, and between two pieces of an answer."""
    patience_s: float = 600.0
    """For one request with all its repetitions and the waits that the server asks for."""

    def shared(self, tasks: int) -> ReadLimits:
        """The share of one of `tasks` tasks."""
        return replace(self, requests_per_second=self.requests_per_second / max(1, tasks))


class HubOptions(BaseModel):
    """The `hub` section of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_5min: Annotated[int, Field(ge=10, le=50_000)] = DEFAULT_REQUESTS
    """For the whole build: every process on every machine."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    patience_s: Annotated[float, Field(gt=0, le=7_200)] = 600.0

    def limits(self, tasks: int = 1) -> ReadLimits:
        """The share of each of `tasks` tasks that run at the same time."""
        whole = ReadLimits(
            requests_per_second=self.requests_per_5min / WINDOW_SECONDS,
            timeout_s=self.timeout_s,
            patience_s=self.patience_s,
        )
        return whole.shared(tasks)


class TokenBucket:
    """At most `rate` a second on average, `capacity` at once. Safe for threads.

    Tokens may be borrowed: whoever takes one that is not there yet waits until it would be.
    """

    def __init__(
        self,
        rate: float,
        capacity: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._capacity = capacity
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = capacity
        self._at = clock()

    def take(self) -> float:
        """Take one token; returns the seconds waited for it."""
        with self._lock:
            now = self._clock()
            grown = self._tokens + (now - self._at) * self._rate
            self._tokens = min(self._capacity, grown) - 1
            self._at = now
            wait = max(0.0, -self._tokens / self._rate)
        if wait:
            self._sleep(wait)
        return wait


@cache
def bucket(requests_per_second: float) -> TokenBucket:
    """The bucket of this process for a rate."""
    capacity = max(2.0, requests_per_second * BURST_SECONDS)
    return TokenBucket(requests_per_second, capacity)
