"""asyncio: a bare protocol that forwards datagrams to a port; with the word "uvloop", on that loop.

It says its own port and goes on until it is ended from outside.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from typing import Any

from benchmarks.peers.stopwatch import report, version


class Forward(asyncio.DatagramProtocol):
    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self.send = transport.sendto

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.send(data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    back = ("127.0.0.1", int(sys.argv[1]))
    out, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=back)
    receiver, _ = await loop.create_datagram_endpoint(lambda: Forward(out), local_addr=("127.0.0.1", 0))
    about = f"asyncio of Python {platform.python_version()}"
    if "uvloop" in sys.argv:
        about = f"asyncio on {version('uvloop')}"
    report(about, port=receiver.get_extra_info("sockname")[1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        loop_factory = uvloop.new_event_loop
    else:
        loop_factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
