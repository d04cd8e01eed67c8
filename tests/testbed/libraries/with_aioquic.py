"""aioquic: HTTP/3, its server and its client, by its own helpers for asyncio, which make their own sockets.

All requests of a session share one connection. The client's own time-out is the idle time-out of QUIC.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.asyncio import serve as listen
from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, StopSendingReceived, StreamReset

from kamaelia import component

from .cases import BODY, CERTIFICATE, PATIENCE, PORT, Digest, Site, now, with_pauses

Headers = list[tuple[bytes, bytes]]


class Broken(ConnectionError):
    """The other side does not want it any more, or is gone."""


class Stream:
    """A request and its answer, on either side."""

    def __init__(self, endpoint: Endpoint, number: int) -> None:
        self._endpoint = endpoint
        self._number = number
        self._parts: asyncio.Queue[bytes | Broken | None] = asyncio.Queue()
        self.headers: asyncio.Future[Headers] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None

    def send_headers(self, headers: Headers, *, end: bool = False) -> None:
        """Begin a request, or an answer."""
        self._endpoint.http.send_headers(self._number, headers, end_stream=end)
        self._endpoint.transmit()

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """Send a part of a body."""
        self._endpoint.http.send_data(self._number, data, end_stream=end)
        self._endpoint.transmit()

    def take(self, data: bytes, ended: bool) -> None:
        """A part of a body has come."""
        if data:
            self._parts.put_nowait(data)
        if ended:
            self._parts.put_nowait(None)

    def break_off(self, why: str) -> None:
        """No more will come, or is wanted."""
        self._parts.put_nowait(Broken(why))
        if not self.headers.done():
            self.headers.set_exception(Broken(why))
            self.headers.exception()  # perhaps nobody waits for them
        if self.task is not None:
            self.task.cancel()

    async def body(self) -> AsyncIterator[bytes]:
        """Read a body."""
        while (part := await self._parts.get()) is not None:
            if isinstance(part, Broken):
                raise part
            yield part

    def cancel(self) -> None:
        """Tell the other side that it is not wanted any more."""
        self._endpoint._quic.reset_stream(self._number, ErrorCode.H3_REQUEST_CANCELLED)
        self._endpoint._quic.stop_stream(self._number, ErrorCode.H3_REQUEST_CANCELLED)
        self._endpoint.transmit()


class Endpoint(QuicConnectionProtocol):
    """One side of a connection."""

    site: Site | None = None
    """At a server."""
    http: H3Connection

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.streams: dict[int, Stream] = {}
        self.is_gone = False
        self.heard = 0.0
        """When something has come last."""

    def open(self) -> Stream:
        """Begin a request."""
        if self.is_gone:
            raise Broken("the connection is gone")
        number = self._quic.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        return stream

    def forget(self, stream: Stream) -> None:
        """A request is answered."""
        self.streams.pop(stream._number, None)

    def datagram_received(self, data: Any, addr: Any) -> None:
        """See asyncio."""
        self.heard = now()
        super().datagram_received(data, addr)

    def quic_event_received(self, event: Any) -> None:
        """See aioquic."""
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
        elif isinstance(event, (StreamReset, StopSendingReceived)):
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                stream.break_off(type(event).__name__)
        elif isinstance(event, ConnectionTerminated):
            self.is_gone = True
            for stream in list(self.streams.values()):
                stream.break_off(event.reason_phrase)
        if not hasattr(self, "http"):
            return
        for one in self.http.handle_event(event):
            if isinstance(one, HeadersReceived):
                self._begin(one)
            elif isinstance(one, DataReceived) and one.stream_id in self.streams:
                self.streams[one.stream_id].take(one.data, one.stream_ended)

    def _begin(self, event: HeadersReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            if self.site is None:
                return  # an answer that is not wanted any more
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id)
            stream.task = asyncio.create_task(self._answer(self.site, stream))
        stream.headers.set_result(event.headers)
        stream.take(b"", event.stream_ended)

    async def _answer(self, site: Site, stream: Stream) -> None:
        try:
            path = dict(await stream.headers)[b":path"].decode()
            what, _, detail = path.removeprefix("/").partition("/")
            if what == "never":
                await site.never()
            stream_body = stream.body()
            if what == "answer":
                stream.send_headers(OK)
                await stream.send(site.answer(detail), end=True)
            elif what == "digest":
                found = Digest()
                async for data in stream_body:
                    found.add(data)
                stream.send_headers(OK)
                await stream.send(found.answer(), end=True)
            elif what == "big":
                stream.send_headers(OK)
                await stream.send(BODY[: int(detail)], end=True)
            elif what == "upper":
                chunks = [data.upper() async for data in stream_body]
                site.note("encoding", "chunked" if len(chunks) > 1 else "whole")
                stream.send_headers(OK)
                for chunk in chunks:
                    await stream.send(chunk)
                await stream.send(b"", end=True)
            elif what == "drip":
                stream.send_headers(OK)
                await site.drip(stream.send)
        except Broken:
            pass
        finally:
            self.forget(stream)


OK: Headers = [(b":status", b"200")]


def serve(site: Site) -> Any:
    """Return the component of a host that serves."""

    class Serving(Endpoint):
        pass

    Serving.site = site

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
        configuration.load_cert_chain(CERTIFICATE)
        listening = await listen("::", PORT, configuration=configuration, create_protocol=Serving)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            listening.close()

    return server()


class Session:
    """See `cases`."""

    gone = (ConnectionError,)
    late = (ConnectionError,)
    encoding = "chunked"

    def __init__(self, idle: float = PATIENCE) -> None:
        self._idle = idle
        self._open: contextlib.AsyncExitStack | None = None
        self.endpoint: Any = None
        self._heard = 0.0

    def heard(self) -> float:
        """When something has come last on the connection that was silent for too long."""
        return self._heard

    async def connect(self) -> Endpoint:
        """Return the connection; another one when it is gone."""
        if self.endpoint is None or self.endpoint.is_gone:
            await self.close()
            configuration = QuicConfiguration(
                alpn_protocols=H3_ALPN,
                idle_timeout=self._idle,
                server_name="server",
                verify_mode=ssl.CERT_REQUIRED,
                cafile=str(CERTIFICATE),
            )
            self._open = contextlib.AsyncExitStack()
            self.endpoint = await self._open.enter_async_context(
                connect("server", PORT, configuration=configuration, create_protocol=Endpoint)
            )
        return self.endpoint  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            await self._open.aclose()
            self._open = None

    @contextlib.asynccontextmanager
    async def _request(self, path: str, *, end: bool = True) -> AsyncIterator[Stream]:
        endpoint = await self.connect()
        stream = endpoint.open()
        method = b"GET" if end else b"POST"
        try:
            stream.send_headers(
                [
                    (b":method", method),
                    (b":scheme", b"https"),
                    (b":authority", b"server"),
                    (b":path", b"/" + path.encode()),
                ],
                end=end,
            )
            yield stream
        except asyncio.CancelledError:
            stream.cancel()
            raise
        finally:
            endpoint.forget(stream)

    async def _read(self, stream: Stream) -> bytes:
        assert (await stream.headers)[0] == OK[0]
        return b"".join([data async for data in stream.body()])

    async def answer(self, number: int) -> bytes:
        """See `cases`."""
        async with self._request(f"answer/{number}") as stream:
            return await self._read(stream)

    async def upload(self, data: bytes) -> bytes:
        """See `cases`."""
        async with self._request("digest", end=False) as stream:
            await stream.send(data, end=True)
            return await self._read(stream)

    async def download(self, size: int) -> bytes:
        """See `cases`."""
        async with self._request(f"big/{size}") as stream:
            return await self._read(stream)

    async def upper(self, chunks: list[bytes]) -> bytes:
        """See `cases`."""
        async with self._request("upper", end=False) as stream:
            async for chunk in with_pauses(chunks):
                await stream.send(chunk)
            await stream.send(b"", end=True)
            return await self._read(stream)

    async def never(self, seconds: float) -> float | None:
        """See `cases`."""
        other = Session(seconds)
        endpoint = await other.connect()
        try:
            async with other._request("never") as stream:
                await stream.headers
            raise AssertionError
        finally:
            self._heard = endpoint.heard
            await other.close()

    async def drip(self) -> None:
        """See `cases`."""
        async with self._request("drip") as stream:
            async for _ in stream.body():
                pass


@contextlib.asynccontextmanager
async def client(tls: bool) -> AsyncIterator[Session]:
    """See `cases`."""
    session = Session()
    try:
        await session.connect()
        yield session
    finally:
        await session.close()


ALWAYS_TLS = True
