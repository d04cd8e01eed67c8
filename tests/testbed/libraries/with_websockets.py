"""websockets: its server, and its client. A connection for each request, and messages on it.

A body is one message, in as many fragments as there are pieces; what is asked for stands in a message before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import Request, ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed

from kamaelia import component

from .cases import BODY, PATIENCE, PORT, Digest, Site, client_tls, pieces, server_tls, url, with_pauses


def serve(site: Site) -> Any:
    """Return the component of a host that serves."""

    async def handle(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # of which it would complain
            await answer(connection)

    async def answer(connection: ServerConnection) -> None:
        what, _, detail = (await connection.recv(decode=True)).partition("/")
        if what == "answer":
            await connection.send(site.answer(detail))
        elif what == "digest":
            found = Digest()
            async for data in connection.recv_streaming(decode=False):
                found.add(data)
            await connection.send(found.answer())
        elif what == "big":
            await connection.send(pieces(BODY[: int(detail)]))
        elif what == "upper":
            chunks = [data.upper() async for data in connection.recv_streaming(decode=False)]
            site.note("encoding", "chunked" if len(chunks) > 1 else "whole")
            await connection.send(chunks)
        elif what == "drip":
            await site.drip(connection.send)

    async def before(connection: ServerConnection, request: Request) -> None:
        if request.path == "/never":
            await site.never()

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        context = server_tls() if site.tls else None
        async with listen(handle, None, PORT, ssl=context, process_request=before, max_size=None):
            await asyncio.get_running_loop().create_future()

    return server()


class Session:
    """See `cases`."""

    gone = (ConnectionClosed, OSError)
    late = (TimeoutError,)
    encoding = "chunked"

    def __init__(self, tls: bool) -> None:
        self._tls = tls

    def _connect(self, path: str = "", **options: Any) -> connect:
        context = client_tls() if self._tls else None
        return connect(
            url(path, self._tls, "ws"),
            ssl=context,
            max_size=None,
            ping_interval=1,
            ping_timeout=PATIENCE,
            **options,
        )

    async def _ask(self, what: str, body: Any = None) -> Any:
        async with self._connect() as connection:
            await connection.send(what)
            if body is not None:
                await connection.send(body)
            return await connection.recv()

    async def answer(self, number: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"answer/{number}")

    async def upload(self, data: bytes) -> bytes:
        """See `cases`."""
        return await self._ask("digest", pieces(data))

    async def download(self, size: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"big/{size}")

    async def upper(self, chunks: list[bytes]) -> bytes:
        """See `cases`."""
        return await self._ask("upper", with_pauses(chunks))

    async def never(self, seconds: float) -> float | None:
        """See `cases`."""
        async with self._connect("never", open_timeout=seconds):
            raise AssertionError

    async def drip(self) -> None:
        """See `cases`."""
        async with self._connect() as connection:
            await connection.send("drip")
            async for _ in connection:
                pass


@contextlib.asynccontextmanager
async def client(tls: bool) -> AsyncIterator[Session]:
    """See `cases`."""
    yield Session(tls)
