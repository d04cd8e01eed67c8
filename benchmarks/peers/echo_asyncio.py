"""asyncio: an echo server of "protocol" objects, or of "streams"; with the word "uvloop", on that loop."""

from __future__ import annotations

import asyncio
import platform
import sys

from benchmarks.peers.stopwatch import report, version


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:  # the client breaks its connections off when it has measured enough
        pass
    writer.close()


async def main() -> None:
    if "protocol" in sys.argv:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=1024)
    else:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=1024)
    about = f"asyncio of Python {platform.python_version()}"
    if "uvloop" in sys.argv:
        about = f"asyncio on {version('uvloop')}"
    report(about, port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        loop_factory = uvloop.new_event_loop
    else:
        loop_factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
