"""Clients of streams: one connection to a server, as a component, whatever it is that one connects to.

``main`` makes the connection and writes to it what arrives in the inbox; what the server sends goes to the
outbox straight from the loop. The two halves, and how they end, are the business of `stream`. How a server
is reached is the subclass's business: `TCPClient`, `UnixClient`, `MemoryClient`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    Component,
    EndOfMessages,
    Inbox,
    Outbox,
    ProtocolError,
    Signal,
    SourceFailed,
    postman,
    random,
)
from kamaelia.axon.errors import shorten

from .arguments import check_limit, check_number, check_time_outs, check_whole
from .errors import CannotConnect, ConnectionLost, why_not_connected
from .instructions import Instruction
from .kernel import bound_buffers
from .proxy import ProxyHeader
from .server import checked_buffers, checked_least_rate, checked_receive_rate
from .stream import Stream
from .tls.machine import TLSInfo
from .tls.settings import ClientTLS, checked_client_tls, client_context
from .tls.transport import TLSTransport
from .watch import Watch

log = logging.getLogger("kamaelia")


@dataclass(frozen=True)
class Reconnect:
    """When to connect again: after delays that grow, each shortened by chance so that clients do not come in
    step.

    The delays are ``initial``, ``initial * factor`` and so on, at most ``limit``; each is multiplied by a
    random number between ``1 - jitter`` and 1, from the component's random stream. A connection that lasted
    longer than the delay before it lets the next begin at ``initial`` again.

    Example:
        >>> [Reconnect(initial=1, limit=5).delay(attempt, chance=0) for attempt in range(4)]
        [1.0, 2.0, 4.0, 5.0]
    """

    initial: float = 0.5
    """Seconds before the first new attempt."""
    factor: float = 2.0
    """How much longer each delay is than the last."""
    limit: float = 30.0
    """The longest delay in seconds."""
    jitter: float = 0.5
    """Which part of a delay is left to chance: 0 for none, 1 for all of it."""
    attempts: int | None = None
    """How often in a row connecting may fail, or a connection be lost before it has lasted, until the
    component fails; None for no limit."""

    def __post_init__(self) -> None:
        check_limit(self.initial, "Reconnect(initial=...)")
        check_number(self.factor, "Reconnect(factor=...)", lambda factor: factor >= 1, "a number, 1 or more")
        check_limit(self.limit, "Reconnect(limit=...)")
        check_number(
            self.jitter, "Reconnect(jitter=...)", lambda part: 0 <= part <= 1, "a number from 0 to 1"
        )
        if self.attempts is not None:
            give = "how often to try, 1 or more, or None for no limit"
            check_whole(self.attempts, "Reconnect(attempts=...)", 1, math.inf, give)

    def delay(self, attempt: int, chance: float) -> float:
        """Return the seconds to wait before an attempt (0 is the first), for a random number from 0 to 1."""
        exponent = min(attempt, 64)  # beyond, a float would overflow long after the limit
        return min(self.limit, self.initial * self.factor**exponent) * (1 - self.jitter * chance)


@dataclass(frozen=True)
class ClientStatistics:
    """What a client has done; see `StreamClient.statistics`."""

    connected: bool
    """Whether there is a connection now."""
    connections: int
    """How many have been made."""
    failed: int
    """Attempts to connect that failed."""
    lost: int
    """Connections that ended before the client had sent everything."""
    bytes_in: int
    """Bytes received."""
    bytes_out: int
    """Bytes that the operating system has taken to send."""
    unread: int
    """Bytes received that came when nobody was there to read them any more."""


class ClientOptions(TypedDict, total=False):
    """What may be said to every client of streams; see the arguments of `TCPClient`."""

    reconnect: bool | Reconnect | None
    connect_timeout: float
    idle_timeout: float | None
    stall_timeout: float | None
    least_rate: float | str | None
    total_timeout: float | None
    linger: float
    half_close: bool
    receive_rate: float | str | None
    buffers: int | str | None
    tls: ClientTLS | ssl.SSLContext | bool | None


class StreamClient(Component):
    """What clients of streams have in common; see `TCPClient` for the arguments."""

    inbox = Inbox[bytes]("bytes for the server", size="192 KiB")  # one message more may be in the transport
    outbox = Outbox[bytes]("bytes from the server")
    news = Inbox[str]("what happens to the connection: 'lost'")

    def __init__(
        self,
        *,
        reconnect: bool | Reconnect | None = None,
        connect_timeout: float = 10.0,
        idle_timeout: float | None = None,
        stall_timeout: float | None = 60.0,
        least_rate: float | str | None = None,
        total_timeout: float | None = None,
        linger: float = 1.0,
        half_close: bool = True,
        receive_rate: float | str | None = None,
        buffers: int | str | None = None,
        tls: ClientTLS | ssl.SSLContext | bool | None = None,
        proxied: ProxyHeader | None = None,
    ) -> None:
        kind = type(self).__name__
        if reconnect is not None and not isinstance(reconnect, (bool, Reconnect)):
            raise TypeError(f"{kind}(reconnect={shorten(reconnect)}): give True, False or a Reconnect()")
        check_limit(connect_timeout, f"{kind}(connect_timeout=...)")
        check_time_outs(kind, idle_timeout, stall_timeout, linger)
        if total_timeout is not None:
            check_limit(total_timeout, f"{kind}(total_timeout=...)", ", or None for ever")
        self._policy = Reconnect() if reconnect is True else reconnect or None
        self._connect_timeout = connect_timeout
        self._idle_timeout, self._stall_timeout = idle_timeout, stall_timeout
        self._least_rate = checked_least_rate(least_rate, stall_timeout, kind)
        self._total_timeout = total_timeout
        self._linger = linger
        # A client that connects again must not take the end of a server that goes down for a half-close.
        self._half_close = half_close and self._policy is None
        self._receive_rate = checked_receive_rate(receive_rate, kind)
        self._buffers = checked_buffers(buffers, kind)
        self._tls = checked_client_tls(tls, kind)
        given: Any = proxied
        if given is not None and not isinstance(given, ProxyHeader):
            raise TypeError(f"{kind}(proxied={shorten(given)}): give a ProxyHeader(...), or None")
        self._preface = proxied.encoded() if proxied is not None else b""
        # While this is held, the outside world may bring something; a stop of the system releases it.
        self._hold = self.news.hold(outside=True)
        self._hold.on_release = self._stop
        self._stopped = False
        self._dialled = Signal("reach its server")
        self._stream: _ToServer | None = None
        self._in_hand: bytes | None = None  # taken from the inbox, but not written: the connection was lost
        self._connections = self._failed = self._lost_connections = 0
        self._bytes = [0, 0, 0]  # in, out, unread of connections that are over

    @property
    def tls(self) -> TLSInfo | None:
        """What was agreed on for the protection of the connection; None if it has none, or there is none."""
        now = self._stream
        info: TLSInfo | None = now.transport.get_extra_info("tls") if now is not None else None
        return info

    def statistics(self) -> ClientStatistics:
        """Return what the client has done so far."""
        now = self._stream
        bytes_in, bytes_out, unread = self._bytes
        return ClientStatistics(
            connected=now is not None and now.connected,
            connections=self._connections,
            failed=self._failed,
            lost=self._lost_connections,
            bytes_in=bytes_in + (now.bytes_in if now is not None else 0),
            bytes_out=bytes_out + (now.bytes_out if now is not None else 0),
            unread=unread + (now.unread if now is not None else 0),
        )

    async def main(self) -> None:
        """Keep a connection until both sides have finished."""
        policy = self._policy
        failures = 0  # in a row: attempts to connect, and connections that did not last
        waits = 0  # in a row
        while not self._stopped:
            clock = asyncio.get_running_loop().time
            stream = await self._connect()
            if stream is None:
                break
            failure: CannotConnect | ConnectionLost
            if isinstance(stream, CannotConnect):
                failure = stream
                failures += 1
            else:
                began = clock()
                loss = await self._converse(stream)
                if loss is None or self._stopped:
                    break
                failure = loss
                lasted = policy is not None and clock() - began > policy.delay(waits, 0)
                failures = 0 if lasted else failures + 1
                waits = 0 if lasted else waits
            if policy is None or failures == policy.attempts:
                raise failure
            await self._wait(policy.delay(waits, random.random()), failure)
            waits += 1
        self._account_for_rest()

    # -- one connection ---------------------------------------------------------------------------

    async def _dial(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """Connect; return the protocol that has the connection. Raises `OSError`."""
        raise NotImplementedError

    @property
    def _server(self) -> str:
        """The address of the server, as people write it."""
        raise NotImplementedError

    @property
    def _server_name(self) -> str | None:
        """What its certificate says."""
        return None

    async def _connect(self) -> _ToServer | CannotConnect | None:
        """Make a connection; return why there is none, or None at a stop."""
        attempt = asyncio.get_running_loop().create_task(self._attempt())
        attempt.add_done_callback(lambda _: self._dialled.set())
        left = False
        try:
            # A signal and not the task is awaited: so a stop, and a reader that goes, end this wait too.
            while not attempt.done() and not (self._stopped and self._nothing_to_send()):
                await self._dialled
        finally:
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait([attempt])
                if not attempt.cancelled() and attempt.exception() is None:
                    left = True  # it was made in this very moment
                    await attempt.result().leave()
        if left or attempt.cancelled():
            return None
        error = attempt.exception()
        if error is None:
            self._connections += 1
            return attempt.result()
        # A name that cannot be looked up is a UnicodeError.
        if not isinstance(error, (OSError, UnicodeError, ProtocolError)):
            raise error
        self._failed += 1
        text = f"{self.path} cannot connect: {why_not_connected(error, self._server)}"
        refused = CannotConnect(text)
        refused.__cause__ = error
        return refused

    def _nothing_to_send(self) -> bool:
        return self._in_hand is None and not self.inbox.statistics().waiting

    async def _attempt(self) -> _ToServer:
        limit = self._connect_timeout
        watch = Watch(
            idle_timeout=self._idle_timeout,
            stall_timeout=self._stall_timeout,
            least_rate=self._least_rate,
            total_timeout=self._total_timeout,
            receive_rate=self._receive_rate,
        )
        loop = asyncio.get_running_loop()
        # Several addresses may be tried at a time, and those that lose the race must not be heard of.
        tried: dict[asyncio.Protocol, tuple[_ToServer, asyncio.Future[None]]] = {}

        def make() -> asyncio.Protocol:
            stream, opened = _ToServer(self, watch, half_close=self._half_close), loop.create_future()
            protocol = stream if self._tls is None else self._secured(stream, opened)
            tried[protocol] = stream, opened
            return protocol

        try:
            async with asyncio.timeout(limit):
                protocol = await self._dial(make)
                stream, opened = tried[protocol]
                if isinstance(protocol, TLSTransport):
                    try:
                        protocol.start()
                        await opened
                    except BaseException:
                        protocol.abort()
                        raise
        except TimeoutError as error:
            if error.errno is not None:
                raise  # it is the operating system that has waited long enough
            raise TimeoutError(f"no connection within {limit:g} s") from error
        self._set_up(stream.transport.get_extra_info("socket"))
        if protocol is stream and self._preface and stream.connected:
            stream.transport.write(self._preface)
        return stream

    def _set_up(self, socket: Any) -> None:
        """Set the options of a connection that has been made."""
        if self._buffers is not None:
            bound_buffers(socket, self._buffers)

    def _secured(self, stream: _ToServer, opened: asyncio.Future[None]) -> TLSTransport:
        """Return what protects a connection that is about to be made."""
        assert self._tls is not None
        name = (self._tls.server_name if isinstance(self._tls, ClientTLS) else None) or self._server_name

        def on_open() -> None:
            stream.connection_made(transport)
            if not opened.done():
                opened.set_result(None)

        def on_failure(error: Exception) -> None:
            if not opened.done():
                opened.set_exception(error)
                opened.exception()  # nobody may ask: another attempt may have won

        transport = TLSTransport(
            client_context(self._tls),
            stream,
            server=False,
            server_name=name,
            on_open=on_open,
            on_failure=on_failure,
            preface=self._preface,
            wait=True,
        )
        return transport

    async def _converse(self, stream: _ToServer) -> ConnectionLost | None:
        """Carry bytes both ways until everything has been said; return what came between."""
        self._stream = stream
        stream.start(self.outbox)
        if self._stopped:
            stream.stop_reading()
        broken = True
        try:
            if self._in_hand is not None and stream.connected:
                data, self._in_hand = self._in_hand, None
                if isinstance(data, Instruction):
                    await stream.follow(data)
                else:
                    stream.write(data)
                    await stream.flush()
            self._in_hand = await stream.write_from(self.inbox, self.news)
            everything_sent = not stream.lost
            if everything_sent:
                await stream.finish(self._linger, lambda: self._stopped)
        except Cancelled:
            broken = self._axon.cause is not None  # rule 3: if it is a break, there is a cause
            raise
        except Exception as error:
            # That nobody reads our outbox any more is an end, and anything else a failure.
            broken = not isinstance(error, BrokenLink) or isinstance(error, SourceFailed)
            if broken:
                await stream.deliver()
            raise
        finally:
            await (stream.abort() if broken else stream.leave())
            self._stream = None
            for index, count in enumerate((stream.bytes_in, stream.bytes_out, stream.unread)):
                self._bytes[index] += count
        if stream.failure is None and (everything_sent or self._stopped):
            return None
        if stream.failure is None and self._policy is None and not self._half_close:
            return None  # the server's end is to be ours
        self._lost_connections += 1
        loss = self._loss(stream)
        if everything_sent:  # so there is nothing to connect again for, and the answer is not whole
            raise loss
        return loss

    def _loss(self, stream: Stream) -> ConnectionLost:
        why = f"broke ({stream.failure})" if stream.failure is not None else "was ended by the server"
        text = (
            f"{self.path}: the connection to {self._server} {why} after {stream.bytes_in} bytes received and "
            f"{stream.bytes_out} sent, the last of which may not have arrived"
        )
        if self._policy is None:
            text += ". reconnect=True connects again"
        loss = ConnectionLost(text)
        loss.__cause__ = stream.failure
        return loss

    def server_ended(self, failure: Exception | None) -> None:
        """Nothing more will come from the server."""
        if self._policy is None and failure is None:
            self.outbox.close()  # a failure breaks it when `main` raises

    def connection_lost(self) -> None:
        """The connection is over."""
        if not self._hold.released:
            self._hold.send("lost")

    # -- between connections ----------------------------------------------------------------------

    async def _wait(self, delay: float, failure: Exception) -> None:
        """Wait before the next attempt, so many seconds or until a stop."""
        log.warning("%s; next attempt in %.1f s", failure, delay)
        end = asyncio.get_running_loop().time() + delay
        try:
            # A wait on a box: so a stop, which ends this box, ends the wait. What comes meanwhile is old
            # news.
            while (left := end - asyncio.get_running_loop().time()) > 0:
                await self.news.receive(timeout=left)
        except (TimeoutError, EndOfMessages):
            return

    def _stop(self) -> None:
        self._stopped = True
        self._dialled.set()
        if self._stream is not None:
            self._stream.stop_reading()
            self._stream.tell()

    def _account_for_rest(self) -> None:
        """Say what was not sent, where the client ends before its inbox has."""
        waiting = self.inbox.statistics().waiting
        left = waiting + len(self._in_hand or b"")
        if left:
            text = "%s: stopped without a connection to %s; %d bytes were not sent"
            log.warning(text, self.path, self._server, left)


class _ToServer(Stream):
    """A client's connection."""

    __slots__ = ("client",)

    def __init__(self, client: StreamClient, watch: Watch, *, half_close: bool) -> None:
        super().__init__(watch, half_close=half_close)
        self.client = client

    @property
    def server_name(self) -> str | None:  # type: ignore[override]
        """See `Stream`."""
        return self.client._server_name

    def has_unread(self) -> bool:
        """See `Stream`."""
        client, chassis = self.client, self.client.chassis
        return postman.waits_beyond(
            client.outbox, [client._axon] if chassis is None else [client._axon, chassis._axon]
        )

    def on_deaf(self, failure: Exception | None) -> None:
        """See `Stream`."""
        self.client.server_ended(failure)

    def on_lost(self) -> None:
        """See `Stream`."""
        self.client.connection_lost()
