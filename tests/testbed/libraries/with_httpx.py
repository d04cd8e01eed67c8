"""httpx: its client; it has no server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from .cases import PATIENCE, client_tls, url, with_pauses


class Session:
    """See `cases`."""

    gone = (httpx.TransportError,)
    late = (httpx.ReadTimeout,)

    def __init__(self, session: httpx.AsyncClient, tls: bool) -> None:
        self._session = session
        self._tls = tls

    async def _ask(self, path: str, **options: Any) -> bytes:
        method = "POST" if "content" in options else "GET"
        response = await self._session.request(method, url(path, self._tls), **options)
        assert response.status_code == 200, response
        self.encoding = response.headers.get("Transfer-Encoding")
        return response.content

    async def answer(self, number: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"answer/{number}")

    async def upload(self, data: bytes) -> bytes:
        """See `cases`."""
        return await self._ask("digest", content=data)

    async def download(self, size: int) -> bytes:
        """See `cases`."""
        return await self._ask(f"big/{size}")

    async def upper(self, chunks: list[bytes]) -> bytes:
        """See `cases`."""
        return await self._ask("upper", content=with_pauses(chunks))

    async def never(self, seconds: float) -> float | None:
        """See `cases`."""
        await self._ask("never", timeout=httpx.Timeout(None, read=seconds))
        raise AssertionError

    async def drip(self) -> None:
        """See `cases`."""
        async with self._session.stream("GET", url("drip", self._tls)) as response:
            async for _ in response.aiter_raw():
                pass


@contextlib.asynccontextmanager
async def client(tls: bool) -> AsyncIterator[Session]:
    """See `cases`."""
    limits = httpx.Timeout(None, read=PATIENCE, connect=PATIENCE)
    async with httpx.AsyncClient(
        timeout=limits, verify=client_tls() if tls else False, trust_env=False
    ) as session:
        yield Session(session, tls)
