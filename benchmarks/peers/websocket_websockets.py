"""websockets: its own asyncio server, on uvloop, echoing."""

from __future__ import annotations

import asyncio
import contextlib

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.peers.stopwatch import report, version


async def echo(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):  # the load breaks off when it has measured enough
        async for message in connection:
            await connection.send(message)


async def main() -> None:
    async with serve(echo, "127.0.0.1", 0, backlog=1024) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        report(f"{version('websockets')} on {version('uvloop')}", port=port)
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
