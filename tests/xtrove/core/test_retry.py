"""What is tried again, after which pause, and when it is enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from xtrove.core import (
    GaveUp,
    PassingFault,
    Retries,
    RetryPolicy,
    may_pass,
    retry_call,
    stated_wait,
)
from xtrove.core.retry import PAUSE_FACTOR

FAST = RetryPolicy(tries=4, first_s=0.001)


class Calls:
    """A call that fails as it is told, then answers with the number of tries."""

    def __init__(self, *faults: Exception) -> None:
        self._faults: Iterator[Exception] = iter(faults)
        self.tries = 0

    def __call__(self) -> int:
        self.tries += 1
        for fault in self._faults:
            raise fault
        return self.tries


def _times(number: int) -> list[PassingFault]:
    return [PassingFault(f"fault {n}") for n in range(number)]


@pytest.fixture(name="pauses")
def _pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time."""
    pauses: list[float] = []

    def wait(self: threading.Event, seconds: float | None = None) -> bool:
        pauses.append(seconds or 0.0)
        return self.is_set()

    monkeypatch.setattr(threading.Event, "wait", wait)
    monkeypatch.delenv(PAUSE_FACTOR, raising=False)
    return pauses


def test_faults_in_a_row_end_it_with_the_last_of_them() -> None:
    assert retry_call(Calls(*_times(3)), FAST) == 4
    calls = Calls(*_times(4))
    with pytest.raises(GaveUp, match=r"^fault 3 \(0 s\)$") as caught:
        retry_call(calls, FAST)
    assert calls.tries == 4
    assert isinstance(caught.value.__cause__, PassingFault)


def test_what_does_not_pass_is_raised_at_once() -> None:
    calls = Calls(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        retry_call(calls, FAST)
    assert calls.tries == 1


def test_progress_starts_the_count_again() -> None:
    got = bytearray()

    def call() -> int:
        if len(got) < 20:
            got.append(0)
            raise PassingFault("cut")
        return len(got)

    assert retry_call(call, FAST, progress=lambda: len(got)) == 20


def test_pauses_double_up_to_the_longest_with_a_spread_of_a_quarter(pauses: list[float]) -> None:
    policy = RetryPolicy(tries=7, first_s=1.0, longest_s=8.0)
    retry_call(Calls(*_times(6)), policy)
    for pause, middle in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True):
        assert 0.75 * middle <= pause <= 1.25 * middle
    assert len({pause / middle for pause, middle in zip(pauses[3:], [8] * 3, strict=True)}) == 3


def test_a_server_gets_the_pause_that_it_asks_for_within_limits(pauses: list[float]) -> None:
    policy = RetryPolicy(first_s=1.0, longest_asked_s=600.0)
    faults = [PassingFault("x", asked_s=seconds) for seconds in (0.0, 100.0, 9e8)]
    retry_call(Calls(*faults), policy)
    assert pauses[0] >= 0.75
    assert pauses[1:] == [100.0, 600.0]


def test_one_setting_shortens_the_pauses_that_no_server_asked_for(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PAUSE_FACTOR, "0.001")
    retry_call(Calls(PassingFault("x"), PassingFault("x", 3.0)), RetryPolicy(first_s=1.0))
    assert pauses[0] <= 0.00125
    assert pauses[1] == 3.0


def test_no_pause_begins_that_would_end_after_the_deadline(pauses: list[float]) -> None:
    calls = Calls(PassingFault("HTTP 429", asked_s=700.0))
    with pytest.raises(GaveUp, match=r"HTTP 429 \(0 s\)"):
        retry_call(calls, RetryPolicy(deadline_s=600.0))
    assert pauses == []


def test_a_set_event_ends_the_pause() -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(GaveUp, match="stopped"):
        retry_call(Calls(*_times(1)), RetryPolicy(first_s=60.0, longest_s=60.0), stop=stop)


def test_a_job_of_many_calls_has_one_count_and_tells_its_pauses() -> None:
    reported: list[tuple[str, int]] = []
    retries = Retries(
        FAST, waiting=lambda fault, _, failures: reported.append((str(fault), failures))
    )
    for fault in _times(3):
        retries.failed(fault)
    retries.reset()
    for fault in _times(3):
        retries.failed(fault)
    with pytest.raises(GaveUp):
        retries.failed(PassingFault("last"))
    assert reported == [(f"fault {n}", n + 1) for n in range(3)] * 2


def test_the_time_counts_from_the_beginning_of_the_job() -> None:
    retries = Retries(RetryPolicy(deadline_s=0.05, first_s=0.001))
    time.sleep(0.06)
    with pytest.raises(GaveUp):
        retries.failed(PassingFault("late"))


def test_statuses_that_may_pass() -> None:
    passing = {status for status in range(100, 600) if may_pass(status)}
    assert {408, 425, 429, 500, 502, 503, 504, 529} <= passing
    assert not passing & {200, 206, 301, 400, 401, 403, 404, 410, 412, 416, 501, 505}


def test_the_wait_a_server_states() -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 95 < (stated_wait({"retry-after": format_datetime(later, usegmt=True)}) or 0) <= 100
    assert stated_wait({"retry-after": "7", "ratelimit": '"api";r=0;t=55'}) == 7
    assert stated_wait({"ratelimit": '"resolvers";r=0;t=55'}) == 55
    assert stated_wait({"ratelimit": '"resolvers";r=12;t=55'}) is None
    assert stated_wait({"retry-after": "soon"}) is None
    assert stated_wait({"retry-after": "-3"}) is None
    assert stated_wait({}) is None
