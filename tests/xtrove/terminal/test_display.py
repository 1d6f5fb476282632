"""What shows how far something is: live on a terminal, lines elsewhere, nothing if it is quick."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from xtrove.terminal import display
from xtrove.terminal.console import Terminal, amount
from xtrove.terminal.display import Display, Step

HOSTILE = "[/bold]\x1b]0;owned\x07[red]evil"


def _console(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> io.StringIO:
    """Stderr is what is returned."""
    written = io.StringIO()
    console = Terminal(
        file=written, force_terminal=terminal, color_system=None, width=120, markup=False,
        emoji=False, highlight=False,
    )  # fmt: skip
    monkeypatch.setattr(display, "err", lambda: console)
    return written


def _seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands at the last of these."""
    clock = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: clock[-1])
    return clock


def test_a_log_gets_a_line_every_30_s_and_the_time_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written, clock = _console(monkeypatch, terminal=False), _seconds(monkeypatch)
    with Step("reading", unit=amount, timed=True) as step:
        for second in (10.0, 29.0, 31.0, 40.0, 62.0):
            clock.append(100.0 + second)
            step.report(HOSTILE, int(second) * 1_000_000, 80_000_000)
    assert written.getvalue().splitlines() == [
        "[31.0 s] reading: [/bold]\ufffd]0;owned\ufffd[red]evil 31.0 MB of 80.0 MB",
        "[1:02] reading: [/bold]\ufffd]0;owned\ufffd[red]evil 62.0 MB of 80.0 MB",
        "reading: 1:02",
    ]


def test_what_is_quick_or_fails_says_nothing_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    written, clock = _console(monkeypatch, terminal=False), _seconds(monkeypatch)
    with Step("quick", timed=True) as step:
        clock.append(101.9)
        step.report("files", 3, 9)
    with pytest.raises(KeyError), Step("failing", timed=True):
        clock.append(120.0)
        raise KeyError
    assert written.getvalue() == ""


def test_a_terminal_sees_it_live_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    written, clock = _console(monkeypatch, terminal=True), _seconds(monkeypatch)
    with Step("indexing") as step:
        clock.append(101.0)
        step.report(HOSTILE, 1_200, 3_400)
        step.say("a line above")
    text = written.getvalue()
    assert "indexing: [/bold]\ufffd]0;owned\ufffd[red]evil 1,200 of 3,400" in text
    assert "a line above" in text and "\x1b]" not in text


class _State(Display):
    """Notes when it is drawn."""

    def __init__(self, clock: list[float], *, show: bool = True) -> None:
        super().__init__(show=show)
        self._clock = clock
        self.drawn: list[float] = []

    def draw(self) -> Text:
        self.drawn.append(self._clock[-1])
        return Text("state")

    def line(self) -> str:
        return "state"


def test_a_display_draws_at_most_four_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    _console(monkeypatch, terminal=True)
    clock = _seconds(monkeypatch)
    with _State(clock) as shown:
        shown.drawn.clear()
        for hundredth in range(100):
            clock.append(100.0 + hundredth / 100)
            shown.update()
        assert sorted(set(shown.drawn)) == [100.0, 100.25, 100.5, 100.75]


def test_other_processes_of_a_training_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written, clock = _console(monkeypatch, terminal=False), _seconds(monkeypatch)
    with _State(clock, show=False) as shown:
        clock.append(200.0)
        shown.update(now=True)
        shown.say("message")
        shown.print_line()
    assert written.getvalue() == ""
