"""Which faults of the Hub pass by themselves.

A cut connection, a timeout, 408, 425, 429 and 5xx are tried again (`xtrove.core.retry`), after
what `Retry-After` asks, else after 1, 2, 4 ... 60 s. Everything else is answered at once.
What the client library retries inside its own calls comes
on top. Nothing here repeats a request that may have been carried out: that is for the caller,
who looks at the state of the repository first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError

from xtrove.core import GaveUp, PassingFault, Retries, RetryPolicy, may_pass, stated_wait

T = TypeVar("T")
Say = Callable[[str], None]
FAULTS: Final = (HfHubHTTPError, httpx2.TransportError, RuntimeError)
"""What calls of the client library raise where the Hub or the way to it fails."""
POLICY: Final = RetryPolicy(tries=8, first_s=1.0, longest_s=60.0, longest_asked_s=600.0)


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
            wait = stated_wait(seen.response.headers)
            return Fault(passes=may_pass(status), wait_s=wait, status=status)
        if isinstance(seen, httpx2.TransportError):
            return Fault(passes=True, wait_s=None, status=0)
        seen = seen.__cause__
    return Fault(passes=_is_of_xet(error), wait_s=None, status=0)


def _is_of_xet(error: BaseException) -> bool:
    """The xet client says what went wrong in words only: its network errors look like others."""
    return type(error).__module__.startswith("hf_xet") or (
        isinstance(error, RuntimeError) and "xet" in str(error).lower()
    )


class Patience:
    """Counts failures in a row and waits between them."""

    def __init__(self, say: Say, policy: RetryPolicy = POLICY) -> None:
        self._say = say
        self._policy = policy
        self._what = ""
        self._retries = Retries(policy, waiting=self._waiting)

    def reset(self) -> None:
        """Something went well."""
        self._retries.reset()

    def wait(self, what: str, error: BaseException) -> None:
        """Waits before another try; raises the error where another makes no sense."""
        fault = read_fault(error)
        if not fault.passes:
            raise error
        self._what = what
        reason = f"HTTP {fault.status}" if fault.status else type(error).__name__
        try:
            self._retries.failed(PassingFault(reason, fault.wait_s))
        except GaveUp:
            raise error from None

    def insist(self, what: str, call: Callable[[], T]) -> T:
        """The result of a call that may be repeated without harm; it has a count of its own."""
        own = Patience(self._say, self._policy)
        while True:
            try:
                return call()
            except FAULTS as error:
                own.wait(what, error)

    def _waiting(self, fault: PassingFault, seconds: float, failures: int) -> None:
        count = f"({failures} of {self._policy.tries})"
        self._say(f"{self._what}: {fault}, again in {seconds:.0f} s {count}")
