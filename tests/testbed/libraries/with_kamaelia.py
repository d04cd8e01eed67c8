"""Our own HTTP: server and client, which stand on `kamaelia.net` and know nothing of simulations."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from kamaelia import component, sleep
from kamaelia.flow import Collect
from kamaelia.net import CannotConnect, ClientTLS, ServerTLS
from kamaelia.protocol.http import (
    ConnectionPool,
    Exchange,
    Fetch,
    HTTPServer,
    Limits,
    Request,
    RequestFailed,
    Response,
    TimedOut,
    TimeLimits,
    fetch,
)

from .cases import BODY, CERTIFICATE, PATIENCE, PORT, Digest, Site, url, with_pauses


def serve(site: Site) -> Any:
    """Return the component of a host that serves."""

    def answer(request: Request) -> bytes:
        return site.answer(request.arguments["number"])

    def big(request: Request) -> bytes:
        return BODY[: int(request.arguments["size"])]

    class Digesting:
        async def answer(self, exchange: Exchange) -> bytes:
            found = Digest()
            async for data in exchange:
                found.add(data)
            return found.answer()

    class Upper:
        async def answer(self, exchange: Exchange) -> None:
            site.note("encoding", exchange.request.headers.get("Transfer-Encoding"))
            chunks = [data.upper() async for data in exchange]
            await exchange.begin(Response())
            for chunk in chunks:
                await exchange.send(chunk)

    class Never:
        async def answer(self, exchange: Exchange) -> None:
            await site.never(sleep(1000))  # this ends when the peer has gone

    class Drip:
        async def answer(self, exchange: Exchange) -> None:
            await exchange.begin(Response())
            await site.drip(exchange.send)

    routes = {
        "/answer/{number}": answer,
        "POST /digest": Digesting(),
        "/big/{size}": big,
        "POST /upper": Upper(),
        "/never": Never(),
        "/drip": Drip(),
    }
    tls = ServerTLS(CERTIFICATE) if site.tls else None
    return HTTPServer(routes, port=PORT, host=None, tls=tls, quiet=True, limits=LIMITS)


# Who has closed his side after the request may still wait for the answer: only time tells that nobody does.
LIMITS = Limits(request_timeout=45)


class Session:
    """See `cases`."""

    gone = (RequestFailed, CannotConnect)
    late = (TimedOut,)

    def __init__(self, tls: bool) -> None:
        self._tls = tls

    async def _ask(self, path: str, method: str = "GET", **options: Any) -> bytes:
        limits = options.pop("timeout", TimeLimits(answer=PATIENCE, idle=PATIENCE))
        found = await fetch(
            url(path, self._tls), method, pool="web", timeout=limits, body_limit="100 MB", **options
        )
        assert found.status == 200, found
        self.encoding = found.headers.get("Transfer-Encoding")
        return bytes(found.body)

    async def answer(self, number: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"answer/{number}")

    async def upload(self, data: bytes) -> bytes:
        """See `cases`."""
        sending = TimeLimits(answer=60)  # which begins with the request, and sending takes long
        return await self._ask("digest", "POST", body=data, timeout=sending)

    async def download(self, size: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"big/{size}")

    async def upper(self, chunks: list[bytes]) -> bytes:
        """See `cases`."""
        self.encoding = "chunked"
        system = feed(chunks) | Fetch(url("upper", self._tls), "POST", pool="web") | Collect()
        return b"".join(await system.run())

    async def never(self, seconds: float) -> float | None:
        """See `cases`."""
        await self._ask("never", timeout=seconds)
        raise AssertionError

    async def drip(self) -> None:
        """See `cases`."""
        await (Fetch(url("drip", self._tls), pool="web") | Collect()).run()


@component
async def feed(inbox: Any, outbox: Any, chunks: list[bytes]) -> None:
    """Send chunks now and then."""
    async for chunk in with_pauses(chunks):
        await outbox.send(chunk)


@contextlib.asynccontextmanager
async def client(tls: bool) -> AsyncIterator[Session]:
    """See `cases`."""
    yield Session(tls)


def beside(tls: bool) -> tuple[Any, ...]:
    """Return what else runs on a phone: what keeps its connections."""
    return (ConnectionPool("web", per_host=20, tls=ClientTLS(authorities=CERTIFICATE) if tls else None),)
