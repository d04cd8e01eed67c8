"""A server of aiohttp: ``python -m tools.interop.peers.aiohttp_server PORT [CERTIFICATE KEY]``."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys

from aiohttp import WSMsgType, web


async def page(request: web.Request) -> web.Response:
    return web.Response(text="tea", headers={"X-Path": request.path_qs})


async def measure(request: web.Request) -> web.Response:
    count, digest = 0, hashlib.sha256()
    async for piece in request.content.iter_any():
        count += len(piece)
        digest.update(piece)
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "")
    return web.json_response({"count": count, "digest": digest.hexdigest(), "chunked": chunked})


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_compression()
    await response.prepare(request)
    for number in range(100):
        await response.write(b"%d " % number * 1000)
    await response.write_eof()
    return response


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.close()
    return response


async def cookies(request: web.Request) -> web.Response:
    response = web.json_response(dict(request.cookies))
    response.set_cookie("cup", "blue", path="/")
    return response


async def form(request: web.Request) -> web.Response:
    fields = await request.post()
    return web.json_response({name: told(value) for name, value in fields.items()})


def told(value: object) -> object:
    if isinstance(value, web.FileField):
        return [value.filename, value.content_type, len(value.file.read())]
    return value


async def events(request: web.Request) -> web.StreamResponse:
    """Send one event; the next time the next one, and after three say that it is over."""
    last = int(request.headers.get("Last-Event-ID", "0"))
    if last == 3:
        return web.Response(status=204)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"retry: 10\nid: %d\ndata: event %d\n\n" % (last + 1, last + 1))
    return response


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Send back what comes; say first what was agreed on."""
    them = web.WebSocketResponse(protocols=("tea", "milk"), compress=True)
    await them.prepare(request)
    await them.send_str(f"{them.ws_protocol} {bool(them.compress)}")
    async for message in them:
        if message.type is WSMsgType.TEXT:
            if message.data == "close":
                await them.close(code=4001, message=b"as asked")
            else:
                await them.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await them.send_bytes(message.data)
    return them


def main(port: str, *tls: str) -> None:
    application = web.Application(client_max_size=10_000_000)
    application.router.add_get("/", page)
    application.router.add_route("*", "/measure", measure)
    application.router.add_get("/stream", stream)
    application.router.add_get("/cut", cut)
    application.router.add_get("/cookies", cookies)
    application.router.add_post("/form", form)
    application.router.add_get("/events", events)
    application.router.add_get("/websocket", websocket)
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*tls)
    loop = asyncio.new_event_loop()
    web.run_app(
        application,
        host="127.0.0.1",
        port=int(port),
        print=None,
        ssl_context=context,
        loop=loop,
        access_log=None,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
