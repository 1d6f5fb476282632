"""Which faults of the Hub pass by themselves, and how long to wait for that.

A cut connection, a timeout, 408, 425, 429 and 5xx are tried again: after what `Retry-After`
asks, else after 1, 2, 4 ... 60 s with a spread of a quarter, up to `tries` times in a row.
Everything else is answered at once. What the client library retries inside its own calls comes
on top. Nothing here repeats a request that may have been carried out: that is for the caller,
who looks at the state of the repository first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")
Say = Callable[[str], None]
FAULTS: Final = (HfHubHTTPError, httpx2.TransportError, RuntimeError)
"""What calls of the client library raise where the Hub or the way to it fails."""
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_S: Final = 60.0
_MOST_ASKED_S: Final = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One failure, read."""

    passes: bool
    """Whether it may pass by itself."""
    wait_s: float | None
    """What the server asked for."""
    status: int
    """0 where there was no answer."""


def read_fault(error: BaseException) -> Fault:
    """What kind of failure an exception is; a cause inside it is looked at too."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, HfHubHTTPError):
            status = seen.response.status_code
            asked = seen.response.headers.get("Retry-After", "")
            wait = float(asked) if asked.isdigit() else None
            return Fault(passes=status in _PASSING, wait_s=wait, status=status)
        if isinstance(seen, httpx2.TransportError):
            return Fault(passes=True, wait_s=None, status=0)
        seen = seen.__cause__
    return Fault(passes=_is_of_xet(error), wait_s=None, status=0)


def _is_of_xet(error: BaseException) -> bool:
    """The xet client says what went wrong in words only: its network errors look like others."""
    return type(error).__module__.startswith("hf_xet") or (
        isinstance(error, RuntimeError) and "xet" in str(error).lower()
    )


@dataclass(kw_only=True, slots=True)
class Patience:
    """Counts failures in a row and waits between them."""

    say: Say
    tries: int = 8
    first_s: float = 1.0
    failures: int = 0

    def reset(self) -> None:
        """Something went well."""
        self.failures = 0

    def wait(self, what: str, error: BaseException) -> None:
        """Waits before another try; raises the error where another makes no sense."""
        fault = read_fault(error)
        self.failures += 1
        if not fault.passes or self.failures >= self.tries:
            raise error
        spread = random.uniform(0.75, 1.25)
        seconds = min(_MOST_S, self.first_s * 2.0 ** (self.failures - 1)) * spread
        if fault.wait_s is not None:
            seconds = min(_MOST_ASKED_S, fault.wait_s) + random.uniform(0, 0.2)
        reason = f"HTTP {fault.status}" if fault.status else type(error).__name__
        self.say(f"{what}: {reason}, again in {seconds:.0f} s ({self.failures} of {self.tries})")
        time.sleep(seconds)

    def insist(self, what: str, call: Callable[[], T]) -> T:
        """The result of a call that may be repeated without harm; it has a count of its own."""
        own = Patience(say=self.say, tries=self.tries, first_s=self.first_s)
        while True:
            try:
                return call()
            except FAULTS as error:
                own.wait(what, error)
