"""TCP clients: one connection to a server, as a component.

``main`` makes the connection and writes to it what arrives in the inbox; what the server sends goes to the
outbox straight from the loop. The two halves, and how they end, are the business of `stream`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass

from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    Component,
    EndOfMessages,
    Inbox,
    Outbox,
    SourceFailed,
    random,
)
from kamaelia.axon.errors import shorten

from .arguments import check_client_host, check_limit, check_number, check_time_outs, check_whole
from .connection import address_text
from .errors import CannotConnect, ConnectionLost, why_not_connected
from .stream import Stream
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
    """How often in a row a connection may fail before the component does; None for no limit."""

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
    """What a client has done; see `TCPClient.statistics`."""

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


class TCPClient(Component):
    """Connects to a TCP server: what arrives in the inbox goes there, what comes from there goes to the
    outbox.

    The end of the inbox ends our half of the connection; the client goes on reading until the server has
    ended its half, which is the end of the outbox. It ends when both have ended, or when nobody reads its
    outbox.

    A client that fails, or whose source does, resets the connection after what was sent before: the server
    sees a break, and no end. Without ``reconnect`` a connection that breaks is a failure of the client. With
    it, the client connects again whenever the connection ends before the inbox has: what is in the inbox
    waits, and the outbox stays open. What had been handed to the operating system when the connection ended
    may or may not have arrived: TCP does not tell. The log says how much was sent; a protocol that must know
    asks its peer to confirm.

    Arguments:
        host: name or address of the server
        port: of the server
        reconnect: connect again: True, or a `Reconnect` that says how often and how soon
        connect_timeout: seconds for one attempt to connect
        idle_timeout: seconds without a byte in either direction after which the connection is broken; None
            for never
        stall_timeout: seconds for which the server may take nothing of what is sent, then the connection is
            broken (at the latest a quarter later); None for ever
        linger: seconds to wait for the server's end of stream once nobody reads what it sends

    Raises `CannotConnect` (nobody listens, the name is unknown, no answer) and `ConnectionLost`. Messages
    that are not bytes are a `TypeError`, arguments that cannot be meant that or a `ValueError`.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.net import TCPClient, TCPServer
        >>> with background(TCPServer(Map(bytes.upper), port=0, quiet=True)) as server:
        ...     run(Source([b"anybody there?"]) | TCPClient(*server.receive("listening")) | Collect())
        [b'ANYBODY THERE?']
    """

    inbox = Inbox[bytes]("bytes for the server", size="192 KiB")  # one message more may be in the transport
    outbox = Outbox[bytes]("bytes from the server")
    news = Inbox[str]("what happens to the connection: 'lost'")

    def __init__(
        self,
        host: str,
        port: int,
        *,
        reconnect: bool | Reconnect | None = None,
        connect_timeout: float = 10.0,
        idle_timeout: float | None = None,
        stall_timeout: float | None = 60.0,
        linger: float = 1.0,
    ) -> None:
        check_client_host(host, "TCPClient(host=...)")
        check_whole(port, "TCPClient(port=...)", 1, 65535, "the server's port, from 1 to 65535")
        if reconnect is not None and not isinstance(reconnect, (bool, Reconnect)):
            raise TypeError(f"TCPClient(reconnect={shorten(reconnect)}): give True, False or a Reconnect()")
        check_limit(connect_timeout, "TCPClient(connect_timeout=...)")
        check_time_outs("TCPClient", idle_timeout, stall_timeout, linger)
        self._host, self._port = host, port
        self._policy = Reconnect() if reconnect is True else reconnect or None
        self._connect_timeout = connect_timeout
        self._idle_timeout, self._stall_timeout = idle_timeout, stall_timeout
        self._linger = linger
        # While this is held, the outside world may bring something; a stop of the system releases it.
        self._hold = self.news.hold(outside=True)
        self._hold.on_release = self._stop
        self._stopped = False
        self._stream: _ToServer | None = None
        self._in_hand: bytes | None = None  # taken from the inbox, but not written: the connection was lost
        self._connections = self._failed = self._lost_connections = 0
        self._bytes = [0, 0, 0]  # in, out, unread of connections that are over

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
        attempt = 0  # how many have failed in a row
        while not self._stopped:
            loop = asyncio.get_running_loop()
            watch = Watch(idle_timeout=self._idle_timeout, stall_timeout=self._stall_timeout)
            stream = self._stream = _ToServer(self, watch, half_close=self._policy is None)
            error = await self._connect(stream)
            if error is None:
                began = loop.time()
                if await self._converse(stream) or self._stopped:
                    break
                if self._policy is not None and loop.time() - began > self._policy.delay(attempt, 0):
                    attempt = 0
            elif self._policy is None or attempt + 1 == self._policy.attempts:
                raise error
            await self._wait_before(attempt, error)
            attempt += 1
        self._account_for_rest()

    # -- one connection ---------------------------------------------------------------------------

    async def _connect(self, stream: Stream) -> CannotConnect | None:
        """Make a connection; return why there is none."""
        loop = asyncio.get_running_loop()
        attempt = loop.create_task(self._attempt(stream))
        attempt.add_done_callback(lambda _: stream.tell())
        try:
            # A signal and not the task is awaited: so a stop, and a reader that goes, end this wait too.
            while not attempt.done() and not (self._stopped and self._nothing_to_send()):
                await stream.changed
        finally:
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait([attempt])
                await stream.leave()  # should it have been made in this very moment
        if attempt.cancelled():
            return None
        error = attempt.exception()
        if error is None:
            self._connections += 1
            return None
        if not isinstance(
            error, (OSError, UnicodeError)
        ):  # the latter comes of names that cannot be looked up
            raise error
        self._failed += 1
        text = f"{self.path} cannot connect: {why_not_connected(error, self._server)}"
        refused = CannotConnect(text)
        refused.__cause__ = error
        return refused

    def _nothing_to_send(self) -> bool:
        return self._in_hand is None and not self.inbox.statistics().waiting

    async def _attempt(self, stream: Stream) -> None:
        limit = self._connect_timeout
        try:
            async with asyncio.timeout(limit):
                await asyncio.get_running_loop().create_connection(lambda: stream, self._host, self._port)
        except TimeoutError as error:
            raise TimeoutError(f"no connection within {limit:g} s") from error

    async def _converse(self, stream: Stream) -> bool:
        """Carry bytes both ways; return whether everything has been said."""
        if not stream.connected:
            return False
        stream.start(self.outbox)
        broken = True
        try:
            if self._in_hand is not None:
                data, self._in_hand = self._in_hand, None
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
            return True
        self._lost_connections += 1
        if self._policy is None:
            raise self._loss(stream) from stream.failure
        log.warning("%s", self._loss(stream))
        return everything_sent and self._in_hand is None

    def _loss(self, stream: Stream) -> ConnectionLost:
        why = f"broke ({stream.failure})" if stream.failure is not None else "was ended by the server"
        text = (
            f"{self.path}: the connection to {self._server} {why} after {stream.bytes_in} bytes received and "
            f"{stream.bytes_out} sent, the last of which may not have arrived"
        )
        if self._policy is None:
            text += ". reconnect=True connects again"
        return ConnectionLost(text)

    def server_ended(self, failure: Exception | None) -> None:
        """Nothing more will come from the server."""
        if self._policy is None and failure is None:
            self.outbox.close()  # a failure breaks it when `main` raises

    def connection_lost(self) -> None:
        """The connection is over."""
        if not self._hold.released:
            self._hold.send("lost")

    # -- between connections ----------------------------------------------------------------------

    async def _wait_before(self, attempt: int, error: Exception | None) -> None:
        assert self._policy is not None
        delay = self._policy.delay(attempt, random.random())
        if error is not None:
            log.warning("%s; next attempt in %.1f s", error, delay)
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

    @property
    def _server(self) -> str:
        return address_text((self._host, self._port))


class _ToServer(Stream):
    """A client's connection."""

    __slots__ = ("client",)

    def __init__(self, client: TCPClient, watch: Watch, *, half_close: bool) -> None:
        super().__init__(watch, half_close=half_close)
        self.client = client

    def on_deaf(self, failure: Exception | None) -> None:
        """See `Stream`."""
        self.client.server_ended(failure)

    def on_lost(self) -> None:
        """See `Stream`."""
        self.client.connection_lost()
