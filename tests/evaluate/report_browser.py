"""A headless Chromium spoken to over its pipe: what a page asks for, says and measures.

Only what the tests of reports need of the DevTools protocol; nothing is installed for it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Chromium reads commands from descriptor 3 and answers on 4.
_AS_3_AND_4 = (
    "import fcntl, os, sys; "
    "high = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3]]; "
    "os.dup2(high[0], 3); os.dup2(high[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def program() -> str | None:
    """The Chromium of this machine, where there is one."""
    return next((result for name in NAMES if (result := shutil.which(name))), None)


class Browser:
    """A running browser; `events` has all that it told since the last page was opened."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._held = b""
        self._number = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command; events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            got = self._next()
            if got.get("id") == self._number:
                assert "error" not in got, got
                answer: dict[str, Any] = got["result"]
                return answer
            self.events.append(got)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            data = os.read(self._reading, 1 << 20)
            assert data, "the browser is gone"
            self._held += data
        line, self._held = self._held.split(b"\0", 1)
        value: dict[str, Any] = json.loads(line)
        return value

    def _wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def open(self, page: Path, *, width: int, height: int = 900, scheme: str = "light") -> None:
        """Shows a file in a new tab of a width in CSS pixels, in a colour scheme."""
        self._session, self.events = "", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", media="screen", features=[feature])
        self.call("Page.navigate", url=page.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def value(self, script: str) -> Any:
        """What an expression gives in the page."""
        got = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """One key, down and up."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}),
            )  # fmt: skip

    def requests(self) -> list[str]:
        """Addresses that were asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[dict[str, Any]]:
        """Messages on the console, log entries (blocked by policy...), uncaught exceptions."""
        reported = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event.get("method") in reported]

    def screenshot(self, to: Path, *, whole: bool = True) -> None:
        """A picture of the page, of all of it or of the window."""
        got = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            got = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        to.write_bytes(base64.b64decode(got["data"]))


@contextmanager
def running(profile: Path) -> Iterator[Browser]:
    """A browser with a profile folder of its own."""
    result = program()
    assert result is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    arguments = [
        result, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
        "--no-first-run", "--disable-dev-shm-usage", f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    arguments = [sys.executable, "-c", _AS_3_AND_4, str(theirs_in), str(theirs_out), *arguments]
    with subprocess.Popen(
        arguments, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(ours_in, ours_out)
        finally:
            process.terminate()
            process.wait(timeout=20)
            os.close(ours_in)
            os.close(ours_out)
