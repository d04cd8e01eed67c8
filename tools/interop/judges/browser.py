"""A browser: Chromium, without a window, which we steer with our own clients of HTTP and WebSocket."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

from kamaelia import run
from kamaelia.flow import Collect, Source
from kamaelia.protocol.http import HTTPClient, Request
from kamaelia.protocol.websocket import WebSocketClient

from ..judge import Judge
from ..site import PAGE, TEXT
from ..workshop import HOST, Workshop, equal, true

judge = Judge("Chromium", programs=["chromium"], version=["chromium", "--version"])

FOLDER = Path(__file__).parent.parent / "page"
PICTURE = FOLDER.parent / "browser.png"
OPTIONS = (
    "--headless=new", "--no-first-run", "--disable-gpu", "--disable-extensions", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=900,700",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # it reaches nobody but us
)  # fmt: skip

FOUND = {
    "style": "rgb(250, 240, 220)",
    "page": PAGE,
    "json": "/headers?tea=%C3%BC",
    "compressed": len(TEXT),
    "redirected": [True, "stay"],
    "range": "Tea",
    "cookies": {"cup": "blue"},
    "form": {"drink": 'tea & "milk"', "file": ["film ü.bin", "video/x-film", 4000]},
    "upload": "3000000",
    "stream": 3_276_800,
    "aborted": 200,
    "parallel": True,
    "events": [["message", "one", "1"], ["tea", "two\nlines", "2"]],
    "resumed": ["event 1", "event 2", "event 3"],
    "socket": [
        [[True, 3], [True, 8], [True, 3], [True, 900_000], [True, 900_000]],
        1000,
        True,
        "permessage-deflate",
    ],
}


class Browser:
    """A page in a browser, spoken to over its DevTools protocol: JSON over WebSocket."""

    def __init__(self, shop: Workshop, *options: str) -> None:
        profile = shop.folder / "profile"
        asks = [*OPTIONS, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            asks.append("--no-sandbox")
        shop.start("chromium", *asks, "about:blank")
        file = profile / "DevToolsActivePort"
        port = shop.until(lambda: file.exists() and file.read_text().split(), "it listens", 60)[0]
        made = Request("PUT", f"http://{HOST}:{port}/json/new?about:blank")
        (answer,) = run(Source([made]) | HTTPClient() | Collect())
        url = answer.from_json()["webSocketDebuggerUrl"]
        self._handle = shop.begin(WebSocketClient(url, message_limit="64 MiB", messages=str))
        self._number = 0
        self.events: list[dict[str, Any]] = []
        """What the browser has said without being asked."""
        for domain in ("Runtime", "Log", "Page", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **params: Any) -> Any:
        """Have it do something, and return what came of it."""
        self._number += 1
        self._handle.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            said = json.loads(self._handle.receive(timeout=60))
            if said.get("id") == self._number:
                true("error" not in said, f"{method}: {said.get('error')}")
                return said["result"]
            self.events.append(said)

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to, once it has."""
        said = self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        true("exceptionDetails" not in said, f"{expression}: {said.get('exceptionDetails')}")
        return said["result"].get("value")

    def complaints(self) -> list[Any]:
        """Return what stands in its console in red."""
        found: list[Any] = []
        for event in self.events:
            params = event["params"]
            match event["method"]:
                case "Runtime.exceptionThrown":
                    found.append(params["exceptionDetails"].get("text"))
                case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                    found.append((params["entry"]["text"], params["entry"].get("url")))
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                    found.append(params["args"])
        return found


def visit(shop: Workshop, url: str, *options: str) -> Browser:
    """Have a browser try all that our page tries, and compare what it has found."""
    for file in FOLDER.iterdir():
        shutil.copy(file, shop.files)
    browser = Browser(shop, *options)
    browser.do("Page.navigate", url=f"{url}/files/page.html")
    ready = "new Promise(r => { const t = setInterval(() => window.found && (clearInterval(t), r()), 20); })"
    browser.value(ready)
    found = browser.value("window.found")
    for name, wanted in FOUND.items():
        equal(found[name], wanted, name)
    equal(browser.complaints(), [], "what stands in its console")
    return browser


TRIED = (
    "a page of StaticFiles with style and modules, which fetches (JSON, compressed, redirected, a range, 60 "
    "at once, a stream, one that it breaks off), uploads, sends a form with a file, has cookies, listens to "
    "events (and comes back for more, by Last-Event-ID), and talks over WebSocket, text and bytes"
)


@judge.case("HTTPServer, WebSocket", TRIED, "all as it was meant, and nothing in its console")
def page(shop: Workshop) -> None:
    browser = visit(shop, shop.site())
    picture = base64.b64decode(browser.do("Page.captureScreenshot", format="png")["data"])
    equal(picture[:8], b"\x89PNG\r\n\x1a\n")
    true(len(picture) > 5000, "nothing is to be seen")
    PICTURE.write_bytes(picture)
    server = shop.server
    browser.do("Page.navigate", url="about:blank")
    shop.until(lambda: server.requests().answered >= 80, "all was counted")
    equal(server.requests().failed, 0, "requests that were answered 5xx")


@judge.case(
    "HTTPServer(tls=...), WebSocket", "the same with https and wss, its check of certificates off", "the same"
)
def protected(shop: Workshop) -> None:
    browser = visit(shop, shop.site(tls=shop.server_tls(alpn=["http/1.1"])), "--ignore-certificate-errors")
    answers = [
        one["params"]["response"] for one in browser.events if one["method"] == "Network.responseReceived"
    ]
    equal({one["protocol"] for one in answers if one["url"].startswith("https")}, {"http/1.1"})


@judge.case(
    "HTTPClient, WebSocketClient", "Chromium's own servers, for DevTools", "it does what we ask it to"
)
def devtools(shop: Workshop) -> None:
    browser = Browser(shop)
    equal(browser.value("6 * 7"), 42)
    equal(browser.value("'tea '.repeat(300000)"), "tea " * 300_000)
