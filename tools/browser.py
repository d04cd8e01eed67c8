"""Chromium without a window, driven over its DevTools protocol: pages are used as people use them.

One WebSocket leads to the browser, and each tab is a *session* on it: what one does there has a number, and
the answer has the same one; what happens by itself (something on the console, an exception) is an event.
Tests run it with `chromium`; `make interop` brings a WebSocket of our own, because that is judged as well.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from websockets.sync.client import connect

WAIT = 60.0  # seconds for anything at all
SWITCHES = (
    "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # it reaches nobody but us
    "--no-sandbox",  # so it needs none, which it would not get as root
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


def command(profile: Path, *switches: str) -> list[str]:
    """Return how to start Chromium, with a profile in a folder."""
    return ["chromium", *SWITCHES, *switches, f"--user-data-dir={profile}", "about:blank"]


def find_devtools(profile: Path) -> tuple[int, str] | None:
    """Return the port and the path of the WebSocket that drives it; None until it has started."""
    said = profile / "DevToolsActivePort"
    if not (said.exists() and said.read_text().count("\n")):
        return None
    port, path = said.read_text().split()
    return int(port), path


class Wire(Protocol):
    """A WebSocket that leads to the browser."""

    def send(self, message: str) -> Any: ...
    def recv(self, timeout: float) -> str | bytes: ...


class Browser:
    """A running Chromium."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers = itertools.count(1)
        self._tabs: dict[str, Tab] = {}

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Do something, and return what comes of it."""
        number = next(self._numbers)
        order = {"id": number, "method": method, "params": parameters}
        self._wire.send(json.dumps(order | ({"sessionId": session} if session else {})))
        while True:
            said = json.loads(self._wire.recv(WAIT))
            if said.get("id") == number:
                assert "result" in said, f"{method}: {said}"
                return said["result"]
            if "method" in said and said.get("sessionId") in self._tabs:
                self._tabs[said["sessionId"]].note(said["method"], said["params"])

    def open(self, url: str, *, width: int = 640, height: int = 480) -> Tab:
        """Open a page in a window of its own, and wait until it is there."""
        target = self.call("Target.createTarget", url="about:blank", newWindow=True)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        tab.call("Emulation.setDeviceMetricsOverride", **size)  # of the page, without the window's frame
        tab.call("Emulation.setFocusEmulationEnabled", enabled=True)  # also when another window is in front
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.call("Page.navigate", url=url)
        tab.wait_for("location.href != 'about:blank' && document.readyState == 'complete'")
        return tab


class Tab:
    """A page that is open."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.complaints: list[str] = []
        """Errors and warnings on its console, and exceptions of its scripts."""
        self.responses: list[dict[str, Any]] = []
        """What it was answered when it asked for something: status, protocol and so on."""

    def note(self, method: str, parameters: dict[str, Any]) -> None:
        """Something has happened."""
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(json.dumps(parameters["entry"]))
        elif method == "Network.responseReceived":
            self.responses.append(parameters["response"])

    def call(self, method: str, **parameters: Any) -> Any:
        """Do something in this tab."""
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + WAIT
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"not within {WAIT:g} s: {expression}"
            time.sleep(0.02)
        return value

    def type(self, selector: str, text: str) -> None:
        """Click on something, and type text; a line break is the Enter key."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'nearest'}})")
        place = self.evaluate(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, **where)
        for line in text.splitlines(keepends=True):
            self.call("Input.insertText", text=line.rstrip("\n"))
            if line.endswith("\n"):
                enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
                self.call("Input.dispatchKeyEvent", type="keyDown", **enter)
                self.call("Input.dispatchKeyEvent", type="keyUp", **enter)

    def screenshot(self) -> bytes:
        """Return what it looks like, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Run Chromium, with a profile in a folder; nothing of it is left afterwards."""
    process = subprocess.Popen(
        command(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that all of its processes can be ended
    )
    try:
        end = time.monotonic() + WAIT
        while (devtools := find_devtools(folder)) is None:
            assert process.poll() is None and time.monotonic() < end, "chromium has not started"
            time.sleep(0.02)
        port, path = devtools
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, compression=None) as wire:
            browser = Browser(wire)
            yield browser
            browser.call("Browser.close")
            process.wait(WAIT)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
