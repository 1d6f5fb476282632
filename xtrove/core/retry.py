"""One policy for what is tried again: how often, after which pause, and when it is enough.

Method: a call says by raising `PassingFault` that trying again may help. The pause is what the
server asks for, or `first_s` doubled up to `longest_s`, with a spread of a quarter, so that many
workers do not come back at once. It ends after `tries` failures in a row without progress, or
where the next pause would pass the deadline. `XTROVE_RETRY_PAUSE` multiplies all pauses that no
server asked for: the one place where tests, or whoever debugs, make them short.

Why neither `tenacity` nor `stamina`: both count attempts of one function from its first call;
here the count starts again with each byte that came (`progress`) and is kept over many calls
with a look at the state in between (`Retries`, in `publish`). All of their strategies would be
ours, and the loop is all that would be theirs.
Source: RFC 9110 (Retry-After), draft-ietf-httpapi-ratelimit-headers-09.
"""

from __future__ import annotations

import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from xtrove.core.errors import XtroveError

T = TypeVar("T")
PAUSE_FACTOR: Final = "XTROVE_RETRY_PAUSE"
_RATE: Final = re.compile(r"\br\s*=\s*0\b.{0,256}?\bt\s*=\s*(\d+)", re.ASCII)


def pause_factor() -> float:
    """What multiplies every pause that no server asked for."""
    return float(os.environ.get(PAUSE_FACTOR) or 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How long a job is insisted on."""

    tries: int = 8
    """Failures in a row without progress that end it."""
    deadline_s: float = math.inf
    """For all tries and pauses together; a pause that would end later is not begun."""
    first_s: float = 0.25
    longest_s: float = 30.0
    longest_asked_s: float = math.inf
    """A longer pause than this is not granted to a server."""


class PassingFault(XtroveError):
    """This try failed, another may not; `asked_s` is the pause that the server asked for."""

    def __init__(self, reason: str, asked_s: float | None = None) -> None:
        super().__init__(reason)
        self.asked_s = asked_s


class GaveUp(XtroveError):
    """The policy is exhausted; the cause is the last `PassingFault`."""


Waiting = Callable[[PassingFault, float, int], None]
"""Told the fault, the seconds of the pause and the number of failures in a row."""


class Retries:
    """The failures of one job, which may be many calls."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        waiting: Waiting = lambda fault, seconds, failures: None,
        stop: threading.Event | None = None,
    ) -> None:
        self._policy = policy
        self._waiting = waiting
        self._stop = stop or threading.Event()
        self._began = time.monotonic()
        self._failures = 0

    def reset(self) -> None:
        """Something went well: the count starts again, the time does not."""
        self._failures = 0

    def failed(self, fault: PassingFault) -> None:
        """Waits before another try. `GaveUp` where there is none, or `stop` is set."""
        policy = self._policy
        self._failures += 1
        pause = min(policy.longest_s, policy.first_s * 2.0 ** (self._failures - 1))
        pause *= random.uniform(0.75, 1.25) * pause_factor()
        if fault.asked_s is not None:
            pause = max(pause, min(policy.longest_asked_s, fault.asked_s))
        spent = time.monotonic() - self._began
        if self._failures >= policy.tries or spent + pause > policy.deadline_s:
            raise GaveUp(f"{fault} ({spent:.0f} s)") from fault
        self._waiting(fault, pause, self._failures)
        if self._stop.wait(pause):
            raise GaveUp(f"{fault} (stopped)") from fault


def retry_call(
    call: Callable[[], T],
    policy: RetryPolicy,
    *,
    progress: Callable[[], int] = lambda: 0,
    stop: threading.Event | None = None,
) -> T:
    """The result of a call that may be repeated without harm.

    `progress` is a number that has grown where a failed try got further. Raises `GaveUp`, and
    at once whatever the call raises but `PassingFault`.
    """
    retries = Retries(policy, stop=stop)
    while True:
        before = progress()
        try:
            return call()
        except PassingFault as fault:
            if progress() > before:
                retries.reset()
            retries.failed(fault)


def may_pass(status: int) -> bool:
    """Whether a request with this HTTP status may be answered another time."""
    return status in (408, 425, 429) or (status >= 500 and status not in (501, 505))


def stated_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds a server asks to wait, if it does (names in lower case, or in any)."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    if value:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    match = _RATE.search(headers.get("ratelimit", ""))
    return float(match[1][:9]) if match else None
