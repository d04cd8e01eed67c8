"""aiohttp: a server with one handler, on uvloop; says its port and serves until it is ended from outside."""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import web

from benchmarks.peers.stopwatch import report, version

HELLO = b"Hello, world!\n"


async def hello(request: web.Request) -> web.Response:
    return web.Response(body=HELLO, content_type="text/plain")


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    report(version("aiohttp"), port=runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
