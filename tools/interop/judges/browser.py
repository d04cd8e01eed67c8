"""A browser: Chromium, without a window, which we steer with our own clients of HTTP and WebSocket."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from kamaelia import run
from kamaelia.flow import Collect, Source
from kamaelia.protocol.http import HTTPClient
from kamaelia.protocol.websocket import WebSocketClient
from tools.browser import Browser, Tab, command, find_devtools

from ..judge import Judge
from ..site import PAGE, TEXT
from ..workshop import HOST, Workshop, equal, true

judge = Judge("Chromium", programs=["chromium"], version=["chromium", "--version"])

FOLDER = Path(__file__).parent.parent / "page"
PICTURE = FOLDER.parent / "browser.png"
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


class Wire:
    """Our own client of WebSocket, for the browser's driver."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def send(self, message: str) -> None:
        self._handle.send(message)

    def recv(self, timeout: float) -> str:
        said: str = self._handle.receive(timeout=timeout)
        return said


def start(shop: Workshop, *switches: str) -> Browser:
    """Start a browser, and ask it where it listens."""
    profile = shop.folder / "profile"
    shop.start(*command(profile, *switches))
    port, _ = shop.until(lambda: find_devtools(profile), "it listens", 60)
    (answer,) = run(Source([f"http://{HOST}:{port}/json/version"]) | HTTPClient() | Collect())
    url = answer.from_json()["webSocketDebuggerUrl"]
    return Browser(Wire(shop.begin(WebSocketClient(url, message_limit="64 MiB", messages=str))))


def visit(shop: Workshop, url: str, *switches: str) -> Tab:
    """Have a browser try all that our page tries, and compare what it has found."""
    for file in FOLDER.iterdir():
        shutil.copy(file, shop.files)
    tab = start(shop, *switches).open(f"{url}/files/page.html", width=900, height=700)
    found = tab.wait_for("window.found")
    for name, wanted in FOUND.items():
        equal(found[name], wanted, name)
    equal(tab.complaints, [], "what stands in its console")
    return tab


TRIED = (
    "a page of StaticFiles with style and modules, which fetches (JSON, compressed, redirected, a range, 60 "
    "at once, a stream, one that it breaks off), uploads, sends a form with a file, has cookies, listens to "
    "events (and comes back for more, by Last-Event-ID), and talks over WebSocket, text and bytes"
)


@judge.case("HTTPServer, WebSocket", TRIED, "all as it was meant, and nothing in its console")
def page(shop: Workshop) -> None:
    tab = visit(shop, shop.site())
    picture = tab.screenshot()
    equal(picture[:8], b"\x89PNG\r\n\x1a\n")
    true(len(picture) > 5000, "nothing is to be seen")
    PICTURE.write_bytes(picture)
    server = shop.server
    tab.call("Page.navigate", url="about:blank")
    shop.until(lambda: server.requests().answered >= 80, "all was counted")
    equal(server.requests().failed, 0, "requests that were answered 5xx")


@judge.case(
    "HTTPServer(tls=...), WebSocket", "the same with https and wss, its check of certificates off", "the same"
)
def protected(shop: Workshop) -> None:
    tab = visit(shop, shop.site(tls=shop.server_tls(alpn=["http/1.1"])), "--ignore-certificate-errors")
    protocols = {one["protocol"] for one in tab.responses if one["url"].startswith("https")}
    equal(protocols, {"http/1.1"})


@judge.case(
    "HTTPClient, WebSocketClient", "Chromium's own servers, for DevTools", "it does what we ask it to"
)
def devtools(shop: Workshop) -> None:
    tab = start(shop).open(shop.site())
    equal(tab.evaluate("6 * 7"), 42)
    equal(tab.evaluate("'tea '.repeat(300000)"), "tea " * 300_000)
