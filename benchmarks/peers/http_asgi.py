"""A bare ASGI application, behind uvicorn with "httptools" or "h11" on uvloop, or behind "granian".

It says its port just before it begins to listen, and serves until it is ended from outside.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.peers.stopwatch import report, version
from tools.ports import free_port

HELLO = b"Hello, world!\n"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(HELLO))],
}
BODY = {"type": "http.response.body", "body": HELLO}


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(BODY)


if __name__ == "__main__":
    server, port = sys.argv[1], free_port()
    if server == "granian":
        from granian import Granian  # type: ignore[attr-defined]
        from granian.constants import Interfaces, Loops

        report(version("granian"), port=port)
        Granian(
            "benchmarks.peers.http_asgi:app",
            port=port,
            interface=Interfaces.ASGINL,
            loop=Loops.uvloop,
            websockets=False,
            log_enabled=False,
        ).serve()
    else:
        import uvicorn

        report(f"{version('uvicorn')} with {version(server)}", port=port)
        uvicorn.run(
            app,
            port=port,
            http=server,
            loop="uvloop",
            ws="none",
            lifespan="off",
            proxy_headers=False,  # none of the others looks for them
            access_log=False,
            log_level="error",
        )
