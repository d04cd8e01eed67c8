"""aiohttp: its server, and its client."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web

from kamaelia import component

from .cases import BODY, PATIENCE, PORT, Digest, Site, client_tls, server_tls, url, with_pauses


def serve(site: Site) -> Any:
    """Return the component of a host that serves."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=site.answer(request.match_info["number"]))

    async def digest(request: web.Request) -> web.StreamResponse:
        found = Digest()
        async for data in request.content.iter_any():
            found.add(data)
        return web.Response(body=found.answer())

    async def big(request: web.Request) -> web.StreamResponse:
        return web.Response(body=BODY[: int(request.match_info["size"])])

    async def upper(request: web.Request) -> web.StreamResponse:
        site.note("encoding", request.headers.get("Transfer-Encoding"))
        chunks = []
        async for data in request.content.iter_any():
            chunks.append(data.upper())
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    async def never(request: web.Request) -> web.StreamResponse:
        await site.never()
        raise AssertionError

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await site.drip(response.write)
        raise AssertionError

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        application = web.Application(client_max_size=100_000_000)
        application.add_routes(
            [
                web.get("/answer/{number}", answer),
                web.post("/digest", digest),
                web.get("/big/{size}", big),
                web.post("/upper", upper),
                web.get("/never", never),
                web.get("/drip", drip),
            ]
        )
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, None, PORT, ssl_context=server_tls() if site.tls else None).start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    return server()


class Session:
    """See `cases`."""

    gone = (aiohttp.ClientError, TimeoutError)
    late = (TimeoutError,)

    def __init__(self, session: aiohttp.ClientSession, tls: bool) -> None:
        self._session = session
        self._tls = tls

    async def _ask(self, path: str, **options: Any) -> bytes:
        method = "POST" if "data" in options else "GET"
        async with self._session.request(method, url(path, self._tls), **options) as response:
            assert response.status == 200, response
            self.encoding = response.headers.get("Transfer-Encoding")
            return await response.read()

    async def answer(self, number: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"answer/{number}")

    async def upload(self, data: bytes) -> bytes:
        """See `cases`."""
        return await self._ask("digest", data=io.BytesIO(data))  # as it wants long ones

    async def download(self, size: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"big/{size}")

    async def upper(self, chunks: list[bytes]) -> bytes:
        """See `cases`."""
        return await self._ask("upper", data=with_pauses(chunks))

    async def never(self, seconds: float) -> float | None:
        """See `cases`."""
        await self._ask("never", timeout=aiohttp.ClientTimeout(total=seconds))
        raise AssertionError

    async def drip(self) -> None:
        """See `cases`."""
        async with self._session.get(url("drip", self._tls)) as response:
            async for _ in response.content.iter_any():
                pass


@contextlib.asynccontextmanager
async def client(tls: bool) -> AsyncIterator[Session]:
    """See `cases`."""
    limits = aiohttp.ClientTimeout(total=None, sock_read=PATIENCE, sock_connect=PATIENCE)
    connector = aiohttp.TCPConnector(ssl=client_tls() if tls else True)
    async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
        yield Session(session, tls)
