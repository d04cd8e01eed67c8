"""What our servers have to show: a path for each thing that can be tried."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kamaelia import Component, sleep
from kamaelia.flow import Map, Source
from kamaelia.net import peer
from kamaelia.protocol.http import (
    Event,
    Request,
    Response,
    ServerSentEvents,
    StaticFiles,
    Trailers,
    compressed,
    cookies_of,
    read_form,
    request,
    set_cookie,
)
from kamaelia.protocol.websocket import WebSocket

PAGE = "<h1>Tea</h1>"
TEXT = "Tea, please. " * 1000
BLOCK = bytes(range(256)) * 256


def make_site(files: Path) -> dict[Any, Any]:
    """Return the routes; with the files of a folder below ``/files/``."""
    return {
        "/": PAGE,
        "/text": text,
        "/headers": headers,
        "/who": Who,
        "/cookies": cookies,
        "/cookies/set": set_two,
        "/redirect/{status}": redirect,
        "/stay": Response(b"stay", 200),
        "POST /echo": echo,
        "PUT /echo": echo,
        "POST /shout": Map(bytes.upper),
        "PUT /measure": Measure,
        "POST /measure": Measure,
        "POST /form": form,
        "/events": Source([Event("one", id="1"), Event("two\nlines", event="tea", id="2")])
        | ServerSentEvents(),
        "/ticks": Ticks | ServerSentEvents(),
        "/resume": Resume,
        "/socket": WebSocket(Map(same)),
        "/blocks/{count}": Blocks,
        "/trailers": Checked,
        "/files/*": StaticFiles(files, listing=True),
    }


def text(asked: Request) -> Response:
    return compressed(asked, Response(TEXT, type="text/plain; charset=utf-8"))


def headers(asked: Request) -> Response:
    pairs = [[name.decode().lower(), value.decode()] for name, value in asked.headers.raw]
    return Response.json(
        {"method": asked.method, "version": asked.version, "target": asked.target, "headers": pairs}
    )


def cookies(asked: Request) -> Response:
    return Response.json(cookies_of(asked))


def set_two(asked: Request) -> Response:
    two = [set_cookie("cup", "blue", max_age=60), set_cookie("spoon", "small", path="/elsewhere")]
    return Response(b"set", headers={"Set-Cookie": two})  # type: ignore[arg-type]  # it makes Headers of it


def redirect(asked: Request) -> Response:
    status = int(asked.arguments["status"])
    return Response.redirect("/stay" if status in (301, 302, 303) else "/echo", status)


def same(message: Any) -> Any:
    return message


def echo(asked: Request) -> Response:
    return Response(asked.body, type=asked.headers.get("content-type"))


def form(asked: Request) -> Response:
    fields = read_form(asked)
    return Response.json(
        {
            name: value if isinstance(value, str) else [value.filename, value.type, len(value.body)]
            for name, value in fields.items()
        }
    )


class Who(Component):
    """Says who has asked, and how."""

    inbox = None

    async def main(self) -> None:
        them = peer()
        said = {
            "address": them.address,
            "proxy": them.proxy,
            "process": them.process,
            "scheme": request().scheme,
            "tls": them.tls and [them.tls.version, them.tls.alpn, them.tls.server_name],
            "certificate": them.tls and them.tls.certificate and them.tls.certificate["subjectAltName"],
        }
        await self.outbox.send(Response(type="application/json"))
        await self.outbox.send(json.dumps(said))


class Measure(Component):
    """Says how many bytes the request had, and what they were, without keeping them."""

    async def main(self) -> None:
        count, digest = 0, hashlib.sha256()
        async for piece in self.inbox:
            count += len(piece)
            digest.update(piece)
        await self.outbox.send(f"{count} {digest.hexdigest()}")


class Ticks(Component):
    """Has something to tell all the time."""

    inbox = None

    async def main(self) -> None:
        count = 0
        while True:
            await self.outbox.send(Event(f"tick {count}", id=str(count)))
            count += 1
            await sleep(0.1)


class Resume(Component):
    """Tells one event for each time that it is asked, of three; then that there are no more."""

    inbox = None

    async def main(self) -> None:
        number = int(request().headers.get("last-event-id", "0")) + 1
        if number > 3:
            await self.outbox.send(Response(status=204))
            return
        await self.outbox.send(Response(type="text/event-stream"))
        await self.outbox.send(f"retry: 10\nid: {number}\ndata: event {number}\n\n")


class Blocks(Component):
    """Answers with so many blocks of 64 KiB."""

    inbox = None

    async def main(self) -> None:
        for _ in range(int(request().arguments["count"])):
            await self.outbox.send(BLOCK)


class Checked(Component):
    """Answers with a trailer that says what the body was."""

    inbox = None

    async def main(self) -> None:
        await self.outbox.send(Response(b"tea", headers={"Trailer": "Checksum"}))  # type: ignore[arg-type]
        await self.outbox.send(Trailers({"Checksum": hashlib.sha256(b"tea").hexdigest()}))
