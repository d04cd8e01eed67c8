"""aiohttp: its client against our servers, its server for our clients."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import aiohttp

from kamaelia import run
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Collect, Source, Take
from kamaelia.protocol.http import (
    ConnectionPool,
    CookieJar,
    EventSource,
    Fetch,
    Headers,
    HTTPClient,
    Request,
    RequestFailed,
    Upload,
    write_form,
)
from kamaelia.protocol.websocket import WebSocketClient
from tools.ports import free_port

from ..judge import Judge
from ..site import PAGE, TEXT
from ..workshop import Workshop, Wrong, contains, equal, film, true

judge = Judge("aiohttp", modules=["aiohttp"])


# --- its client -----------------------------------------------------------------------------------------


@judge.case(
    "HTTPServer",
    "its client: a page, JSON, compressed text, a redirect, a form with a file",
    "all as it was meant",
)
def client(shop: Workshop) -> None:
    url = shop.site()

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                equal((answer.status, await answer.text()), (200, PAGE))
            async with session.get(f"{url}/headers?a=1") as answer:
                equal((await answer.json())["target"], "/headers?a=1")
            async with session.get(f"{url}/text") as answer:
                equal(answer.headers["Content-Encoding"], "gzip")
                equal(await answer.text(), TEXT)
            async with session.get(f"{url}/redirect/302") as answer:
                equal((await answer.text(), len(answer.history)), ("stay", 1))
            data = aiohttp.FormData({"drink": "tea & milk"}, quote_fields=False)
            data.add_field("file", film() * 2, filename="film.bin", content_type="video/x-film")
            async with session.post(f"{url}/form", data=data) as answer:
                equal(answer.status, 413, "a form above the limit")
            data = aiohttp.FormData({"drink": "tea & milk"}, quote_fields=False)
            data.add_field("file", b"film" * 1000, filename="film ü.bin", content_type="video/x-film")
            async with session.post(f"{url}/form", data=data) as answer:
                equal(
                    await answer.json(), {"drink": "tea & milk", "file": ["film ü.bin", "video/x-film", 4000]}
                )
            async with session.get(f"{url}/cookies/set"):
                pass
            # it keeps no cookies of hosts without a name
            async with session.get(f"{url}/cookies", cookies={"cup": "blue"}) as answer:
                equal(await answer.json(), {"cup": "blue"})

    asyncio.run(ask())


@judge.case("HTTPServer", "its client: 16 MB up in chunks, 6 MB down, events as they come", "all of it")
def client_streams(shop: Workshop) -> None:
    url = shop.site()

    async def pieces() -> Any:
        for _ in range(16):
            yield film()

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{url}/measure", data=pieces()) as answer:
                equal(await answer.text(), f"16000000 {hashlib.sha256(film() * 16).hexdigest()}")
            async with session.get(f"{url}/blocks/100") as answer:
                count = 0
                async for piece in answer.content.iter_any():
                    count += len(piece)
                equal(count, 6_553_600)
            async with session.get(f"{url}/ticks") as answer:
                lines = [await answer.content.readline() for _ in range(2)]
                equal(lines, [b"id: 0\n", b"data: tick 0\n"])

    asyncio.run(ask())


@judge.case(
    "HTTPServer", "its client: 300 requests over 10 connections", "all, in their order, and 10 connections"
)
def client_many(shop: Workshop) -> None:
    url = shop.site()

    async def ask() -> None:
        connector = aiohttp.TCPConnector(limit=10)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(number: int) -> str:
                async with session.get(f"{url}/headers?{number}") as answer:
                    target: str = (await answer.json())["target"]
                    return target

            got = await asyncio.gather(*[one(number) for number in range(300)])
            equal(got, [f"/headers?{number}" for number in range(300)])

    asyncio.run(ask())
    true(shop.server.statistics().accepted <= 10, f"{shop.server.statistics().accepted} connections")


@judge.case(
    "WebSocket",
    "its client, at a path of our HTTPServer: text, bytes, 900 KB, ping, close",
    "all come back; 1000",
)
def client_websocket(shop: Workshop) -> None:
    url = shop.site()

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"{url}/socket", compress=15) as socket:
                true(socket.compress, "no permessage-deflate")
                for text in ("tea", "", "Grüße 🫖", "x" * 900_000):
                    await socket.send_str(text)
                    equal(await socket.receive_str(timeout=10), text)
                for data in (b"", b"\0\1", film()[:900_000]):
                    await socket.send_bytes(data)
                    equal(await socket.receive_bytes(timeout=10), data)
                await socket.ping()
                await socket.close()
                equal(socket.close_code, 1000)
            async with session.get(f"{url}/socket") as answer:
                equal((answer.status, answer.headers["Upgrade"]), (426, "websocket"))

    asyncio.run(ask())


# --- its server -----------------------------------------------------------------------------------------


def server(shop: Workshop, *tls: str) -> str:
    port = free_port()
    shop.python("tools.interop.peers.aiohttp_server", port, *tls, port=port)
    return f"{'https' if tls else 'http'}://127.0.0.1:{port}"


def ask(*asked: Any, **options: Any) -> list[Any]:
    answers: list[Any] = run(Source(asked) | HTTPClient(**options) | Collect())
    return answers


@judge.case("HTTPClient", "its server: pages, a compressed stream, cookies, a form", "all as it was meant")
def asks_server(shop: Workshop) -> None:
    url = server(shop)
    first, second = ask(f"{url}/?a=b%20c", f"{url}/stream")
    equal((first.text(), first.headers["X-Path"]), ("tea", "/?a=b%20c"))
    equal(second.headers["Content-Encoding"], "deflate")
    equal(second.body, b"".join(b"%d " % number * 1000 for number in range(100)))
    answers = ask(f"{url}/cookies", f"{url}/cookies", cookies=CookieJar(), concurrency=1)
    equal([one.from_json() for one in answers], [{}, {"cup": "blue"}])
    kind, body = write_form({"drink": 'a "cup"', "file": Upload(b"film" * 1000, "film ü.bin")}, "x")
    (answer,) = ask(Request("POST", f"{url}/form", Headers({"Content-Type": kind}), body))
    equal(answer.from_json(), {"drink": 'a "cup"', "file": ["film ü.bin", "application/octet-stream", 4000]})


@judge.case("Fetch", "its server: 16 MB up in chunks; and an answer that breaks off", "all of it; a failure")
def uploads(shop: Workshop) -> None:
    url = server(shop)
    said = b"".join(run(Source([film()] * 16) | Fetch(f"{url}/measure", "PUT") | Collect()))
    digest = hashlib.sha256(film() * 16).hexdigest()
    equal(json.loads(said), {"count": 16_000_000, "digest": digest, "chunked": True})
    try:
        run(Fetch(f"{url}/cut") | Collect())
    except ComponentsFailed as error:
        true(isinstance(error.exceptions[0], RequestFailed), f"it is {error.exceptions[0]!r}")
    else:
        raise Wrong("half an answer was taken for a whole")


@judge.case(
    "EventSource", "its server: one event a connection, then 204", "all, by Last-Event-ID, and the end"
)
def events(shop: Workshop) -> None:
    url = server(shop)
    got = run(EventSource(f"{url}/events") | Collect())
    equal([(one.id, one.data) for one in got], [(str(n), f"event {n}") for n in (1, 2, 3)])


@judge.case("HTTPClient", "its server, https", "the page")
def protected(shop: Workshop) -> None:
    made = shop.certificates
    url = server(shop, made.server, made.server_key)
    (answer,) = ask(url, pool=ConnectionPool(tls=shop.client_tls()))
    equal(answer.text(), "tea")


@judge.case(
    "WebSocketClient",
    "its server: a subprotocol, compression, text and bytes; it closes with 4001",
    "all as agreed on",
)
def websocket(shop: Workshop) -> None:
    url = server(shop).replace("http", "ws") + "/websocket"
    given = ["tea", b"\0\1", "Grüße 🫖", film()[:900_000]]
    client = WebSocketClient(url, subprotocols=["soup", "milk"])
    got = run(Source(given, then="stay") | client | Take(1 + len(given)) | Collect())
    equal(got, ["milk True", *given])
    try:
        run(Source(["close"], then="stay") | WebSocketClient(url, subprotocols=["tea"]) | Collect())
    except ComponentsFailed as error:
        contains(str(error.exceptions[0]), "4001", "as asked")
    else:
        raise Wrong("a close with 4001 was taken for an end")
